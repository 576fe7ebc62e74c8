"""Populations of weighted centers by consensus clustering; their number from how well partitions recur.

Many subsets of the centers are clustered by average linkage (``partition``), into 2, 3, ... populations each. How often
two centers fall together among the subsets that hold both is their consensus; the final partition into k populations is
average linkage on one minus the consensus. The stability of k is the adjusted Rand index between the partition of a
subset and the final one, mean over subsets, every center counted by its weight: it is 1 where every subset says the
same, and about 0 where they agree by chance.

The number is the most stable one, and of those within ``TOLERANCE`` of it the greatest, since distinct populations in
clear groups are as stable by group as one by one; only numbers that part at least half of the variance of the centers
count, or the first k, that part one far and small population from all others, would often win. The number is 1 where
none reaches ``least_stability``.

Weights do not enter the linkage: there, large populations would be cut up before small ones are told apart.

References
----------
Monti S, Tamayo P, Mesirov J, Golub T. Consensus clustering. Mach Learn 52:91-118 (2003).
Van Gassen S et al. FlowSOM: using self-organizing maps for visualization and interpretation of cytometry data.
Cytometry A 87:636-645 (2015): clustering of the centers of a quantization.
Senbabaoglu Y, Michailidis G, Li JZ. Critical limitations of consensus clustering in class discovery. Sci Rep 4:6207
(2014): proportion of ambiguous clustering.
Hubert L, Arabie P. Comparing partitions. J Classif 2:193-218 (1985).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.cluster.hierarchy import cut_tree, linkage
from scipy.spatial.distance import squareform

from triptych.analysis.agreement import adjusted_rand_index

Array = np.ndarray[Any, Any]
Floats = np.ndarray[Any, np.dtype[np.float64]]

SUBSET = 0.9
ABSENT = -1
TOLERANCE = 0.001
LEAST_PARTED = 0.5
AMBIGUOUS = (0.1, 0.9)
CENTERS_PER_POPULATION = 4


@dataclass(frozen=True)
class Consensus:
    """A partition of centers into populations.

    Attributes
    ----------
    labels : (K,) int32, 0 ... P-1, in order of decreasing weight.
    matrix : (K, K) float64, consensus of every pair at the chosen number; 1 on the diagonal.
    center : (K,) float64, mean consensus of a center with the others of its population; of one that is alone, 1 less
        its greatest consensus with any other.
    population : (P,) float64, mean of ``center`` by weight.
    tried, stability, ambiguous, parted : (t,), numbers that were tried, their stability, share of pairs of ambiguous
        consensus (between 0.1 and 0.9), and share of the variance of the centers that lies between populations.
    """

    labels: Array
    matrix: Floats
    center: Floats
    population: Floats
    tried: Array
    stability: Floats
    ambiguous: Floats
    parted: Floats

    @property
    def number(self) -> int:
        """Number of populations."""
        return len(self.population)


def numbers_to_try(n_centers: int, max_populations: int, n_populations: int = 0) -> list[int]:
    """2, 3, ... up to ``max_populations`` and to one for four centers; only ``n_populations`` where that is not 0."""
    if n_populations:
        return [n_populations] if 1 < n_populations <= n_centers else []
    return list(range(2, min(max_populations, n_centers // CENTERS_PER_POPULATION) + 1))


def partition(points: Floats, numbers: Sequence[int], seed: int, index: int) -> Array:
    """Labels of one subset of the centers for every number of populations.

    Parameters
    ----------
    points : (K, d) float64, features in comparable units.
    numbers : of populations, rising.
    seed, index : of the study, and of the subset; together the key of the generator (Philox).

    Returns
    -------
    labels : (t, K) int32; -1 for centers that are not in the subset.
    """
    n = len(points)
    size = max(2, round(SUBSET * n))
    rng = np.random.Generator(np.random.Philox(key=np.array([seed, index], np.uint64)))
    chosen = np.sort(rng.permutation(n)[:size])
    labels = np.full((len(numbers), n), ABSENT, np.int32)
    tree = linkage(points[chosen], "average")
    labels[:, chosen] = cut_tree(tree, np.minimum(numbers, size)).T
    return labels


def agree(
    partitions: Sequence[Array],
    points: Floats,
    weights: Floats,
    numbers: Sequence[int],
    least_stability: float = 0.0,
) -> Consensus:
    """The consensus of partitions of subsets, for the number of populations that recurs best.

    Parameters
    ----------
    partitions : results of ``partition`` in the order of their index.
    points : (K, d), as they were clustered.
    weights : (K,) float64 > 0, share of every center; sums to 1.
    numbers : as given to ``partition``; where there is one, it is taken.
    least_stability : that the number must reach, where several were tried.
    """
    stacked = np.stack(partitions) if numbers else np.empty((0, 0, len(points)), np.int32)
    tried = [_consensus(stacked[:, t], points, weights, int(k)) for t, k in enumerate(numbers)]
    measured = [np.array([one[m] for one in tried], np.float64) for m in ("stability", "ambiguous", "parted")]
    chosen = _choose(measured[0], measured[2], least_stability if len(numbers) > 1 else -1.0)
    if chosen is None:
        whole = np.ones((len(points), len(points)))
        labels, matrix = np.zeros(len(points), np.int32), whole
    else:
        labels, matrix = tried[chosen]["labels"], tried[chosen]["matrix"]
    labels = _by_weight(labels, weights)
    center = _center_consensus(labels, matrix)
    mass = np.bincount(labels, weights=weights)
    population = np.bincount(labels, weights=weights * center) / mass
    return Consensus(labels, matrix, center, population, np.array(numbers, np.int64), *measured)


def find(
    points: Floats,
    weights: Floats,
    *,
    n_populations: int = 0,
    max_populations: int = 40,
    resamples: int = 100,
    least_stability: float = 0.85,
    seed: int = 0,
) -> Consensus:
    """Populations of weighted centers, in memory; the same as the parts one after the other.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> centers = np.repeat([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0]], 8, axis=0) + rng.normal(size=(24, 2))
    >>> find(centers, np.full(24, 1 / 24)).number
    3
    """
    numbers = numbers_to_try(len(points), max_populations, n_populations)
    parts = [partition(points, numbers, seed, i) for i in range(resamples)] if numbers else []
    return agree(parts, points, weights, numbers, least_stability)


def _consensus(labels: Array, points: Floats, weights: Floats, number: int) -> dict[str, Any]:
    """Consensus, final partition and their measures for one number; ``labels`` (B, K)."""
    n = len(points)
    together, both = np.zeros((n, n)), np.zeros((n, n))
    for one in labels:
        inside = np.flatnonzero(one != ABSENT)
        both[np.ix_(inside, inside)] += 1
        together[np.ix_(inside, inside)] += one[inside, None] == one[inside]
    matrix = np.divide(together, both, out=np.zeros((n, n)), where=both > 0)
    np.fill_diagonal(matrix, 1.0)
    final = cut_tree(linkage(squareform(1 - matrix, checks=False), "average"), number)[:, 0].astype(np.int32)
    agreement = [_recurs(one, final, weights) for one in labels]
    pairs = matrix[np.triu_indices(n, 1)]
    return {
        "labels": final,
        "matrix": matrix,
        "stability": float(np.mean(agreement)),
        "ambiguous": float(np.mean((pairs > AMBIGUOUS[0]) & (pairs < AMBIGUOUS[1]))),
        "parted": _parted(points, weights, final),
    }


def _recurs(one: Array, final: Array, weights: Floats) -> float:
    inside = one != ABSENT
    table = np.zeros((int(one.max()) + 1, int(final.max()) + 1))
    np.add.at(table, (one[inside], final[inside]), weights[inside])
    return adjusted_rand_index(table, shares=True)


def _parted(points: Floats, weights: Floats, labels: Array) -> float:
    """Share of the weighted variance of the centers that lies between populations."""
    mean = weights @ points
    whole = float(weights @ ((points - mean) ** 2).sum(axis=1))
    mass = np.bincount(labels, weights=weights)
    means = np.stack([np.bincount(labels, weights=weights * x) for x in points.T], axis=1) / mass[:, None]
    between = float(mass @ ((means - mean) ** 2).sum(axis=1))
    return between / whole if whole > 0 else 0.0


def _choose(stability: Floats, parted: Floats, least_stability: float) -> int | None:
    """Place of the number to take; None for one population."""
    if not len(stability):
        return None
    if len(stability) == 1:
        return 0
    able = parted >= LEAST_PARTED
    if not able.any() or stability[able].max() < least_stability:
        return None
    return int(np.flatnonzero(able & (stability >= stability[able].max() - TOLERANCE))[-1])


def _by_weight(labels: Array, weights: Floats) -> Array:
    """The same partition, numbered in order of decreasing weight; equal weights by their first center."""
    _, first, labels = np.unique(labels, return_index=True, return_inverse=True)
    mass = np.bincount(labels, weights=weights)
    order = np.lexsort((first, -mass))
    rank = np.empty(len(order), np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    return rank[labels]


def _center_consensus(labels: Array, matrix: Floats) -> Floats:
    same = (labels[:, None] == labels) & ~np.eye(len(labels), dtype=bool)
    count = same.sum(axis=1)
    inside = (matrix * same).sum(axis=1) / np.maximum(count, 1)
    others = np.where(np.eye(len(labels), dtype=bool), 0.0, matrix).max(axis=1, initial=0.0)
    return np.where(count > 0, inside, 1.0 - others)
