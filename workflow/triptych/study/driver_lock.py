"""One driver per study, and what a dead one left.

The lock is the kernel's (``flock``): it falls with the process that holds it, Snakemake's process included, which inherits it.
``.triptych/driver.json`` names the holder. Who finds the lock free and a name in the file knows that a driver died.
"""

from __future__ import annotations

import fcntl
import os
import signal
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from triptych.engine.files import write_json
from triptych.engine.lease import holders, is_alive, process_start, this_process
from triptych.engine.manifest import read_json
from triptych.errors import UsageError

LOCK = ".triptych/driver.lock"
RECORD = ".triptych/driver.json"
SNAKEMAKE_LOCKS = ".snakemake/locks"
PATIENCE_S = 60.0
SHELLS = ("bash", "sh", "dash")

Tell = Callable[[str], None]


@dataclass(frozen=True)
class DriverLock:
    """A held lock: ``descriptor`` is handed on to Snakemake, ``driver`` marks the leases of its steps."""

    root: Path
    descriptor: int
    driver: str

    def record(
        self,
        sets: Sequence[str] = (),
        left_out: Mapping[str, str] | None = None,
        snakemake: int | None = None,
    ) -> None:
        """Write who holds the study, what was set for this run, who was left out by it, and which Snakemake works."""
        content = this_process() | {
            "driver": self.driver,
            "sets": list(sets),
            "left_out": dict(left_out or {}),
        }
        if snakemake is not None:
            content["snakemake"] = {
                "host": content["host"],
                "pid": snakemake,
                "start": process_start(snakemake),
            }
        write_json(self.root / RECORD, content)

    def release(self) -> None:
        """Note that the driver ended in order."""
        write_json(self.root / RECORD, (read_json(self.root / RECORD) or {}) | {"ended": True})


@contextmanager
def hold_study(root: Path, places: list[str], tell: Tell) -> Iterator[DriverLock]:
    """Hold a study alone, after clearing what a dead driver left.

    Raises
    ------
    UsageError
        Another driver is alive; its pid and host are named.
    """
    path = root / LOCK
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        before = read_json(root / RECORD) or {}
        died = "pid" in before and not before.get("ended") and not is_alive(before)
        if not _take(descriptor) and not (died and _stop_snakemake(before, tell) and _take(descriptor)):
            raise UsageError(
                f"{root} is being run by {_name(before)}; wait for it or stop it, then try again"
            )
        if died:
            tell(f"cleared the stale lock of a dead driver ({_name(before)})")
        elif before.get("pid") and not before.get("ended"):
            tell(
                f"the last driver, {_name(before)}, left no word of its end, but its lock has fallen: it is taken for dead"
            )
        if before and not before.get("ended"):
            _stop_orphans(root, places, str(before.get("driver")), tell)
        _clear_snakemake_locks(root, tell)
        lock = DriverLock(root, descriptor, uuid.uuid4().hex)
        lock.record()
        try:
            yield lock
        finally:
            lock.release()
    finally:
        os.close(descriptor)


def live_driver(root: Path) -> dict[str, Any] | None:
    """The driver that holds a study at this moment, None if nobody does."""
    try:
        descriptor = os.open(root / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return read_json(root / RECORD)
    finally:
        os.close(descriptor)
    return None


def _take(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _name(record: dict[str, Any]) -> str:
    return f"process {record['pid']} on {record['host']}" if "pid" in record else "another process"


def _stop_snakemake(before: dict[str, Any], tell: Tell) -> bool:
    """Stop the Snakemake that a dead driver left running on this host; its steps finish their blocks."""
    holder = before.get("snakemake")
    if not isinstance(holder, dict) or holder.get("host") != os.uname().nodename:
        return False
    tell(f"stopping Snakemake, process {holder['pid']}, which a dead driver left; finished blocks are kept")
    signal_tree(int(holder["pid"]), signal.SIGTERM)
    end = time.monotonic() + PATIENCE_S
    while is_alive(holder) and time.monotonic() < end:
        time.sleep(0.1)
    if is_alive(holder):
        signal_tree(int(holder["pid"]), signal.SIGKILL)
        time.sleep(0.5)
    return True


def signal_tree(pid: int, number: int) -> None:
    """Signal a Snakemake and its steps: these finish their blocks, that starts no more.

    The shells between them are left alone (unless killed), so that each still reports how its step ended.
    """
    import psutil

    try:
        parent = psutil.Process(pid)
        family = [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for process in family:
        try:
            if number == signal.SIGKILL or process.name() not in SHELLS:
                process.send_signal(number)
        except psutil.NoSuchProcess:
            continue


def _stop_orphans(root: Path, places: list[str], driver: str, tell: Tell) -> None:
    """Steps of a dead driver that still run here: asked to finish their block, then waited for."""
    alive = [
        holder
        for place in places
        for holder in (holders(root / place) if (root / place / "ledger").is_dir() else [])
        if holder.get("driver") == driver and holder["host"] == os.uname().nodename
    ]
    for holder in alive:
        tell(
            f"stopping process {holder['pid']}, a step that the dead driver left; its finished blocks are kept"
        )
        _signal(holder, signal.SIGTERM)
    end = time.monotonic() + PATIENCE_S
    while any(is_alive(holder) for holder in alive) and time.monotonic() < end:
        time.sleep(0.1)
    for holder in alive:
        if is_alive(holder):
            _signal(holder, signal.SIGKILL)


def _signal(holder: dict[str, Any], number: int) -> None:
    try:
        if is_alive(holder):
            os.kill(int(holder["pid"]), number)
    except ProcessLookupError:
        return


def _clear_snakemake_locks(root: Path, tell: Tell) -> None:
    """Remove Snakemake's own lock files, unless a Snakemake that is not ours works in this folder."""
    locks = sorted((root / SNAKEMAKE_LOCKS).glob("*"))
    if not locks:
        return
    if pid := _snakemake_in(root):
        raise UsageError(
            f"{root} is being run by Snakemake itself, process {pid} on this host; wait for it or stop it"
        )
    for lock in locks:
        lock.unlink(missing_ok=True)
    tell("cleared the stale lock that a dead Snakemake left")


def _snakemake_in(root: Path) -> int | None:
    import psutil

    for process in psutil.process_iter(["pid", "cwd", "cmdline"]):
        command = process.info["cmdline"] or []
        if process.info["cwd"] == str(root.resolve()) and any("snakemake" in part for part in command[:4]):
            return int(process.info["pid"])
    return None
