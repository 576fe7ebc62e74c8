"""The sample sheet: one row per recording, tab-separated.

Columns: sample, kind, path, then optional subject, session, group, batch, exclude (a reason), and those of the kind.
"""

from __future__ import annotations

import csv
import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from triptych.engine.step import KINDS
from triptych.errors import InputError, UsageError

REQUIRED = ("sample", "kind", "path")
DESCRIPTIVE = ("subject", "session", "group", "batch")
OPTIONAL = (
    *DESCRIPTIVE, "exclude", "voxel_size_nm", "dataset", "probability", "mask", "train_box", "test_box", "panel", "bad_channels"
)  # fmt: skip
LABELS = re.compile(r"labels_[a-z][a-z0-9_]*")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
RESERVED = ("cohort", "all")
LONGEST_NAME = 200

Row = Mapping[str, str]


@dataclass(frozen=True)
class Sheet:
    """The rows by sample name, in the order of the file; paths are relative to ``folder``."""

    folder: Path
    rows: Mapping[str, Row]

    def raw(self, sample: str, column: str) -> Path | None:
        """Path of a raw file named by a column of a sample's row; None if the cell is empty."""
        value = self.rows[sample].get(column, "")
        return self.folder / value if value else None


def read_sheet(path: Path) -> Sheet:
    """Read and check a sample sheet.

    Raises
    ------
    InputError
        The file is not there or is no table.
    UsageError
        A column, a name or a kind is wrong; the message names file, line and remedy.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise InputError(
            f"sample sheet {path} does not exist; write one, or name it as samples in config.yaml"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"sample sheet {path} cannot be read ({error}); it must be UTF-8 text") from error
    lines = list(csv.reader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE))
    numbered = [(i, line) for i, line in enumerate(lines, 1) if any(line) and not line[0].startswith("#")]
    if not numbered:
        raise InputError(
            f"sample sheet {path} is empty; its first line must name the columns sample, kind, path"
        )
    header = [name.strip() for name in numbered[0][1]]
    _check_header(path, header)
    rows: dict[str, Row] = {}
    for number, line in numbered[1:]:
        if len(line) > len(header):
            raise UsageError(
                f"{path} line {number} has {len(line)} cells for {len(header)} columns; cells are split by tabs"
            )
        row = {name: value.strip() for name, value in zip(header, line, strict=False) if value.strip()}
        _check_row(path, number, row, rows)
        rows[row["sample"]] = row
    if not rows:
        raise InputError(f"sample sheet {path} names no sample; add a line per recording")
    return Sheet(path.parent, rows)


def _check_header(path: Path, header: list[str]) -> None:
    for name in REQUIRED:
        if name not in header:
            raise UsageError(
                f"{path} has no column {name}; the header needs {', '.join(REQUIRED)}, split by tabs"
            )
    for name in header:
        if header.count(name) > 1:
            raise UsageError(f"{path} has column {name} twice; remove one")
        if name not in (*REQUIRED, *OPTIONAL) and not LABELS.fullmatch(name):
            near = difflib.get_close_matches(name, [*REQUIRED, *OPTIONAL, "labels_cell"], n=1)
            hint = (
                f"did you mean {near[0]}?"
                if near
                else f"known columns: {', '.join((*REQUIRED, *OPTIONAL))}, labels_<class>"
            )
            raise UsageError(f"{path} has an unknown column {name!r}; {hint}")


def _check_row(path: Path, number: int, row: Row, before: Mapping[str, Row]) -> None:
    for name in REQUIRED:
        if name not in row:
            raise UsageError(f"{path} line {number} has no {name}; fill the cell")
    sample = row["sample"]
    if not NAME.fullmatch(sample) or len(sample) > LONGEST_NAME:
        raise UsageError(
            f"{path} line {number}: sample name {sample!r} must start with a letter or digit and hold only letters, digits, "
            f"'_', '.' and '-', at most {LONGEST_NAME}"
        )
    if sample in RESERVED:
        raise UsageError(
            f"{path} line {number}: the name {sample!r} is reserved; give the sample another name"
        )
    if sample in before:
        raise UsageError(
            f"{path} line {number}: sample {sample} is there twice; give each recording a name of its own"
        )
    for column in ("path", "probability", "mask", "panel", *filter(LABELS.fullmatch, row)):
        if {"{", "}"} & set(row.get(column, "")):
            raise UsageError(
                f"{path} line {number}: {column} has a brace, which Snakemake takes for a wildcard; rename it"
            )
    if row["kind"] not in KINDS:
        raise UsageError(f"{path} line {number}: kind {row['kind']!r} is none of {', '.join(KINDS)}")
