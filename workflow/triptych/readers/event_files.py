"""Which reader opens a file of events."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triptych.readers.events import EventFile, RejectedFile
from triptych.readers.fcs import FcsFile, open_fcs
from triptych.readers.tabular import open_csv, open_parquet

PICKED_AT_ONCE = 65_536


def open_events(path: Path, index: Mapping[str, NDArray[Any]] | None = None, data_set: int = 1) -> EventFile:
    """Open an FCS, LMD, CSV or Parquet file.

    ``index`` holds where rows lie in a CSV file, as found by an earlier ``open_events`` (``row_index`` of the reader);
    ``data_set`` counts the data sets of an FCS or LMD file from 1.

    Raises
    ------
    InputError : the file is missing, is of another format, or is broken; ``RejectedFile`` with a code for FCS and LMD.
    """
    if not path.is_file():
        raise RejectedFile(f"{path} is not a file; check the path in the sample sheet", "missing")
    match path.suffix.lower():
        case ".csv" | ".tsv":
            return open_csv(path, None if index is None else index["row_index"])
        case ".parquet" | ".pq":
            return open_parquet(path)
    with open(path, "rb") as file:
        magic = file.read(4)
    if magic[:3] == b"FCS":
        return open_fcs(path, data_set)
    if magic == b"PAR1":
        return open_parquet(path)
    if not magic:
        raise RejectedFile(f"{path} is empty; copy it again from where it was recorded", "empty")
    raise RejectedFile(
        f"{path} does not begin as an FCS file; give an FCS, LMD, CSV or Parquet file of events", "format"
    )


def read_rows(opened: EventFile, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Single rows, increasing, on a linear scale; (rows, d) float64. One pass over the file, a piece at a time."""
    if isinstance(opened, FcsFile):
        return opened.pick(rows)
    found = []
    for start in range(0, opened.n_events, PICKED_AT_ONCE):
        stop = min(start + PICKED_AT_ONCE, opened.n_events)
        inside = rows[np.searchsorted(rows, start) : np.searchsorted(rows, stop)] - start
        if len(inside):
            found.append(opened.read(start, stop)[inside])
    return np.concatenate(found)
