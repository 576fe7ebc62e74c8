"""Leases: one writer per (output, phase, range), held by the kernel as long as the process lives.

``flock`` on a file in the ledger folder; the file names the holder, so that a refusal can say who it is. A process that dies,
however it dies, lets go. A whole run takes the lease of the step alone; runs of block ranges share it, and each holds its
range alone.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from triptych.errors import UsageError

LEASE = "ledger/lease"
DRIVER_VARIABLE = "TRIPTYCH_DRIVER"
PATIENCE_S = 0.5


def process_start(pid: int) -> str | None:
    """Start time of a process in clock ticks since boot (it tells a process from a later one with the same pid)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None


def is_alive(holder: Mapping[str, Any]) -> bool:
    """Whether the process that a lease or lock names still runs; only this host can be asked, others count as alive."""
    if holder.get("host") != socket.gethostname():
        return True
    return process_start(int(holder["pid"])) == holder.get("start")


def this_process() -> dict[str, Any]:
    """Name of this process for a lease."""
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "start": process_start(os.getpid()),
        "driver": os.environ.get(DRIVER_VARIABLE, ""),
    }


def _lock(descriptor: int, operation: int) -> bool:
    end = time.monotonic() + PATIENCE_S  # status looks at leases by taking them for a moment
    while True:
        try:
            fcntl.flock(descriptor, operation | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                return False
            time.sleep(0.05)
        else:
            return True


@contextmanager
def lease(out: Path, part: str | None = None) -> Iterator[None]:
    """Hold a step's output (or one range of a phase of it) alone.

    Raises
    ------
    UsageError
        Another live process writes there; its pid and host are named.
    """
    whole = out / LEASE
    whole.parent.mkdir(parents=True, exist_ok=True)
    wanted = (
        [(whole, fcntl.LOCK_EX)]
        if part is None
        else [(whole, fcntl.LOCK_SH), (whole.with_name(f"lease-{part}"), fcntl.LOCK_EX)]
    )
    held: list[int] = []
    try:
        for path, operation in wanted:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            held.append(descriptor)
            if not _lock(descriptor, operation):
                raise UsageError(
                    f"{out} is being written by {_named(path)}; wait for it, or stop it, then try again"
                )
            if operation == fcntl.LOCK_EX:
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, json.dumps(this_process()).encode(), 0)
        yield
    finally:
        for descriptor in reversed(held):
            os.close(descriptor)


def _named(path: Path) -> str:
    """The holder of a lease in words; the holders of ranges are named from their own leases."""
    for candidate in (path, *sorted(path.parent.glob("lease-*"))):
        found = _read(candidate)
        if found and is_alive(found):
            return f"process {found['pid']} on {found['host']}"
    return "another process"


def _read(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def holders(out: Path) -> list[dict[str, Any]]:
    """Processes that hold a lease of this output at this moment."""
    found = []
    for path in sorted((out / "ledger").glob("lease*")):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _read(path)
            if holder is not None:
                found.append(holder)
        finally:
            os.close(descriptor)
    return found


@contextmanager
def alone(out: Path, name: str) -> Iterator[None]:
    """Wait for, then hold, a lock that runs of different ranges take in turn (to prepare the store once)."""
    path = out / "ledger" / f"{name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def writing(out: Path) -> Iterator[None]:
    """Held, shared, by every worker while it computes a block: see ``wait_for_writers``."""
    path = out / "ledger" / "writers.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def wait_for_writers(out: Path) -> Iterator[None]:
    """Wait until no orphaned worker of a dead run computes a block here, and keep new ones out meanwhile."""
    with alone(out, "writers"):
        yield
