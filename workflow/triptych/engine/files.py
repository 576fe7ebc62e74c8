"""Durable files: written beside, synced, renamed; a reader sees the old content or the new, never a part."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Arrays = dict[str, np.ndarray[Any, Any]]

PARTIAL = ".partial"


def sync_folder(folder: Path) -> None:
    """Make renames and unlinks in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file so that every interruption leaves the old content or the new one."""
    write_pieces(path, (content,))


def write_pieces(path: Path, pieces: Iterable[bytes]) -> None:
    """The same for content that comes piece by piece and is never held whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{os.getpid()}{PARTIAL}")
    try:
        with open(beside, "wb") as file:
            for piece in pieces:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_json(path: Path, content: Any) -> None:
    """Write JSON with sorted keys, two spaces, a newline at the end: equal content gives equal bytes."""
    write_bytes(path, (json.dumps(content, sort_keys=True, indent=2, allow_nan=False) + "\n").encode())


def save_arrays(path: Path, arrays: Arrays) -> None:
    """Write a flat dict of arrays as an uncompressed ``.npz`` without objects; equal arrays give equal bytes."""
    import io

    import numpy as np

    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)  # zip entries are stamped 1980-01-01
    write_bytes(path, buffer.getvalue())


def load_arrays(path: Path) -> Arrays:
    """Read what ``save_arrays`` wrote."""
    import numpy as np

    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def hash_stream(file: IO[bytes]) -> str:
    """sha256 of an open binary file, read in pieces of 4 MiB."""
    digest = hashlib.sha256()
    while piece := file.read(1 << 22):
        digest.update(piece)
    return digest.hexdigest()


def hash_file(path: Path) -> str:
    """sha256 of a file's content."""
    with open(path, "rb") as file:
        return hash_stream(file)
