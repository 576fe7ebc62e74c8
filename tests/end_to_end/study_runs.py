"""Studies run as a user runs them: in child processes that can be killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Collection
from pathlib import Path

import psutil

TRIPTYCH = [sys.executable, "-m", "triptych_cli"]
ENVIRONMENT = {**os.environ, "NO_COLOR": "1"}


def triptych(*arguments: str | Path, timeout: float = 600) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    command = [*TRIPTYCH, *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, env=ENVIRONMENT, check=False, timeout=timeout
    )


def kill_when(folder: Path, place: str, phase: str, lines: int, *arguments: str, timeout: float = 120) -> int:
    """Run the study; kill -9 the driver and all its children once this run has written so many lines of a phase.

    Returns the number of lines then.
    """
    old = {path.name for path in (folder / place / "ledger").glob("*/")}
    process = subprocess.Popen(
        [*TRIPTYCH, "run", "-C", str(folder), *arguments],
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    end = time.monotonic() + timeout
    while computed(folder / place, old)[phase].total() < lines:
        assert process.poll() is None, "the run ended before it could be killed: make the step longer"
        assert time.monotonic() < end, f"{phase} of {place} never had {lines} lines"
        time.sleep(0.005)
    kill_family(process.pid)
    process.wait()
    return computed(folder / place, old)[phase].total()


def kill_family(pid: int) -> None:
    """SIGKILL a process and all below it."""
    parent = psutil.Process(pid)
    for member in [parent, *parent.children(recursive=True)]:
        try:
            member.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(parent.children(recursive=True) if parent.is_running() else [], timeout=10)


def computed(out: Path, old: Collection[str] = ()) -> dict[str, Counter[int]]:
    """For every phase of a result: how often each block or iteration was computed, by the ledger's lines.

    Ledgers whose fingerprint is in ``old`` are left out.
    """
    found: dict[str, Counter[int]] = _Phases()
    for file in out.glob("ledger/*/*.jsonl"):
        if file.parent.name in old:
            continue
        for line in file.read_bytes().split(b"\n"):
            text, tab, _ = line.rpartition(b"\t")
            if not tab:
                continue
            record = json.loads(text)
            if record["kind"] == "done":
                found[record["phase"]][record["index"]] += 1
    return found


class _Phases(dict[str, "Counter[int]"]):
    def __missing__(self, key: str) -> Counter[int]:
        self[key] = Counter()
        return self[key]


def stored(folder: Path) -> dict[str, bytes]:
    """Every byte that a study stands for: manifests, and the stores that they name."""
    found: dict[str, bytes] = {}
    for manifest in sorted((folder / "results").rglob("manifest.json")):
        content = json.loads(manifest.read_text())
        found[manifest.relative_to(folder).as_posix()] = manifest.read_bytes()
        for store in content["outputs"]:
            path = manifest.parent / store
            files = [p for p in path.rglob("*") if p.is_file()] if path.is_dir() else [path]
            found |= {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}
    return found


def differing(first: dict[str, bytes], second: dict[str, bytes]) -> list[str]:
    """Keys in which two studies differ."""
    return sorted(key for key in first.keys() | second.keys() if first.get(key) != second.get(key))
