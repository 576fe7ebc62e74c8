"""How work is done: blocks, phases, ledger, fingerprint, manifest, executors, progress."""
