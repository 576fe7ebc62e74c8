"""How well found populations agree with given labels, from a table of counts (populations by labels).

References
----------
Hubert L, Arabie P. Comparing partitions. J Classif 2:193-218 (1985): adjusted Rand index.
Weber LM, Robinson MD. Comparison of clustering methods for high-dimensional single-cell flow and mass cytometry data.
Cytometry A 89:1084-1096 (2016): each label is matched with one population by the Hungarian method on F1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

Array = np.ndarray[Any, Any]
Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Agreement:
    """Scores of a table of counts.

    Attributes
    ----------
    purity : share of events whose label is the commonest one of their population.
    adjusted_rand_index : 1 for equal partitions, about 0 for unrelated ones.
    weighted_f1 : F1 of the population matched with each label, mean over events; a label without one counts 0.
    mean_f1 : the same, mean over labels.
    matched : (L,) int64, population of each label; -1 where it has none.
    f1 : (L,) float64.
    """

    purity: float
    adjusted_rand_index: float
    weighted_f1: float
    mean_f1: float
    matched: Array
    f1: Floats


def agreement(counts: Array) -> Agreement:
    """Compare a partition with labels.

    Parameters
    ----------
    counts : (P, L) events of each population and label. Labels without events do not count.

    Raises
    ------
    ValueError : the table holds no events.
    """
    table = np.asarray(counts, np.float64)
    total = float(table.sum())
    if total <= 0:
        raise ValueError("the table of populations and labels holds no events")
    sizes = table.sum(axis=0)
    present = np.flatnonzero(sizes > 0)
    score = 2 * table / np.maximum(table.sum(axis=1, keepdims=True) + sizes, 1e-300)
    rows, columns = linear_sum_assignment(-score[:, present])
    matched = np.full(table.shape[1], -1, np.int64)
    f1 = np.zeros(table.shape[1])
    good = score[rows, present[columns]] > 0
    matched[present[columns[good]]] = rows[good]
    f1[present[columns[good]]] = score[rows[good], present[columns[good]]]
    return Agreement(
        purity=float(table.max(axis=1).sum()) / total,
        adjusted_rand_index=adjusted_rand_index(table),
        weighted_f1=float(f1 @ sizes) / total,
        mean_f1=float(f1[present].mean()),
        matched=matched,
        f1=f1,
    )


def adjusted_rand_index(table: Array, *, shares: bool = False) -> float:
    """Adjusted Rand index of a contingency table.

    Parameters
    ----------
    table : (P, L) counts, or with ``shares`` masses of a continuum: pairs are then drawn with replacement, so that no
        count of things is needed.
    """
    counts = np.asarray(table, np.float64)
    total = float(counts.sum())

    def pairs(sizes: Array) -> float:
        return float((sizes * (sizes - (0.0 if shares else 1.0))).sum())

    both, first, second = pairs(counts), pairs(counts.sum(axis=1)), pairs(counts.sum(axis=0))
    everything = pairs(np.array([total]))
    chance = first * second / everything if everything > 0 else 0.0
    most = (first + second) / 2
    # Both put everything together, or both everything apart: they are equal.
    return 1.0 if most - chance <= 1e-12 * max(most, 1e-300) else (both - chance) / (most - chance)
