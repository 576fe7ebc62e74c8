"""Where Lloyd starts: a subsample that does not depend on chunks, and greedy k-means++ on it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from triptych.quantization.kernels import candidate_costs


def subsample_rows(n_events: int, size: int, seed: int) -> NDArray[np.int64]:
    """Rows of a stratified random subsample: one row drawn from each of ``size`` equal stretches of the recording.

    It depends on the number of events, the size and the seed alone, needs no memory per event, and covers drifts in time.

    Parameters
    ----------
    n_events, size : counts; all rows are returned where ``size >= n_events``.
    seed : of the counter-based generator (Philox).

    Returns
    -------
    rows : (min(size, n_events),) int64, increasing.
    """
    if size >= n_events:
        return np.arange(n_events, dtype=np.int64)
    edges = np.arange(size + 1, dtype=np.int64) * n_events // size
    draws = np.random.Generator(np.random.Philox(seed)).random(size)
    return edges[:-1] + np.floor(draws * np.diff(edges)).astype(np.int64)


def seed_centers(
    points: NDArray[np.float64], n_centers: int, seed: int, weights: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Greedy k-means++: each center is the best of ``2 + log K`` points drawn in proportion to squared distance.

    Parameters
    ----------
    points : (n, d) float64.
    n_centers : K; fewer come back where there are fewer distinct points.
    seed : of the generator.
    weights : (n,) float64 > 0; equal where None.

    Returns
    -------
    centers : (K', d) float64, distinct.

    References
    ----------
    Arthur, Vassilvitskii, k-means++: the advantages of careful seeding, SODA 2007.
    """
    n = points.shape[0]
    masses = np.ones(n) if weights is None else np.asarray(weights, dtype=np.float64)
    points = np.ascontiguousarray(points, dtype=np.float64)
    generator = np.random.Generator(np.random.Philox(seed))
    n_candidates = 2 + int(math.log(max(n_centers, 1)))
    rows = _draw(generator, masses, 1)
    chosen = [int(rows[0])]
    _, distances = candidate_costs(points, masses, np.full(n, np.inf), rows)
    closest = distances[0]
    while len(chosen) < n_centers and closest.max() > 0:
        rows = _draw(generator, masses * closest, n_candidates)
        costs, distances = candidate_costs(points, masses, closest, rows)
        best = int(np.argmin(costs))
        chosen.append(int(rows[best]))
        closest = distances[best]
    return points[chosen]


def _draw(generator: np.random.Generator, masses: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """Rows in proportion to mass; a row without mass is never drawn."""
    heights = np.cumsum(masses)
    rows = np.searchsorted(heights, generator.random(count) * heights[-1], side="right")
    return np.minimum(rows, int(np.flatnonzero(masses)[-1])).astype(np.int64)
