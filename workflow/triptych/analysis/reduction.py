"""Principal components of weighted rows, with a sign that does not depend on the library.

References
----------
Jolliffe IT. Principal Component Analysis, 2nd ed. Springer (2002).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Components:
    """Principal components.

    Attributes
    ----------
    scores : (n, m) float64, coordinates of the rows.
    loadings : (d, m) float64, orthonormal columns; the largest entry of each column is positive.
    variance : (m,) float64, variance along each component.
    explained : (m,) float64, as a fraction of the whole variance.
    mean : (d,) float64.
    """

    scores: Floats
    loadings: Floats
    variance: Floats
    explained: Floats
    mean: Floats


def principal_components(matrix: Floats, n_components: int, weights: Floats | None = None) -> Components:
    """Eigenvectors of the (weighted) covariance of the rows, in order of decreasing variance.

    Parameters
    ----------
    matrix : (n, d) float64, finite.
    n_components : at most this many; fewer where the rows span fewer directions.
    weights : (n,) float64 > 0, or None for rows of equal weight.

    Raises
    ------
    ValueError : values that are not finite.
    """
    if not np.isfinite(matrix).all():
        raise ValueError("principal components need finite values")
    weights = np.ones(len(matrix)) if weights is None else weights
    share = weights / weights.sum()
    mean = share @ matrix
    centred = matrix - mean
    covariance = (centred * share[:, None]).T @ centred
    variance, vectors = np.linalg.eigh(covariance)
    variance, vectors = variance[::-1], vectors[:, ::-1]
    total = max(float(variance.clip(0).sum()), 0.0)
    kept = min(n_components, int(np.count_nonzero(variance > 1e-12 * max(total, 1e-300))))
    vectors, variance = vectors[:, :kept], variance[:kept]
    largest = np.argmax(np.abs(vectors), axis=0)
    vectors = vectors * np.where(vectors[largest, np.arange(kept)] < 0, -1.0, 1.0)
    return Components(
        np.ascontiguousarray(centred @ vectors),
        np.ascontiguousarray(vectors),
        variance.copy(),
        variance / total if kept else variance.copy(),
        mean,
    )
