"""Shares of populations in samples, and how they differ between groups.

Shares of a sample sum to 1, so that one population that grows lowers all others. Beside the shares themselves their log
ratios are compared: of each sample, log2 of its shares over the cohort's geometric means, less the median of these
ratios, so that a few populations among many that change hardly move the others. Counts are raised by half an event,
which keeps zeros finite.

References
----------
Wilson EB. Probable inference, the law of succession, and statistical inference. J Am Stat Assoc 22:209-212 (1927).
Aitchison J. The statistical analysis of compositional data. J R Stat Soc B 44:139-177 (1982): log ratios.
Love MI, Huber W, Anders S. Moderated estimation of fold change and dispersion for RNA-seq data with DESeq2. Genome Biol
15:550 (2014): the median of ratios as centre.
Newcombe RG. Confidence intervals for an effect size measure based on the Mann-Whitney statistic. Part 2. Stat Med
25:559-573 (2006): method 5.
Welch BL. The generalization of Student's problem. Biometrika 34:28-35 (1947).
Alexander RA, Govern DM. A new and simpler approximation for ANOVA under variance heterogeneity. J Educ Stat 19:91-101
(1994).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats
from scipy.optimize import brentq

from triptych.analysis.correlation import benjamini_hochberg
from triptych.analysis.discrimination import Differences, compare_groups

Array = np.ndarray[Any, Any]
Floats = np.ndarray[Any, np.dtype[np.float64]]

NORMAL_95 = 1.959963984540054
HALF_EVENT = 0.5
LEAST_WELCH = 3
"""Subjects of a group: of two beside eight, p below 0.005 comes four times as often as it should."""


@dataclass(frozen=True)
class ShareTests:
    """Differences of P populations between groups of subjects.

    Attributes
    ----------
    ranks : of shares: rank test, its rate over populations, Cliff's delta of the pair of groups that differ most.
    low, high : (P,) 95 % interval of Cliff's delta.
    fold : (P,) mean share in the second group of that pair over that in the first; NaN where the first is 0.
    log_ratio : (P,) difference of the mean log2 ratios of that pair, second less first.
    rank_ratios : rank test of the log ratios.
    welch_p, welch_q : (P,) of the log ratios: Welch's t (more than two groups: Alexander and Govern), and the rate over
        populations; NaN where a group has fewer than three subjects.
    """

    ranks: Differences
    low: Floats
    high: Floats
    fold: Floats
    log_ratio: Floats
    rank_ratios: Differences
    welch_p: Floats
    welch_q: Floats


def wilson(count: Floats, total: Floats) -> tuple[Floats, Floats]:
    """95 % interval of a share, from ``count`` of ``total`` independent events."""
    share, z = count / total, NORMAL_95
    middle = (share + z**2 / (2 * total)) / (1 + z**2 / total)
    half = z / (1 + z**2 / total) * np.sqrt(share * (1 - share) / total + z**2 / (4 * total**2))
    # Exact at the ends, where rounding would put a share outside of its own interval.
    return np.where(count <= 0, 0.0, middle - half), np.where(count >= total, 1.0, middle + half)


def log_ratios(shares: Floats, events: Array) -> Floats:
    """(N, P) log2 of shares over the geometric mean of each population, less the median over populations."""
    total = np.asarray(events, np.float64)[:, None]
    raised = np.log2((shares * total + HALF_EVENT) / (total + HALF_EVENT * shares.shape[1]))
    ratios = raised - raised.mean(axis=0)
    found: Floats = ratios - np.median(ratios, axis=1, keepdims=True)
    return found


def delta_interval(delta: float, n_first: int, n_second: int) -> tuple[float, float]:
    """95 % interval of Cliff's delta of two groups of these sizes, also where it is -1 or 1 (Newcombe's method 5)."""
    area = (delta + 1) / 2
    other = (n_first + n_second) / 2 - 1

    def excess(theta: float) -> float:
        spread = 1 + other * (1 - theta) / (2 - theta) + other * theta / (1 + theta)
        return abs(area - theta) - NORMAL_95 * np.sqrt(theta * (1 - theta) * spread / (n_first * n_second))

    # A step aside of the estimate, because at 0 and 1 it is itself a root that says nothing.
    low = float(brentq(excess, 0.0, area * (1 - 1e-9))) if area > 0 else 0.0
    high = float(brentq(excess, area + (1 - area) * 1e-9, 1.0)) if area < 1 else 1.0
    return 2 * low - 1, 2 * high - 1


def compare_shares(shares: Floats, ratios: Floats, groups: Sequence[str]) -> ShareTests:
    """Test every population for a difference between groups.

    Parameters
    ----------
    shares : (N, P), one row per subject.
    ratios : (N, P), result of ``log_ratios``.
    groups : (N,) at least two groups.

    Raises
    ------
    ValueError : fewer than two groups.
    """
    ranks, rank_ratios = compare_groups(shares, groups), compare_groups(ratios, groups)
    group = np.array(groups, np.str_)
    number = shares.shape[1]
    low, high, fold, difference, p = (np.full(number, np.nan) for _ in range(5))
    for k in range(number):
        first, second = group == str(ranks.first[k]), group == str(ranks.second[k])
        low[k], high[k] = delta_interval(float(ranks.delta[k]), int(first.sum()), int(second.sum()))
        if shares[first, k].mean() > 0:
            fold[k] = shares[second, k].mean() / shares[first, k].mean()
        difference[k] = ratios[second, k].mean() - ratios[first, k].mean()
        p[k] = _welch([ratios[group == name, k] for name in sorted(set(groups))])
    return ShareTests(ranks, low, high, fold, difference, rank_ratios, p, benjamini_hochberg(p))


def _welch(samples: Sequence[Floats]) -> float:
    """p-value for unequal means under unequal variances; NaN where it is not defined."""
    if min(len(one) for one in samples) < LEAST_WELCH:
        return float("nan")
    if any(np.ptp(one) <= 1e-12 * max(1.0, float(np.abs(one).max())) for one in samples):
        return float("nan")
    if len(samples) == 2:
        return float(stats.ttest_ind(*samples, equal_var=False).pvalue)
    return float(stats.alexandergovern(*samples).pvalue)


def by_subject(values: Floats, subjects: Sequence[str], groups: Sequence[str]) -> tuple[Floats, list[str]]:
    """Mean over the samples of one subject within one group; rows in order of (subject, group), and their groups."""
    pairs = list(zip(subjects, groups, strict=True))
    distinct = sorted(set(pairs))
    rows = [
        np.mean([v for v, pair in zip(values, pairs, strict=True) if pair == one], axis=0) for one in distinct
    ]
    return np.array(rows), [group for _, group in distinct]
