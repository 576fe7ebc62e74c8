"""Compiled loops over points: nearest center with sums per cell, and seeding costs.

Points go through in tiles that are transposed on the way in, so that every inner loop runs over the points of a tile in
vector registers, with four centers by four features to each load; the least score is kept per point, without a sum across a
register. Tiles and tables of centers are float32, sums float64. Nothing here allocates more than the result and one tile.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

TILE = 256
"""Points of a tile: with 32 features it fills a first-level cache of 32 KiB."""

ROUNDING = 2.0**-24
"""Half the distance from 1 to the next float32: the relative error of one rounding."""


@numba.njit(nogil=True, cache=True, fastmath={"contract"})
def _scores(x: Any, table: Any, half_norms: Any, k: int, scores: Any) -> None:
    """``|c|^2 / 2 - x.c`` of a tile for centers k to k + 3."""
    s0, s1, s2, s3 = scores[0], scores[1], scores[2], scores[3]
    for j in range(0, table.shape[0], 4):
        x0, x1, x2, x3 = x[j], x[j + 1], x[j + 2], x[j + 3]
        a0, a1, a2, a3 = table[j, k], table[j + 1, k], table[j + 2, k], table[j + 3, k]
        b0, b1, b2, b3 = table[j, k + 1], table[j + 1, k + 1], table[j + 2, k + 1], table[j + 3, k + 1]
        c0, c1, c2, c3 = table[j, k + 2], table[j + 1, k + 2], table[j + 2, k + 2], table[j + 3, k + 2]
        d0, d1, d2, d3 = table[j, k + 3], table[j + 1, k + 3], table[j + 2, k + 3], table[j + 3, k + 3]
        if j == 0:
            h0, h1, h2, h3 = half_norms[k], half_norms[k + 1], half_norms[k + 2], half_norms[k + 3]
            for i in range(TILE):
                s0[i] = h0 - x0[i] * a0 - x1[i] * a1 - x2[i] * a2 - x3[i] * a3
                s1[i] = h1 - x0[i] * b0 - x1[i] * b1 - x2[i] * b2 - x3[i] * b3
                s2[i] = h2 - x0[i] * c0 - x1[i] * c1 - x2[i] * c2 - x3[i] * c3
                s3[i] = h3 - x0[i] * d0 - x1[i] * d1 - x2[i] * d2 - x3[i] * d3
        else:
            for i in range(TILE):
                s0[i] = s0[i] - x0[i] * a0 - x1[i] * a1 - x2[i] * a2 - x3[i] * a3
                s1[i] = s1[i] - x0[i] * b0 - x1[i] * b1 - x2[i] * b2 - x3[i] * b3
                s2[i] = s2[i] - x0[i] * c0 - x1[i] * c1 - x2[i] * c2 - x3[i] * c3
                s3[i] = s3[i] - x0[i] * d0 - x1[i] * d1 - x2[i] * d2 - x3[i] * d3


@numba.njit(nogil=True, cache=True)
def _keep_least(scores: Any, k: int, best: Any, at: Any) -> None:
    """Least score of every point so far, and the first center that has it."""
    s0, s1, s2, s3 = scores[0], scores[1], scores[2], scores[3]
    for i in range(TILE):
        b = best[i]
        v = s0[i]
        n = k if v < b else at[i]
        b = v if v < b else b
        v = s1[i]
        n = k + 1 if v < b else n
        b = v if v < b else b
        v = s2[i]
        n = k + 2 if v < b else n
        b = v if v < b else b
        v = s3[i]
        n = k + 3 if v < b else n
        b = v if v < b else b
        best[i], at[i] = b, n


@numba.njit(nogil=True, cache=True)
def _keep_two_least(scores: Any, k: int, best: Any, second: Any, at: Any) -> None:
    """Least score of every point so far, the next one, and the first center that has the least."""
    s0, s1, s2, s3 = scores[0], scores[1], scores[2], scores[3]
    for i in range(TILE):
        b, t = best[i], second[i]
        v = s0[i]
        w = v if v > b else b
        t = w if w < t else t
        n = k if v < b else at[i]
        b = v if v < b else b
        v = s1[i]
        w = v if v > b else b
        t = w if w < t else t
        n = k + 1 if v < b else n
        b = v if v < b else b
        v = s2[i]
        w = v if v > b else b
        t = w if w < t else t
        n = k + 2 if v < b else n
        b = v if v < b else b
        v = s3[i]
        w = v if v > b else b
        t = w if w < t else t
        n = k + 3 if v < b else n
        b = v if v < b else b
        best[i], second[i], at[i] = b, t, n


@numba.njit(nogil=True, cache=True)
def _exact_nearest(point: Any, offset: Any, centers: Any) -> int:
    """Nearest center of one point in float64; ties go to the lowest index."""
    nearest, least = 0, np.inf
    for k in range(centers.shape[0]):
        distance = 0.0
        for j in range(centers.shape[1]):
            gap = np.float64(point[j]) - offset[j] - centers[k, j]
            distance += gap * gap
        if distance < least:
            least, nearest = distance, k
    return nearest


@numba.njit(nogil=True, cache=True)
def lloyd_pass(
    points: Any, weights: Any, offset: Any, centers: Any, table: Any, half_norms: Any, exact: bool
) -> Any:
    """Nearest center of every point, and sums per cell about the centers.

    Scores are float32. With ``exact``, where the two least of a point lie so close that rounding could have exchanged
    them, its distances are computed again in float64, so the cells are those of float64 distances. Sums are float64 in the
    order of points.

    Parameters
    ----------
    points : (n, d) float32 or float64.
    weights : (n,) float64, or an empty array for unit weights.
    offset : (d,) float64, near the mean of the points, so that squares do not cancel.
    centers : (K, d) float64, relative to the offset.
    table : (D, L) float32, the centers transposed, D and L multiples of 4 (zeros where there is no feature or center).
    half_norms : (L,) float32, ``|c|^2 / 2``; infinite where there is no center.
    exact : whether near ties are settled in float64.

    Returns
    -------
    labels : (n,) int32; ties go to the lowest index.
    mass : (K,) sum of weights.
    shift : (K, d) weighted sum of ``x - c``.
    square : (K, d) weighted sum of ``(x - c)^2``, feature by feature.
    far : (K,) largest ``|x - c|^2`` of a cell, -1 where it is empty.
    far_row : (K,) int64, the first row that attains it.
    """
    n, d = points.shape
    n_centers = centers.shape[0]
    labels = np.empty(n, np.int32)
    mass = np.zeros(n_centers)
    shift = np.zeros((n_centers, d))
    square = np.zeros((n_centers, d))
    far = np.full(n_centers, -1.0)
    far_row = np.full(n_centers, -1, np.int64)
    weighted = weights.shape[0] > 0
    x = np.zeros((table.shape[0], TILE), np.float32)
    scores = np.empty((4, TILE), np.float32)
    best = np.empty(TILE, np.float32)
    second = np.empty(TILE, np.float32)
    at = np.empty(TILE, np.int32)
    gap = np.empty(d)
    longest = 0.0
    for k in range(n_centers):
        longest = max(longest, np.float64(half_norms[k]))
    reach = np.sqrt(2.0 * longest)
    for first in range(0, n, TILE):
        stop = min(first + TILE, n)
        for i in range(first, stop):
            for j in range(d):
                x[j, i - first] = np.float64(points[i, j]) - offset[j]
        best[:] = np.inf
        second[:] = np.inf
        at[:] = 0
        for k in range(0, table.shape[1], 4):
            _scores(x, table, half_norms, k, scores)
            if exact:
                _keep_two_least(scores, k, best, second, at)
            else:
                _keep_least(scores, k, best, at)
        if exact:
            for i in range(first, stop):
                length = 0.0
                for j in range(d):
                    length += np.float64(x[j, i - first]) ** 2
                doubt = 2.0 * (d + 8) * ROUNDING * (longest + np.sqrt(length) * reach)
                if np.float64(second[i - first]) - np.float64(best[i - first]) <= doubt:
                    at[i - first] = _exact_nearest(points[i], offset, centers)
        for i in range(first, stop):
            k = at[i - first]
            labels[i] = k
            w = weights[i] if weighted else 1.0
            distance = 0.0
            for j in range(d):
                gap[j] = np.float64(points[i, j]) - offset[j] - centers[k, j]
                shift[k, j] += w * gap[j]
                square[k, j] += w * gap[j] * gap[j]
                distance += gap[j] * gap[j]
            mass[k] += w
            if distance > far[k]:
                far[k] = distance
                far_row[k] = i
    return labels, mass, shift, square, far, far_row


@numba.njit(nogil=True, cache=True)
def candidate_costs(tiles: Any, weights: Any, closest: Any, candidates: Any) -> Any:
    """What the inertia would be with each candidate added as a center.

    Parameters
    ----------
    tiles : (T, D, TILE) float32, the points transposed tile by tile, features padded with zeros to a multiple of 4.
    weights : (T, TILE) float32; 0 beyond the last point.
    closest : (T, TILE) float32, squared distance to the nearest center so far.
    candidates : (L,) numbers of points.

    Returns
    -------
    costs : (L,) float64, weighted sums of the smaller distance, in a fixed order.
    """
    n_candidates = candidates.shape[0]
    sums = np.zeros((n_candidates, TILE))
    distance = np.empty(TILE, np.float32)
    for t in range(tiles.shape[0]):
        mass = weights[t]
        for c in range(n_candidates):
            _lower(tiles, t, candidates[c], closest[t], distance)
            total = sums[c]
            for i in range(TILE):
                total[i] += mass[i] * distance[i]
    costs = np.zeros(n_candidates)
    for c in range(n_candidates):
        for i in range(TILE):
            costs[c] += sums[c, i]
    return costs


@numba.njit(nogil=True, cache=True)
def lower_closest(tiles: Any, weights: Any, closest: Any, center: int) -> Any:
    """Lower ``closest`` in place to the squared distance to one more center, the point of that number.

    Returns
    -------
    heights : (T,) float64, weighted sum of ``closest`` over each tile.
    """
    distance = np.empty(TILE, np.float32)
    heights = np.zeros(tiles.shape[0])
    for t in range(tiles.shape[0]):
        _lower(tiles, t, center, closest[t], distance)
        closest[t] = distance
        for i in range(TILE):
            heights[t] += np.float64(weights[t, i]) * distance[i]
    return heights


@numba.njit(nogil=True, cache=True)
def draw(weights: Any, closest: Any, heights: Any, uniforms: Any) -> Any:
    """Points drawn in proportion to weight times ``closest``, by inversion; a point without mass is never drawn.

    Parameters
    ----------
    weights, closest : (T, TILE) float32.
    heights : (T,) float64, their products summed over each tile.
    uniforms : (L,) float64 in [0, 1).

    Returns
    -------
    points : (L,) int64, numbers of points.
    """
    points = np.empty(uniforms.shape[0], np.int64)
    total = heights.sum()
    for c in range(uniforms.shape[0]):
        left = uniforms[c] * total
        tile = -1
        for t in range(heights.shape[0]):
            if heights[t] > 0:
                tile = t
                if left < heights[t]:
                    break
                left -= heights[t]
        points[c] = -1
        for i in range(TILE):
            mass = np.float64(weights[tile, i]) * closest[tile, i]
            if mass > 0:
                points[c] = tile * TILE + i
                if left < mass:
                    break
                left -= mass
    return points


@numba.njit(nogil=True, cache=True, fastmath={"contract"})
def _lower(tiles: Any, t: int, point: int, closest: Any, result: Any) -> None:
    """Smaller of ``closest`` and the squared distance to a point, for the points of one tile."""
    tile, center = tiles[t], tiles[point // TILE]
    at = point % TILE
    result[:] = 0.0
    for j in range(0, tile.shape[0], 4):
        x0, x1, x2, x3 = tile[j], tile[j + 1], tile[j + 2], tile[j + 3]
        c0, c1, c2, c3 = center[j, at], center[j + 1, at], center[j + 2, at], center[j + 3, at]
        for i in range(TILE):
            g0, g1, g2, g3 = x0[i] - c0, x1[i] - c1, x2[i] - c2, x3[i] - c3
            result[i] += g0 * g0 + g1 * g1 + g2 * g2 + g3 * g3
    for i in range(TILE):
        v, least = result[i], closest[i]
        result[i] = v if v < least else least


@numba.njit(nogil=True, cache=True, fastmath={"contract", "reassoc"})
def scatter(points: Any, offset: Any) -> Any:
    """Sums of ``x - offset`` and of its products with itself, in float64.

    Parameters
    ----------
    points : (n, d) float32 or float64.
    offset : (d,) float64.

    Returns
    -------
    total : (d,).
    products : (d, d).
    """
    n, d = points.shape
    total = np.zeros(d)
    products = np.zeros((d, d))
    x = np.empty((d, TILE))
    for first in range(0, n, TILE):
        m = min(TILE, n - first)
        for i in range(m):
            for j in range(d):
                x[j, i] = np.float64(points[first + i, j]) - offset[j]
        for a in range(d):
            row = x[a]
            part = 0.0
            for i in range(m):
                part += row[i]
            total[a] += part
            for b in range(a + 1):
                other = x[b]
                part = 0.0
                for i in range(m):
                    part += row[i] * other[i]
                products[a, b] += part
    for a in range(d):
        for b in range(a):
            products[b, a] = products[a, b]
    return total, products
