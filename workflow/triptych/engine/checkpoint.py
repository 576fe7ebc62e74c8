"""Checkpoints of iterative phases: one file per iteration under the fingerprint, the last two kept.

``checkpoints/<fingerprint>/<phase>-<iteration>.npz``, written beside and renamed, its sha256 in the ledger.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from triptych.engine.files import load_arrays, save_arrays

if TYPE_CHECKING:
    from triptych.engine.files import Arrays

KEPT = 2


def checkpoint_key(fingerprint: str, phase: str, iteration: int) -> str:
    """Path of a checkpoint relative to the result folder."""
    return f"checkpoints/{fingerprint}/{phase}-{iteration:06d}.npz"


def save_state(out: Path, fingerprint: str, phase: str, iteration: int, state: Arrays) -> str:
    """Write the state after an iteration and drop those older than the last two; returns its key."""
    key = checkpoint_key(fingerprint, phase, iteration)
    save_arrays(out / key, state)
    for old in range(iteration - KEPT, -1, -1):
        path = out / checkpoint_key(fingerprint, phase, old)
        if not path.exists():
            break
        path.unlink()
    return key


def last_state(out: Path, phase: str) -> Arrays:
    """The newest state of a phase in a result folder (one fingerprint is there at a time)."""
    found = sorted((out / "checkpoints").glob(f"*/{phase}-*.npz"))
    if not found:
        raise FileNotFoundError(f"no checkpoint of phase {phase} in {out}")
    return load_arrays(found[-1])
