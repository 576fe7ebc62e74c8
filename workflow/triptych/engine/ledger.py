"""The ledger of a step: one append-only file per writing process, one line per finished piece of work.

A line is JSON, a tab, and the CRC-32 of the JSON; it is written with one call and synced, after the files it names are
synced. A torn or damaged line is ignored: its work is done again. Lines of different writers are merged on reading.

Kinds of lines: ``start`` (a process begins), ``phase`` (number of blocks), ``done`` (a block, a reduce or an iteration, with
the files it wrote), ``complete`` (the manifest). A file belongs to one phase only.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from triptych.engine.files import hash_file, sync_folder

FOLDER = "ledger"

_lock = threading.Lock()
_names: dict[tuple[int, str], Path] = {}


@dataclass(frozen=True)
class Done:
    """A finished piece of work: ``files`` maps keys to (bytes, sha256); an owned file that is absent held only fill values."""

    phase: str
    index: int
    files: Mapping[str, tuple[int, str]]
    seconds: float
    cpu: float = 0.0
    writer: str = ""


@dataclass
class Ledger:
    """What the lines of all writers say together."""

    done: dict[tuple[str, int], Done] = field(default_factory=dict)
    lines: int = 0
    blocks: dict[str, int] = field(default_factory=dict)
    starts: int = 0
    complete: dict[str, Any] | None = None

    def of_phase(self, phase: str) -> dict[int, Done]:
        """Finished work of one phase by index."""
        return {index: record for (name, index), record in self.done.items() if name == phase}

    def files(self) -> dict[str, tuple[int, str]]:
        """Every recorded file: key -> (bytes, sha256)."""
        files: dict[str, tuple[int, str]] = {}
        for record in self.done.values():
            files.update(record.files)
        if self.complete is not None:
            files.update({key: (size, digest) for key, (size, digest) in self.complete["files"].items()})
        return files


def ledger_folder(out: Path, fingerprint: str) -> Path:
    """Folder of the ledger of one fingerprint."""
    return out / FOLDER / fingerprint


def append(folder: Path, record: Mapping[str, Any]) -> None:
    """Append one durable line to this process's own file."""
    text = json.dumps(record, sort_keys=True, separators=(",", ":"), allow_nan=False)
    line = f"{text}\t{zlib.crc32(text.encode()):08x}\n".encode()
    with _lock:
        key = (os.getpid(), str(folder))
        new = key not in _names
        if new:
            name = f"{socket.gethostname()}-{os.getpid()}-{time.time_ns()}.jsonl"
            _names[key] = folder / name
        descriptor = os.open(_names[key], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            os.write(descriptor, line)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if new:
            sync_folder(folder)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    for raw in path.read_bytes().split(b"\n"):
        text, tab, check = raw.rpartition(b"\t")
        if not tab:
            continue
        try:
            if int(check, 16) == zlib.crc32(text):
                yield json.loads(text)
        except ValueError:
            continue


def _began(path: Path) -> tuple[int, str]:
    """When a writer began, by its own clock: later lines win, and all of one piece of work say the same."""
    stamp = path.stem.rpartition("-")[2]
    return (int(stamp) if stamp.isdigit() else 0, path.name)


def read(folder: Path) -> Ledger:
    """Merge the lines of all writers; a folder that is not there gives an empty ledger."""
    ledger = Ledger()
    if not folder.is_dir():
        return ledger
    for path in sorted(folder.glob("*.jsonl"), key=_began):
        for record in _lines(path):
            ledger.lines += 1
            match record["kind"]:
                case "start":
                    ledger.starts += 1
                case "phase":
                    ledger.blocks[record["phase"]] = record["blocks"]
                case "done":
                    files = {key: (size, digest) for key, (size, digest) in record["files"].items()}
                    ledger.done[record["phase"], record["index"]] = Done(
                        record["phase"], record["index"], files, record["seconds"], record["cpu"], path.stem
                    )
                case "complete":
                    ledger.complete = record
    return ledger


def record_files(out: Path, keys: Iterable[str]) -> dict[str, tuple[int, str]]:
    """Sync the files (or all files below the folders) that these keys name, and return their sizes and sha256."""
    files: dict[str, tuple[int, str]] = {}
    folders: set[Path] = set()
    for key in keys:
        path = out / key
        found = (
            sorted(p for p in path.rglob("*") if p.is_file())
            if path.is_dir()
            else [path]
            if path.exists()
            else []
        )
        for file in found:
            descriptor = os.open(file, os.O_RDONLY)
            try:
                os.fsync(descriptor)
                size = os.fstat(descriptor).st_size
            finally:
                os.close(descriptor)
            files[file.relative_to(out).as_posix()] = (size, hash_file(file))
            folders.add(file.parent)
    for folder in sorted(folders):
        sync_folder(folder)
    return files


def write_done(
    folder: Path, phase: str, index: int, files: Mapping[str, tuple[int, str]], seconds: float, cpu: float
) -> None:
    """Append the line of a finished piece of work, after its files were synced."""
    append(
        folder,
        {
            "kind": "done",
            "phase": phase,
            "index": index,
            "files": {key: list(value) for key, value in files.items()},
            "empty": not files,
            "seconds": round(seconds, 6),
            "cpu": round(cpu, 6),
        },
    )


def is_trusted(out: Path, record: Done, owned: Sequence[str] | None = None, verify: bool = False) -> bool:
    """Whether the files of a line lie there as recorded: sizes, or content with ``verify``.

    ``owned`` are all keys the piece of work owns: those without a record must be absent.
    """
    for key, (size, digest) in record.files.items():
        path = out / key
        try:
            if path.stat().st_size != size:
                return False
        except OSError:
            return False
        if verify and hash_file(path) != digest:
            return False
    return owned is None or all(key in record.files or not (out / key).is_file() for key in owned)
