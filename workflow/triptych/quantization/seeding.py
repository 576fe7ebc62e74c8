"""Where Lloyd starts: a subsample that does not depend on chunks, and greedy k-means++ on it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triptych.quantization.kernels import TILE, candidate_costs, draw, lower_closest


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


def half_of(first: int, stop: int, seed: int) -> NDArray[np.bool_]:
    """Which of two random halves each of the rows ``first`` to ``stop - 1`` belongs to, whatever the chunks.

    A counter-based hash of row and seed (the finalizer of SplitMix64).

    References
    ----------
    Steele, Lea, Flood, Fast splittable pseudorandom number generators, OOPSLA 2014.
    """
    with np.errstate(over="ignore"):
        x = (
            np.arange(first, stop, dtype=np.uint64) + np.uint64(seed) * np.uint64(0x632BE59BD9B4E019)
        ) * np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (x >> np.uint64(63)).astype(bool)


def seed_centers(
    points: NDArray[Any], n_centers: int, seed: int, weights: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Greedy k-means++: each center is the best of ``2 + log K`` points drawn in proportion to squared distance.

    Parameters
    ----------
    points : (n, d), relative to an offset near their mean; compared in float32.
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
    tiles, masses = _tiles(points, weights)
    closest = np.full(masses.shape, np.inf, np.float32)
    generator = np.random.Generator(np.random.Philox(seed))
    n_candidates = 2 + int(math.log(max(n_centers, 1)))
    first = draw(masses, np.ones_like(masses), masses.sum(axis=1, dtype=np.float64), generator.random(1))
    chosen = [int(first[0])]
    heights = lower_closest(tiles, masses, closest, chosen[0])
    while len(chosen) < n_centers and heights.any():
        drawn = draw(masses, closest, heights, generator.random(n_candidates))
        best = int(np.argmin(candidate_costs(tiles, masses, closest, drawn)))
        chosen.append(int(drawn[best]))
        heights = lower_closest(tiles, masses, closest, chosen[-1])
    return np.asarray(points[chosen], np.float64)


def _tiles(
    points: NDArray[Any], weights: NDArray[np.float64] | None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Points as (T, D, TILE) and their masses as (T, TILE), greatest 1, as the kernels want them."""
    n, d = points.shape
    count = -(-n // TILE)
    padded = np.zeros((count * TILE, -(-d // 4) * 4), np.float32)
    padded[:n, :d] = points
    masses = np.zeros(count * TILE, np.float32)
    masses[:n] = 1.0 if weights is None else weights / np.max(weights)
    tiles = padded.reshape(count, TILE, padded.shape[1]).transpose(0, 2, 1)
    return np.ascontiguousarray(tiles), masses.reshape(count, TILE)
