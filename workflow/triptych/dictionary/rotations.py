"""Whether an atom occurs more, or less, at some delay after events than by chance: a scan that rotations of trials calibrate.

The stretch of recording from one event to the next of its kind is a trial. If the atom does not care for the events, each trial may
be rotated in itself, by any amount and independently of the others, without a change of law: rotations keep how often the atom
occurs in each trial and how its occurrences cluster, and lose only when they occur after the event. They serve where events are
strictly periodic, too, where shifts of a whole recording only turn the phase.

Normal kernels of several widths and delays are laid after every event; the statistic is the largest standardised excess, or lack,
of occurrences under any of them. One rotation serves all atoms, so the largest statistic of all atoms and kinds in each rotation
gives p-values that are corrected for all of them and for the scan, however the atoms depend on each other.

References
----------
Perkel, Gerstein, Moore: Neuronal spike trains and stochastic point processes II, Biophys. J. 7 (1967): tests by shifts.
Westfall, Young: Resampling-Based Multiple Testing, Wiley (1993): the largest statistic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from triptych.dictionary.events import Floats

Mapper = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]

BATCH = 500
WIDTHS = (1 / 24, 1 / 12, 1 / 6, 1 / 3)
"""Deviations of the kernels, as shares of the support."""


@dataclass(frozen=True)
class Scan:
    """What the scan found for K atoms and P kinds of events.

    Attributes
    ----------
    statistic : (K, P) largest standardised excess or lack; 0 where there are no occurrences.
    direction : (K, P) 1 for more occurrences than by chance, -1 for fewer, 0 for none at all.
    delay, width : (K, P) samples, mean and deviation of the kernel of largest excess (whatever the direction).
    p : (K, P) of the pair alone; (1 + rotations at least as extreme) / (1 + rotations).
    corrected : (K, P) of the pair among all pairs.
    """

    statistic: Floats
    direction: NDArray[np.int64]
    delay: Floats
    width: Floats
    p: Floats
    corrected: Floats


@dataclass(frozen=True)
class Trials:
    """Events of one kind as trials, and the occurrences of every atom in them.

    Attributes
    ----------
    lengths : (N,) samples of each trial.
    trial, position : (n,) trial of each occurrence and its sample within it, atom after atom.
    first : (K + 1,) where the occurrences of each atom begin.
    """

    lengths: NDArray[np.int64]
    trial: NDArray[np.int64]
    position: NDArray[np.int64]
    first: NDArray[np.int64]


@numba.njit(nogil=True, cache=True)
def _extremes(  # type: ignore[no-untyped-def]  # pragma: no cover
    turns, lengths, trial, position, first, table, expected, deviation
):
    """Largest |z| of every atom for every row of turns, (B, K)."""
    width, n_kernels = table.shape
    n_atoms = first.size - 1
    largest = np.zeros((turns.shape[0], n_atoms))
    total = np.empty(n_kernels, np.float32)
    for b in range(turns.shape[0]):
        for k in range(n_atoms):
            total[:] = 0.0
            for e in range(first[k], first[k + 1]):
                x = position[e] + turns[b, trial[e]]
                if x >= lengths[trial[e]]:
                    x -= lengths[trial[e]]
                if x < width:
                    row = table[x]
                    for g in range(n_kernels):
                        total[g] += row[g]
            for g in range(n_kernels):
                if deviation[k, g] > 0:
                    z = abs(total[g] - expected[k, g]) / deviation[k, g]
                    largest[b, k] = max(largest[b, k], z)
    return largest


def scan(
    occurrences: Sequence[NDArray[np.int64]],
    events: Sequence[NDArray[np.int64]],
    samples: int,
    window: tuple[int, int],
    shuffles: int,
    seed: int,
    over: Mapper = map,
) -> Scan:
    """Scan every atom against every kind of event.

    Parameters
    ----------
    occurrences : of every atom, sorted samples, 0 .. samples - 1.
    events : of every kind, sorted samples, at least one each.
    samples : T, length of the recording.
    window : first and past-the-last delay after an event (samples); cut where the next event's window begins.
    shuffles : rotations of all trials.
    seed : of the rotations.
    over : spreads batches of rotations over workers; the result does not depend on it.

    Raises
    ------
    ValueError
        The window is empty.
    """
    width = window[1] - window[0]
    if width < 1:
        raise ValueError(f"a window from {window[0]} to {window[1]} samples is empty")
    table, shapes = kernels(width)
    n_atoms, n_kinds = len(occurrences), len(events)
    observed, null = np.zeros((n_atoms, n_kinds)), np.zeros((shuffles, n_atoms, n_kinds))
    direction = np.zeros((n_atoms, n_kinds), np.int64)
    delay, spread = np.zeros((n_atoms, n_kinds)), np.zeros((n_atoms, n_kinds))
    for p, onsets in enumerate(events):
        cut = trials(occurrences, np.unique(onsets), samples, window[0])
        expected, deviation = _expected(cut, table)
        nothing = np.zeros((1, len(cut.lengths)), np.int64)
        observed[:, p] = _extremes(nothing, *_arrays(cut), table, expected, deviation)[0]
        work = partial(_batch, cut, table, expected, deviation, seed, p)
        sizes = [(i, min(BATCH, shuffles - i)) for i in range(0, shuffles, BATCH)]
        for (start, size), part in zip(sizes, over(work, sizes), strict=True):
            null[start : start + size, :, p] = part
        z = _standardised(cut, table, expected, deviation)
        best, far = z.argmax(axis=1), np.abs(z).argmax(axis=1)
        rows = np.arange(n_atoms)
        direction[:, p] = np.sign(z[rows, far]) * (observed[:, p] > 0)
        delay[:, p], spread[:, p] = shapes[best, 0] + window[0], shapes[best, 1]
    # The null is computed in the same arithmetic as the observed value, so ties are ties.
    reached = (null >= observed[None]).sum(axis=0)
    most = null.max(axis=(1, 2), initial=0.0)
    beyond = (most[:, None, None] >= observed[None]).sum(axis=0)
    return Scan(
        observed,
        direction,
        delay,
        spread,
        (1 + reached) / (1 + shuffles),
        (1 + beyond) / (1 + shuffles),
    )


def kernels(width: int) -> tuple[NDArray[np.float32], Floats]:
    """Normal kernels over ``width`` delays, greatest value 1.

    Returns
    -------
    table : (width, G) float32; shapes : (G, 2) mean and deviation, samples.
    """
    shapes = [
        (center, share * width)
        for share in WIDTHS
        for center in np.linspace(0, width - 1, max(2, round(1 / share) + 1))
    ]
    found = np.array(shapes)
    gap = (np.arange(width)[:, None] - found[:, 0]) / np.maximum(found[:, 1], 0.5)
    return np.ascontiguousarray(np.exp(-0.5 * gap**2), np.float32), found


def trials(
    occurrences: Sequence[NDArray[np.int64]], onsets: NDArray[np.int64], samples: int, offset: int
) -> Trials:
    """Occurrences by trial; what lies before the first or beyond the last trial takes no part.

    A trial runs from ``offset`` after an event to the same after the next; the last one is as long as the median of the others.
    """
    length = int(np.median(np.diff(onsets))) if len(onsets) > 1 else samples
    starts = onsets + offset
    stops = np.append(starts[1:], max(starts[-1] + 1, min(samples, starts[-1] + length)))
    trial, position, first = [], [], [0]
    for own in occurrences:
        at = np.searchsorted(starts, own, side="right") - 1
        inside = (at >= 0) & (own < stops[np.maximum(at, 0)])
        trial.append(at[inside])
        position.append(own[inside] - starts[at[inside]])
        first.append(first[-1] + int(inside.sum()))
    return Trials(
        (stops - starts).astype(np.int64),
        np.concatenate([*trial, np.empty(0, np.int64)]).astype(np.int64),
        np.concatenate([*position, np.empty(0, np.int64)]).astype(np.int64),
        np.array(first, np.int64),
    )


def _arrays(cut: Trials) -> tuple[NDArray[np.int64], ...]:
    return cut.lengths, cut.trial, cut.position, cut.first


def _batch(
    cut: Trials,
    table: NDArray[np.float32],
    expected: Floats,
    deviation: Floats,
    seed: int,
    kind: int,
    batch: tuple[int, int],
) -> Floats:
    """Extremes of some rotations, whose key is the seed, the kind and the place of the batch."""
    start, size = batch
    key = np.array([seed, (kind << 32) + start], np.uint64)
    generator = np.random.Generator(np.random.Philox(key=key))
    turns = generator.integers(0, cut.lengths, (size, len(cut.lengths)))
    found: Floats = _extremes(turns, *_arrays(cut), table, expected, deviation)
    return found


def _expected(cut: Trials, table: NDArray[np.float32]) -> tuple[Floats, Floats]:
    """Mean under rotation of every kernel's sum, and the deviation it would have were occurrences independent: (K, G) each."""
    width = len(table)
    heights = np.concatenate([np.zeros((1, table.shape[1])), np.cumsum(table, axis=0, dtype=np.float64)])
    squares = np.concatenate(
        [np.zeros((1, table.shape[1])), np.cumsum(table.astype(np.float64) ** 2, axis=0)]
    )
    reach = np.minimum(cut.lengths, width)
    n_atoms = len(cut.first) - 1
    atom = np.repeat(np.arange(n_atoms), np.diff(cut.first))
    counts = np.zeros((n_atoms, len(cut.lengths)))
    np.add.at(counts, (atom, cut.trial), 1.0)
    rates = counts / cut.lengths
    return rates @ heights[reach], np.sqrt(rates @ squares[reach])


def _standardised(cut: Trials, table: NDArray[np.float32], expected: Floats, deviation: Floats) -> Floats:
    """(K, G) signed excess of every kernel in the trials as they are."""
    z = np.zeros_like(expected)
    for k in range(len(z)):
        own = cut.position[cut.first[k] : cut.first[k + 1]]
        total = table[own[own < len(table)]].sum(axis=0, dtype=np.float64)
        z[k] = np.divide(total - expected[k], deviation[k], out=np.zeros(len(total)), where=deviation[k] > 0)
    return z
