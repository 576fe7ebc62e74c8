"""Making a study folder."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path

from triptych.engine.files import write_bytes
from triptych.engine.step import KINDS
from triptych.errors import UsageError
from triptych.study.settings import StudySettings, default_yaml
from triptych.study.sheet import REQUIRED

COLUMNS = (*REQUIRED, "subject", "session", "group", "batch")
DEMO_TITLE = "The triptych demo: three kinds of recordings with known truth"


def make_study(folder: Path, model: type[StudySettings], *, demo: bool, seed: int) -> int:
    """Write config.yaml and samples.tsv, and with ``demo`` the recordings; returns the number of samples.

    Raises
    ------
    UsageError
        The folder holds files already, or cannot be made; nothing is overwritten.
    """
    _make_folder(folder)
    rows: list[dict[str, str]] = []
    if demo:
        for kind in KINDS:
            rows += import_module(f"triptych.demo.{kind}").make(folder, seed)
    _write(folder, model, rows, repr(DEMO_TITLE) if demo else "")
    return len(rows)


def make_bids_study(
    folder: Path, model: type[StudySettings], root: Path, group_column: str | None
) -> tuple[int, list[str]]:
    """Write config.yaml and the samples.tsv of a BIDS dataset; returns the number of samples, and notes on them.

    Raises
    ------
    UsageError
        As ``make_study``, or participants.tsv has no column ``group_column``.
    InputError
        There is no BIDS dataset with recordings at the root, or it cannot be read.
    """
    from triptych.study.bids import read_dataset

    _refuse_used(folder)
    dataset = read_dataset(root, folder, group_column)
    _make_folder(folder)
    _write(folder, model, dataset.rows, json.dumps(dataset.name) if dataset.name else "")
    return len(dataset.rows), dataset.notes


def _refuse_used(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is there and not empty; name a new folder")


def _make_folder(folder: Path) -> None:
    _refuse_used(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"{folder} cannot be made ({error.strerror}); name a folder that you may write"
        ) from error


def _write(folder: Path, model: type[StudySettings], rows: list[dict[str, str]], title: str) -> None:
    text = default_yaml(model)
    if title:
        text = text.replace("title: A triptych study", f"title: {title}", 1)
    write_bytes(folder / "config.yaml", text.encode())
    columns = [*COLUMNS, *sorted({name for row in rows for name in row} - set(COLUMNS))]
    used = [name for name in columns if name in REQUIRED or not rows or any(row.get(name) for row in rows)]
    lines = ["\t".join(used), *("\t".join(row.get(name, "") for name in used) for row in rows)]
    write_bytes(folder / "samples.tsv", ("\n".join(lines) + "\n").encode())
