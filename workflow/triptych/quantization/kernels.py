"""Compiled loops over points: nearest center, sums per cell, seeding costs.

Centers come transposed, ``(d, K)``, so that the inner loop runs over K in vector registers; four points share every load
of a center. Nothing here allocates more than the result and 4 K scratch values.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]


@numba.njit(nogil=True, cache=True)
def _first_least(costs: Any) -> int:
    least = costs[0]
    for k in range(1, costs.shape[0]):
        least = min(least, costs[k])
    for k in range(costs.shape[0]):
        if costs[k] == least:
            return k
    return 0


@numba.njit(nogil=True, cache=True, fastmath={"contract"})
def nearest(points: Any, centers_t: Any, half_norms: Any) -> Any:
    """Index of the nearest center of every point; ties go to the lowest index.

    Parameters
    ----------
    points : (n, d) float32 or float64, centred so that squares do not cancel.
    centers_t : (d, K) of the same dtype.
    half_norms : (K,) of the same dtype, ``|c|^2 / 2``.

    Returns
    -------
    labels : (n,) int32, argmin over k of ``|c_k|^2 / 2 - x.c_k``.
    """
    n, d = points.shape
    n_centers = centers_t.shape[1]
    labels = np.empty(n, np.int32)
    a = np.empty(n_centers, points.dtype)
    b = np.empty(n_centers, points.dtype)
    c = np.empty(n_centers, points.dtype)
    e = np.empty(n_centers, points.dtype)
    for i in range(0, n - n % 4, 4):
        a[:] = half_norms
        b[:] = half_norms
        c[:] = half_norms
        e[:] = half_norms
        for j in range(d):
            x0, x1, x2, x3 = points[i, j], points[i + 1, j], points[i + 2, j], points[i + 3, j]
            row = centers_t[j]
            for k in range(n_centers):
                a[k] -= x0 * row[k]
                b[k] -= x1 * row[k]
                c[k] -= x2 * row[k]
                e[k] -= x3 * row[k]
        labels[i] = _first_least(a)
        labels[i + 1] = _first_least(b)
        labels[i + 2] = _first_least(c)
        labels[i + 3] = _first_least(e)
    for i in range(n - n % 4, n):
        a[:] = half_norms
        for j in range(d):
            x0 = points[i, j]
            row = centers_t[j]
            for k in range(n_centers):
                a[k] -= x0 * row[k]
        labels[i] = _first_least(a)
    return labels


@numba.njit(nogil=True, cache=True)
def cell_sums(points: Any, weights: Any, labels: Any, centers: Any) -> Any:
    """Sums per cell of the points about their centers, all in float64.

    Parameters
    ----------
    points : (n, d) float32 or float64.
    weights : (n,) float64, or an empty array for unit weights.
    labels : (n,) int32.
    centers : (K, d) float64.

    Returns
    -------
    mass : (K,) sum of weights.
    shift : (K, d) weighted sum of ``x - c``.
    square : (K,) weighted sum of ``|x - c|^2``.
    far : (K,) largest ``|x - c|^2`` of a cell, -1 where it is empty.
    far_row : (K,) int64, the first row that attains it.
    """
    n, d = points.shape
    n_centers = centers.shape[0]
    mass = np.zeros(n_centers)
    shift = np.zeros((n_centers, d))
    square = np.zeros(n_centers)
    far = np.full(n_centers, -1.0)
    far_row = np.full(n_centers, -1, np.int64)
    weighted = weights.shape[0] > 0
    for i in range(n):
        k = labels[i]
        w = weights[i] if weighted else 1.0
        distance = 0.0
        for j in range(d):
            gap = np.float64(points[i, j]) - centers[k, j]
            shift[k, j] += w * gap
            distance += gap * gap
        mass[k] += w
        square[k] += w * distance
        if distance > far[k]:
            far[k] = distance
            far_row[k] = i
    return mass, shift, square, far, far_row


@numba.njit(nogil=True, cache=True)
def candidate_costs(points: Any, weights: Any, closest: Any, candidates: Any) -> Any:
    """What the inertia would be with each candidate row added as a center.

    Parameters
    ----------
    points : (n, d) float64.
    weights : (n,) float64.
    closest : (n,) squared distance to the nearest center so far.
    candidates : (L,) rows of ``points``.

    Returns
    -------
    costs : (L,) weighted sums of the smaller distance.
    distances : (L, n) the smaller squared distances.
    """
    n, d = points.shape
    costs = np.zeros(candidates.shape[0])
    distances = np.empty((candidates.shape[0], n))
    for c in range(candidates.shape[0]):
        row = candidates[c]
        for i in range(n):
            distance = 0.0
            for j in range(d):
                gap = points[i, j] - points[row, j]
                distance += gap * gap
            distance = min(distance, closest[i])
            distances[c, i] = distance
            costs[c] += weights[i] * distance
    return costs, distances
