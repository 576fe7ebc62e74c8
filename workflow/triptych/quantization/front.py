"""The front door: a cloud to a measure, and measures to distances, in memory, by the same functions as the steps."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triptych.quantization import bounds, certificate, lloyd, moments
from triptych.quantization.certificate import Measure
from triptych.quantization.seeding import seed_centers, subsample_rows

CHUNK = 65_536
SUBSAMPLE = 80_000
SEEDED_FROM = 10_000
SUBSAMPLE_PASSES = 8
PASSES = 8
TOLERANCE = 2e-3


@dataclass(frozen=True)
class CloudMeasure(Measure):
    """A measure with the mean (d,) and covariance (d, d) of its cloud, from which the lower bound comes."""

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]


@dataclass(frozen=True)
class Distances:
    """W2 of the measures and the interval of W2 of the clouds, each (N, N), zero on the diagonal."""

    w2: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]


def start(
    subsample: NDArray[Any],
    n_centers: int,
    seed: int,
    passes: int = SUBSAMPLE_PASSES,
    weights: NDArray[np.float64] | None = None,
    over: lloyd.Over = map,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Offset (d,) and first centers (K, d) relative to it, from a subsample (m, d) in the order of the recording.

    Greedy k-means++ on every so many of its events, ``passes`` of Lloyd there, then half as many, and two at least, on
    twice as many events, and so on up to all of them: early passes need few events.
    """
    values = np.asarray(subsample, dtype=np.float64)
    offset = values.mean(axis=0)
    centred = (values - offset).astype(np.float32)
    steps = [1]
    while len(centred) // (2 * steps[-1]) >= max(SEEDED_FROM, 32 * n_centers):
        steps.append(2 * steps[-1])
    centers = None
    for level, step in enumerate(reversed(steps)):
        some, masses = centred[::step], None if weights is None else weights[::step]
        if centers is None:
            centers = seed_centers(some, n_centers, seed, masses)
        here = max(2, passes >> level) if passes else 0
        centers, _ = lloyd.lloyd(some, centers, here, TOLERANCE, masses, over=over)
    assert centers is not None
    return offset, centers


def quantize(
    events: Any,
    n_centers: int,
    seed: int = 0,
    *,
    passes: int = PASSES,
    tolerance: float = TOLERANCE,
    subsample_size: int = SUBSAMPLE,
    chunk: int = CHUNK,
    workers: int = 1,
) -> CloudMeasure:
    """Quantize a cloud of events to a measure of at most ``n_centers`` points.

    Parameters
    ----------
    events : (n, d) array, or anything with ``shape`` whose row slices give one (Zarr, HDF5, memmap); finite.
    n_centers : K. Where n <= K the events themselves are the measure and epsilon is 0.
    seed : of the subsample and the seeding.
    passes, tolerance : exact passes over all events; stops where moving centers to cell means gains less than this share
        of the inertia.
    subsample_size, chunk : events to seed from; rows read at a time.
    workers : threads; the result has the same bytes for any number of them.

    Returns
    -------
    CloudMeasure : centers, weights, spread, epsilon, mean, covariance.

    Raises
    ------
    ValueError : there is no event or no center, or a value is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> cloud = np.random.default_rng(0).normal(size=(5000, 3))
    >>> measure = quantize(cloud, n_centers=16)
    >>> measure.centers.shape, bool(abs(measure.weights.sum() - 1) < 1e-12)
    ((16, 3), True)
    """
    n, _ = events.shape
    if n < 1 or n_centers < 1:
        raise ValueError(f"{n} events and {n_centers} centers: both must be at least 1")
    pieces = [slice(i, min(i + chunk, n)) for i in range(0, n, chunk)]
    with ThreadPoolExecutor(workers) as pool:
        over = map if workers == 1 else pool.map
        if n <= n_centers:
            values = np.asarray(events[0:n], dtype=np.float64)
            return themselves(values, _moments(values))
        rows = subsample_rows(n, subsample_size, seed)

        def drawn(piece: slice) -> NDArray[Any]:
            return np.asarray(events[piece])[rows[(rows >= piece.start) & (rows < piece.stop)] - piece.start]

        offset, centers = start(np.concatenate(list(over(drawn, pieces))), n_centers, seed, over=over)

        def one_pass(piece: slice) -> lloyd.CellSums:
            return lloyd.partial(np.asarray(events[piece]), centers, None, offset)

        def last_pass(piece: slice) -> tuple[lloyd.CellSums, moments.Moments]:
            values = np.asarray(events[piece])
            return lloyd.certified(values, centers, offset)[0], _moments(values)

        history: list[float] = []
        for _ in range(passes):
            sums = lloyd.merge_all(over(one_pass, pieces))
            history.append(sums.inertia)
            lloyd.check_fall(np.array(history), sums, centers)
            centers = lloyd.finish(sums, centers)
            if sums.gain <= tolerance:
                break
        last = list(over(last_pass, pieces))
    total = last[0][1]
    for _, part in last[1:]:
        total = moments.merge(total, part)
    measure = certificate.finish(lloyd.merge_all(sums for sums, _ in last), centers)
    return CloudMeasure(
        measure.centers + offset,
        measure.weights,
        measure.spread,
        measure.epsilon,
        total.mean,
        total.covariance,
    )


def _moments(values: NDArray[Any]) -> moments.Moments:
    """Moments of one chunk, which must be finite."""
    part = moments.partial(values)
    if not np.isfinite(part.scatter).all():
        raise ValueError("events hold values that are not finite")
    return part


def themselves(events: NDArray[np.float64], total: moments.Moments) -> CloudMeasure:
    """The events as their own measure: equal weights, no error."""
    n = len(events)
    return CloudMeasure(events, np.full(n, 1.0 / n), np.zeros_like(events), 0.0, total.mean, total.covariance)


def interval(first: CloudMeasure, second: CloudMeasure) -> tuple[float, float, float]:
    """W2 of two measures, and the lower and upper bound of W2 of their clouds."""
    return bounds.interval(bounds.prepare(first), bounds.prepare(second))


def transport(measures: Sequence[CloudMeasure]) -> Distances:
    """All pairs of measures of one set of features.

    Returns
    -------
    Distances : ``w2`` between the measures, ``lower`` and ``upper`` around W2 of the clouds behind them.
    """
    n, ready = len(measures), [bounds.prepare(measure) for measure in measures]
    w2, lower, upper = np.zeros((n, n)), np.zeros((n, n)), np.zeros((n, n))
    for i in range(n):
        for j in range(i + 1, n):
            w2[i, j], lower[i, j], upper[i, j] = bounds.interval(ready[i], ready[j])
    return Distances(w2 + w2.T, lower + lower.T, upper + upper.T)
