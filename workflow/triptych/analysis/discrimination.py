"""Which features tell groups of samples, or clusters of rows, apart.

Groups are of samples, so samples are the units: each is summarised by its (weighted) median of every feature, and the
medians are compared by the Kruskal-Wallis test (with two groups the Mann-Whitney test), exact by enumeration where
there are few arrangements. Rows of one sample are not independent, so they never count as units here.

References
----------
Kruskal WH, Wallis WA. Use of ranks in one-criterion variance analysis. J Am Stat Assoc 47:583-621 (1952).
Mann HB, Whitney DR. On a test of whether one of two random variables is larger. Ann Math Stat 18:50-60 (1947).
Cliff N. Dominance statistics: ordinal analyses to answer ordinal questions. Psychol Bull 114:494-509 (1993).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from math import comb
from typing import Any

import numpy as np
from scipy import stats

from triptych.analysis.correlation import benjamini_hochberg, weighted_ranks

Array = np.ndarray[Any, Any]
Floats = np.ndarray[Any, np.dtype[np.float64]]

MOST_ARRANGEMENTS = 20_000


@dataclass(frozen=True)
class Differences:
    """Group differences of d features over samples.

    Attributes
    ----------
    statistic, p, q : (d,) float64: Kruskal-Wallis H, its p-value, and the Benjamini-Hochberg rate over features.
    delta : (d,) float64, Cliff's delta of the pair of groups that differ most: P(second > first) - P(second < first).
    first, second : (d,) names of that pair.
    least_p : smallest p-value that these group sizes can give.
    groups : number of samples of each group.
    """

    statistic: Floats
    p: Floats
    q: Floats
    delta: Floats
    first: Array
    second: Array
    least_p: float
    groups: dict[str, int]


def sample_medians(matrix: Floats, samples: Array, weights: Floats | None = None) -> tuple[list[str], Floats]:
    """The (weighted) median of each feature within each sample, missing values left out.

    Returns
    -------
    names : samples, sorted.
    medians : (N, d) float64, NaN where a sample has no finite value.
    """
    names = sorted({str(name) for name in samples})
    medians = np.full((len(names), matrix.shape[1]), np.nan)
    for i, name in enumerate(names):
        rows = np.flatnonzero(samples == name)
        for j in range(matrix.shape[1]):
            values = matrix[rows, j]
            finite = np.isfinite(values)
            if finite.any():
                mass = np.ones(int(finite.sum())) if weights is None else weights[rows][finite]
                medians[i, j] = weighted_median(values[finite], mass)
    return names, medians


def weighted_median(values: Floats, weights: Floats) -> float:
    """Mean of the least and the greatest value at which half of the weight is passed."""
    order = np.argsort(values, kind="stable")
    ordered, reached = values[order], np.cumsum(weights[order])
    half, slack = reached[-1] / 2, 1e-12 * reached[-1]
    ends = np.minimum(np.searchsorted(reached, [half - slack, half + slack]), len(values) - 1)
    return float(ordered[ends[0]] / 2 + ordered[ends[1]] / 2)


def compare_groups(medians: Floats, groups: Sequence[str]) -> Differences:
    """Test every feature for a difference between groups of samples.

    Parameters
    ----------
    medians : (N, d) float64, one row per sample.
    groups : group of each sample; at least two groups.

    Raises
    ------
    ValueError : fewer than two groups.
    """
    names = sorted(set(groups))
    if len(names) < 2:
        raise ValueError("a comparison needs samples of two groups or more")
    group = np.array([names.index(g) for g in groups])
    d = medians.shape[1]
    statistic, p, delta = np.full(d, np.nan), np.full(d, np.nan), np.full(d, np.nan)
    first, second = np.full(d, "", dtype=object), np.full(d, "", dtype=object)
    for j in range(d):
        finite = np.isfinite(medians[:, j])
        values, present = medians[finite, j], group[finite]
        if len(set(present.tolist())) < 2:
            continue
        statistic[j], p[j] = _kruskal(values, present)
        pairs = combinations(sorted(set(present.tolist())), 2)
        found = [(cliffs_delta(values[present == a], values[present == b]), a, b) for a, b in pairs]
        strongest = max(found, key=lambda entry: abs(entry[0]))
        delta[j], first[j], second[j] = strongest[0], names[strongest[1]], names[strongest[2]]
    sizes = {name: int((group == i).sum()) for i, name in enumerate(names)}
    least = _kruskal(np.argsort(np.argsort(group, kind="stable")).astype(float), group)[1]
    return Differences(statistic, p, benjamini_hochberg(p), delta, first, second, least, sizes)


def cliffs_delta(first: Floats, second: Floats) -> float:
    """P(second > first) - P(second < first), between -1 and 1; 0 where neither tends to be larger."""
    return float(np.sign(second[:, None] - first[None, :]).mean())


def rank_clusters(matrix: Floats, labels: Array, weights: Floats | None = None) -> Floats:
    """(k, d) Cliff's delta of every feature, rows of a cluster against all other rows; missing values left out.

    No p-values: clusters were made from these same features, so a test would count the evidence twice.
    """
    number = int(labels.max()) + 1
    weights = np.ones(len(matrix)) if weights is None else weights
    delta = np.full((number, matrix.shape[1]), np.nan)
    for j in range(matrix.shape[1]):
        finite = np.isfinite(matrix[:, j])
        if not finite.any():
            continue
        mass, label = weights[finite], labels[finite]
        # Mid-ranks as midpoints of the distribution function also where all weights are equal.
        ranks = weighted_ranks(matrix[finite][:, [j]], mass)[:, 0]
        if np.all(mass == mass[0]):
            ranks = (ranks - 0.5) * mass[0]
        inside = np.bincount(label, weights=mass, minlength=number)
        mean_rank = np.bincount(label, weights=mass * ranks, minlength=number)
        outside = mass.sum() - inside
        with np.errstate(invalid="ignore", divide="ignore"):
            auc = (mean_rank / inside - inside / 2) / outside
        delta[:, j] = 2 * auc - 1
    return delta


def _kruskal(values: Floats, group: Array) -> tuple[float, float]:
    """H with the correction for ties, and its p-value: exact where there are few arrangements, else chi-square."""
    _, group = np.unique(group, return_inverse=True)
    sizes = np.bincount(group)
    n = len(values)
    ranks = np.asarray(stats.rankdata(values), dtype=np.float64)
    _, ties = np.unique(values, return_counts=True)
    correction = 1 - (ties**3 - ties).sum() / max(n**3 - n, 1)
    if correction <= 0:
        return 0.0, 1.0

    def statistic(sums: Array) -> Array:
        h: Array = (12 / (n * (n + 1)) * (sums**2 / sizes).sum(axis=-1) - 3 * (n + 1)) / correction
        return h

    observed = float(statistic(np.bincount(group, weights=ranks)))
    if _arrangements(sizes) > MOST_ARRANGEMENTS:
        return observed, float(stats.chi2.sf(observed, len(sizes) - 1))
    everyone = _enumerate(tuple(sizes.tolist()))
    sums = np.stack([np.where(everyone == g, ranks, 0.0).sum(axis=1) for g in range(len(sizes))], axis=1)
    return observed, float(np.mean(statistic(sums) >= observed - 1e-9))


def _arrangements(sizes: Array) -> int:
    count, left = 1, int(sizes.sum())
    for size in sizes.tolist():
        count *= comb(left, size)
        left -= size
    return count


@lru_cache(maxsize=16)
def _enumerate(sizes: tuple[int, ...]) -> Array:
    """(arrangements, n) int8: every way to give n samples to groups of these sizes."""
    n = sum(sizes)
    rows: list[list[int]] = []

    def place(row: list[int], free: tuple[int, ...], group: int) -> None:
        if group == len(sizes) - 1:
            filled = row.copy()
            for i in free:
                filled[i] = group
            rows.append(filled)
            return
        for chosen in combinations(free, sizes[group]):
            filled = row.copy()
            for i in chosen:
                filled[i] = group
            place(filled, tuple(i for i in free if i not in chosen), group + 1)

    place([0] * n, tuple(range(n)), 0)
    return np.array(rows, dtype=np.int8)


def cluster_shares(
    labels: Array, number: int, samples: Array, weights: Floats | None = None
) -> tuple[list[str], Floats]:
    """(N, k) share of each sample's rows (or weight) in each cluster; samples sorted by name."""
    names = sorted({str(name) for name in samples})
    shares = np.zeros((len(names), number))
    for i, name in enumerate(names):
        rows = np.flatnonzero(samples == name)
        mass = np.bincount(labels[rows], weights=None if weights is None else weights[rows], minlength=number)
        shares[i] = mass / mass.sum()
    return names, shares
