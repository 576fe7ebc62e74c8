"""The manifest: written last, deterministic, and the only thing by which others know that a step is done."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from triptych.engine.files import PARTIAL, hash_file, write_json
from triptych.engine.fingerprint import digest

MANIFEST = "manifest.json"
PROVENANCE = "provenance.json"
FAILURE = "failure.json"


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest of a result folder; None if there is none or it is not one."""
    return read_json(folder / MANIFEST)


def read_json(path: Path) -> dict[str, Any] | None:
    """A JSON object from a file; None if it is not there or is no object."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write the manifest and make it durable."""
    write_json(folder / MANIFEST, manifest)


def output_files(out: Path, outputs: Iterable[str]) -> dict[str, Path]:
    """Every file of the stores that a step declares (``*`` may stand for a part of a store's name): key -> path."""
    files: dict[str, Path] = {}
    patterns = tuple(outputs)
    if not out.is_dir():
        return files
    for entry in sorted(out.iterdir()):
        if not any(fnmatch.fnmatchcase(entry.name, pattern) for pattern in patterns):
            continue
        found = sorted(entry.rglob("*")) if entry.is_dir() else [entry]
        files.update({path.relative_to(out).as_posix(): path for path in found if path.is_file()})
    return {key: path for key, path in files.items() if not key.endswith(PARTIAL)}


def output_digest(digests: Mapping[str, str]) -> str:
    """sha256 over the sorted (key, sha256 of stored bytes) of the stores."""
    return digest(sorted([key, value] for key, value in digests.items()))


def hash_outputs(
    files: Mapping[str, Path], known: Mapping[str, tuple[int, str]]
) -> dict[str, tuple[int, str]]:
    """Size and sha256 of every output file, taken from the ledger where it has them."""
    return {
        key: known[key] if key in known else (path.stat().st_size, hash_file(path))
        for key, path in files.items()
    }
