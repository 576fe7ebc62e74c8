"""Proving a result: every stored byte against the ledger, the ledger against the manifest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from triptych.engine import ledger as ledgers
from triptych.engine.files import hash_file
from triptych.engine.manifest import MANIFEST, output_digest, output_files, read_manifest
from triptych.errors import InputError


@dataclass(frozen=True)
class Verdict:
    """What was found in one result folder.

    Attributes
    ----------
    state : whole, damaged, or unfinished (no manifest).
    damaged, missing, stray : keys whose bytes differ from the record, are not there, or are not recorded.
    """

    folder: Path
    step: str
    state: str
    files: int = 0
    bytes: int = 0
    damaged: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    stray: list[str] = field(default_factory=list)
    reason: str | None = None

    @property
    def whole(self) -> bool:
        """Whether the manifest says the truth."""
        return self.state == "whole"

    def as_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {**asdict(self), "folder": str(self.folder)}


def result_folders(path: Path) -> list[Path]:
    """Result folders at or below a path.

    Raises
    ------
    InputError
        There is none.
    """
    if path.name == MANIFEST:
        path = path.parent
    if not path.is_dir():
        raise InputError(f"{path} is no folder; give a study, a results folder, or one result")
    found = sorted({ledger.parent for ledger in path.rglob("ledger") if (ledger / "step").is_file()})
    if not found:
        raise InputError(f"{path} holds no result of a step; give a study, a results folder, or one result")
    return found


def verify(path: Path) -> Iterator[Verdict]:
    """Check every result at or below a path, reading all stored bytes."""
    for folder in result_folders(path):
        yield verify_folder(folder)


def verify_folder(folder: Path) -> Verdict:
    """Check one result."""
    step = (folder / "ledger" / "step").read_text().strip()
    manifest = read_manifest(folder)
    if manifest is None:
        exists = (folder / MANIFEST).exists()
        return Verdict(
            folder,
            step,
            "damaged" if exists else "unfinished",
            reason="the manifest is no JSON" if exists else None,
        )
    state = ledgers.read(ledgers.ledger_folder(folder, str(manifest.get("fingerprint"))))
    if state.complete is None:
        return Verdict(folder, step, "damaged", reason="the ledger has no complete line for this manifest")
    if state.complete["manifest"] != manifest:
        return Verdict(folder, step, "damaged", reason="the manifest differs from the ledger's")
    recorded: dict[str, list[Any]] = state.complete["files"]
    present = output_files(folder, manifest["outputs"])
    hashes = {key: hash_file(file) for key, file in present.items()}
    damaged = sorted(key for key in present.keys() & recorded.keys() if hashes[key] != recorded[key][1])
    missing = sorted(recorded.keys() - present.keys())
    stray = sorted(present.keys() - recorded.keys())
    sound = output_digest(hashes) == manifest["output_digest"]
    total = sum(file.stat().st_size for file in present.values())
    return Verdict(
        folder, step, "whole" if sound else "damaged", len(present), total, damaged, missing, stray
    )
