"""Dictionary update: full atoms that lower F for a given code, from the sufficient statistics alone.

F is a quadratic in the atoms, of gradient h_k - psi_k with h_kl(j) = sum_d phi_kl(d) D_l(j - d). It is minimised over the balls
||D_k|| <= 1 by accelerated projected gradient, each atom with a step of its own: by Gershgorin's theorem on every frequency w the
Hessian lies below the diagonal of L_k = max_w sum_l |phi_kl(w)|. Only atoms that do not raise F are returned.

References
----------
Beck, Teboulle: Fast gradient-based algorithms for constrained total variation, IEEE TIP 2009 (the monotone variant).
O'Donoghue, Candes: Adaptive restart for accelerated gradient schemes, Found. Comput. Math. 2015.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import fft

from triptych.dictionary.textures.events import Floats
from triptych.dictionary.textures.gram import AXES, gram, transform_shape
from triptych.dictionary.textures.statistics import Statistics

MAX_STEPS = 300
LEAST_DECREASE = 1e-8


@dataclass(frozen=True)
class Update:
    """Atoms of unit norm, the statistics of the code rescaled with them, and that rescaling.

    Attributes
    ----------
    atoms : (K, dz, dy, dx) float64, unit norm.
    scale : (K,) factors in (0, 1] by which amplitudes are multiplied so that atoms have unit norm.
    statistics : of the rescaled code.
    """

    atoms: Floats
    scale: Floats
    statistics: Statistics


class _Quadratic:
    """The part of F that depends on the atoms, with its gradient."""

    def __init__(self, statistics: Statistics) -> None:
        self.psi = statistics.psi
        self.size = transform_shape(statistics.phi.shape[2:])
        self.spectrum = fft.rfftn(statistics.phi, self.size, axes=(2, 3, 4))
        bound = np.abs(self.spectrum).sum(axis=1).reshape(len(self.psi), -1).max(axis=1)
        self.step = np.divide(1.0, bound, out=np.zeros_like(bound), where=bound > 0)[:, None, None, None]

    def at(self, atoms: Floats) -> tuple[float, Floats]:
        """Value and gradient (K, dz, dy, dx)."""
        product = np.einsum("klzyx,lzyx->kzyx", self.spectrum, fft.rfftn(atoms, self.size, axes=AXES))
        z, y, x = (slice(d - 1, 2 * d - 1) for d in atoms.shape[1:])
        filtered = fft.irfftn(product, self.size, axes=AXES)[:, z, y, x]
        return float(np.vdot(0.5 * filtered - self.psi, atoms)), filtered - self.psi


def _on_balls(atoms: Floats) -> Floats:
    norms = np.sqrt((atoms**2).sum(axis=AXES, keepdims=True))
    return atoms / np.maximum(norms, 1.0)


def update(statistics: Statistics, atoms: Floats) -> Update:
    """Atoms that do not raise F, for the code behind ``statistics``.

    Parameters
    ----------
    statistics : of the code, with ``atoms`` (K, dz, dy, dx).
    """
    quadratic = _Quadratic(statistics)
    best, ahead = atoms, atoms
    value, momentum = quadratic.at(best)[0], 1.0
    first, slow = value, 0
    for _ in range(MAX_STEPS):
        candidate = _on_balls(ahead - quadratic.step * quadratic.at(ahead)[1])
        reached = quadratic.at(candidate)[0]
        if reached > value:
            if ahead is best:  # not even a plain step falls: the minimum, to rounding
                break
            ahead, momentum = best, 1.0
            continue
        further = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        ahead = candidate + (momentum - 1) / further * (candidate - best)
        slow = slow + 1 if value - reached <= LEAST_DECREASE * abs(first) else 0
        best, value, momentum = candidate, reached, further
        if slow >= 3:
            break
    return _unit_norm(statistics, best, atoms)


def _unit_norm(statistics: Statistics, atoms: Floats, before: Floats) -> Update:
    """Move norms below one into the amplitudes: the fit stays, the penalty falls; unused atoms stay as they were."""
    norms = np.sqrt((atoms**2).sum(axis=AXES))
    live = (norms > 0) & (statistics.count > 0)
    scale = np.where(live, norms, 1.0)
    unit = np.where(live[:, None, None, None], atoms / scale[:, None, None, None], before)
    wide = scale[:, None, None, None]
    rescaled = Statistics(
        statistics.phi * wide[:, None] * wide[None],
        statistics.psi * wide,
        statistics.mass * scale,
        statistics.count,
    )
    return Update(unit, scale, rescaled)


def duplicates(atoms: Floats, similarity: float) -> list[int]:
    """Atoms that repeat an earlier one: a shifted scalar product of unit atoms above ``similarity``."""
    closest = gram(atoms).reshape(len(atoms), len(atoms), -1).max(axis=2)
    found: list[int] = []
    for k in range(1, len(closest)):
        if any(closest[j, k] > similarity for j in range(k) if j not in found):
            found.append(k)
    return found
