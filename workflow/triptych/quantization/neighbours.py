"""Do samples of one group lie beside each other: the nearest sample of another subject, and exact binomial intervals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta


@dataclass(frozen=True)
class NeighbourScore:
    """How often the nearest sample of another subject is of the same group.

    Attributes
    ----------
    accuracy : share of units that are right. A unit is a subject within a group; it is right where more than half of its
        samples are.
    interval : exact 95 % binomial interval of the accuracy over units.
    majority : share of units of the largest group.
    nearest : (N,) index of the nearest sample of another subject, -1 where there is none.
    correct : per sample.
    units, right : number of units and of those that are right.
    alone : groups of one subject, which no neighbour can ever name.
    """

    accuracy: float
    interval: tuple[float, float]
    majority: float
    nearest: tuple[int, ...]
    correct: tuple[bool, ...]
    units: int
    right: int
    alone: tuple[str, ...]


def nearest_of_others(distances: NDArray[np.float64], subjects: Sequence[str]) -> NDArray[np.int64]:
    """(N,) index of the nearest sample of another subject, ties to the first; -1 where there is no other subject."""
    same = np.array(subjects)[:, None] == np.array(subjects)[None]
    others = np.where(same, np.inf, distances)
    return np.where(same.all(axis=1), -1, others.argmin(axis=1)).astype(np.int64)


def leave_one_out(
    distances: NDArray[np.float64], groups: Sequence[str], subjects: Sequence[str] | None = None
) -> NeighbourScore:
    """Predict the group of every sample from the nearest sample of another subject.

    Parameters
    ----------
    distances : (N, N), N > 1.
    groups : (N,) names.
    subjects : (N,) names; every sample is its own subject where None.
    """
    subjects = [str(i) for i in range(len(groups))] if subjects is None else subjects
    nearest = nearest_of_others(distances, subjects)
    correct = np.array([j >= 0 and groups[int(j)] == group for j, group in zip(nearest, groups, strict=True)])
    units = units_right(correct, groups, subjects)
    counts = Counter(group for _, group in units)
    right = sum(units.values())
    return NeighbourScore(
        accuracy=right / len(units),
        interval=binomial_interval(right, len(units)),
        majority=max(counts.values()) / len(units),
        nearest=tuple(nearest.tolist()),
        correct=tuple(correct.tolist()),
        units=len(units),
        right=right,
        alone=tuple(sorted(group for group, count in counts.items() if count == 1)),
    )


def units_right(
    correct: NDArray[np.bool_], groups: Sequence[str], subjects: Sequence[str]
) -> dict[tuple[str, str], bool]:
    """For every (subject, group): whether more than half of its samples are right; in the order of first appearance."""
    votes: dict[tuple[str, str], list[bool]] = {}
    for good, group, subject in zip(correct.tolist(), groups, subjects, strict=True):
        votes.setdefault((subject, group), []).append(good)
    return {unit: 2 * sum(found) > len(found) for unit, found in votes.items()}


def binomial_interval(right: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Exact interval of a share.

    References
    ----------
    Clopper, Pearson, The use of confidence or fiducial limits illustrated in the case of the binomial, Biometrika 26 (1934).
    """
    tail = (1 - confidence) / 2
    low = float(beta.ppf(tail, right, trials - right + 1)) if right else 0.0
    high = float(beta.ppf(1 - tail, right + 1, trials - right)) if right < trials else 1.0
    return low, high
