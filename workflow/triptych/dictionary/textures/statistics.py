"""Sufficient statistics of a code of images: all that the dictionary update and the objective need of the images.

    phi_kl(d) = sum_t z_k(t) z_l(t + d)          (K, K, 2 dz - 1, 2 dy - 1, 2 dx - 1)
    psi_k     = sum_t z_k(t) X(t : t + atom)     (K, dz, dy, dx)

Both are sums over activations, so those of blocks add up to those of the images, and

    F = 1/2 ||X||^2 - <psi, D> + 1/2 <phi, G> + lambda |z|_1.

References
----------
Moreau, Gramfort: DiCoDiLe, IEEE TPAMI 2022, section 4.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

from triptych.dictionary.textures.box import Box, Triple
from triptych.dictionary.textures.events import Events, Floats
from triptych.dictionary.textures.gram import gram


@dataclass(frozen=True)
class Statistics:
    """Sums over the activations of one or more blocks.

    Attributes
    ----------
    phi : (K, K, 2 dz - 1, 2 dy - 1, 2 dx - 1) float64.
    psi : (K, dz, dy, dx) float64.
    mass : (K,) sum of the amplitudes of each atom.
    count : (K,) number of activations of each atom, float64.
    """

    phi: Floats
    psi: Floats
    mass: Floats
    count: Floats


@numba.njit(nogil=True, cache=True)
def _pairs(phi, atom, place, amplitude, own, starts, ny):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add all pairs whose first event is an own one; events of one row of voxels lie between two entries of ``starts``."""
    rz, ry, rx = phi.shape[2] // 2, phi.shape[3] // 2, phi.shape[4] // 2
    nz = (starts.size - 1) // ny
    for e in range(atom.size):
        if not own[e]:
            continue
        z, y, x = place[e, 0], place[e, 1], place[e, 2]
        for i in range(max(0, z - rz), min(nz, z + rz + 1)):
            for j in range(max(0, y - ry), min(ny, y + ry + 1)):
                for f in range(starts[i * ny + j], starts[i * ny + j + 1]):
                    n = place[f, 2] - x
                    if -rx <= n <= rx:
                        phi[atom[e], atom[f], i - z + rz, j - y + ry, n + rx] += amplitude[e] * amplitude[f]


@numba.njit(nogil=True, cache=True)
def _patches(psi, image, atom, place, amplitude):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add the patch of the image under each event, weighted by its amplitude."""
    dz, dy, dx = psi.shape[1:]
    for e in range(atom.size):
        z, y, x, value = place[e, 0], place[e, 1], place[e, 2], amplitude[e]
        for i in range(dz):
            for j in range(dy):
                target, row = psi[atom[e], i, j], image[z + i, y + j, x : x + dx]
                for n in range(dx):
                    target[n] += value * row[n]


def partial(image: Floats, box: Box, events: Events, n_atoms: int, atom: Triple) -> Statistics:
    """Statistics of the activations that start in a box.

    Parameters
    ----------
    image : (nz + dz - 1, ny + dy - 1, nx + dx - 1) float64, the voxels that atoms starting in the box reach.
    box : positions (nz, ny, nx).
    events : activations of the box and those within d - 1 voxels of it.
    n_atoms, atom : K and (dz, dy, dx).
    """
    reach = np.array(atom) - 1
    phi, psi = np.zeros((n_atoms, n_atoms, *(2 * reach + 1))), np.zeros((n_atoms, *atom))
    own = events.inside(box)
    place = events.place - box.start
    inside = ((place >= 0) & (place < box.shape)).all(axis=1)
    if len(own):
        near = place + reach
        rows, ny = near[:, 0] * (box.shape[1] + 2 * reach[1]) + near[:, 1], box.shape[1] + 2 * reach[1]
        starts = np.searchsorted(rows, np.arange((box.shape[0] + 2 * reach[0]) * ny + 1))
        _pairs(phi, events.atom, near, events.amplitude, inside, starts, ny)
        _patches(psi, np.ascontiguousarray(image), own.atom, place[inside], own.amplitude)
    return Statistics(
        phi,
        psi,
        np.bincount(own.atom, own.amplitude, minlength=n_atoms).astype(np.float64),
        np.bincount(own.atom, minlength=n_atoms).astype(np.float64),
    )


def merge(a: Statistics, b: Statistics) -> Statistics:
    """Statistics of two sets of blocks together."""
    return Statistics(a.phi + b.phi, a.psi + b.psi, a.mass + b.mass, a.count + b.count)


def objective(statistics: Statistics, atoms: Floats, energy: float, penalty: float) -> float:
    """F from the statistics (formula above); ``energy`` is ||X||^2."""
    fit = 0.5 * energy - float(np.vdot(statistics.psi, atoms))
    return fit + 0.5 * float(np.vdot(statistics.phi, gram(atoms))) + penalty * float(statistics.mass.sum())


def explained(statistics: Statistics, atoms: Floats, energy: float) -> Floats:
    """Share of the energy that each atom explains alone, 1 - ||X - D_k * z_k||^2 / ||X||^2, (K,)."""
    products, k = gram(atoms), np.arange(len(atoms))
    own = np.einsum("kzyx,kzyx->k", statistics.phi[k, k], products[k, k])
    share: Floats = (2 * np.einsum("kzyx,kzyx->k", statistics.psi, atoms) - own) / energy
    return share
