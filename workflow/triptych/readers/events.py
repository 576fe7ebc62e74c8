"""What a file of events offers, whatever its format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from triptych.errors import InputError


class RejectedFile(InputError):
    """A file of events that cannot be used; ``reason`` is a short stable code that ends the sentence too.

    Codes: ``missing``, ``format``, ``empty``, ``header``, ``keyword``, ``channels``, ``histogram``, ``datatype``, ``width``,
    ``total``, ``truncated``, ``byte_order``, ``data_set``, ``spillover``, ``not_finite``.
    """

    def __init__(self, sentence: str, reason: str) -> None:
        super().__init__(f"{sentence} (rejected: {reason})")
        self.sentence = sentence
        self.reason = reason

    def __reduce__(self) -> tuple[type[RejectedFile], tuple[str, str]]:
        return RejectedFile, (self.sentence, self.reason)


@dataclass(frozen=True)
class Finding:
    """Something odd about a file that can be used.

    Attributes
    ----------
    reason : short stable code: ``offsets``, ``length``, ``width``, ``range``, ``bits``, ``byte_order``, ``not_finite``,
        ``text``, ``amplification``, ``columns``, ``spillover``, ``scale``; empty where nothing is wrong (a remark).
    note : one sentence.
    """

    reason: str
    note: str


def verdict(findings: Sequence[Finding]) -> str:
    """``ok``, or ``warned`` with the codes of what is odd; a rejected file ends in ``RejectedFile``."""
    reasons = sorted({finding.reason for finding in findings if finding.reason})
    return f"warned ({', '.join(reasons)})" if reasons else "ok"


@dataclass(frozen=True)
class Column:
    """A channel as the file describes it.

    Attributes
    ----------
    name : detector (``$PnN``) or column name.
    label : what it shows (``$PnS``); empty where the file does not say.
    top : nominal end of the linear scale; None where the file does not say.
    last : the greatest value that the converter can give, on the linear scale; None where the file does not say.
    is_log : whether a logarithmic amplifier recorded it, whose lowest value stands for all dim events.
    """

    name: str
    label: str = ""
    top: float | None = None
    last: float | None = None
    is_log: bool = False


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
    def findings(self) -> tuple[Finding, ...]:
        """What was odd about the file, and what was done about it."""

    def read(self, start: int, stop: int) -> NDArray[np.float64]:
        """Rows on a linear scale, (stop - start, d) float64."""
