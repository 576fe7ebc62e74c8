"""Dictionary update: atoms that minimise F for a given code, from the sufficient statistics alone.

Each block is solved exactly, so F never rises. With the waveforms fixed, F is a quadratic in the maps with the K x K matrix
A_kl = sum_d phi_kl(d) C_kl(d), the same for every channel; one map is the projection of its free minimum on the unit ball. With the
maps fixed, one waveform minimises a quadratic with the Toeplitz matrix of phi_kk over the unit ball, a trust-region problem
that the eigenvectors of that matrix (found once per update) solve.

References
----------
Dupre la Tour, Moreau, Jas, Gramfort, NeurIPS 2018, section 3.2 (the constraint set and the statistics).
More, Sorensen: Computing a trust region step, SIAM J. Sci. Stat. Comput. 1983 (the secular equation).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import fft, linalg
from scipy.optimize import brentq

from triptych.dictionary.events import Floats
from triptych.dictionary.gram import gram
from triptych.dictionary.statistics import Statistics, objective

MAX_SWEEPS = 30
LEAST_DECREASE = 1e-7


@dataclass(frozen=True)
class Update:
    """Atoms of unit norm, the statistics of the code rescaled with them, and that rescaling.

    Attributes
    ----------
    spatial, temporal : (K, P), (K, L) float64, unit norm (zero for an atom that explains nothing).
    scale : (K,) factors in (0, 1] by which amplitudes are multiplied so that atoms have unit norm.
    statistics : of the rescaled code.
    """

    spatial: Floats
    temporal: Floats
    scale: Floats
    statistics: Statistics


def update(
    statistics: Statistics, spatial: Floats, temporal: Floats, energy: float, penalty: float
) -> Update:
    """Atoms that do not raise F, for the code behind ``statistics``.

    Parameters
    ----------
    statistics : of the code, with atoms ``spatial`` (K, P) and ``temporal`` (K, L).
    energy : ||X||^2.
    penalty : lambda.
    """
    spatial, temporal = spatial.copy(), temporal.copy()
    sweep = _Sweep(statistics, temporal)
    value = objective(statistics, spatial, temporal, energy, penalty)
    for _ in range(MAX_SWEEPS):
        for k in np.flatnonzero(statistics.count).tolist():
            sweep.renew_map(k, spatial, temporal)
            sweep.renew_waveform(k, spatial, temporal)
        before, value = value, objective(statistics, spatial, temporal, energy, penalty)
        if before - value <= LEAST_DECREASE * abs(value):
            break
    return _unit_norm(statistics, spatial, temporal)


class _Sweep:
    """What does not change while maps and waveforms take turns."""

    def __init__(self, statistics: Statistics, temporal: Floats) -> None:
        self.statistics = statistics
        self.length = temporal.shape[1]
        self.size = fft.next_fast_len(2 * self.length - 1, real=True)
        self.spectrum = fft.rfft(statistics.phi, self.size, axis=2)
        self.waveforms = fft.rfft(temporal, self.size, axis=1)
        self.eigen: dict[int, tuple[Floats, Floats]] = {}

    def filtered(self, k: int) -> Floats:
        """h_kl(j) = sum_d phi_kl(d) u_l(j - d), (K, L): what atom l contributes under the events of atom k."""
        product = fft.irfft(self.spectrum[k] * self.waveforms, self.size, axis=1)
        filtered: Floats = product[:, self.length - 1 : 2 * self.length - 1]
        return filtered

    def renew_map(self, k: int, spatial: Floats, temporal: Floats) -> None:
        row = self.filtered(k) @ temporal[k]
        linear = self.statistics.psi[k] @ temporal[k] - row @ spatial + row[k] * spatial[k]
        if row[k] > 0:
            free = linear / row[k]
            spatial[k] = free / max(1.0, float(np.linalg.norm(free)))

    def renew_waveform(self, k: int, spatial: Floats, temporal: Floats) -> None:
        products = spatial @ spatial[k]
        if products[k] <= 0:
            return
        others = products.copy()
        others[k] = 0.0
        linear = spatial[k] @ self.statistics.psi[k] - others @ self.filtered(k)
        values, vectors = self.eigenvectors(k)
        temporal[k] = _on_ball(products[k] * values, vectors, linear)
        self.waveforms[k] = fft.rfft(temporal[k], self.size)

    def eigenvectors(self, k: int) -> tuple[Floats, Floats]:
        if k not in self.eigen:
            own = self.statistics.phi[k, k, self.length - 1 :]
            values, vectors = linalg.eigh(linalg.toeplitz(own))
            self.eigen[k] = np.maximum(values, 0.0), vectors
        return self.eigen[k]


def _on_ball(values: Floats, vectors: Floats, linear: Floats) -> Floats:
    """The minimum of 1/2 x^T Q diag(values) Q^T x - linear^T x over |x| <= 1."""
    target = vectors.T @ linear
    floor = 1e-12 * max(float(values.max()), 1e-300)
    free = target / np.maximum(values, floor)
    if np.linalg.norm(free) <= 1.0:
        inside: Floats = vectors @ free
        return inside

    def excess(shift: float) -> float:
        return 1.0 - 1.0 / float(np.linalg.norm(target / (values + shift)))

    high = float(np.linalg.norm(target))
    shift = brentq(lambda s: -excess(s), floor, high, xtol=1e-14 * high, rtol=1e-14, maxiter=200)
    solution: Floats = vectors @ (target / (values + shift))
    return solution / max(1.0, float(np.linalg.norm(solution)))


def _unit_norm(statistics: Statistics, spatial: Floats, temporal: Floats) -> Update:
    """Move norms below one into the amplitudes: the fit stays, the penalty falls."""
    maps, waves = np.linalg.norm(spatial, axis=1), np.linalg.norm(temporal, axis=1)
    scale = maps * waves
    live = scale > 0
    unit = np.where(live, scale, 1.0)
    spatial = spatial / np.where(maps > 0, maps, 1.0)[:, None]
    temporal = temporal / np.where(waves > 0, waves, 1.0)[:, None]
    scale = np.where(statistics.count > 0, unit, 1.0)
    rescaled = Statistics(
        statistics.phi * scale[:, None, None] * scale[None, :, None],
        statistics.psi * scale[:, None, None],
        statistics.mass * scale,
        statistics.count,
    )
    return Update(spatial, temporal, scale, rescaled)


def duplicates(spatial: Floats, temporal: Floats, similarity: float) -> list[int]:
    """Atoms that repeat an earlier one: a shifted scalar product of unit atoms above ``similarity``."""
    closest = gram(spatial, temporal).max(axis=2)
    found: list[int] = []
    for k in range(1, len(closest)):
        if any(closest[j, k] > similarity for j in range(k) if j not in found):
            found.append(k)
    return found
