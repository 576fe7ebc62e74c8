"""Whether an atom occurs more, or less, after events than by chance.

The stretch of recording from one event to the next of its kind is a trial. If the atom does not care for the events, then each
trial may be rotated in itself, by any amount and independently of the others, without a change of law: rotations keep how often
the atom occurs in each trial and how its occurrences cluster, and lose only when they occur after the event. They serve where
events are strictly periodic, too, where shifts of a whole recording only turn the phase. The number of occurrences in a window
after the events is a sum of independent numbers, so its distribution over all rotations is a convolution: the p-value is exact,
without seed and sampling error.

References
----------
Perkel, Gerstein, Moore: Neuronal spike trains and stochastic point processes II, Biophys. J. 1967 (shift tests).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Link:
    """One atom and one kind of event.

    Attributes
    ----------
    in_window : occurrences in the windows after the events.
    expected : their mean over all rotations.
    p : two-sided, the doubled share of rotations at least as extreme.
    """

    in_window: int
    expected: float
    p: float


def link(
    occurrences: NDArray[np.int64], events: NDArray[np.int64], samples: int, window: tuple[int, int]
) -> Link:
    """Test one atom against one kind of event.

    Parameters
    ----------
    occurrences, events : sorted samples, 0 .. samples - 1.
    samples : T, length of the recording.
    window : first and past-the-last sample after an event that count; cut where the next event's window begins.

    Returns
    -------
    Link; p is 1 where there are no events or no occurrences.
    """
    events = np.unique(events)
    if not len(occurrences) or not len(events):
        return Link(0, 0.0, 1.0)
    trial = int(np.median(np.diff(events))) if len(events) > 1 else samples
    starts = events + window[0]
    stops = np.append(starts[1:], min(samples, starts[-1] + trial))
    observed, distribution = 0, np.ones(1)
    for start, stop in zip(starts, stops, strict=True):
        first, last = np.searchsorted(occurrences, (start, stop), side="left")
        if first == last:
            continue
        counts = _rotations(occurrences[first:last] - start, stop - start, window[1] - window[0])
        observed += int(counts[0])
        distribution = np.convolve(distribution, np.bincount(counts) / len(counts))
    values = np.arange(len(distribution))
    high, low = distribution[observed:].sum(), distribution[: observed + 1].sum()
    return Link(observed, float(values @ distribution), float(min(1.0, 2 * min(high, low))))


def _rotations(positions: NDArray[np.int64], length: int, window: int) -> NDArray[np.int64]:
    """Occurrences in the first ``window`` samples of a trial, for every rotation of it; rotation 0 is the trial itself."""
    if window >= length:
        return np.full(length, len(positions), dtype=np.int64)
    # An occurrence at x lies in the window for rotations -x .. -x + window - 1, modulo the length.
    steps = np.zeros(2 * length + 1, dtype=np.int64)
    np.add.at(steps, (-positions) % length, 1)
    np.add.at(steps, (-positions) % length + window, -1)
    counts = np.cumsum(steps[:-1])
    return np.asarray(counts[:length] + counts[length:], dtype=np.int64)


def histogram(
    occurrences: NDArray[np.int64], events: NDArray[np.int64], edges: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Occurrences around events.

    Parameters
    ----------
    edges : (n + 1,) sorted samples relative to an event.

    Returns
    -------
    (n,) number of (event, occurrence) pairs in each bin.
    """
    positions = np.searchsorted(occurrences, (events[:, None] + edges[None]).ravel(), side="left")
    return np.asarray(np.diff(positions.reshape(len(events), -1), axis=1).sum(axis=0), dtype=np.int64)


def good_time(samples: NDArray[np.int64], good: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Samples that lie in good spans, counted along good samples only."""
    inside = samples[(samples >= 0) & (samples < len(good))]
    inside = inside[good[inside]]
    return np.asarray((np.cumsum(good) - 1)[inside], dtype=np.int64)
