"""Spearman correlation of every pair of features, with ties, weights and missing values, and false discovery rates.

References
----------
Spearman C. The proof and measurement of association between two things. Am J Psychol 15:72-101 (1904).
Benjamini Y, Hochberg Y. Controlling the false discovery rate. J R Stat Soc B 57:289-300 (1995).
Kish L. Survey Sampling. Wiley (1965): effective number of weighted observations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

Array = np.ndarray[Any, Any]
Floats = np.ndarray[Any, np.dtype[np.float64]]

LEAST_ROWS = 4


@dataclass(frozen=True)
class Correlation:
    """Rank correlation of d features.

    Attributes
    ----------
    rho : (d, d) float64, NaN where a feature is constant or fewer than four rows have both.
    p : (d, d) float64, two-sided, from Student's t with n - 2 degrees of freedom; the diagonal is 0.
    q : (d, d) float64, Benjamini-Hochberg over the pairs.
    n : (d, d) float64, rows that have both (effective number where rows carry weights).
    """

    rho: Floats
    p: Floats
    q: Floats
    n: Floats


def spearman(matrix: Floats, weights: Floats | None = None) -> Correlation:
    """Spearman's rho of every pair of columns over the rows where both are finite.

    Parameters
    ----------
    matrix : (n, d) float64; missing values are NaN.
    weights : (n,) float64 > 0, or None for rows of equal weight. Ranks are then midpoints of the weighted
        distribution function, and n is the effective number (sum w)^2 / sum w^2.

    Notes
    -----
    P-values hold for independent rows. Rows of one sample usually are not: read rho, and the rates as a ranking.
    """
    n_features = matrix.shape[1]
    weights = np.ones(len(matrix)) if weights is None else weights
    rho, count = np.full((n_features, n_features), np.nan), np.zeros((n_features, n_features))
    finite = np.isfinite(matrix)
    whole: Array = np.atleast_1d(finite.all(axis=0))
    fast = np.flatnonzero(whole)
    rho[np.ix_(fast, fast)] = _correlate(weighted_ranks(matrix[:, fast], weights), weights)
    count[np.ix_(fast, fast)] = effective_number(weights)
    for i in range(n_features):
        for j in range(i + 1):
            if whole[i] and whole[j]:
                continue
            both = finite[:, i] & finite[:, j]
            count[i, j] = count[j, i] = effective_number(weights[both])
            if both.sum() >= LEAST_ROWS:
                ranks = weighted_ranks(matrix[both][:, [i, j]], weights[both])
                rho[i, j] = rho[j, i] = _correlate(ranks, weights[both])[0, 1]
    rho[count < LEAST_ROWS] = np.nan
    p = _p_values(rho, count)
    q = np.full_like(p, np.nan)
    above = np.triu_indices(n_features, 1)
    q[above] = benjamini_hochberg(p[above])
    q.T[above] = q[above]
    np.fill_diagonal(q, 0.0)
    return Correlation(rho, p, q, count)


def weighted_ranks(matrix: Floats, weights: Floats) -> Floats:
    """(n, d) mid-ranks of finite values: weight of the smaller values plus half that of the equal ones."""
    ranks = np.empty(matrix.shape)
    equal_weights = bool(np.all(weights == weights[:1]))
    for j in range(matrix.shape[1]):
        if equal_weights:
            ranks[:, j] = stats.rankdata(matrix[:, j])
            continue
        _, inverse = np.unique(matrix[:, j], return_inverse=True)
        mass = np.bincount(inverse, weights=weights)
        ranks[:, j] = (np.cumsum(mass) - mass / 2)[inverse]
    return ranks


def effective_number(weights: Floats) -> float:
    """Kish's effective number of weighted rows; their number where weights are equal."""
    if not len(weights):
        return 0.0
    scaled = weights / weights.max()
    return float(scaled.sum() ** 2 / (scaled**2).sum())


def benjamini_hochberg(p: Floats) -> Floats:
    """Smallest false discovery rate at which each test is called; NaN stay NaN and do not count."""
    q = np.full(p.shape, np.nan)
    tested = np.flatnonzero(np.isfinite(p))
    if not len(tested):
        return q
    order = tested[np.argsort(p[tested], kind="stable")]
    raised = p[order] * len(tested) / np.arange(1, len(tested) + 1)
    q[order] = np.minimum(np.minimum.accumulate(raised[::-1])[::-1], 1.0)
    return q


def clustered_order(rho: Floats, categories: list[str]) -> Array:
    """(d,) order of features for a heat map: categories as they first come, alike features beside each other within.

    Average linkage on 1 - abs(rho); unknown correlations count as 0.
    """
    distance = 1 - np.abs(np.nan_to_num(rho))
    order: list[int] = []
    for category in dict.fromkeys(categories):
        members = [i for i, c in enumerate(categories) if c == category]
        if len(members) > 2:
            within = np.clip((distance + distance.T) / 2, 0, None)[np.ix_(members, members)]
            np.fill_diagonal(within, 0.0)
            members = [members[k] for k in leaves_list(linkage(squareform(within, checks=False), "average"))]
        order.extend(members)
    return np.array(order, dtype=np.int64)


def _correlate(ranks: Floats, weights: Floats) -> Floats:
    share = weights / weights.sum()
    centred = ranks - share @ ranks
    covariance = (centred * share[:, None]).T @ centred
    spread = np.sqrt(np.diag(covariance))
    # Ranks are multiples of one half, or sums of weights: a spread this small is a constant column.
    spread = np.where(
        spread > 1e-10 * np.maximum(np.abs(ranks).max(axis=0, initial=0.0), 1e-300), spread, np.nan
    )
    rho: Floats = np.clip(covariance / np.outer(spread, spread), -1, 1)
    varies = np.isfinite(spread)
    rho[varies, varies] = 1.0
    below = np.tril_indices(len(rho), -1)
    rho[below] = rho.T[below]  # products of matrices are symmetric up to rounding only
    return rho


def _p_values(rho: Floats, count: Floats) -> Floats:
    freedom = np.maximum(count - 2, 1e-9)
    with np.errstate(divide="ignore"):
        t = np.abs(rho) * np.sqrt(freedom / (1 - rho**2))
    p: Floats = 2 * stats.t.sf(t, freedom)
    return p
