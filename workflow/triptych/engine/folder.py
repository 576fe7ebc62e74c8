"""The result folder of a step: whose it is, and what it says of a failure."""

from __future__ import annotations

from pathlib import Path

from triptych.engine.files import write_json
from triptych.engine.manifest import FAILURE, read_manifest
from triptych.engine.step import Step
from triptych.errors import TriptychError, UsageError


def refuse_foreign(step: Step, out: Path) -> None:
    """Refuse to write into a folder that holds anything but this step's own result."""
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out} is a file; give a folder")
    if not out.is_dir():
        return
    manifest = read_manifest(out)
    owner = manifest.get("step") if manifest else _owner(out)
    if owner is None and not _barely_begun(out):
        raise UsageError(
            f"--out {out} holds files that are not a result of {step.command}; give an empty folder"
        )
    if owner is not None and owner != step.name:
        raise UsageError(f"--out {out} holds a result of {owner}; give {step.command} a folder of its own")


def _barely_begun(out: Path) -> bool:
    """Whether a folder holds no more than what a step leaves that ends before it says whose the folder is."""
    found = {path.relative_to(out).as_posix() for path in out.rglob("*")} - {
        FAILURE,
        "ledger",
        "ledger/raw.json",
    }
    return all(
        key.startswith("ledger/lease") or (key.startswith("ledger/") and key.endswith(".lock"))
        for key in found
    )


def _owner(out: Path) -> str | None:
    try:
        return (out / "ledger" / "step").read_text().strip() or None
    except OSError:
        return None


def note_failure(out: Path, error: TriptychError, create: bool = False) -> None:
    """Leave the reason where status finds it; a folder is made for it only when a study asked for the step."""
    if not create and not out.is_dir():
        return
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_json(out / FAILURE, {"exit": int(error.exit), "message": str(error)})
    except OSError:
        return  # the error itself says more than a second one about the disk
