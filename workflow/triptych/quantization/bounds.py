"""An interval that holds W2 between two clouds, from their measures and the mean and covariance of all their events.

Upper: centers are means of their cells, so gluing independent couplings within cells to the optimal plan leaves no cross terms.
Lower: the best of the triangle inequality, Gelbrich's bound and smooth potentials. Neither is the triangle inequality alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from triptych.quantization.exact_transport import GAP, Side, side, solved
from triptych.quantization.exact_transport import ROUNDING as UNPROVEN
from triptych.quantization.network_simplex import MASS
from triptych.quantization.smooth_bound import greatest_correlation

Array = NDArray[np.float64]


FLAT = 1e-12
"""Least share of the greatest eigenvalue that a direction keeps where it must be inverted."""

ROUNDS = 3
"""Rounds of the smooth bound where nothing else is asked for."""

LEFT_OUT = 1 / 3
"""Share of W2 squared that cells of both clouds may leave out: beyond it smooth potentials gain nothing on moments alone."""

ROUNDING = 1e-12
"""Share of the variances by which float64 may lift a lower bound of the squared distance."""


@dataclass(frozen=True)
class Prepared:
    """A measure and the moments of its cloud, made ready once for all its pairs.

    Attributes
    ----------
    side : the measure, ready for exact transport.
    mean, covariance : (d,) and (d, d), of all events.
    root, inverse_root : symmetric root of the covariance and its inverse; flat directions are kept at 1e-6 of the widest.
    within : (d, d) covariance within cells: what the covariance of the centers leaves out.
    epsilon : upper bound of W2 between cloud and measure.
    """

    side: Side
    mean: Array
    covariance: Array
    root: Array
    inverse_root: Array
    within: Array
    epsilon: float


class Certified(Protocol):
    """A measure that states its error and the moments of its cloud."""

    @property
    def centers(self) -> Array: ...
    @property
    def weights(self) -> Array: ...
    @property
    def mean(self) -> Array: ...
    @property
    def covariance(self) -> Array: ...
    @property
    def epsilon(self) -> float: ...


def prepare(measure: Certified) -> Prepared:
    """What the pairs of a measure share."""
    covariance = np.ascontiguousarray(measure.covariance, dtype=np.float64)
    mean = np.ascontiguousarray(measure.mean, dtype=np.float64)
    ready = side(measure.centers, measure.weights)
    about = ready.centers + (ready.middle - mean)
    between_cells = (about * (ready.masses / MASS)[:, None]).T @ about
    return Prepared(
        ready,
        mean,
        covariance,
        _power(covariance, 0.5, 0.0),
        _power(covariance, -0.5, FLAT),
        covariance - between_cells,
        float(measure.epsilon),
    )


def interval(first: Prepared, second: Prepared, rounds: int = ROUNDS) -> tuple[float, float, float]:
    """W2 of two measures, and the lower and upper bound of W2 of their clouds; the same bits in either order.

    Parameters
    ----------
    rounds : of the smooth bound; 0 leaves it out.

    Raises
    ------
    ValueError : where no solver converged.
    """
    if second.side.key < first.side.key:
        first, second = second, first
    cost, *plan = solved(first.side, second.side)
    w2 = float(np.sqrt(cost))
    upper = upper_bound(w2, first.epsilon, second.epsilon)
    proven = float(np.sqrt(max(cost - _doubt(first.side, second.side, cost), 0.0)))
    lower = max(proven - first.epsilon - second.epsilon, gelbrich(first, second), 0.0)
    if rounds > 0 and lower < w2 and 0 < first.epsilon**2 + second.epsilon**2 < LEFT_OUT * cost:
        lower = max(lower, smooth(first, second, plan, rounds))
    return w2, min(lower, upper), upper


def _doubt(first: Side, second: Side, cost: float) -> float:
    """What the cost may be too much by: the gap that the solver is allowed, and weights rounded to whole masses."""
    rounded = 2 * (len(first.masses) + len(second.masses)) / MASS
    return GAP * cost + (UNPROVEN + rounded) * (first.reach + second.reach)


def _power(matrix: Array, exponent: float, floor: float) -> Array:
    """Symmetric power of a positive semidefinite matrix, eigenvalues held at a share of the greatest; 0 where all are 0."""
    values, vectors = np.linalg.eigh(matrix)
    top = values[-1]
    if top <= 0:
        return np.zeros_like(matrix)
    return np.asarray((vectors * np.clip(values, floor * top, None) ** exponent) @ vectors.T)


def upper_bound(w2: float, epsilon: float, other_epsilon: float) -> float:
    """Upper bound of W2 between the clouds from W2 of their measures.

    The centers are cell means, so gluing independent couplings within cells to the optimal plan leaves no cross terms:
    ``W2(mu, nu)^2 <= W2(mu_K, nu_K)^2 + epsilon^2 + epsilon'^2``.

    References
    ----------
    Jourdain, Pages, Quantization and martingale couplings, arXiv 2012.10370.
    """
    return float(np.sqrt(w2**2 + epsilon**2 + other_epsilon**2))


def gelbrich(first: Prepared, second: Prepared) -> float:
    """Lower bound of W2 from means and covariances of the clouds.

    ``|m - m'|^2 + tr(S + S' - 2 (S^1/2 S' S^1/2)^1/2)``. Eigenvalues are taken larger by what rounding may have lost, so that
    the bound holds for flat clouds too.

    References
    ----------
    Gelbrich, On a formula for the L2 Wasserstein metric, Math. Nachr. 147 (1990).
    """
    cross = first.root @ second.covariance @ first.root
    values = np.clip(np.linalg.eigvalsh((cross + cross.T) / 2), 0, None)
    fidelity = float(np.sqrt(values + 8 * len(values) * np.finfo(np.float64).eps * values[-1]).sum())
    variances = float(np.trace(first.covariance) + np.trace(second.covariance))
    shift = float(((first.mean - second.mean) ** 2).sum())
    return float(np.sqrt(shift + max((1 - ROUNDING) * variances - 2 * fidelity, 0.0)))


def smooth(first: Prepared, second: Prepared, plan: Sequence[Any], rounds: int) -> float:
    """Lower bound of W2 by smooth potentials (see ``smooth_bound``), in coordinates in which the Gaussians' map is the identity.

    Parameters
    ----------
    plan : rows, columns and units of the optimal plan of the measures.
    """
    if not first.covariance.any() or not second.covariance.any():
        return 0.0
    turn = first.inverse_root @ _power(_symmetric(first.root @ second.covariance @ first.root), 0.5, 0.0)
    values, vectors = np.linalg.eigh(_symmetric(turn @ first.inverse_root))
    if values[-1] <= FLAT * np.sqrt(np.trace(second.covariance) / np.trace(first.covariance)):
        return 0.0  # flat clouds across each other: no map between their Gaussians, and nothing to gain
    stretch = np.sqrt(np.clip(values, FLAT * values[-1], None))
    forth, back = vectors * stretch, vectors / stretch
    left = max(float(np.trace(forth.T @ first.within @ forth)), 0.0)
    other_left = max(float(np.trace(back.T @ second.within @ back)), 0.0)
    correlation = greatest_correlation(
        np.ascontiguousarray((first.side.centers + (first.side.middle - first.mean)) @ forth),
        first.side.masses,
        left,
        np.ascontiguousarray((second.side.centers + (second.side.middle - second.mean)) @ back),
        second.side.masses,
        other_left,
        tuple(plan),
        rounds,
    )
    variances = float(np.trace(first.covariance) + np.trace(second.covariance))
    square = float(((first.mean - second.mean) ** 2).sum()) + (1 - ROUNDING) * variances - 2 * correlation
    return float(np.sqrt(square)) if square > 0 else 0.0


def _symmetric(matrix: Array) -> Array:
    return (matrix + matrix.T) / 2
