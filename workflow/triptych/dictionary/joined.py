"""Several recordings as one: what learns atoms from a recording learns them from a cohort.

Between two recordings lies one sample that is not good, so no atom reaches from one into the next, and every sum over the whole is
the sum over the recordings: statistics, objective, lambda_max and certificate are those of all of them together.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from triptych.dictionary.events import Events, Floats
from triptych.dictionary.passes import Recording


@dataclass(frozen=True)
class Joined:
    """Recordings one after the other, all of the same channels; picklable if they are.

    Attributes
    ----------
    recordings : at least one.
    """

    recordings: tuple[Recording, ...]

    @cached_property
    def starts(self) -> list[int]:
        """Sample at which each recording begins."""
        lengths = [recording.samples + 1 for recording in self.recordings]
        return [0, *np.cumsum(lengths[:-1]).tolist()]

    @property
    def samples(self) -> int:
        """Number of samples, gaps included."""
        return self.starts[-1] + self.recordings[-1].samples

    def read(self, start: int, stop: int) -> Floats:
        """Samples ``start`` to ``stop``, (P, stop - start) float64; gaps are zero."""
        parts: list[Floats] = []
        for recording, first, last in self._pieces(start, stop):
            parts.append(recording.read(first, last))
            parts.append(np.zeros((len(parts[-1]), 1)))
        return np.concatenate(parts, axis=1)[:, : stop - start] if parts else np.zeros((0, stop - start))

    def good(self, start: int, stop: int) -> NDArray[np.bool_]:
        """Which of these samples count, (stop - start,) bool; gaps do not."""
        parts: list[NDArray[np.bool_]] = []
        for recording, first, last in self._pieces(start, stop):
            parts += [recording.good(first, last), np.zeros(1, dtype=bool)]
        return np.concatenate(parts)[: stop - start]

    def _pieces(self, start: int, stop: int) -> list[tuple[Recording, int, int]]:
        """Recordings that a range meets, with the range in each; one that begins with a gap begins in an empty piece."""
        found = []
        index = bisect_right(self.starts, start) - 1
        while index < len(self.recordings) and self.starts[index] < stop:
            recording, begin = self.recordings[index], self.starts[index]
            first = min(max(start - begin, 0), recording.samples)
            found.append((recording, first, min(stop - begin, recording.samples)))
            index += 1
        return found

    def split(self, events: Events) -> Sequence[Events]:
        """Activations of each recording, counted from its own first sample."""
        found = []
        for recording, begin in zip(self.recordings, self.starts, strict=True):
            own = events.between(begin, begin + recording.samples)
            found.append(Events(own.atom, own.sample - begin, own.amplitude))
        return found
