"""The measure of the last pass: weights, cell means and their error, in float64."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from triptych.quantization.lloyd import CellSums


@dataclass(frozen=True)
class Measure:
    """A weighted measure that states its distance to the cloud it stands for.

    Attributes
    ----------
    centers : (K, d) float64, means of the cells.
    weights : (K,) float64, all positive, sum 1.
    spread : (K, d) float64, variance of the events of a cell about its mean, feature by feature.
    epsilon : upper bound of W2 between cloud and measure: root of the within-cell inertia per event.
    """

    centers: NDArray[np.float64]
    weights: NDArray[np.float64]
    spread: NDArray[np.float64]
    epsilon: float

    @property
    def distortion(self) -> NDArray[np.float64]:
        """(K,) mean squared distance of the events of a cell to its mean."""
        return np.asarray(self.spread.sum(axis=1))


def finish(sums: CellSums, centers: NDArray[np.float64]) -> Measure:
    """The measure of the cells of this very pass; empty cells are left out.

    Notes
    -----
    With m the mean and c the center used for the assignment, ``sum |x-m|^2 = sum |x-c|^2 - n |m-c|^2``: the difference of
    two numbers of which the second is small, so nothing cancels. Moving every event to the mean of its cell is a transport
    plan of cost epsilon^2, hence ``W2(cloud, measure) <= epsilon``, with equality where the cells are those nearest to
    their own means.

    References
    ----------
    Graf, Luschgy, Foundations of Quantization for Probability Distributions, Lemma 3.4 (2000).
    """
    kept = sums.mass > 0
    mass = sums.mass[kept]
    step = sums.shift[kept] / mass[:, None]
    spread = np.maximum(sums.square[kept] / mass[:, None] - step**2, 0.0)
    weights = mass / mass.sum()
    return Measure(
        centers[kept] + step, weights, spread, float(np.sqrt((weights * spread.sum(axis=1)).sum()))
    )
