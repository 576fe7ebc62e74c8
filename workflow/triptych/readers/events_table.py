"""Known events of a recording from a TSV file with the columns ``onset_s`` and ``kind``."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from triptych.errors import InputError


def read_truth(path: Path, duration_s: float) -> tuple[NDArray[np.float64], list[str]]:
    """Onsets in seconds from the first sample, sorted, and their kinds.

    Raises
    ------
    InputError
        The file is missing or empty, lacks a column, or holds an onset outside the recording.
    """
    if not path.is_file():
        raise InputError(f"{path} is not a file; check the path")
    try:
        rows = list(csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines(), delimiter="\t"))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is not a TSV text file; save it as UTF-8 with tabs") from error
    if not rows or not {"onset_s", "kind"} <= set(rows[0]):
        raise InputError(
            f"{path} needs a header with onset_s and kind, split by tabs, and at least one event"
        )
    found = []
    for line, row in enumerate(rows, start=2):
        try:
            onset = float(row["onset_s"])
        except (TypeError, ValueError):
            onset = math.nan
        if not 0 <= onset < duration_s:
            raise InputError(
                f"{path} line {line}: onset_s is {row['onset_s']!r}, not a time from 0 to {duration_s:g} s"
            )
        if not row["kind"]:
            raise InputError(f"{path} line {line} has no kind; name what happened at {onset:g} s")
        found.append((onset, row["kind"]))
    found.sort()
    return np.array([onset for onset, _ in found]), [kind for _, kind in found]
