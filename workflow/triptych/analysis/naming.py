"""Names of populations from their markers: ``CD3+ CD4+ CD8-``.

A marker is cut midway between two means on its line, where every center counts by the root of its weight: so a
marker of a rare population is cut too. It names populations only where the two sides stand further apart than the
halves of a normal distribution (Ashman's D, 2.65 there). A population is + or - where at least ``LEAST_SIDE`` of its
weight lies on that side, else the marker does not speak of it. Its name holds the fewest of these signs that part it
from the other populations, taken one by one: the sign that rules out the most others that are left, + before - and the
farther from the cut first.

References
----------
Wang H, Song M. Ckmeans.1d.dp: optimal k-means clustering in one dimension. R J 3:29-33 (2011): exact on a line.
Ashman KM, Bird CM, Zepf SE. Detecting bimodality in astronomical datasets. Astron J 108:2348-2361 (1994).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Floats = np.ndarray[Any, np.dtype[np.float64]]

LEAST_SEPARATION = 2.65
LEAST_SIDE = 0.75


def two_means(values: Floats, weights: Floats) -> float:
    """The cut midway between two weighted means on a line; NaN where all values are equal."""
    order = np.argsort(values, kind="stable")
    x, w = values[order], weights[order]
    mean = float(w @ x / w.sum())
    if x[0] == x[-1]:
        return float("nan")
    below = np.cumsum(w)[:-1]
    shift = np.cumsum(w * (x - mean))[:-1]
    above = w.sum() - below
    # Equal values stand on one side.
    between = np.where(np.diff(x) > 0, shift**2 * (1 / below + 1 / above), -1.0)
    place = int(np.argmax(between))
    return mean + float(shift[place] / below[place] - shift[place] / above[place]) / 2


def separation(values: Floats, weights: Floats, cut: float) -> float:
    """Ashman's D of the two sides of a cut: distance of their means over the root of their mean variance."""
    sides = []
    for side in (values <= cut, values > cut):
        if not side.any():
            return 0.0
        x, w = values[side], weights[side] / weights[side].sum()
        sides.append((float(w @ x), float(w @ (x - w @ x) ** 2)))
    (low, first), (high, second) = sides
    spread = float(np.sqrt((first + second) / 2))
    return (high - low) / spread if spread > 0 else float("inf")


def thresholds(points: Floats, weights: Floats) -> Floats:
    """(d,) cut of every feature; NaN where its sides are not apart."""
    cuts = [two_means(column, np.sqrt(weights)) for column in points.T]
    return np.array(
        [
            cut if np.isfinite(cut) and separation(column, weights, cut) > LEAST_SEPARATION else np.nan
            for column, cut in zip(points.T, cuts, strict=True)
        ]
    )


def signs(points: Floats, weights: Floats, labels: Array, cuts: Floats) -> Array:
    """(P, d) int8: 1 above the cut, -1 below, 0 where the population lies on both sides or there is no cut."""
    number = int(labels.max()) + 1
    mass = np.bincount(labels, weights=weights, minlength=number)
    above = [
        np.bincount(labels, weights=weights * (column > cut))
        for column, cut in zip(points.T, cuts, strict=True)
    ]
    share = np.stack(above, axis=1) / mass[:, None]
    found = (share >= LEAST_SIDE).astype(np.int8) - (share <= 1 - LEAST_SIDE).astype(np.int8)
    return np.where(np.isfinite(cuts), found, 0).astype(np.int8)


def names(profile: Array, distance: Floats, markers: Sequence[str]) -> list[str]:
    """A name for every population.

    Parameters
    ----------
    profile : (P, d) result of ``signs``.
    distance : (P, d) distance of each population from the cut, in standard deviations.
    markers : (d,) names.

    Returns
    -------
    names : different from each other; populations that no sign parts have their number appended.
    """
    found = []
    for p, own in enumerate(profile):
        left = np.ones(len(profile), bool)
        left[p] = False
        chosen: list[int] = []
        while left.any():
            out = ((profile == -own) & (own != 0))[left].sum(axis=0)
            if not out.max(initial=0):
                break
            best = max(range(len(own)), key=lambda j: (out[j], own[j], abs(distance[p, j]), -j))
            chosen.append(best)
            left &= profile[:, best] != -own[best]
        found.append(" ".join(f"{_marker(markers[j])}{'+' if own[j] > 0 else '-'}" for j in sorted(chosen)))
    return [
        name if name and found.count(name) == 1 else f"{name or 'population'} ({p + 1})"
        for p, name in enumerate(found)
    ]


def _marker(name: str) -> str:
    """In brackets where a sign behind it would be read as one of its last part only: two stains of one detector, CD4+CD20."""
    return f"({name})" if "+" in name or " " in name else name
