"""Sums per object that add up over blocks: whole numbers only, so that any grouping gives the same table to the last bit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from triptych.morphometry.surface import DIRECTIONS

Triple = tuple[int, int, int]


@dataclass(frozen=True)
class Sums:
    """What is known of every object so far.

    Attributes
    ----------
    ids : (n,) int64 ascending labels.
    voxels : (n,) int64.
    lower, upper : (n, 3) int64 bounding box z, y, x; ``upper`` is one past the last voxel.
    first : (n, 3) int64 sums of coordinates from ``lower``.
    second : (n, 6) int64 sums of products zz, yy, xx, zy, zx, yx of coordinates from ``lower``.
    crossings : (n, 13) int64, per direction, pairs of neighbouring voxels of which one is in the object.
    border : (n,) int64 voxels on the border of the volume.
    intensity, squares : (n,) int64 sums of grey values and of their squares.
    darkest, brightest : (n,) int64.
    """

    ids: npt.NDArray[np.int64]
    voxels: npt.NDArray[np.int64]
    lower: npt.NDArray[np.int64]
    upper: npt.NDArray[np.int64]
    first: npt.NDArray[np.int64]
    second: npt.NDArray[np.int64]
    crossings: npt.NDArray[np.int64]
    border: npt.NDArray[np.int64]
    intensity: npt.NDArray[np.int64]
    squares: npt.NDArray[np.int64]
    darkest: npt.NDArray[np.int64]
    brightest: npt.NDArray[np.int64]


PAIRS = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))


def partial(labels: npt.NDArray[Any], image: npt.NDArray[Any] | None, origin: Triple, shape: Triple) -> Sums:
    """Sums of one block.

    Parameters
    ----------
    labels : (z + 2, y + 2, x + 2) unsigned integers, the block and one voxel around it; 0 outside the volume.
    image : (z, y, x) unsigned integers, the block without halo; None for intensities 0.
    origin : corner of the block in the volume.
    shape : of the volume.
    """
    core = labels[1:-1, 1:-1, 1:-1]
    ids = np.unique(core)
    ids = ids[ids > 0].astype(np.int64)
    index = np.searchsorted(ids, labels).clip(max=max(ids.size - 1, 0)).astype(np.int32)
    known = (ids[index] == labels) if ids.size else np.zeros(labels.shape, bool)
    compact = np.where(known & (labels > 0), index + 1, np.where(labels > 0, ids.size + 1, 0)).astype(
        np.int32
    )
    grey = np.zeros((1, 1, 1), np.uint8) if image is None else image
    whole, crossings = _accumulate(
        compact, grey, image is not None, ids.size, np.asarray(DIRECTIONS), origin, shape
    )
    lower, upper = whole[:, 1:4], whole[:, 4:7]
    shift = lower - np.asarray(origin)
    first, second = _moved(whole[:, 0], whole[:, 7:10], whole[:, 10:16], shift)
    return Sums(
        ids, whole[:, 0], lower, upper, first, second, crossings,
        whole[:, 16], whole[:, 17], whole[:, 18], whole[:, 19], whole[:, 20],
    )  # fmt: skip


def merge(*parts: Sums) -> Sums:
    """Sums of parts of a volume together."""
    ids, inverse = np.unique(np.concatenate([p.ids for p in parts]), return_inverse=True)

    def added(name: str) -> npt.NDArray[np.int64]:
        rows = np.concatenate([getattr(p, name) for p in parts])
        out = np.zeros((ids.size, *rows.shape[1:]), np.int64)
        np.add.at(out, inverse, rows)
        return out

    def extreme(name: str, ufunc: np.ufunc, start: int) -> npt.NDArray[np.int64]:
        rows = np.concatenate([getattr(p, name) for p in parts])
        out = np.full((ids.size, *rows.shape[1:]), start, np.int64)
        ufunc.at(out, inverse, rows)
        return out

    far = np.iinfo(np.int64).max
    lower = extreme("lower", np.minimum, far)
    own = np.concatenate([p.lower for p in parts])
    first, second = _moved(
        np.concatenate([p.voxels for p in parts]),
        np.concatenate([p.first for p in parts]),
        np.concatenate([p.second for p in parts]),
        lower[inverse] - own,
    )
    first_sum, second_sum = np.zeros((ids.size, 3), np.int64), np.zeros((ids.size, 6), np.int64)
    np.add.at(first_sum, inverse, first)
    np.add.at(second_sum, inverse, second)
    return Sums(
        ids=ids,
        voxels=added("voxels"),
        lower=lower,
        upper=extreme("upper", np.maximum, -far),
        first=first_sum,
        second=second_sum,
        crossings=added("crossings"),
        border=added("border"),
        intensity=added("intensity"),
        squares=added("squares"),
        darkest=extreme("darkest", np.minimum, far),
        brightest=extreme("brightest", np.maximum, -far),
    )


def _moved(
    voxels: npt.NDArray[np.int64],
    first: npt.NDArray[np.int64],
    second: npt.NDArray[np.int64],
    shift: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Sums of coordinates and of their products after the origin has moved by ``shift``."""
    moved = second.copy()
    for column, (a, b) in enumerate(PAIRS):
        moved[:, column] += (
            voxels * shift[:, a] * shift[:, b] - shift[:, a] * first[:, b] - shift[:, b] * first[:, a]
        )
    return first - voxels[:, None] * shift, moved


@numba.njit(nogil=True, cache=True)
def _accumulate(labels, image, has_image, count, directions, origin, shape):  # type: ignore[no-untyped-def]
    """One pass over a block; coordinates count from the block's corner."""
    sums = np.zeros((count, 21), np.int64)
    crossings = np.zeros((count, directions.shape[0]), np.int64)
    far = np.iinfo(np.int64).max
    for i in range(count):
        sums[i, 1:4] = far
        sums[i, 4:7] = -far
        sums[i, 19] = far
        sums[i, 20] = -far
    nz, ny, nx = labels.shape[0] - 2, labels.shape[1] - 2, labels.shape[2] - 2
    for z in range(nz):
        on_z = z + origin[0] == 0 or z + origin[0] == shape[0] - 1
        for y in range(ny):
            on_y = y + origin[1] == 0 or y + origin[1] == shape[1] - 1
            for x in range(nx):
                label = labels[z + 1, y + 1, x + 1]
                if label == 0:
                    continue
                row = sums[label - 1]
                row[0] += 1
                row[1] = min(row[1], z + origin[0])
                row[2] = min(row[2], y + origin[1])
                row[3] = min(row[3], x + origin[2])
                row[4] = max(row[4], z + origin[0] + 1)
                row[5] = max(row[5], y + origin[1] + 1)
                row[6] = max(row[6], x + origin[2] + 1)
                row[7] += z
                row[8] += y
                row[9] += x
                row[10] += z * z
                row[11] += y * y
                row[12] += x * x
                row[13] += z * y
                row[14] += z * x
                row[15] += y * x
                if on_z or on_y or x + origin[2] == 0 or x + origin[2] == shape[2] - 1:
                    row[16] += 1
                if has_image:
                    grey = np.int64(image[z, y, x])
                    row[17] += grey
                    row[18] += grey * grey
                    row[19] = min(row[19], grey)
                    row[20] = max(row[20], grey)
                for d in range(directions.shape[0]):
                    k, j, i = directions[d, 0], directions[d, 1], directions[d, 2]
                    if labels[z + 1 + k, y + 1 + j, x + 1 + i] != label:
                        crossings[label - 1, d] += 1
                    if labels[z + 1 - k, y + 1 - j, x + 1 - i] != label:
                        crossings[label - 1, d] += 1
    return sums, crossings
