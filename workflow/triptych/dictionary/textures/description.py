"""What an image atom looks like: its period, its direction, and how strongly it is directed.

The period is that of the largest power of the atom less its mean. Direction is read from the structure tensor, the sum of the
products of slopes in the plane (differences between neighbours, in 1/nm): the slopes of stripes all point across, so that the
larger eigenvector is the direction across and the smaller one the direction along them.

References
----------
Bigun, Granlund: Optimal orientation detection of linear symmetry, ICCV 1987 (the structure tensor).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import fft

from triptych.dictionary.textures.events import Floats

PADDING = 4


@dataclass(frozen=True)
class Described:
    """One value per atom.

    Attributes
    ----------
    period : (K,) nm, 1 / |f| at the largest power; NaN for an atom without structure.
    orientation : (K,) degrees from 0 to 180, of the direction along stripes in the plane: 0 along x, 90 along y (downwards).
    anisotropy : (K,) from 0 (no direction) to 1 (straight stripes).
    """

    period: Floats
    orientation: Floats
    anisotropy: Floats


def describe(atoms: Floats, voxel_size_nm: tuple[float, float, float]) -> Described:
    """Period, orientation and anisotropy of atoms (K, dz, dy, dx) with voxels of this size."""
    rows = np.array([_describe(atom, voxel_size_nm) for atom in atoms])
    return Described(rows[:, 0], rows[:, 1], rows[:, 2])


def _describe(atom: Floats, voxel_size_nm: tuple[float, float, float]) -> tuple[float, float, float]:
    size = [PADDING * n if n > 1 else 1 for n in atom.shape]
    power = np.abs(fft.fftn(atom - atom.mean(), size)) ** 2
    z, y, x = np.meshgrid(
        *(fft.fftfreq(n, s) for n, s in zip(size, voxel_size_nm, strict=True)), indexing="ij"
    )
    total = float(power.sum())
    if not total > 1e-24:
        return np.nan, 0.0, 0.0
    peak = int(np.argmax(power))
    frequency = float(np.sqrt(z.ravel()[peak] ** 2 + y.ravel()[peak] ** 2 + x.ravel()[peak] ** 2))
    slopes = [
        np.gradient(atom, voxel_size_nm[axis], axis=axis) if atom.shape[axis] > 1 else np.zeros_like(atom)
        for axis in (1, 2)
    ]
    yy, xx, xy = (float(np.vdot(slopes[i], slopes[j])) for i, j in ((0, 0), (1, 1), (0, 1)))
    apart = float(np.hypot(xx - yy, 2 * xy))
    across = 0.5 * np.arctan2(2 * xy, xx - yy)
    along = float(np.degrees(across) + 90.0) % 180.0
    return 1 / frequency if frequency else np.nan, along, apart / (xx + yy) if xx + yy > 0 else 0.0
