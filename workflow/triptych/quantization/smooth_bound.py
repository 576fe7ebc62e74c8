"""A lower bound of W2 between two clouds from smooth potentials, which see nothing of a cell but its mean and variance.

For centred X and Y, ``W2^2 >= E|X|^2 + E|Y|^2 - 2 (E F(X) + E G(Y))`` whenever ``F(x) + G(y) >= x.y`` everywhere. With curvatures
l < L, b = L - l, points x_i and p_j, and numbers with ``k_i + m_j >= x_i.p_j``, take

    ``F(x) = min_i  l |x|^2 / 2 + b |x - x_i|^2 / 2 + k_i``        ``G(y) = min_j  |y - p_j|^2 / (2 l) + |p_j|^2 / (2 b) + m_j``

They obey the constraint, because ``l |x|^2 / 2 + |y - p|^2 / (2 l) >= x.(y - p)`` and ``b |x - x_i|^2 / 2 + |p|^2 / (2 b) >=
(x - x_i).p``. Each is a minimum of quadratics, so its mean over a cell is at most that of any one of them, which is known from the
mean of the cell; what cells leave out enters as ``L / 2`` and ``1 / (2 l)`` times its trace. This holds for every l, L, x_i, p_j:
how well they are chosen decides how good the bound is, never whether it is one.

The best k and m are a transport between the points. The best points follow from a plan, curvatures from the condition that the
variance which the plan asks of the cells is the one they have, and plans from points: conditional gradient, started at the
optimal plan of the measures. Coordinates are those in which the map between Gaussians of the two covariances is the identity;
l = L = 1 there is Gelbrich's bound.

References
----------
Paty, d'Aspremont, Cuturi, Regularity as regularization: smooth and strongly convex Brenier potentials in optimal transport,
AISTATS 2020; Gozlan, Juillet, On a mixture of Brenier and Strassen theorems, Proc. LMS 120 (2020); Frank, Wolfe, An algorithm for
quadratic programming, Naval Res. Logist. Q. 3 (1956).
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from triptych.quantization.network_simplex import MASS, UNIT, dual_value, first_basis, improve

SWEEPS = 4
"""Sweeps over points and curvatures between two plans."""

KEPT = 0.9
"""Share of the optimal plan in the first one; the rest moves every center to the mean, which asks nothing of the points."""

DELAY = 8
"""Plan t enters with the share 2 / (t + DELAY)."""

FLATTEST = 1e-3
"""Curvatures stay between this and its inverse."""


@numba.njit(nogil=True, cache=True)
def _mean_partners(points: Any, here: Any, there: Any, mass: Any, count: int, weights: Any, out: Any) -> None:
    """Mean of the points that a plan couples to each center on the other side."""
    out[:] = 0.0
    for arc in range(count):
        source, target = points[there[arc]], out[here[arc]]
        m = mass[arc]
        for c in range(source.size):
            target[c] += m * source[c]
    for i in range(out.shape[0]):
        for c in range(out.shape[1]):
            out[i, c] /= weights[i]


@numba.njit(nogil=True, cache=True)
def _moment(weights: Any, first: Any, second: Any) -> float:
    """Mean squared distance of two lists of points."""
    total = 0.0
    for i in range(weights.size):
        apart = 0.0
        for c in range(first.shape[1]):
            gap = first[i, c] - second[i, c]
            apart += gap * gap
        total += weights[i] * apart
    return total


@numba.njit(nogil=True, cache=True)
def _toward(now: float, asked: float, had: float) -> float:
    """A curvature that is multiplied by the root of variance asked over variance had, in steps of a quarter at most."""
    step = np.sqrt(max(asked, 0.0) / had) if had > 0 else 1.25
    return now * min(max(step, 0.8), 1.25)


@numba.njit(nogil=True, cache=True)
def _fit(
    first: Any,
    second: Any,
    plan: Any,
    count: int,
    w: Any,
    v: Any,
    left: float,
    other_left: float,
    points: Any,
    curves: Any,
) -> None:
    """Points and curvatures for a plan, in place: block by block towards the least bound on ``E X.Y`` that the plan allows."""
    here, there, mass = plan
    x, p = points
    seen_x, seen_p = np.empty_like(second), np.empty_like(first)
    own, origin = _moment(w, first, np.zeros_like(first)), np.zeros_like(second)
    low, high = curves[0], curves[1]
    for sweep in range(SWEEPS):
        b = high - low
        _mean_partners(x, there, here, mass, count, v, seen_x)
        p[:] = (second - low * seen_x) / (1 + low / b)
        _mean_partners(p, here, there, mass, count, w, seen_p)
        x[:] = first - seen_p / b
        if sweep + 1 < SWEEPS:
            shifted, reached = _moment(w, first, x), _moment(v, p, origin) / b**2
            asked = low**2 * (own - shifted + reached) - _moment(v, second, p)
            high = min(max(_toward(high, reached - shifted, left), 2 * FLATTEST), 1 / FLATTEST)
            low = min(max(1 / _toward(1 / low, asked, other_left), FLATTEST), high / 1.02)
    curves[0], curves[1] = low, high


@numba.njit(nogil=True, cache=True)
def _correlations(x: Any, p: Any) -> Any:
    """``-x_i.p_j``: (K, L), summed over features in their order."""
    turned = np.ascontiguousarray(p.T)
    cost = np.zeros((x.shape[0], p.shape[0]))
    for i in range(x.shape[0]):
        row = cost[i]
        for c in range(x.shape[1]):
            value, line = x[i, c], turned[c]
            for j in range(row.size):
                row[j] -= value * line[j]
    return cost


@numba.njit(nogil=True, cache=True)
def greatest_correlation(
    first: Any, supply: Any, left: float, second: Any, demand: Any, other_left: float, plan: Any, rounds: int
) -> float:
    """Upper bound of ``E X.Y`` over all couplings of two clouds: the least of all rounds.

    Parameters
    ----------
    first, second : cell means (K, d) and (L, d), about the mean of their cloud, C-contiguous float64.
    supply, demand : masses of the cells, as in ``network_simplex``.
    left, other_left : trace of the covariance within cells, in the same coordinates.
    plan : rows, columns and units of the optimal plan of the measures, at most K + L - 1 of each.
    rounds : plans to try, at least 1.
    """
    rows, columns, units = plan
    k, n, size = first.shape[0], second.shape[0], first.shape[0] + second.shape[0] - 1
    w, v = supply / MASS, demand / MASS
    here, there = np.empty(size * (rounds + 1), np.int64), np.empty(size * (rounds + 1), np.int64)
    mass, count, best, share = np.empty(size * (rounds + 1)), 0, np.inf, KEPT
    points, curves = (first.copy(), second.copy()), np.array([0.7, 1.4])
    prices = np.zeros(k + n)
    for turn in range(rounds):
        for arc in range(rows.size):
            here[count], there[count] = rows[arc], columns[arc]
            mass[count] = share * units[arc] / MASS
            count += 1
        _fit(first, second, (here, there, mass), count, w, v, left, other_left, points, curves)
        x, p = points
        cost = _correlations(x, p)
        if turn == 0:
            prices[:k], prices[k:] = -(x**2).sum(axis=1) / 2, -(p**2).sum(axis=1) / 2
        rows, columns, parts = first_basis(cost - prices[:k].reshape(k, 1) - prices[k:], supply, demand)
        prices, _ = improve(cost, rows, columns, parts, 2 * size if turn + 1 < rounds else 100 * size)
        units = (parts + UNIT // 2) // UNIT
        low, b = curves[0], curves[1] - curves[0]
        found = (
            (low * (w * (first**2).sum(axis=1)).sum() + b * _moment(w, first, x) + curves[1] * left) / 2
            + (_moment(v, second, p) + other_left) / (2 * low)
            + (v * (p**2).sum(axis=1)).sum() / (2 * b)
            - dual_value(cost, supply, demand, prices)
        )
        best = min(best, found)
        share = 2.0 / (turn + DELAY)
        mass[:count] *= 1 - share
    return best
