"""Clusters of rows by k-means; their number from stability and from nulls without clusters.

For each number k of clusters, from the greatest down, on a stated subsample of the rows:

- stability: partitions by centers that were fitted to bootstrap samples are compared with that of the subsample; a
  cluster recurs as well as its best match does on average (Jaccard index), and the least of the clusters counts;
- margin: each cluster and its nearest one are looked at alone. Their mean simplified silhouette (distances to
  centers instead of to rows) is compared with that of two-means on null samples: normal rows with the mean and
  covariance of both together. One long cluster that k-means cut in two is no better separated than its null. All
  rows are compared with k-means on null samples in the same way. The margin is the least, over these pairs and the
  whole, of the silhouette less the greatest one of the null samples.

The number is the first k whose stability is at least 0.75 and whose margin is above 0; 1 where there is none.

References
----------
Rousseeuw PJ. Silhouettes. J Comput Appl Math 20:53-65 (1987).
Hruschka ER, de Castro LN, Campello RJGB. Evolutionary algorithms for clustering gene-expression data. ICDM 403-406
(2004): simplified silhouette.
Hennig C. Cluster-wise assessment of cluster stability. Comput Stat Data Anal 52:258-271 (2007).
Liu Y, Hayes DN, Nobel A, Marron JS. Statistical significance of clustering for high-dimension, low-sample size
data. J Am Stat Assoc 103:1281-1293 (2008).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_score
from sklearn.metrics.cluster import contingency_matrix
from threadpoolctl import threadpool_limits

Array = np.ndarray[Any, Any]
Floats = np.ndarray[Any, np.dtype[np.float64]]

STARTS = 5
ROWS_PER_CLUSTER = 5


@dataclass(frozen=True)
class Clusters:
    """A partition of all rows.

    Attributes
    ----------
    labels : (n,) int32, 0 ... k-1, in order of decreasing weight.
    centers : (k, m) float64.
    tried : (t,) int64, the numbers of clusters that were tried.
    silhouette, stability : (t,) float64.
    margin : (t,) float64, NaN where it did not have to be known.
    rows : number of rows of the subsample on which k was chosen.
    """

    labels: Array
    centers: Floats
    tried: Array
    silhouette: Floats
    stability: Floats
    margin: Floats
    rows: int

    @property
    def number(self) -> int:
        """Number of clusters."""
        return len(self.centers)


@dataclass(frozen=True)
class Choice:
    """How the number of clusters is chosen.

    Attributes
    ----------
    max_clusters : greatest k that is tried.
    rows : size of the subsample on which k is chosen.
    fit_rows : size of the subsample to which the final centers are fitted; all rows are then assigned.
    bootstraps : number of bootstrap samples.
    nulls : number of null samples of each pair of clusters.
    least_stability : mean Jaccard index that every cluster must reach.
    """

    max_clusters: int = 10
    rows: int = 2000
    fit_rows: int = 50_000
    bootstraps: int = 20
    nulls: int = 39
    least_stability: float = 0.75


def cluster(
    rows: Floats, weights: Floats | None = None, *, choice: Choice | None = None, seed: int = 0
) -> Clusters:
    """Partition rows into a number of clusters that the rows themselves support, possibly one.

    Parameters
    ----------
    rows : (n, m) float64, finite, in comparable units (for example principal component scores).
    weights : (n,) float64 > 0, or None. Subsamples draw rows with these probabilities, with replacement.
    choice : how the number is chosen.
    seed : of every draw.
    """
    choice = choice or Choice()
    rng = np.random.Generator(np.random.PCG64(seed))
    # The threads of k-means sum in the order in which they finish; one thread makes equal bytes.
    with threadpool_limits(limits=1):
        sample = _draw(rows, weights, choice.rows, rng)
        distinct = len(np.unique(sample, axis=0))
        most = min(choice.max_clusters, len(sample) // ROWS_PER_CLUSTER, distinct - 1)
        tried = np.arange(2, most + 1)
        if not len(tried):
            none = np.zeros(0)
            mean = np.average(rows, axis=0, weights=weights, keepdims=True)
            return Clusters(np.zeros(len(rows), np.int32), mean, tried, none, none, none, len(sample))
        silhouette, fits = _separation(sample, tried, rng)
        stability = _stability(sample, fits, choice.bootstraps, rng)
        number, margin = 1, np.full(len(tried), np.nan)
        for place in np.flatnonzero(stability >= choice.least_stability)[::-1]:
            margin[place] = _margin(sample, fits[place], choice.nulls, rng)
            if margin[place] > 0:
                number = int(tried[place])
                break
        labels, centers = _assign(rows, weights, number, choice.fit_rows, rng)
    return Clusters(labels, centers, tried, silhouette, stability, margin, len(sample))


def _draw(rows: Floats, weights: Floats | None, most: int, rng: np.random.Generator) -> Floats:
    if weights is not None:
        return rows[np.sort(rng.choice(len(rows), most, replace=True, p=weights / weights.sum()))]
    if len(rows) <= most:
        return rows
    return rows[np.sort(rng.choice(len(rows), most, replace=False))]


def _fit(rows: Floats, number: int, rng: np.random.Generator, starts: int = STARTS) -> KMeans:
    return KMeans(number, n_init=starts, random_state=int(rng.integers(2**31))).fit(rows)


def _separation(sample: Floats, tried: Array, rng: np.random.Generator) -> tuple[Floats, list[KMeans]]:
    fits = [_fit(sample, int(k), rng) for k in tried]
    return np.array([_silhouette(sample, fit.labels_) for fit in fits]), fits


def _silhouette(rows: Floats, labels: Array) -> float:
    """Mean silhouette; -1 where it is not defined (one cluster, or one row in each)."""
    return float(silhouette_score(rows, labels)) if 1 < len(np.unique(labels)) < len(rows) else -1.0


def _stability(sample: Floats, fits: list[KMeans], bootstraps: int, rng: np.random.Generator) -> Floats:
    least = []
    for fit in fits:
        found = np.zeros((bootstraps, fit.n_clusters))
        for b in range(bootstraps):
            again = sample[rng.integers(0, len(sample), len(sample))]
            if len(np.unique(again, axis=0)) >= fit.n_clusters:
                other = _fit(again, fit.n_clusters, rng, starts=2).predict(sample)
                found[b] = _best_jaccard(fit.labels_, other)
        least.append(found.mean(axis=0).min())
    return np.array(least)


def _best_jaccard(labels: Array, other: Array) -> Floats:
    """For each cluster of ``labels``, the Jaccard index with the cluster of ``other`` that fits it best."""
    both = contingency_matrix(labels, other).astype(np.float64)
    either = both.sum(axis=1, keepdims=True) + both.sum(axis=0) - both
    best: Floats = (both / either).max(axis=1)
    return best


def _margin(sample: Floats, fit: KMeans, nulls: int, rng: np.random.Generator) -> float:
    """Least silhouette of the whole, and of each cluster with its nearest one, less the greatest of their nulls."""
    distance = np.linalg.norm(fit.cluster_centers_[:, None] - fit.cluster_centers_, axis=2)
    np.fill_diagonal(distance, np.inf)
    pairs = {tuple(sorted((k, int(distance[k].argmin())))) for k in range(fit.n_clusters)}
    ordered = [list(pair) for pair in sorted(pairs, key=lambda pair: (float(distance[pair]), pair))]
    least = np.inf
    for group in [*ordered, list(range(fit.n_clusters))]:
        inside = np.isin(fit.labels_, group)
        rows = sample[inside]
        observed = _simplified_silhouette(rows, fit.cluster_centers_[group])
        least = min(least, observed - _greatest_null(rows, len(group), nulls, rng, observed))
        if least <= 0:
            break
    return float(least)


def _simplified_silhouette(rows: Floats, centers: Floats) -> float:
    """Mean of (b - a) / b, where a and b are the distances to the nearest center and to the next."""
    distance = np.sort(np.linalg.norm(rows[:, None] - centers, axis=2), axis=1)
    nearest, next_one = distance[:, 0], distance[:, 1]
    return float(np.mean((next_one - nearest) / np.maximum(next_one, 1e-300)))


def _greatest_null(rows: Floats, number: int, nulls: int, rng: np.random.Generator, observed: float) -> float:
    """Greatest simplified silhouette of the null samples; the search ends at the first that reaches ``observed``."""
    mean, covariance = rows.mean(axis=0), np.atleast_2d(np.cov(rows, rowvar=False))
    variance, axes = np.linalg.eigh(covariance)
    root = axes * np.sqrt(variance.clip(0))
    # A row that was drawn twice stays twice the same row, so that the null has the ties of the sample.
    distinct, which = np.unique(rows, axis=0, return_inverse=True)
    greatest = -1.0
    for _ in range(nulls if len(distinct) > number else 0):
        drawn = (mean + rng.standard_normal(distinct.shape) @ root.T)[which]
        greatest = max(
            greatest, _simplified_silhouette(drawn, _fit(drawn, number, rng, starts=2).cluster_centers_)
        )
        if greatest >= observed:
            break
    return greatest


def _assign(
    rows: Floats, weights: Floats | None, number: int, most: int, rng: np.random.Generator
) -> tuple[Array, Floats]:
    if number == 1:
        mean = np.average(rows, axis=0, weights=weights, keepdims=True)
        return np.zeros(len(rows), np.int32), mean
    place = slice(None) if len(rows) <= most else np.sort(rng.choice(len(rows), most, replace=False))
    fit = KMeans(number, n_init=2 * STARTS, random_state=int(rng.integers(2**31)))
    fit.fit(rows[place], sample_weight=None if weights is None else weights[place])
    labels = fit.predict(rows)
    mass = np.bincount(labels, weights=weights, minlength=number)
    order = np.argsort(-mass, kind="stable")
    rank = np.empty(number, np.int32)
    rank[order] = np.arange(number, dtype=np.int32)
    return rank[labels], fit.cluster_centers_[order]
