"""What a file of events offers, whatever its format, and which reader opens it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from triptych.errors import InputError


@dataclass(frozen=True)
class Column:
    """A channel as the file describes it.

    Attributes
    ----------
    name : detector (``$PnN``) or column name.
    label : what it shows (``$PnS``); empty where the file does not say.
    top : nominal end of the linear scale; None where the file does not say.
    """

    name: str
    label: str = ""
    top: float | None = None


class EventFile(Protocol):
    """A file of events, read by ranges of rows."""

    @property
    def n_events(self) -> int:
        """Number of rows."""

    @property
    def columns(self) -> tuple[Column, ...]:
        """Channels in order."""

    @property
    def text(self) -> Mapping[str, str]:
        """Keywords of the file, lower case without ``$``; empty for tables."""

    @property
    def is_integer(self) -> bool:
        """Whether the file holds integers from a converter, hence nothing transformed."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What was odd about the file, and what was done about it."""

    def read(self, start: int, stop: int) -> NDArray[np.float64]:
        """Rows on a linear scale, (stop - start, d) float64."""


def open_events(path: Path, index: Mapping[str, NDArray[Any]] | None = None) -> EventFile:
    """Open an FCS, LMD, CSV or Parquet file.

    ``index`` holds where rows lie in a CSV file, as found by an earlier ``open_events`` (``row_index`` of the reader).

    Raises
    ------
    InputError : the file is missing, is of another format, or is broken.
    """
    from triptych.readers.fcs import open_fcs
    from triptych.readers.tabular import open_csv, open_parquet

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
