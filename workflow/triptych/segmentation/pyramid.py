"""One level of a pyramid from the level below: mean of grey values, most frequent label."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

Triple = tuple[int, int, int]


def halve_image(volume: npt.NDArray[Any], factors: Triple) -> npt.NDArray[Any]:
    """Mean over cells of ``factors`` voxels (1 or 2 along each axis), rounded half up.

    Parameters
    ----------
    volume : (z, y, x) unsigned integers; cells at the far border hold fewer voxels.
    """
    sums = volume.astype(np.uint32)
    count = np.ones((1, 1, 1), np.uint32)
    for axis, factor in enumerate(factors):
        if factor == 2:
            first, second = _pairs(sums, axis)
            sums = first + second
            members = np.full(sums.shape[axis], 2, np.uint32)
            members[-1] -= volume.shape[axis] % 2
            count = count * np.expand_dims(members, tuple(a for a in range(3) if a != axis))
    return ((sums + count // 2) // count).astype(volume.dtype)


def _pairs(values: npt.NDArray[Any], axis: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Even and odd entries along an axis; the odd ones end with zero where the length is odd."""
    even = np.take(values, range(0, values.shape[axis], 2), axis)
    odd = np.take(values, range(1, values.shape[axis], 2), axis)
    missing = even.shape[axis] - odd.shape[axis]
    return even, np.pad(odd, [(0, missing if a == axis else 0) for a in range(3)])


@numba.njit(nogil=True, cache=True)
def halve_labels(labels, factors):  # type: ignore[no-untyped-def]
    """Most frequent label of each cell of ``factors`` voxels; the smallest of those equally frequent.

    Parameters
    ----------
    labels : (z, y, x) unsigned integers.
    factors : 1 or 2 along each axis.
    """
    fz, fy, fx = factors
    nz, ny, nx = labels.shape
    out = np.zeros((-(-nz // fz), -(-ny // fy), -(-nx // fx)), labels.dtype)
    cell = np.zeros(8, labels.dtype)
    for z in range(out.shape[0]):
        for y in range(out.shape[1]):
            for x in range(out.shape[2]):
                size = 0
                for k in range(z * fz, min(z * fz + fz, nz)):
                    for j in range(y * fy, min(y * fy + fy, ny)):
                        for i in range(x * fx, min(x * fx + fx, nx)):
                            cell[size] = labels[k, j, i]
                            size += 1
                out[z, y, x] = _mode(cell, size)
    return out


@numba.njit(nogil=True, cache=True)
def _mode(cell, size):  # type: ignore[no-untyped-def]
    best, most = cell[0], 0
    for a in range(size):
        votes = 0
        for b in range(size):
            if cell[b] == cell[a]:
                votes += 1
        if votes > most or (votes == most and cell[a] < best):
            best, most = cell[a], votes
    return best
