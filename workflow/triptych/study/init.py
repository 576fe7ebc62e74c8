"""Making a study folder."""

from __future__ import annotations

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
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is there and not empty; name a new folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"{folder} cannot be made ({error.strerror}); name a folder that you may write"
        ) from error
    rows: list[dict[str, str]] = []
    if demo:
        for kind in KINDS:
            rows += import_module(f"triptych.demo.{kind}").make(folder, seed)
    text = default_yaml(model)
    if demo:
        text = text.replace("title: A triptych study", f"title: {DEMO_TITLE!r}", 1)
    write_bytes(folder / "config.yaml", text.encode())
    columns = [*COLUMNS, *sorted({name for row in rows for name in row} - set(COLUMNS))]
    used = [name for name in columns if name in REQUIRED or not rows or any(row.get(name) for row in rows)]
    lines = ["\t".join(used), *("\t".join(row.get(name, "") for name in used) for row in rows)]
    write_bytes(folder / "samples.tsv", ("\n".join(lines) + "\n").encode())
    return len(rows)
