"""Count, mean and covariance of a cloud from its chunks, in float64."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from triptych.quantization.kernels import Floats, scatter


@dataclass(frozen=True)
class Moments:
    """``count`` events, their ``mean`` (d,) and ``scatter`` (d, d), the sum of (x - mean)(x - mean)'."""

    count: int
    mean: NDArray[np.float64]
    scatter: NDArray[np.float64]

    @property
    def covariance(self) -> NDArray[np.float64]:
        """Scatter over count: the covariance of the empirical measure itself."""
        return self.scatter / max(self.count, 1)


def partial(points: Floats) -> Moments:
    """Moments of one chunk (n, d), n > 0."""
    values = np.ascontiguousarray(points)
    n = len(values)
    offset = np.asarray(values[: min(n, 256)], np.float64).mean(axis=0)
    total, products = scatter(values, offset)
    return Moments(n, offset + total / n, products - np.outer(total, total) / n)


def merge(first: Moments, second: Moments) -> Moments:
    """Moments of two stretches together.

    References
    ----------
    Chan, Golub, LeVeque, Updating formulae and a pairwise algorithm for computing sample variances, COMPSTAT 1982.
    """
    count = first.count + second.count
    gap = second.mean - first.mean
    mean = first.mean + gap * (second.count / count)
    scatter = first.scatter + second.scatter + np.outer(gap, gap) * (first.count * second.count / count)
    return Moments(count, mean, scatter)
