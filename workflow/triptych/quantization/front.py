"""The front door: a cloud to a measure, and measures to distances, in memory, by the same functions as the steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triptych.quantization import certificate, exact_transport, lloyd, moments
from triptych.quantization.certificate import Measure
from triptych.quantization.seeding import seed_centers, subsample_rows

CHUNK = 65_536
SUBSAMPLE = 20_000
SUBSAMPLE_PASSES = 12
PASSES = 8
TOLERANCE = 1e-3


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
    subsample: NDArray[Any], n_centers: int, seed: int, passes: int = SUBSAMPLE_PASSES
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Offset (d,) and first centers (K, d) relative to it, from a subsample (m, d): greedy k-means++, then Lloyd."""
    values = np.asarray(subsample, dtype=np.float64)
    offset = values.mean(axis=0)
    centred = values - offset
    centers = seed_centers(centred, n_centers, seed)
    centers, _ = lloyd.lloyd(centred.astype(np.float32), centers, passes, 0.0)
    return offset, centers


def centre(events: NDArray[Any], offset: NDArray[np.float64]) -> NDArray[np.float32]:
    """Events relative to the offset, subtracted in float64 and kept in float32."""
    return (np.asarray(events, dtype=np.float64) - offset).astype(np.float32)


def quantize(
    events: Any,
    n_centers: int,
    seed: int = 0,
    *,
    passes: int = PASSES,
    tolerance: float = TOLERANCE,
    subsample_size: int = SUBSAMPLE,
    chunk: int = CHUNK,
) -> CloudMeasure:
    """Quantize a cloud of events to a measure of at most ``n_centers`` points.

    Parameters
    ----------
    events : (n, d) array, or anything with ``shape`` whose row slices give one (Zarr, HDF5, memmap); finite.
    n_centers : K. Where n <= K the events themselves are the measure and epsilon is 0.
    seed : of the subsample and the seeding.
    passes, tolerance : exact passes over all events; stops where the inertia falls by less than this share.
    subsample_size, chunk : events to seed from; rows read at a time.

    Returns
    -------
    CloudMeasure : centers, weights, distortion, epsilon, mean, covariance.

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
    total = None
    for piece in pieces:
        values = np.asarray(events[piece], dtype=np.float64)
        if not np.isfinite(values).all():
            raise ValueError("events hold values that are not finite")
        part = moments.partial(values)
        total = part if total is None else moments.merge(total, part)
    assert total is not None
    if n <= n_centers:
        return themselves(np.asarray(events[0:n], dtype=np.float64), total)
    rows = subsample_rows(n, subsample_size, seed)
    drawn = [np.asarray(events[p])[rows[(rows >= p.start) & (rows < p.stop)] - p.start] for p in pieces]
    offset, centers = start(np.concatenate(drawn), n_centers, seed)
    history: list[float] = []
    for _ in range(passes):
        sums = lloyd.merge_all(lloyd.partial(centre(events[p], offset), centers) for p in pieces)
        history.append(float(sums.square.sum()))
        centers = lloyd.finish(sums, centers)
        if lloyd.settled(np.array(history), tolerance):
            break
    exact = (certificate.partial(np.asarray(events[p], np.float64) - offset, centers)[0] for p in pieces)
    measure = certificate.finish(lloyd.merge_all(exact), centers)
    return CloudMeasure(
        measure.centers + offset,
        measure.weights,
        measure.distortion,
        measure.epsilon,
        total.mean,
        total.covariance,
    )


def themselves(events: NDArray[np.float64], total: moments.Moments) -> CloudMeasure:
    """The events as their own measure: equal weights, no error."""
    n = len(events)
    return CloudMeasure(events, np.full(n, 1.0 / n), np.zeros(n), 0.0, total.mean, total.covariance)


def interval(first: CloudMeasure, second: CloudMeasure) -> tuple[float, float, float]:
    """W2 of two measures, and the lower and upper bound of W2 of their clouds."""
    w2 = exact_transport.wasserstein(first.centers, first.weights, second.centers, second.weights)
    moment_bound = exact_transport.gelbrich(first.mean, first.covariance, second.mean, second.covariance)
    lower = exact_transport.lower_bound(w2, first.epsilon, second.epsilon, moment_bound)
    return w2, lower, exact_transport.upper_bound(w2, first.epsilon, second.epsilon)


def transport(measures: Sequence[CloudMeasure]) -> Distances:
    """All pairs of measures of one set of features.

    Returns
    -------
    Distances : ``w2`` between the measures, ``lower`` and ``upper`` around W2 of the clouds behind them.
    """
    n = len(measures)
    w2, lower, upper = np.zeros((n, n)), np.zeros((n, n)), np.zeros((n, n))
    for i in range(n):
        for j in range(i + 1, n):
            w2[i, j], lower[i, j], upper[i, j] = interval(measures[i], measures[j])
    return Distances(w2 + w2.T, lower + lower.T, upper + upper.T)
