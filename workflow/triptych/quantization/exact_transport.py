"""Exact optimal transport between two measures: W2, the plan, and the proof that nothing is cheaper."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triptych.quantization.network_simplex import MASS, UNIT, squared_distances, transport, whole_masses

Array = NDArray[np.float64]

PIVOTS = 100_000_000

GAP = 1e-10
"""Share of the cost by which a plan may exceed what its potentials prove to be the least."""

ROUNDING = 1e-13
"""The same as a share of the greatest cost: what float64 leaves of equal measures."""


@dataclass(frozen=True)
class Side:
    """A measure made ready for transport.

    Attributes
    ----------
    centers : (K, d), about ``middle`` (d,), their mean.
    masses : (K,), whole, of sum MASS.
    reach : greatest squared distance of a center to the mean.
    key : orders measures by what they are, so that a pair has one result whichever is named first.
    """

    centers: Array
    masses: NDArray[np.int64]
    middle: Array
    reach: float
    key: tuple[int, bytes, bytes, bytes]


def side(centers: Array, weights: Array) -> Side:
    """A measure of positive weights, made ready once for all its pairs."""
    points = np.ascontiguousarray(centers, dtype=np.float64)
    shares = np.ascontiguousarray(weights, dtype=np.float64)
    middle = (shares / shares.sum()) @ points
    about = points - middle
    masses = whole_masses(shares)
    key = len(masses), about.tobytes(), middle.tobytes(), masses.tobytes()
    return Side(about, masses, middle, float((about**2).sum(axis=1).max()), key)


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
    ValueError : where no solver converged.

    References
    ----------
    Ahuja, Magnanti, Orlin, Network Flows, chapter 11 (1993); Orden, The transhipment problem, Management Science 2 (1956), for
    the perturbation.
    """
    first, second = side(centers, weights), side(other_centers, other_weights)
    coupling = np.zeros((len(first.masses), len(second.masses)))
    cost, rows, columns, units = solved(first, second)
    coupling[rows, columns] = units / MASS
    return coupling, cost


def wasserstein(centers: Array, weights: Array, other_centers: Array, other_weights: Array) -> float:
    """Exact W2 between two measures, in the units of the features; the same to the last bit in either order."""
    return between(side(centers, weights), side(other_centers, other_weights))


def between(first: Side, second: Side) -> float:
    """Exact W2 between two measures that were made ready.

    Raises
    ------
    ValueError : where no solver converged.
    """
    if second.key < first.key:
        first, second = second, first
    return float(np.sqrt(solved(first, second)[0]))


def solved(first: Side, second: Side) -> tuple[float, Any, Any, Any]:
    """Cost, and the plan as rows, columns and units of MASS, proven by the gap to the potentials, or else by POT.

    Raises
    ------
    ValueError : where no solver converged.
    """
    apart = float(((first.middle - second.middle) ** 2).sum())
    if len(first.masses) < UNIT // 2:
        cost, gap, count, rows, columns, units = transport(
            first.centers, first.masses, second.centers, second.masses, PIVOTS
        )
        if count >= 0 and gap <= GAP * (cost + apart) + ROUNDING * (first.reach + second.reach):
            return cost + apart, rows, columns, units
    return _by_pot(first, second, apart)


def _by_pot(first: Side, second: Side, apart: float) -> tuple[float, Any, Any, Any]:
    """The solver of POT, for what the compiled one did not prove.

    References
    ----------
    Bonneel et al., Displacement interpolation using Lagrangian mass transport, SIGGRAPH Asia 2011.
    """
    # POT loads every array library that is installed (torch: 4 s, 300 MB), which an exact plan does not need.
    for library in ("PYTORCH", "JAX", "CUPY", "TENSORFLOW"):
        os.environ.setdefault(f"POT_BACKEND_DISABLE_{library}", "1")
    from ot import emd

    cost = squared_distances(first.centers, second.centers)
    # The simplex compares reduced costs with a fixed threshold, so costs are brought to order one.
    unit = float(cost.max()) or 1.0
    coupling, log = emd(first.masses / MASS, second.masses / MASS, cost / unit, numItermax=PIVOTS, log=True)
    if log["warning"]:
        raise ValueError(
            f"exact transport of {len(first.masses)} to {len(second.masses)} centers did not converge: {log['warning']}"
        )
    rows, columns = np.nonzero(coupling)
    return (
        float((coupling * cost).sum()) + apart,
        rows,
        columns,
        np.rint(coupling[rows, columns] * MASS).astype(np.int64),
    )
