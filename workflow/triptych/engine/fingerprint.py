"""Digests: what a result depends on, and nothing else.

Settings digest = settings that change a result + fields of the sample sheet + step version: known without opening a file.
Fingerprint = settings digest + digests of the inputs + device class: known when a step starts.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from triptych.engine.files import hash_file, write_json

CACHE = "ledger/raw.json"


def canonical(content: Any) -> bytes:
    """JSON with sorted keys and no spaces: equal content gives equal bytes."""
    return json.dumps(
        content, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False
    ).encode()


def digest(content: Any) -> str:
    """sha256 of the canonical JSON."""
    return hashlib.sha256(canonical(content)).hexdigest()


def settings_digest(
    name: str, version: int, settings: Mapping[str, Any], cohort: Mapping[str, Any] | None = None
) -> str:
    """Digest of what a user asks of a step.

    ``settings`` is the model dumped to JSON types; ``cohort`` holds, for cohort steps, the samples with their descriptive
    fields and those left out.
    """
    return digest({"step": name, "version": version, "settings": settings, "cohort": cohort or {}})


def fingerprint(parts: Mapping[str, Any]) -> str:
    """Digest of the parts: settings digest, inputs' digests, device class."""
    return digest(parts)


def differences(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Dotted names of the entries in which two nested mappings differ."""
    names: list[str] = []
    for key in sorted(old.keys() | new.keys()):
        a, b = old.get(key), new.get(key)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            names += differences(a, b, f"{prefix}{key}.")
        elif a != b:
            names.append(f"{prefix}{key}")
    return names


class RawDigests:
    """sha256 of raw files, cached by absolute path, size and mtime_ns in the step's own folder."""

    def __init__(self, out: Path) -> None:
        self._path = out / CACHE
        try:
            self._known: dict[str, list[Any]] = json.loads(self._path.read_text())
        except (OSError, ValueError):
            self._known = {}
        self._changed = False

    def of(self, files: Sequence[Path], base: Path) -> str:
        """Digest over the sorted (name relative to ``base``, sha256 of content) of some files, also above ``base``."""
        return digest(
            sorted([Path(os.path.relpath(file, base)).as_posix(), self._of_file(file)] for file in files)
        )

    def _of_file(self, file: Path) -> str:
        state = file.stat()
        key = str(file.resolve())
        known = self._known.get(key)
        if known is not None and known[:2] == [state.st_size, state.st_mtime_ns]:
            return str(known[2])
        found = hash_file(file)
        self._known[key] = [state.st_size, state.st_mtime_ns, found]
        self._changed = True
        return found

    def save(self) -> None:
        """Keep what was hashed for the next start."""
        if self._changed:
            write_json(self._path, self._known)
            self._changed = False
