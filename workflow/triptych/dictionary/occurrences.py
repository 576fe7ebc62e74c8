"""From activations to occurrences: one event each time a pattern occurs, at the peak of its waveform.

A pattern that occurs once may take several activations a few samples apart; the strongest stands for all within the merge time.

References
----------
Allain, Gramfort, Moreau: DriPP, ICLR 2022, section 4 (shift to the peak, threshold on amplitude).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from triptych.dictionary.events import Events, Floats

STRONG_PERCENTILE = 95.0


def peak_offsets(temporal: Floats) -> NDArray[np.int64]:
    """Sample of each waveform's largest excursion, (K,)."""
    offsets: NDArray[np.int64] = np.abs(temporal).argmax(axis=1).astype(np.int64)
    return offsets


def occurrences(
    events: Events, offsets: NDArray[np.int64], merge_samples: float, least_amplitude: float
) -> list[tuple[NDArray[np.int64], Floats]]:
    """Occurrences of every atom.

    Parameters
    ----------
    events : activations.
    offsets : (K,) of ``peak_offsets``.
    merge_samples : activations of one atom nearer than this are one occurrence.
    least_amplitude : activations below this share of the atom's 95th percentile are no occurrence.

    Returns
    -------
    For each atom: samples of the peaks, sorted, and amplitudes.
    """
    found = []
    for k in range(len(offsets)):
        own = events.atom == k
        sample, amplitude = events.sample[own] + offsets[k], events.amplitude[own]
        if len(sample):
            strong = amplitude >= least_amplitude * np.percentile(amplitude, STRONG_PERCENTILE)
            sample, amplitude = sample[strong], amplitude[strong]
        kept = strongest(sample, amplitude, merge_samples)
        found.append((sample[kept], amplitude[kept]))
    return found


def strongest(sample: NDArray[np.int64], amplitude: Floats, apart: float) -> NDArray[np.bool_]:
    """Keep the strongest, drop what is nearer than ``apart``, go on with the next; samples are sorted."""
    kept = np.zeros(len(sample), dtype=bool)
    free = np.ones(len(sample), dtype=bool)
    for i in np.lexsort((sample, -amplitude)):
        if free[i]:
            kept[i] = True
            first, last = np.searchsorted(sample, (sample[i] - apart, sample[i] + apart), side="left")
            free[first:last] = False
    return kept


def match(
    found: NDArray[np.int64], wanted: NDArray[np.int64], tolerance: float, largest_lag: int
) -> tuple[float, float, int]:
    """How well occurrences meet known events, after the constant lag that suits them best.

    Parameters
    ----------
    found, wanted : sorted samples.
    tolerance : samples within which the two are the same event; each is used once.
    largest_lag : largest constant lag of ``found`` behind or before ``wanted`` (samples).

    Returns
    -------
    recall, precision, lag (samples).
    """
    if not len(found) or not len(wanted):
        return 0.0, 0.0, 0
    lag = _best_lag(found, wanted, int(tolerance), largest_lag)
    hits = _pairs(found - lag, wanted, tolerance)
    return hits / len(wanted), hits / len(found), lag


def _best_lag(found: NDArray[np.int64], wanted: NDArray[np.int64], tolerance: int, largest: int) -> int:
    """The lag at which most differences lie within the tolerance; the smallest of equals."""
    counts = np.zeros(2 * (largest + tolerance) + 1)
    for t in wanted:
        first, last = np.searchsorted(found, (t - largest - tolerance, t + largest + tolerance + 1))
        np.add.at(counts, found[first:last] - t + largest + tolerance, 1)
    near = np.convolve(counts, np.ones(2 * tolerance + 1), mode="valid")
    best = np.flatnonzero(near == near.max()) - largest
    return int(best[np.argmin(np.abs(best - np.median(best)))])


def _pairs(found: NDArray[np.int64], wanted: NDArray[np.int64], tolerance: float) -> int:
    """Size of the largest one-to-one pairing of sorted samples within the tolerance (greedy is optimal on a line)."""
    hits = i = j = 0
    while i < len(found) and j < len(wanted):
        if abs(found[i] - wanted[j]) <= tolerance:
            hits, i, j = hits + 1, i + 1, j + 1
        elif found[i] < wanted[j]:
            i += 1
        else:
            j += 1
    return hits
