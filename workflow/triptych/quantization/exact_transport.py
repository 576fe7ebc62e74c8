"""Exact optimal transport between measures, and an interval that holds the distance of the clouds behind them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

Array = NDArray[np.float64]

PIVOTS = 100_000_000


def plan(centers: Array, weights: Array, other_centers: Array, other_weights: Array) -> tuple[Array, float]:
    """Optimal plan for squared Euclidean cost and that cost.

    Parameters
    ----------
    centers, other_centers : (K, d) and (L, d).
    weights, other_weights : (K,) and (L,), positive; normalised here.

    Returns
    -------
    plan : (K, L), rows sum to the weights.
    cost : W2 squared.

    Raises
    ------
    ValueError : where the network simplex did not converge.

    References
    ----------
    Bonneel et al., Displacement interpolation using Lagrangian mass transport, SIGGRAPH Asia 2011 (solver in POT).
    """
    from ot import emd  # here, because POT loads every array library that is installed (torch: 4 s, 300 MB)

    a = weights / weights.sum()
    b = other_weights / other_weights.sum()
    cost = cdist(centers, other_centers, "sqeuclidean")
    # The simplex compares reduced costs with a fixed threshold, so costs are brought to order one.
    unit = float(cost.max()) or 1.0
    coupling, log = emd(a, b, cost / unit, numItermax=PIVOTS, log=True)
    if log["warning"]:
        raise ValueError(
            f"exact transport of {len(a)} to {len(b)} centers did not converge: {log['warning']}"
        )
    return coupling, float((coupling * cost).sum())


def wasserstein(centers: Array, weights: Array, other_centers: Array, other_weights: Array) -> float:
    """Exact W2 between two measures, in the units of the features."""
    return float(np.sqrt(plan(centers, weights, other_centers, other_weights)[1]))


def upper_bound(w2: float, epsilon: float, other_epsilon: float) -> float:
    """Upper bound of W2 between the clouds from W2 of their measures.

    The centers are cell means, so gluing independent couplings within cells to the optimal plan leaves no cross terms:
    ``W2(mu, nu)^2 <= W2(mu_K, nu_K)^2 + epsilon^2 + epsilon'^2``.

    References
    ----------
    Jourdain, Pages, Quantization and martingale couplings, arXiv 2012.10370.
    """
    return float(np.sqrt(w2**2 + epsilon**2 + other_epsilon**2))


def gelbrich(mean: Array, covariance: Array, other_mean: Array, other_covariance: Array) -> float:
    """Lower bound of W2 from means (d,) and covariances (d, d) of the clouds.

    ``|m - m'|^2 + tr(S + S' - 2 (S^1/2 S' S^1/2)^1/2)``.

    References
    ----------
    Gelbrich, On a formula for the L2 Wasserstein metric, Math. Nachr. 147 (1990).
    """
    values, vectors = np.linalg.eigh(covariance)
    root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    cross = root @ other_covariance @ root
    fidelity = np.sqrt(np.clip(np.linalg.eigvalsh((cross + cross.T) / 2), 0, None)).sum()
    spread = float(np.trace(covariance) + np.trace(other_covariance) - 2 * fidelity)
    return float(np.sqrt(max(((mean - other_mean) ** 2).sum() + max(spread, 0.0), 0.0)))


def lower_bound(w2: float, epsilon: float, other_epsilon: float, moments: float) -> float:
    """The better of two lower bounds of W2 between the clouds: the triangle inequality and Gelbrich's."""
    return max(w2 - epsilon - other_epsilon, moments, 0.0)
