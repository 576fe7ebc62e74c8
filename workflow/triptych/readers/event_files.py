"""Which reader opens a file of events."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from triptych.errors import InputError
from triptych.readers.events import EventFile
from triptych.readers.fcs import open_fcs
from triptych.readers.tabular import open_csv, open_parquet


def open_events(path: Path, index: Mapping[str, NDArray[Any]] | None = None) -> EventFile:
    """Open an FCS, LMD, CSV or Parquet file.

    ``index`` holds where rows lie in a CSV file, as found by an earlier ``open_events`` (``row_index`` of the reader).

    Raises
    ------
    InputError : the file is missing, is of another format, or is broken.
    """
    if not path.is_file():
        raise InputError(f"{path} is not a file; check the path in the sample sheet")
    match path.suffix.lower():
        case ".csv" | ".tsv":
            return open_csv(path, None if index is None else index["row_index"])
        case ".parquet" | ".pq":
            return open_parquet(path)
    with open(path, "rb") as file:
        magic = file.read(4)
    if magic[:3] == b"FCS":
        return open_fcs(path)
    if magic == b"PAR1":
        return open_parquet(path)
    if not magic:
        raise InputError(f"{path} is empty; copy it again from where it was recorded")
    raise InputError(f"{path} does not begin as an FCS file; give an FCS, LMD, CSV or Parquet file of events")
