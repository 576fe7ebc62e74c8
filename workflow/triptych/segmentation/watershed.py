"""Seeded watershed by topographic distance, in whole numbers, so that every block gives what the whole volume gives.

Every voxel takes the seed of lexicographically smallest (path cost, seed id). Costs are positive integers, so the winner is
defined without reference to any order of work; paths are cut at a largest cost, so a block needs to look only as far as the
cheapest steps reach.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

Spacing = tuple[float, float, float]
Triple = tuple[int, int, int]

# Cost of the shortest step through clear tissue: fine enough that diagonal fronts and weights round little.
STEP = 16
# A voxel's state is one number: cost above these bits, label below.
LABEL_BITS = 32
LABEL_MASK = (1 << LABEL_BITS) - 1
PIECE = 64


@dataclass(frozen=True)
class Terrain:
    """Costs of steps.

    Attributes
    ----------
    weights : (3, 511) int32, cost of a step along z, y, x by the sum of the two boundary values (uint8) at its ends.
    limit : largest cost of a path.
    """

    weights: npt.NDArray[np.int32]
    limit: int

    @property
    def halo(self) -> Triple:
        """Voxels along each axis that a path within the limit can cross."""
        return self._halo(1)

    @property
    def halos(self) -> tuple[Triple, ...]:
        """Growing halos to try, the last of which is always enough."""
        found = [self._halo(part) for part in (8, 4, 2, 1)]
        return tuple(h for i, h in enumerate(found) if i == 3 or (h != found[i + 1] and min(h) > 0))

    def _halo(self, part: int) -> Triple:
        z, y, x = (self.limit // part // int(w) for w in self.weights[:, 0])
        return z, y, x


def plan_terrain(voxel_size_nm: Spacing, contrast: float, reach_nm: float) -> Terrain:
    """Step costs proportional to length x (1 + contrast x mean boundary probability of the two ends).

    Parameters
    ----------
    voxel_size_nm : (z, y, x).
    contrast : how many times longer than clear tissue a full boundary counts, less one.
    reach_nm : longest path, counted in nanometres of clear tissue.
    """
    unit = STEP / min(voxel_size_nm)
    sums = np.arange(511) / 510
    weights = np.array([np.rint(unit * size * (1 + contrast * sums)) for size in voxel_size_nm])
    limit = math.floor(unit * reach_nm)
    if weights.max() >= 2**30 or limit >= 2**30:
        raise ValueError(
            f"contrast {contrast:g} or reach {reach_nm:g} nm is too large for voxels of {voxel_size_nm} nm"
        )
    return Terrain(np.maximum(weights, 1).astype(np.int32), limit)


def flood(
    seeds: npt.NDArray[Any], boundary: npt.NDArray[np.uint8], terrain: Terrain
) -> npt.NDArray[np.uint32]:
    """Grow seeds over their neighbours (6-connected) in the order of path cost.

    Parameters
    ----------
    seeds : (z, y, x) integer ids, 0 where there is none.
    boundary : (z, y, x) boundary probability, 255 for 1.
    terrain : costs.

    Returns
    -------
    (z, y, x) uint32; 0 where no path within the limit arrives.

    References
    ----------
    Meyer 1994, Signal Process. 38:113 (topographic distance); Falcão, Stolfi & Lotufo 2004, IEEE TPAMI 26:19 (image foresting
    transform); Dial 1969, Commun. ACM 12:632 (buckets).
    """
    padded = np.pad(boundary, 1)
    state = np.zeros(padded.shape, np.int64)
    inside = (slice(1, -1),) * 3
    state[inside] = np.where(seeds > 0, seeds.astype(np.int64), np.int64(terrain.limit + 1) << LABEL_BITS)
    _flood(state.reshape(-1), padded.reshape(-1), state.shape, terrain.weights, terrain.limit)
    return (state[inside] & LABEL_MASK).astype(np.uint32)


def flood_block(
    seeds: npt.NDArray[Any],
    boundary: npt.NDArray[np.uint8],
    terrain: Terrain,
    inside: tuple[slice, ...],
    cut: tuple[tuple[bool, bool], ...],
) -> npt.NDArray[np.uint32] | None:
    """Flood a block that is given with some halo; None where that halo cannot prove the block's labels.

    What lies outside can only come in through the faces where the halo was cut. They are made a seed of their own that wins
    every tie: it comes in at least as early as anything from outside could. If it takes no voxel of the block, then nothing
    from outside would have, and the labels are those of the whole volume.

    Parameters
    ----------
    seeds, boundary : (z, y, x) block with halo.
    inside : where the block lies in it.
    cut : for each axis, whether the volume goes on before its first and after its last plane.
    """
    unknown = 1
    marked = np.where(seeds > 0, seeds.astype(np.uint32) + np.uint32(unknown), np.uint32(0))
    for axis, faces in enumerate(cut):
        for side, goes_on in zip((0, -1), faces, strict=True):
            if goes_on:
                plane = np.moveaxis(marked, axis, 0)[side]
                plane[plane == 0] = unknown
    labels = flood(marked, boundary, terrain)[inside]
    if any(map(any, cut)) and (labels == unknown).any():
        return None
    return np.maximum(labels, unknown) - np.uint32(unknown)


@numba.njit(nogil=True, cache=True)
def _flood(state, boundary, shape, weights, limit):  # type: ignore[no-untyped-def]
    """Dijkstra with one bucket per cost; entries that a cheaper path has overtaken are skipped when they come up.

    ``state`` holds cost << 32 | label, so that smaller is better in both respects; the rim of the padded volume holds 0, which
    nothing improves. A bucket is a chain of pieces of ``PIECE`` voxels: the newest is ``heads[cost]`` with ``fills[cost]``
    voxels in it, and ``links`` leads to the one before; emptied pieces are used again.
    """
    steps = np.array([shape[1] * shape[2], shape[2], 1])
    heads = np.full(limit + 1, -1, np.int64)
    fills = np.full(limit + 1, PIECE, np.int64)
    links = np.full(1024, -1, np.int64)
    pool = np.empty(links.size * PIECE, np.int64)
    used, free = 0, -1
    scan = 0
    for cost in range(limit + 1):
        base = np.int64(cost) << LABEL_BITS
        while True:
            if cost == 0:
                while scan < state.size and (state[scan] == 0 or state[scan] > LABEL_MASK):
                    scan += 1
                if scan == state.size:
                    break
                voxel = scan
                scan += 1
            else:
                piece = heads[cost]
                if piece < 0:
                    break
                fills[cost] -= 1
                voxel = pool[piece * PIECE + fills[cost]]
                if fills[cost] == 0:
                    heads[cost] = links[piece]
                    fills[cost] = PIECE
                    links[piece] = free
                    free = piece
                if state[voxel] < base:
                    continue
            label = state[voxel] & LABEL_MASK
            here = np.int64(boundary[voxel])
            for axis in range(3):
                for sign in (-1, 1):
                    other = voxel + sign * steps[axis]
                    old = state[other]
                    if old <= base:
                        continue
                    new = cost + np.int64(weights[axis, here + np.int64(boundary[other])])
                    if new > limit or old <= (new << LABEL_BITS | label):
                        continue
                    state[other] = new << LABEL_BITS | label
                    if old >> LABEL_BITS == new:
                        continue
                    if fills[new] == PIECE:
                        if free >= 0:
                            piece, free = free, links[free]
                        else:
                            if used == links.size:
                                links = np.concatenate((links, np.full(used, -1, np.int64)))
                                pool = np.concatenate((pool, np.empty(pool.size, np.int64)))
                            piece = used
                            used += 1
                        links[piece] = heads[new]
                        heads[new] = piece
                        fills[new] = 0
                    pool[heads[new] * PIECE + fills[new]] = other
                    fills[new] += 1
