"""The whole analysis of one kind of things: scaling, correlation, components, clusters, group differences.

``analyze`` is what the step ``analyze_features`` runs, on arrays in memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from triptych.analysis import clustering, correlation, discrimination, reduction, scaling
from triptych.analysis.clustering import Choice, Clusters
from triptych.analysis.correlation import Correlation
from triptych.analysis.discrimination import Differences
from triptych.analysis.reduction import Components

Array = np.ndarray[Any, Any]
Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Analysis:
    """What ``analyze`` finds. Rows are those that were given, features those that vary.

    Attributes
    ----------
    features : names of the features that were analysed.
    excluded : other features -> the reason.
    scaled : (n, d) float64, less the center, divided by the scale; NaN where a value is missing.
    correlation : of every pair of features.
    order : (d,) order of the features in a clustered heat map, category by category.
    used : names of the features that entered components and clusters (few missing values).
    components : of the used features; None where there are fewer than two rows or no feature.
    clusters : of the component scores; None with ``components``.
    cluster_ranking : (k, d) Cliff's delta of every feature, a cluster against all other rows.
    samples, medians : sample names, and (N, d) their medians in scaled units.
    shares : (N, k) share of each sample in each cluster.
    differences : of the groups of samples; None without two groups.
    share_differences : the same for the shares of the clusters.
    notes : what was left out or could not be done, as sentences.
    """

    features: list[str]
    excluded: dict[str, str]
    scaled: Floats
    correlation: Correlation
    order: Array
    used: list[str]
    components: Components | None
    clusters: Clusters | None
    cluster_ranking: Floats
    samples: list[str]
    medians: Floats
    shares: Floats
    differences: Differences | None
    share_differences: Differences | None
    notes: list[str] = field(default_factory=list)


def analyze(
    table: Mapping[str, Array],
    *,
    samples: Sequence[str] | Array | None = None,
    groups: Mapping[str, str] | None = None,
    weights: Floats | None = None,
    categories: Mapping[str, str] | None = None,
    center: Mapping[str, float] | None = None,
    scale: Mapping[str, float] | None = None,
    n_components: int = 10,
    clip: float = 10.0,
    max_missing: float = 0.2,
    choice: Choice | None = None,
    seed: int = 0,
) -> Analysis:
    """Analyse a table of described things.

    Parameters
    ----------
    table : feature name -> (n,) numbers; missing values are NaN.
    samples : (n,) name of the sample of each row; None for one sample.
    groups : sample -> group, to compare groups of samples.
    weights : (n,) > 0, or None for rows of equal weight.
    categories : feature -> category, by which the heat map is ordered.
    center, scale : feature -> center and scale of the cohort; computed from the table where None, every sample
        weighing the same. A scale that is 0 or NaN excludes the feature.
    n_components : of the principal components.
    clip : scaled values beyond +-clip enter components and clusters as +-clip; how many is noted.
    max_missing : features with a greater share of missing values stay out of components and clusters.
    choice : how the number of clusters is chosen.
    seed : of every draw.

    Raises
    ------
    ValueError : columns differ in length, or weights are not positive.
    """
    names = list(table)
    matrix = np.column_stack([np.asarray(table[n], np.float64) for n in names]) if names else np.empty((0, 0))
    matrix[~np.isfinite(matrix)] = np.nan
    of_sample = np.asarray(["sample"] * len(matrix) if samples is None else samples, dtype=np.str_)
    if len(of_sample) != len(matrix):
        raise ValueError(f"{len(of_sample)} sample names for {len(matrix)} rows")
    if weights is not None and (len(weights) != len(matrix) or not (np.asarray(weights) > 0).all()):
        raise ValueError("weights must be positive, one for each row")
    with threadpool_limits(limits=1):
        centers, scales = _center_and_scale(matrix, names, of_sample, center, scale)
        kept, excluded = _features_that_vary(matrix, names, scales)
        notes = [f"{name} is left out: {reason}." for name, reason in excluded.items()]
        scaled = scaling.standardize(matrix[:, kept], centers[kept], scales[kept])
        features = [names[j] for j in kept]
        related = correlation.spearman(scaled, weights)
        order = correlation.clustered_order(related.rho, [(categories or {}).get(n, "") for n in features])
        used, rows = _complete_rows(scaled, clip, max_missing, features, notes)
        components, clusters = _reduce(rows, weights, n_components, choice, seed, notes)
        labels = clusters.labels if clusters else np.zeros(len(scaled), np.int32)
        ranking = np.empty((0, len(features)))
        if clusters and clusters.number > 1:
            ranking = discrimination.rank_clusters(scaled, labels, weights)
        number = clusters.number if clusters else 0
        by_sample, medians = discrimination.sample_medians(scaled, of_sample, weights)
        shares = np.empty((len(by_sample), 0))
        if number:
            shares = discrimination.cluster_shares(labels, number, of_sample, weights)[1]
        differences, share_differences = _compare(by_sample, medians, shares, groups or {}, notes)
    return Analysis(
        features, excluded, scaled, related, order, used, components, clusters, ranking, by_sample, medians, shares,
        differences, share_differences, notes,
    )  # fmt: skip


def _center_and_scale(
    matrix: Floats,
    names: list[str],
    samples: Array,
    center: Mapping[str, float] | None,
    scale: Mapping[str, float] | None,
) -> tuple[Floats, Floats]:
    if center is not None and scale is not None:
        return np.array([center[n] for n in names], float), np.array([scale[n] for n in names], float)
    if not len(matrix):
        return np.zeros(len(names)), np.full(len(names), np.nan)
    found = scaling.scale([matrix[samples == name] for name in sorted(set(samples.tolist()))])
    return found.center, found.scale


def _features_that_vary(matrix: Floats, names: list[str], scales: Floats) -> tuple[list[int], dict[str, str]]:
    kept, excluded = [], {}
    for j, name in enumerate(names):
        values = matrix[:, j][np.isfinite(matrix[:, j])]
        if not len(values):
            excluded[name] = "it has no finite value"
        elif values.min() == values.max():
            excluded[name] = "it is constant"
        elif not (np.isfinite(scales[j]) and scales[j] > 0):
            excluded[name] = "its interquartile range over the cohort is 0"
        else:
            kept.append(j)
    return kept, excluded


def _complete_rows(
    scaled: Floats, clip: float, max_missing: float, features: list[str], notes: list[str]
) -> tuple[list[str], Floats]:
    """Rows without gaps: sparse features out, missing values at the cohort median, extremes at +-clip."""
    missing = ~np.isfinite(scaled)
    sparse = missing.mean(axis=0) > max_missing if len(scaled) else np.zeros(scaled.shape[1], bool)
    for name in (f for f, out in zip(features, sparse, strict=True) if out):
        notes.append(
            f"{name} is missing in more than {max_missing:.0%} of the rows and stays out of components and clusters."
        )
    rows = np.where(missing, 0.0, scaled)[:, ~sparse]
    if filled := int(missing[:, ~sparse].sum()):
        notes.append(f"{filled} missing values stand at the cohort median in components and clusters.")
    if beyond := int((np.abs(rows) > clip).sum()):
        share = beyond / rows.size
        notes.append(
            f"{beyond} values ({share:.2%}) beyond ±{clip:g} scales count as ±{clip:g} in components and clusters."
        )
    return [f for f, out in zip(features, sparse, strict=True) if not out], np.clip(rows, -clip, clip)


def _reduce(
    rows: Floats,
    weights: Floats | None,
    n_components: int,
    choice: Choice | None,
    seed: int,
    notes: list[str],
) -> tuple[Components | None, Clusters | None]:
    if len(rows) < 2 or not rows.shape[1]:
        few = "fewer than two rows" if len(rows) < 2 else "no feature that varies"
        notes.append(f"No components and no clusters: {few}.")
        return None, None
    components = reduction.principal_components(rows, n_components, weights)
    clusters = clustering.cluster(components.scores, weights, choice=choice, seed=seed)
    if clusters.number == 1:
        reason = "there are too few rows to look for clusters"
        if len(clusters.tried):
            reason = "no partition is both stable and better separated than normal rows would be"
        notes.append(f"One cluster: {reason}.")
    return components, clusters


def _compare(
    samples: list[str], medians: Floats, shares: Floats, groups: Mapping[str, str], notes: list[str]
) -> tuple[Differences | None, Differences | None]:
    grouped = [i for i, name in enumerate(samples) if groups.get(name)]
    outside = [name for i, name in enumerate(samples) if i not in grouped]
    if grouped and outside:
        notes.append(f"Without a group, so not compared: {', '.join(outside)}.")
    names = [groups[samples[i]] for i in grouped]
    if len(set(names)) < 2 or not medians.shape[1]:
        notes.append("Groups are not compared: the samples are not of two groups or more.")
        return None, None
    found = discrimination.compare_groups(medians[grouped], names)
    sizes = ", ".join(f"{name}: {n}" for name, n in found.groups.items())
    if found.least_p >= 1:
        notes.append(f"Groups are not compared: so few samples ({sizes}) allow no test.")
        return None, None
    notes.append(
        f"Groups are compared over samples ({sizes}); the smallest p-value these sizes allow is {found.least_p:.3g}."
    )
    if 1 in found.groups.values():
        notes.append("A group with one sample says nothing about the spread within that group.")
    by_share = discrimination.compare_groups(shares[grouped], names) if shares.shape[1] > 1 else None
    return found, by_share
