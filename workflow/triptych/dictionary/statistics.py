"""Sufficient statistics of a code: all that the dictionary update and the objective need of the signal.

    phi_kl(d) = sum_t z_k(t) z_l(t + d)          (K, K, 2L - 1)
    psi_k     = sum_t z_k(t) X[:, t : t + L]     (K, P, L)

Both are sums over activations, so those of chunks add up to those of the recording, and

    F = 1/2 ||X||^2 - <psi, D> + 1/2 <phi, G> + lambda |z|_1.

References
----------
Dupre la Tour, Moreau, Jas, Gramfort, NeurIPS 2018, section 3.2; Moreau, Gramfort: DiCoDiLe, IEEE TPAMI 2022, section 4.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

from triptych.dictionary.events import Events, Floats
from triptych.dictionary.gram import gram


@dataclass(frozen=True)
class Statistics:
    """Sums over the activations of one or more chunks.

    Attributes
    ----------
    phi : (K, K, 2L - 1) float64.
    psi : (K, P, L) float64.
    mass : (K,) sum of the amplitudes of each atom.
    count : (K,) number of activations of each atom, float64.
    """

    phi: Floats
    psi: Floats
    mass: Floats
    count: Floats


@numba.njit(nogil=True, cache=True)
def _pairs(phi, atom, sample, amplitude, first, last):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add all pairs whose first event is one of first .. last; events are sorted by sample."""
    reach = (phi.shape[2] - 1) // 2
    n = atom.size
    begin = first
    while begin > 0 and sample[first] - sample[begin - 1] <= reach:
        begin -= 1
    for e in range(first, last):
        while sample[e] - sample[begin] > reach:
            begin += 1
        f = begin
        while f < n and sample[f] - sample[e] <= reach:
            phi[atom[e], atom[f], sample[f] - sample[e] + reach] += amplitude[e] * amplitude[f]
            f += 1


@numba.njit(nogil=True, cache=True)
def _patches(psi, signal, atom, position, amplitude):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add the patch of the signal under each event, weighted by its amplitude."""
    n_channels, length = psi.shape[1], psi.shape[2]
    for e in range(atom.size):
        target, t, z = psi[atom[e]], position[e], amplitude[e]
        for p in range(n_channels):
            for j in range(length):
                target[p, j] += z * signal[p, t + j]


def patches(signal: Floats, events: Events, start: int, n_atoms: int, length: int) -> Floats:
    """Sums of the signal (P, W) under events, weighted by amplitude, (K, P, length).

    The patch of an event at sample t begins at column t - start.
    """
    summed = np.zeros((n_atoms, signal.shape[0], length))
    _patches(summed, np.ascontiguousarray(signal), events.atom, events.sample - start, events.amplitude)
    return summed


def partial(signal: Floats, start: int, stop: int, events: Events, n_atoms: int, length: int) -> Statistics:
    """Statistics of the activations in ``start <= sample < stop``.

    Parameters
    ----------
    signal : (P, stop - start + L - 1) float64, from sample ``start`` on.
    events : activations of the chunk and those within L - 1 samples of it.
    """
    phi = np.zeros((n_atoms, n_atoms, 2 * length - 1))
    first, last = np.searchsorted(events.sample, (start, stop), side="left")
    own = events.between(start, stop)
    if len(own):
        _pairs(phi, events.atom, events.sample, events.amplitude, first, last)
    return Statistics(
        phi,
        patches(signal, own, start, n_atoms, length),
        np.bincount(own.atom, own.amplitude, minlength=n_atoms).astype(np.float64),
        np.bincount(own.atom, minlength=n_atoms).astype(np.float64),
    )


def merge(a: Statistics, b: Statistics) -> Statistics:
    """Statistics of two sets of chunks together."""
    return Statistics(a.phi + b.phi, a.psi + b.psi, a.mass + b.mass, a.count + b.count)


def projections(statistics: Statistics, spatial: Floats, temporal: Floats) -> Floats:
    """Scalar product of the signal with what each atom explains, <psi_k, D_k>, (K,)."""
    products: Floats = np.einsum("kpl,kp,kl->k", statistics.psi, spatial, temporal, optimize=True)
    return products


def residual_energy(statistics: Statistics, spatial: Floats, temporal: Floats, energy: float) -> float:
    """|| X - sum_k D_k * z_k ||^2 from the statistics and ``energy`` = ||X||^2."""
    crossed = float(projections(statistics, spatial, temporal).sum())
    return float(energy - 2 * crossed + np.vdot(statistics.phi, gram(spatial, temporal)))


def objective(
    statistics: Statistics, spatial: Floats, temporal: Floats, energy: float, penalty: float
) -> float:
    """F from the statistics (formula above)."""
    fit = 0.5 * residual_energy(statistics, spatial, temporal, energy)
    return fit + penalty * float(statistics.mass.sum())


def own_energy(statistics: Statistics, spatial: Floats, temporal: Floats) -> Floats:
    """||D_k * z_k||^2 of every atom, (K,)."""
    products = gram(spatial, temporal)
    diagonal = np.arange(len(spatial))
    own: Floats = np.einsum("kd,kd->k", statistics.phi[diagonal, diagonal], products[diagonal, diagonal])
    return own


def explained(statistics: Statistics, spatial: Floats, temporal: Floats, energy: float) -> Floats:
    """Share of the signal's variance that each atom explains alone, 1 - ||X - D_k * z_k||^2 / ||X||^2, (K,)."""
    own = own_energy(statistics, spatial, temporal)
    share: Floats = (2 * projections(statistics, spatial, temporal) - own) / energy
    return share


def gains(statistics: Statistics, spatial: Floats, temporal: Floats) -> Floats:
    """Factors of the atoms' shares that fit the signal best, which undo the shrinkage by lambda, (K,), at least one."""
    products = np.einsum("kld,kld->kl", statistics.phi, gram(spatial, temporal))
    crossed = projections(statistics, spatial, temporal)
    fitted: Floats = np.linalg.lstsq(products, crossed, rcond=1e-10)[0]
    return np.maximum(fitted, 1.0)
