"""Correlations of full atoms with each other and with an image."""

from __future__ import annotations

import numpy as np
from scipy import fft

from triptych.dictionary.textures.box import Triple, triple
from triptych.dictionary.textures.events import Floats

AXES = (1, 2, 3)


def transform_shape(shape: tuple[int, ...]) -> Triple:
    """Next shape at least as large that transforms quickly."""
    return triple(fft.next_fast_len(n, real=True) for n in shape)


def gram(atoms: Floats) -> Floats:
    """Scalar products of shifted atoms, G_kl(d) = sum_j D_k(j) D_l(j - d).

    ``G_kl(d)`` is the product of atom k at voxel 0 with atom l at voxel d.

    Parameters
    ----------
    atoms : (K, dz, dy, dx) float64.

    Returns
    -------
    (K, K, 2 dz - 1, 2 dy - 1, 2 dx - 1) float64; shift d lies at index d + (dz - 1, dy - 1, dx - 1).

    References
    ----------
    Moreau, Gramfort: DiCoDiLe, IEEE TPAMI 2022, section 3.
    """
    n_atoms, *extent = atoms.shape
    lags = tuple(2 * n - 1 for n in extent)
    size = transform_shape(lags)
    spectrum = fft.rfftn(atoms, size, axes=AXES)
    # Lags run modulo the size: negative ones are rolled to the front.
    where = np.ix_(*(np.arange(1 - n, n) % s for n, s in zip(extent, size, strict=True)))
    products = np.empty((n_atoms, n_atoms, *lags))
    for k in range(n_atoms):
        cyclic = fft.irfftn(spectrum[k] * spectrum.conj(), size, axes=AXES)
        products[k] = cyclic[(slice(None), *where)]
    return products


def correlate(image: Floats, atoms: Floats) -> Floats:
    """Correlation of every atom with an image, c_k(t) = sum_j D_k(j) X(t + j).

    Parameters
    ----------
    image : (nz + dz - 1, ny + dy - 1, nx + dx - 1) float64.
    atoms : (K, dz, dy, dx) float64.

    Returns
    -------
    (K, nz, ny, nx) float64.

    Raises
    ------
    ValueError
        The image is smaller than an atom along an axis.
    """
    positions = tuple(n - d + 1 for n, d in zip(image.shape, atoms.shape[1:], strict=True))
    if min(positions) < 1:
        raise ValueError(f"an image of {image.shape} voxels is smaller than an atom of {atoms.shape[1:]}")
    size = transform_shape(image.shape)
    spectrum = fft.rfftn(image, size)
    z, y, x = (slice(0, n) for n in positions)
    found = np.empty((len(atoms), *positions))
    for k, atom in enumerate(atoms):
        found[k] = fft.irfftn(spectrum * fft.rfftn(atom, size).conj(), size)[z, y, x]
    return found


def rebuild(code: Floats, atoms: Floats) -> Floats:
    """What a dense code explains, sum_k D_k * z_k, where all that matters is known.

    Parameters
    ----------
    code : (K, nz + dz - 1, ny + dy - 1, nx + dx - 1) float64, from dz - 1, dy - 1, dx - 1 voxels before the image on.
    atoms : (K, dz, dy, dx) float64.

    Returns
    -------
    (nz, ny, nx) float64.
    """
    size = transform_shape(code.shape[1:])
    summed = np.zeros((*size[:2], size[2] // 2 + 1), dtype=np.complex128)
    for values, atom in zip(code, atoms, strict=True):
        if values.any():
            summed += fft.rfftn(values, size) * fft.rfftn(atom, size)
    explained = fft.irfftn(summed, size)
    z, y, x = (slice(d - 1, n) for d, n in zip(atoms.shape[1:], code.shape[1:], strict=True))
    return np.ascontiguousarray(explained[z, y, x])
