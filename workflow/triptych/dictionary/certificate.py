"""How near a code is to the minimum: KKT residual and duality gap.

The dual of min_z>=0 1/2||X - Dz||^2 + lambda|z|_1 is max 1/2||X||^2 - 1/2||X - theta||^2 over D^T theta <= lambda.
The residual r = X - Dz, scaled by s <= lambda / max(D^T r), is feasible, so F(z) - s<X, r> + s^2/2 ||r||^2 bounds F(z) - min F.

References
----------
Ndiaye, Fercoq, Gramfort, Salmon: Gap Safe screening rules, JMLR 2017, sections 2 and 3.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from triptych.dictionary.events import Events, Floats
from triptych.dictionary.lgcd import Model, gradient
from triptych.dictionary.residual import Energies


@dataclass(frozen=True)
class Violation:
    """Extremes over the coordinates of one or more chunks.

    Attributes
    ----------
    kkt : largest violation of the optimality conditions, |z - max(z - g, 0)| with g the gradient of F (zero at the minimum).
    change : largest |dz| that a coordinate update would still make.
    correlation : largest correlation of an atom with the residual.
    """

    kkt: float
    change: float
    correlation: float


def partial(
    signal: Floats, allowed: NDArray[np.bool_], start: int, events: Events, model: Model
) -> Violation:
    """Extremes over one window; parameters as in ``lgcd.code_window``."""
    beta, activation = gradient(signal, allowed, start, events, model)
    beta, activation = beta[:, allowed], activation[:, allowed]
    if beta.size == 0:
        return Violation(0.0, 0.0, 0.0)
    norms = model.norms[:, None]
    correlation = -beta - norms * activation
    slope = model.penalty - correlation
    kkt = np.abs(activation - np.maximum(activation - slope, 0.0))
    optimum = np.divide(
        np.maximum(-beta - model.penalty, 0.0), norms, out=np.zeros_like(beta), where=norms > 0
    )
    return Violation(float(kkt.max()), float(np.abs(optimum - activation).max()), float(correlation.max()))


def merge(a: Violation, b: Violation) -> Violation:
    """Extremes over two sets of chunks."""
    return Violation(max(a.kkt, b.kkt), max(a.change, b.change), max(a.correlation, b.correlation))


def duality_gap(violation: Violation, energies: Energies, penalty: float) -> float:
    """Upper bound of F(z) - min F, from extremes and energies over the whole recording."""
    largest = penalty / violation.correlation if violation.correlation > 0 else np.inf
    squared, product = energies.residual, energies.product
    scale = min(max(product / squared, 0.0), largest) if squared > 0 else 0.0
    return max(0.0, float(energies.objective(penalty) - (scale * product - 0.5 * scale**2 * squared)))
