"""How much of the squared distances between samples a factor explains, alone and beyond another one, with permutation tests.

Sums of squares are traces of the Gower-centred matrix of distances with projections, so no coordinates are needed. The test
of the means also reacts to unequal spreads; the test of dispersion beside it tells which of the two is seen.

References
----------
Anderson MJ. A new method for non-parametric multivariate analysis of variance. Austral Ecol 26 (2001).
McArdle BH, Anderson MJ. Fitting multivariate models to community data. Ecology 82 (2001).
Anderson MJ. Distance-based tests for homogeneity of multivariate dispersions. Biometrics 62 (2006).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from triptych.quantization.arrangements import Arrangements, Codes, arrange
from triptych.quantization.embedding import gower

Array = NDArray[np.float64]

RANK_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Effect:
    """What one factor explains.

    Attributes
    ----------
    r2 : share of the total sum of squared distances.
    omega2 : the same less what as many levels without meaning explain on average; below 0 where they explain more.
    pseudo_f : mean square of the factor over that of the residuals.
    p : permutation p-value of ``pseudo_f``; NaN where the factor cannot be tested.
    df, df_residual : degrees of freedom; 0 where the factor is tied to the other one.
    null_r2 : mean and 0.95 quantile of ``r2`` over the arrangements.
    dispersion_f, dispersion_p : the same of distances to the centroids of the levels; NaN beyond another factor.
    arrangements : how many were looked at; exact: whether these are all.
    least_p : the smallest p-value they can give.
    """

    r2: float
    omega2: float
    pseudo_f: float
    p: float
    df: int
    df_residual: int
    null_r2: tuple[float, float]
    dispersion_f: float
    dispersion_p: float
    arrangements: int
    exact: bool
    least_p: float


def effect(
    distances: Array,
    factor: Sequence[str],
    subjects: Sequence[str],
    permutations: int,
    seed: int,
    beyond: Sequence[str] | None = None,
) -> Effect:
    """Test one factor, alone or beyond another one (marginal, "type III").

    Parameters
    ----------
    distances : (N, N).
    factor, subjects, beyond : (N,) names.
    permutations : arrangements at most; all distinct ones where there are no more.
    seed : of the random arrangements.

    Raises
    ------
    ValueError : the factor has fewer than two levels.
    """
    labels, others = codes(factor), None if beyond is None else codes(beyond)
    if labels.max(initial=0) < 1:
        raise ValueError("a factor needs at least two levels to explain anything")
    inner = gower(distances)
    arranged = arrange(labels, subjects, permutations, seed, others)
    observed = _explained(inner, labels, others)
    ran = np.array([_explained(inner, row, others) for row in arranged.labels])
    total = float(np.trace(inner))
    share, omega, ratio = observed[0] / (total or 1.0), np.nan, np.nan
    p = np.nan
    df, left = int(observed[1]), int(observed[2])
    if df and left > 0 and total > 0:
        square = observed[3] / left
        omega = float((observed[0] - df * square) / (total + square))
        ratio = float(_ratio(observed[None])[0])
        p = arranged.p_value(_ratio(ran), ratio) if arranged.least_p < 1 else np.nan
    spread = (np.nan, np.nan) if others is not None else _dispersion(inner, labels, arranged)
    null = ran[:, 0] / (total or 1.0)
    return Effect(
        r2=float(share),
        omega2=omega,
        pseudo_f=ratio,
        p=p,
        df=df,
        df_residual=left,
        null_r2=(float(null.mean()), float(np.quantile(null, 0.95))),
        dispersion_f=spread[0],
        dispersion_p=spread[1],
        arrangements=len(arranged.labels),
        exact=arranged.exact,
        least_p=arranged.least_p,
    )


def codes(names: Sequence[str]) -> Codes:
    """Names as codes, in the order of the names."""
    return np.unique(np.array(names, dtype=np.str_), return_inverse=True)[1].astype(np.int64)


def tied(factor: Sequence[str], other: Sequence[str]) -> bool:
    """Whether the other factor leaves nothing of this one: each of its levels holds one level of this factor, or their
    differences are the same ones."""
    labels, others = codes(factor), codes(other)
    return _rank(labels, others) == 0


def cramers_v(factor: Sequence[str], other: Sequence[str]) -> float:
    """Association of two factors, 0 (independent) to 1 (one tells the other); NaN where one has a single level.

    References
    ----------
    Cramer, Mathematical methods of statistics, Princeton (1946).
    """
    first, second = codes(factor), codes(other)
    table = np.zeros((first.max() + 1, second.max() + 1))
    np.add.at(table, (first, second), 1.0)
    if min(table.shape) < 2:
        return float("nan")
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / table.sum()
    chi2 = float(((table - expected) ** 2 / expected).sum())
    return float(np.sqrt(chi2 / (table.sum() * (min(table.shape) - 1))))


def _indicators(labels: Codes) -> Array:
    return (labels[:, None] == np.arange(labels.max() + 1)).astype(np.float64)


def _reduced(n: int, others: Codes | None) -> Array:
    """Orthonormal columns (n, r) of the model without the factor: the mean, or the levels of the other factor."""
    columns = np.ones((n, 1)) if others is None else _indicators(others)
    columns = columns[:, columns.any(axis=0)]
    return np.asarray(columns / np.sqrt(columns.sum(axis=0)))


def _beyond(labels: Codes, others: Codes | None) -> tuple[Array, Array]:
    """Orthonormal columns of the model without the factor, and of what the factor adds to it."""
    reduced = _reduced(len(labels), others)
    added = _indicators(labels)
    added = added - reduced @ (reduced.T @ added)
    left, values, _ = np.linalg.svd(added, full_matrices=False)
    return reduced, left[:, values > RANK_TOLERANCE * np.sqrt(len(labels))]


def _rank(labels: Codes, others: Codes | None) -> int:
    return int(_beyond(labels, others)[1].shape[1])


def _explained(inner: Array, labels: Codes, others: Codes | None) -> Array:
    """Sum of squares of the factor, its degrees of freedom, those of the residuals, and their sum of squares; (4,)."""
    reduced, added = _beyond(labels, others)
    own = float(np.einsum("ij,ij->", added, inner @ added))
    rest = float(np.trace(inner)) - own - float(np.einsum("ij,ij->", reduced, inner @ reduced))
    return np.array([own, added.shape[1], len(labels) - reduced.shape[1] - added.shape[1], rest])


def _ratio(explained: Array) -> Array:
    """Pseudo-F of rows of ``_explained``; infinite where nothing is left over."""
    own, df, left, rest = explained.T
    floor = 1e-12 * (np.abs(own) + np.abs(rest)) + 1e-300
    return np.asarray(own / np.maximum(df, 1) / np.maximum(rest / np.maximum(left, 1), floor))


def _dispersion(inner: Array, labels: Codes, arranged: Arrangements) -> tuple[float, float]:
    """F and p of distances to the centroids of the levels.

    The levels are brought to one place first, and every arrangement has its own centroids: distances to the centroids of
    the observed levels are shorter in a small level, so they are not exchangeable.
    """
    sizes = np.bincount(labels)
    if (sizes < 2).any() or len(labels) <= len(sizes):
        return float("nan"), float("nan")
    columns = np.hstack(_beyond(labels, None))
    placed = inner - columns @ (columns.T @ inner)
    placed = placed - (placed @ columns) @ columns.T
    away = _from_centroids(placed, labels)
    if ((away - away.mean()) ** 2).sum() <= 1e-24 * max(float((away**2).sum()), 1e-300):
        return 0.0, 1.0
    observed = _spread_ratio(away, labels)
    if arranged.least_p >= 1:
        return observed, float("nan")
    ran = np.array([_spread_ratio(_from_centroids(placed, row), row) for row in arranged.labels])
    return observed, arranged.p_value(ran, observed)


def _from_centroids(inner: Array, labels: Codes) -> Array:
    """(N,) distances to the centroid of the own level, those of few samples corrected by ``sqrt(n / (n - 1))``."""
    member = _indicators(labels)
    sizes = member.sum(axis=0)
    with_mean = inner @ (member / sizes)
    own = with_mean[np.arange(len(labels)), labels]
    of_means = (member * with_mean).sum(axis=0) / sizes
    squares = np.diag(inner) - 2 * own + of_means[labels]
    return np.asarray(np.sqrt(np.abs(squares) * (sizes / np.maximum(sizes - 1, 1))[labels]))


def _spread_ratio(away: Array, labels: Codes) -> float:
    """Analysis of variance of distances."""
    sizes = np.bincount(labels)
    means = np.bincount(labels, weights=away) / sizes
    own, rest = sizes @ (means - away.mean()) ** 2, ((away - means[labels]) ** 2).sum()
    return float(_ratio(np.array([[own, len(sizes) - 1, len(away) - len(sizes), rest]]))[0])
