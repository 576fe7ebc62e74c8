"""Do samples of one group lie beside each other: leave-one-out nearest neighbour on a matrix of distances."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class NeighbourScore:
    """``accuracy`` of the nearest neighbour, of always saying the ``majority`` of the others, ``alone``: groups of one."""

    accuracy: float
    majority: float
    correct: tuple[bool, ...]
    alone: tuple[str, ...]


def leave_one_out(distances: NDArray[np.float64], groups: Sequence[str]) -> NeighbourScore:
    """Predict the group of every sample from the nearest other one, ties to the first.

    Parameters
    ----------
    distances : (N, N), N > 1.
    groups : (N,) names. The baseline predicts the largest group among all samples.
    """
    others = distances.copy()
    np.fill_diagonal(others, np.inf)
    nearest = others.argmin(axis=1)
    correct = tuple(groups[int(j)] == group for j, group in zip(nearest, groups, strict=True))
    counts = Counter(groups)
    alone = tuple(sorted(group for group, count in counts.items() if count == 1))
    return NeighbourScore(sum(correct) / len(groups), max(counts.values()) / len(groups), correct, alone)
