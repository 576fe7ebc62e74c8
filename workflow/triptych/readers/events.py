"""What a file of events offers, whatever its format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


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
