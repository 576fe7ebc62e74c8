"""Weights on common centers as compositions: zeros replaced, centred log-ratios, their distance and principal axes.

References
----------
Aitchison, The statistical analysis of compositional data, Chapman and Hall (1986).
Martin-Fernandez, Barcelo-Vidal, Pawlowsky-Glahn, Dealing with zeros and missing values in compositional data sets using
nonparametric imputation, Math. Geol. 35 (2003).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from triptych.quantization.embedding import Coordinates, principal_directions

Array = NDArray[np.float64]

SHARE_OF_LIMIT = 0.65
"""A zero becomes this share of what one event weighs: where the distortion of the covariance was least (2003, above)."""


def replace_zeros(weights: Array, events: NDArray[np.int64]) -> Array:
    """Multiplicative replacement: a zero becomes ``0.65 / n``, the other weights shrink in proportion.

    Ratios between weights that are not zero stay as they are.

    Parameters
    ----------
    weights : (N, K), rows sum to 1.
    events : (N,), events that the weights were counted from; one event is the detection limit. A sample of fewer events
        than centers is taken to have K, so that the replaced zeros never sum to 1.

    Returns
    -------
    (N, K), positive, rows sum to 1.

    Raises
    ------
    ValueError : a weight is negative, or a row has no weight.
    """
    if (weights < 0).any() or not weights.any(axis=1).all():
        raise ValueError(
            "weights of a composition are not negative, and each row has at least one that is positive"
        )
    shares = weights / weights.sum(axis=1, keepdims=True)
    delta = SHARE_OF_LIMIT / np.maximum(events, weights.shape[1])
    zero = shares == 0
    lost = zero.sum(axis=1) * delta
    return np.where(zero, delta[:, None], shares * (1 - lost)[:, None])


def centred_log_ratios(shares: Array) -> Array:
    """``log(w) - mean(log w)`` of each row; (N, K), rows sum to 0."""
    logs = np.log(shares)
    return np.asarray(logs - logs.mean(axis=1, keepdims=True))


def aitchison(ratios: Array) -> Array:
    """(N, N) Aitchison distances: Euclidean distances of centred log-ratios."""
    n = len(ratios)
    found = np.zeros((n, n))
    for i in range(n):
        found[i] = np.sqrt(((ratios - ratios[i]) ** 2).sum(axis=1))
    return found


def principal_ratios(ratios: Array, n_axes: int) -> Coordinates:
    """Principal coordinates of centred log-ratios."""
    mean, directions, explained = principal_directions(ratios, n_axes)
    return Coordinates((ratios - mean) @ directions.T, explained)


def nearest_center_weights(centers: Array, weights: Array, common: Array) -> Array:
    """The mass of a measure at the nearest of the common centers, ties to the lowest index.

    Parameters
    ----------
    centers, weights : (K, d) and (K,) of the measure; common : (L, d).

    Returns
    -------
    (L,), sum 1.
    """
    from scipy.spatial.distance import cdist

    nearest = cdist(centers, common, "sqeuclidean").argmin(axis=1)
    return np.asarray(
        np.bincount(nearest, weights=weights / weights.sum(), minlength=len(common)), np.float64
    )
