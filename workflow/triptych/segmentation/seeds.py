"""Seeds: the connected places that lie deepest between membranes.

A seed voxel is farther than one distance from every membrane, and either farther than a second, larger one, or the deepest
voxel of its surroundings: wide cells get one seed, narrow processes a chain of them, and a gap in a membrane joins nothing
that is not as wide as the second distance. Distances are compared in whole numbers, so that whether a voxel is a seed depends
on its neighbourhood and on nothing else. Components are found per block and merged over faces, edges and corners of blocks.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numba
import numpy as np
import numpy.typing as npt

Connectivity = Literal[6, 18, 26]
Spacing = tuple[float, float, float]
Triple = tuple[int, int, int]
Pairs = npt.NDArray[np.int64]

# Squared distances are counted in units of the finest voxel squared, divided by this.
RESOLUTION = 256


@dataclass(frozen=True)
class SeedRule:
    """What makes a voxel a seed.

    Attributes
    ----------
    voxel_size_nm : (z, y, x).
    least_nm : every seed is farther than this from membrane.
    core_nm : every voxel farther than this is a seed; distances beyond it are not told apart.
    window_nm : elsewhere, a seed is the deepest voxel within this distance along each axis.
    in_plane : look at every slice alone.
    """

    voxel_size_nm: Spacing
    least_nm: float
    core_nm: float
    window_nm: float
    connectivity: Connectivity
    in_plane: bool

    @property
    def halo(self) -> Triple:
        """Voxels around a block that decide which of its voxels are seeds."""
        z, y, x = (
            math.floor(self.core_nm / size) + math.floor(self.window_nm / size) for size in self.voxel_size_nm
        )
        return (0 if self.in_plane else z, y, x)

    @property
    def window(self) -> Triple:
        """Half width of the window in voxels."""
        z, y, x = (math.floor(self.window_nm / size) for size in self.voxel_size_nm)
        return (0 if self.in_plane else z, y, x)

    @property
    def links(self) -> frozenset[Triple]:
        """Offsets between seed voxels that belong together."""
        reach = {6: 1, 18: 2, 26: 3}[self.connectivity]
        return frozenset(
            (z, y, x)
            for z, y, x in itertools.product((-1, 0, 1), repeat=3)
            if 0 < abs(z) + abs(y) + abs(x) <= reach and not (self.in_plane and z)
        )


def seed_voxels(membrane: npt.NDArray[np.bool_], rule: SeedRule) -> npt.NDArray[np.bool_]:
    """Seed voxels of a block that is given with its halo."""
    depth = squared_depth(membrane, rule.voxel_size_nm, rule.core_nm, in_plane=rule.in_plane)
    core, least = (_units(rule.voxel_size_nm, distance) for distance in (rule.core_nm, rule.least_nm))
    deepest = _window_maximum(depth, rule.window)
    return np.asarray((depth > core) | ((depth > least) & (depth == deepest)))


def _units(voxel_size_nm: Spacing, distance_nm: float) -> int:
    return math.floor((distance_nm / min(voxel_size_nm)) ** 2 * RESOLUTION)


def squared_depth(
    membrane: npt.NDArray[np.bool_], voxel_size_nm: Spacing, limit_nm: float, *, in_plane: bool = False
) -> npt.NDArray[np.int32]:
    """Squared distance of every voxel centre to the nearest membrane voxel centre, in 1/256 of the finest voxel squared.

    Beyond ``limit_nm`` all are the same number, one above the limit. The border of the array is no membrane. The square along
    each axis is rounded once and minima over offsets are taken axis by axis in whole numbers, so equal neighbourhoods give
    equal answers wherever they lie.

    Parameters
    ----------
    membrane : (z, y, x).
    voxel_size_nm : (z, y, x).
    in_plane : within each slice alone.

    References
    ----------
    Felzenszwalb & Huttenlocher 2012, Theory Comput. 8:415 (squared distances axis by axis).
    """
    unit, limit = min(voxel_size_nm), _units(voxel_size_nm, limit_nm)
    if limit > np.iinfo(np.int32).max // 4:
        raise ValueError(f"a distance of {limit_nm:g} nm is too long for voxels of {unit:g} nm")
    squares = []
    for axis, size in enumerate(voxel_size_nm):
        steps = range(1 if in_plane and axis == 0 else math.floor(limit_nm / size) + 1)
        along = np.array([round((k * size / unit) ** 2 * RESOLUTION) for k in steps], np.int64)
        squares.append(along[along <= limit].astype(np.int32))
    beyond = np.int32(limit + 1)
    found = _along_x(np.ascontiguousarray(membrane), squares[2], beyond)
    return _lower_z(_lower_y(found, squares[1], beyond), squares[0], beyond)


@numba.njit(nogil=True, cache=True)
def _along_x(membrane, squares, beyond):  # type: ignore[no-untyped-def]
    nz, ny, nx = membrane.shape
    out = np.empty(membrane.shape, np.int32)
    for z in range(nz):
        for y in range(ny):
            row, found = membrane[z, y], out[z, y]
            steps = squares.size
            for x in range(nx):
                steps = 0 if row[x] else min(steps + 1, squares.size)
                found[x] = squares[steps] if steps < squares.size else beyond
            steps = squares.size
            for i in range(nx):
                x = nx - 1 - i
                steps = 0 if row[x] else min(steps + 1, squares.size)
                if steps < squares.size:
                    found[x] = min(found[x], squares[steps])
    return out


@numba.njit(nogil=True, cache=True)
def _lower_y(values, squares, beyond):  # type: ignore[no-untyped-def]
    """Minimum of values plus squared offset along y."""
    nz, ny, nx = values.shape
    out = values.copy()
    for z in range(nz):
        for y in range(ny):
            line = out[z, y]
            for k in range(1, squares.size):
                for sign in (-1, 1):
                    if 0 <= y + sign * k < ny:
                        other, add = values[z, y + sign * k], squares[k]
                        for x in range(nx):
                            line[x] = min(line[x], other[x] + add)
            for x in range(nx):
                line[x] = min(line[x], beyond)
    return out


@numba.njit(nogil=True, cache=True)
def _lower_z(values, squares, beyond):  # type: ignore[no-untyped-def]
    """Minimum of values plus squared offset along z."""
    nz, ny, nx = values.shape
    out = values.copy()
    for z in range(nz):
        for k in range(1, squares.size):
            for sign in (-1, 1):
                if 0 <= z + sign * k < nz:
                    add = squares[k]
                    for y in range(ny):
                        line, other = out[z, y], values[z + sign * k, y]
                        for x in range(nx):
                            line[x] = min(line[x], other[x] + add)
        for y in range(ny):
            for x in range(nx):
                out[z, y, x] = min(out[z, y, x], beyond)
    return out


def _window_maximum(values: npt.NDArray[np.int32], window: Triple) -> npt.NDArray[np.int32]:
    """Largest value within ``window`` voxels along each axis; places outside the array do not count."""
    for axis, radius in enumerate(window):
        lines = np.moveaxis(values, axis, 0)
        out = lines.copy()
        for k in range(1, min(radius, len(lines) - 1) + 1):
            np.maximum(out[k:], lines[:-k], out=out[k:])
            np.maximum(out[:-k], lines[k:], out=out[:-k])
        values = np.moveaxis(out, 0, axis)
    return values


def components(mask: npt.NDArray[np.bool_], rule: SeedRule) -> tuple[npt.NDArray[np.uint32], int]:
    """Connected components of one block, ids from 1 in the order of their first voxel."""
    before = np.array(sorted(link for link in rule.links if link < (0, 0, 0)), np.int64)
    labels, count = _label(np.ascontiguousarray(mask), before)
    return labels, int(count)


@numba.njit(nogil=True, cache=True)
def _label(mask, before):  # type: ignore[no-untyped-def]
    """Two passes with a union-find over provisional ids (Rosenfeld & Pfaltz 1966, J. ACM 13:471)."""
    nz, ny, nx = mask.shape
    labels = np.zeros(mask.shape, np.uint32)
    parent = np.zeros(1024, np.uint32)
    count = 0
    for z in range(nz):
        for y in range(ny):
            for x in range(nx):
                if not mask[z, y, x]:
                    continue
                root = np.uint32(0)
                for n in range(before.shape[0]):
                    k, j, i = z + before[n, 0], y + before[n, 1], x + before[n, 2]
                    if k < 0 or j < 0 or i < 0 or j >= ny or i >= nx or not mask[k, j, i]:
                        continue
                    other = labels[k, j, i]
                    if other == root:
                        continue
                    while parent[other] != other:
                        parent[other] = parent[parent[other]]
                        other = parent[other]
                    if root == 0:
                        root = other
                    elif other != root:
                        parent[max(root, other)] = min(root, other)
                        root = min(root, other)
                if root == 0:
                    count += 1
                    if count == parent.size:
                        parent = np.concatenate((parent, np.zeros(parent.size, np.uint32)))
                    root = np.uint32(count)
                    parent[count] = root
                labels[z, y, x] = root
    final = np.zeros(count + 1, np.uint32)
    kept = 0
    for label in range(1, count + 1):
        root = np.uint32(label)
        while parent[root] != root:
            root = parent[root]
        if final[root] == 0:
            kept += 1
            final[root] = kept
        final[label] = final[root]
    for z in range(nz):
        for y in range(ny):
            for x in range(nx):
                labels[z, y, x] = final[labels[z, y, x]]
    return labels, kept


@numba.njit(nogil=True, cache=True)
def sizes_and_firsts(labels, count, origin, shape):  # type: ignore[no-untyped-def]
    """Voxels of every label of a block, and the smallest linear index (in the whole volume) that it has.

    Parameters
    ----------
    labels : (z, y, x) block, ids 0 (left out) to ``count``.
    origin, shape : corner of the block and shape of the volume.

    Returns
    -------
    sizes, firsts : (count + 1,) int64.
    """
    sizes = np.zeros(count + 1, np.int64)
    firsts = np.full(count + 1, np.iinfo(np.int64).max, np.int64)
    nz, ny, nx = labels.shape
    for z in range(nz):
        for y in range(ny):
            start = ((z + origin[0]) * shape[1] + y + origin[1]) * shape[2] + origin[2]
            for x in range(nx):
                label = labels[z, y, x]
                sizes[label] += 1
                firsts[label] = min(firsts[label], start + x)
    return sizes, firsts


def borders(labels: npt.NDArray[Any]) -> dict[str, npt.NDArray[Any]]:
    """The six outermost planes of a block, by axis (0 to 2) and side (0 first, 1 last), e.g. ``"border01"``."""
    return {
        f"border{axis}{side}": np.ascontiguousarray(np.take(labels, -1 if side else 0, axis))
        for axis in range(3)
        for side in (0, 1)
    }


def neighbour_directions(rule: SeedRule) -> list[Triple]:
    """Half of the directions in which blocks touch, as the links between voxels allow."""
    return sorted(d for d in rule.links if d > (0, 0, 0))


def touching(
    first: dict[str, npt.NDArray[Any]], second: dict[str, npt.NDArray[Any]], direction: Triple, rule: SeedRule
) -> Pairs:
    """Pairs of components that touch between a block and the one next to it.

    Parameters
    ----------
    first, second : their ``borders``; ``second`` lies in ``direction`` from ``first``.

    Returns
    -------
    (n, 2) int64, distinct pairs of ids (first, second), both positive.
    """
    along = [axis for axis in range(3) if not direction[axis]]
    a, b = (_side(planes, direction, sign) for planes, sign in ((first, 1), (second, -1)))
    pairs = [np.zeros((0, 2), np.int64)]
    for shift in itertools.product((-1, 0, 1), repeat=a.ndim):
        link = list(direction)
        for axis, step in zip(along, shift, strict=True):
            link[axis] = step
        if tuple(link) not in rule.links:
            continue
        here = tuple(slice(max(0, -s), n - max(0, s)) for s, n in zip(shift, a.shape, strict=True))
        there = tuple(slice(max(0, s), n - max(0, -s)) for s, n in zip(shift, a.shape, strict=True))
        pair = np.stack([a[here].ravel(), b[there].ravel()], axis=1)
        pairs.append(np.unique(pair[(pair > 0).all(axis=1)], axis=0))
    return np.unique(np.concatenate(pairs), axis=0).astype(np.int64)


def _side(planes: dict[str, npt.NDArray[Any]], direction: Triple, sign: int) -> npt.NDArray[Any]:
    """The voxels of a block that face a neighbour: a plane, a line or one voxel."""
    steps = [a for a in range(3) if direction[a]]
    plane = planes[f"border{steps[0]}{int(sign * direction[steps[0]] > 0)}"]
    index = [
        slice(None) if not direction[a] else (-1 if sign * direction[a] > 0 else 0)
        for a in range(3)
        if a != steps[0]
    ]
    return np.asarray(plane[tuple(index)])


def merge_components(
    counts: Sequence[int],
    sizes: Sequence[npt.NDArray[np.int64]],
    firsts: Sequence[npt.NDArray[np.int64]],
    pairs: Iterator[tuple[int, int, Pairs]],
    min_voxels: int,
) -> tuple[list[npt.NDArray[np.uint32]], int]:
    """Ids of the whole volume for the components of every block.

    Parameters
    ----------
    counts : components of each block.
    sizes, firsts : per block, as ``sizes_and_firsts`` gives them.
    pairs : (block, other block, touching pairs).
    min_voxels : components smaller than this in the whole volume get 0.

    Returns
    -------
    tables : per block (count + 1,), from its ids to ids of the volume, which are ordered by smallest linear voxel index.
    count : number of components kept.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    starts = np.concatenate([[0], np.cumsum(np.asarray(counts, np.int64))])
    links = [p + np.array([starts[i] - 1, starts[j] - 1]) for i, j, p in pairs]
    edges = np.concatenate([np.zeros((0, 2), np.int64), *links])
    total = int(starts[-1])
    graph = coo_array((np.ones(len(edges), np.int8), (edges[:, 0], edges[:, 1])), shape=(total, total))
    groups, group = connected_components(graph, directed=False) if total else (0, np.zeros(0, np.int64))
    size = np.zeros(groups, np.int64)
    first = np.full(groups, np.iinfo(np.int64).max)
    np.add.at(size, group, np.concatenate([s[1:] for s in sizes] or [size]))
    np.minimum.at(first, group, np.concatenate([f[1:] for f in firsts] or [first]))
    ids = canonical_ids(first, size >= max(1, min_voxels))
    return [
        np.concatenate([[0], ids[group[starts[i] : starts[i + 1]]]]).astype(np.uint32)
        for i in range(len(counts))
    ], int(ids.max(initial=0))


def canonical_ids(first: npt.NDArray[np.int64], kept: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Ids from 1 for what is kept, in the order of the smallest linear voxel index; 0 for the rest."""
    ids = np.zeros(first.size, np.int64)
    order = np.argsort(first, kind="stable")
    order = order[kept[order]]
    ids[order] = np.arange(1, order.size + 1)
    return ids
