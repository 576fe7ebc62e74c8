"""Where fragments touch: exact whole-number sums per pair, which add up over blocks in any grouping."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

Triple = tuple[int, int, int]


@dataclass(frozen=True)
class Contacts:
    """Faces between fragments, and of fragments on the border of the volume.

    Attributes
    ----------
    pairs : (m, 2) int64, smaller id first, rows ascending and distinct.
    faces : (m, 3) int64, faces across z, y, x.
    boundary : (m, 3) int64, over these faces, sum of the larger boundary value (uint8) of the two voxels.
    fragments : (k,) int64 ascending ids that touch the border of the volume.
    rims : (k, 3) int64, their faces on it across z, y, x.
    """

    pairs: npt.NDArray[np.int64]
    faces: npt.NDArray[np.int64]
    boundary: npt.NDArray[np.int64]
    fragments: npt.NDArray[np.int64]
    rims: npt.NDArray[np.int64]

    def arrays(self, prefix: str = "") -> dict[str, npt.NDArray[Any]]:
        """As a flat dict, for a file."""
        return {prefix + name: value for name, value in self.__dict__.items()}


def partial(
    labels: npt.NDArray[Any], boundary: npt.NDArray[np.uint8], core: Triple, origin: Triple, shape: Triple
) -> Contacts:
    """Contacts that a block owns: the faces between its voxels and those after them.

    Parameters
    ----------
    labels, boundary : the block, and where the volume goes on one plane more at its end along each axis.
    core : shape of the block without these planes.
    origin, shape : corner of the block in the volume, and the volume's shape.
    """
    labels = np.ascontiguousarray(labels)
    count = _count(labels, core)
    keys = np.empty(count, np.int64)
    values = np.empty(count, np.int64)
    axes = np.empty(count, np.int8)
    _fill(labels, np.ascontiguousarray(boundary), core, keys, values, axes)
    distinct, faces, sums = _sums(keys, axes, values)
    rim_labels, rim_axes = _rims(labels[: core[0], : core[1], : core[2]], origin, shape)
    fragments, rims, _ = _sums(rim_labels, rim_axes, np.zeros(len(rim_labels), np.int64))
    return Contacts(np.stack([distinct >> 32, distinct & 0xFFFFFFFF], axis=1), faces, sums, fragments, rims)


def merge(*parts: Contacts) -> Contacts:
    """Contacts of parts of a volume together."""
    keys = np.concatenate([(part.pairs[:, 0] << 32) | part.pairs[:, 1] for part in parts])
    distinct, (faces, sums) = _group(keys, [[p.faces for p in parts], [p.boundary for p in parts]])
    fragments, (rims,) = _group(np.concatenate([p.fragments for p in parts]), [[p.rims for p in parts]])
    return Contacts(np.stack([distinct >> 32, distinct & 0xFFFFFFFF], axis=1), faces, sums, fragments, rims)


def _group(
    keys: npt.NDArray[np.int64], tables: list[list[npt.NDArray[np.int64]]]
) -> tuple[npt.NDArray[np.int64], list[npt.NDArray[np.int64]]]:
    """Distinct keys, and for every table the sums of its rows by key."""
    distinct, inverse = np.unique(keys, return_inverse=True)
    out = []
    for rows in tables:
        total = np.zeros((distinct.size, 3), np.int64)
        np.add.at(total, inverse, np.concatenate(rows))
        out.append(total)
    return distinct, out


def _sums(
    keys: npt.NDArray[np.int64], axes: npt.NDArray[np.int8], values: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Distinct keys; how often each comes per axis; and the sum of its values per axis."""
    distinct, inverse = np.unique(keys, return_inverse=True)
    cell = inverse * 3 + axes
    size = distinct.size * 3
    counts = np.bincount(cell, minlength=size)
    totals = np.rint(np.bincount(cell, weights=values, minlength=size)).astype(np.int64)
    return distinct, counts.reshape(-1, 3).astype(np.int64), totals.reshape(-1, 3)


@numba.njit(nogil=True, cache=True)
def _count(labels, core):  # type: ignore[no-untyped-def]
    nz, ny, nx = labels.shape
    total = 0
    for z in range(core[0]):
        for y in range(core[1]):
            for x in range(core[2]):
                a = labels[z, y, x]
                if a == 0:
                    continue
                if x + 1 < nx and labels[z, y, x + 1] != a and labels[z, y, x + 1] != 0:
                    total += 1
                if y + 1 < ny and labels[z, y + 1, x] != a and labels[z, y + 1, x] != 0:
                    total += 1
                if z + 1 < nz and labels[z + 1, y, x] != a and labels[z + 1, y, x] != 0:
                    total += 1
    return total


@numba.njit(nogil=True, cache=True)
def _fill(labels, boundary, core, keys, values, axes):  # type: ignore[no-untyped-def]
    nz, ny, nx = labels.shape
    at = 0
    for z in range(core[0]):
        for y in range(core[1]):
            for x in range(core[2]):
                a = np.int64(labels[z, y, x])
                if a == 0:
                    continue
                for axis in range(3):
                    k, j, i = z + (axis == 0), y + (axis == 1), x + (axis == 2)
                    if k < nz and j < ny and i < nx:
                        b = np.int64(labels[k, j, i])
                        if b not in (0, a):
                            keys[at] = min(a, b) << 32 | max(a, b)
                            values[at] = max(np.int64(boundary[z, y, x]), np.int64(boundary[k, j, i]))
                            axes[at] = axis
                            at += 1


def _rims(
    labels: npt.NDArray[Any], origin: Triple, shape: Triple
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int8]]:
    """Labels of the voxel faces that lie on the border of the volume, and their axes."""
    found, axes = [np.zeros(0, np.int64)], [np.zeros(0, np.int8)]
    for axis in range(3):
        for last, on_border in (
            (0, origin[axis] == 0),
            (-1, origin[axis] + labels.shape[axis] == shape[axis]),
        ):
            if on_border:
                plane = np.take(labels, last, axis).ravel()
                found.append(plane[plane > 0].astype(np.int64))
                axes.append(np.full(found[-1].size, axis, np.int8))
    return np.concatenate(found), np.concatenate(axes)
