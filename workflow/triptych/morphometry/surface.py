"""Surface area from counted crossings along 13 directions of the lattice (Crofton's formula)."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import numpy.typing as npt

Spacing = tuple[float, float, float]

DIRECTIONS: tuple[tuple[int, int, int], ...] = tuple(
    (z, y, x) for z, y, x in itertools.product((-1, 0, 1), repeat=3) if (z, y, x) > (0, 0, 0)
)


@functools.lru_cache(maxsize=32)
def direction_weights(voxel_size_nm: Spacing) -> npt.NDArray[np.float64]:
    """Share of the sphere that is nearer to a direction (or its opposite) than to the twelve others.

    Parameters
    ----------
    voxel_size_nm : (z, y, x); directions are those between neighbouring voxel centres.

    Returns
    -------
    (13,) summing to 1: areas of the Voronoi cells of the 26 directions on the sphere.
    """
    from scipy.spatial import SphericalVoronoi

    vectors = np.asarray(DIRECTIONS) * np.asarray(voxel_size_nm)
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    areas = SphericalVoronoi(np.concatenate([units, -units])).calculate_areas()
    return np.asarray((areas[:13] + areas[13:]) / areas.sum())


def surface_nm2(crossings: npt.NDArray[np.int64], voxel_size_nm: Spacing) -> npt.NDArray[np.float64]:
    """Surface area by S = 2 V sum_k c_k N_k / |d_k|.

    Lines of direction k have one line per area V / |d_k| across (V the voxel's volume), an object is entered or left N_k times,
    and the mean over directions of half these crossings per area is a quarter of the surface.

    Parameters
    ----------
    crossings : (n, 13) pairs of neighbours in each direction of which one is in the object.

    References
    ----------
    Lehmann & Legland 2012, Insight J. (Efficient N-dimensional surface estimation using Crofton formula); Ohser & Mücklich
    2000, Statistical Analysis of Microstructures in Materials Science.
    """
    lengths = np.linalg.norm(np.asarray(DIRECTIONS) * np.asarray(voxel_size_nm), axis=1)
    factors = 2 * float(np.prod(voxel_size_nm)) * direction_weights(voxel_size_nm) / lengths
    return np.asarray(crossings @ factors)
