"""Joining fragments of one cell: where no membrane stands between them, and where one lies inside the other."""

from __future__ import annotations

import heapq

import numpy as np
import numpy.typing as npt

from triptych.segmentation.contacts import Contacts

Spacing = tuple[float, float, float]
# A fragment with more of its surface than this on the border of the volume may have neighbours outside.
MAX_RIM = 0.45

Shared = tuple[float, float]


def agglomerate(
    contacts: Contacts,
    sizes: npt.NDArray[np.int64],
    voxel_size_nm: Spacing,
    merge_below: float,
    enclosed_fraction: float,
    absorb_voxels: int = 0,
) -> npt.NDArray[np.int64]:
    """The object of every fragment.

    First the pair with the smallest mean boundary probability over its common faces (weighted by area) is joined, faces are
    added up, and so on until no mean is below ``merge_below``. Then a fragment whose faces to others are to at least
    ``enclosed_fraction`` faces to one larger object, such as a nucleus or an organelle in its cell, is joined to it. Last,
    objects below ``absorb_voxels`` go to the neighbour with the smallest mean.

    Parameters
    ----------
    contacts : of the whole volume.
    sizes : (n + 1,) voxels of every fragment id; entry 0 is not used.
    voxel_size_nm : (z, y, x).
    merge_below : 0 joins nothing.
    enclosed_fraction : above 1 joins nothing.

    Returns
    -------
    (n + 1,) int64, for every fragment the smallest fragment id of its object.

    References
    ----------
    Lee et al. 2017, arXiv:1706.00120 (agglomeration by mean affinity).
    """
    neighbours = _graph(contacts, sizes.size, voxel_size_nm)
    parent = np.arange(sizes.size)
    size = sizes.astype(np.int64).tolist()
    _merge_by_mean(neighbours, parent, size, merge_below)
    rim = np.zeros(sizes.size)
    rim[contacts.fragments] = contacts.rims @ _areas(voxel_size_nm)
    joined_rim = np.zeros(sizes.size)
    np.add.at(joined_rim, _roots(parent), rim)
    _merge_enclosed(neighbours, parent, size, joined_rim.tolist(), enclosed_fraction)
    _absorb(neighbours, parent, size, absorb_voxels)
    return _smallest_member(_roots(parent))


def _areas(voxel_size_nm: Spacing) -> npt.NDArray[np.float64]:
    """Area of a voxel face across z, y, x, nm^2."""
    z, y, x = voxel_size_nm
    return np.array([y * x, z * x, z * y])


def _graph(contacts: Contacts, count: int, voxel_size_nm: Spacing) -> list[dict[int, Shared]]:
    """For every fragment its neighbours, with common area and boundary probability times area."""
    areas = _areas(voxel_size_nm)
    area = contacts.faces @ areas
    weighted = contacts.boundary @ areas / 255
    neighbours: list[dict[int, Shared]] = [{} for _ in range(count)]
    for (a, b), shared, amount in zip(contacts.pairs.tolist(), area.tolist(), weighted.tolist(), strict=True):
        neighbours[a][b] = neighbours[b][a] = (shared, amount)
    return neighbours


def _merge_by_mean(
    neighbours: list[dict[int, Shared]], parent: npt.NDArray[np.int64], size: list[int], merge_below: float
) -> None:
    heap = [
        (amount / area, a, b)
        for a, shared in enumerate(neighbours)
        for b, (area, amount) in shared.items()
        if a < b and amount / area < merge_below
    ]
    heapq.heapify(heap)
    while heap:
        mean, a, b = heapq.heappop(heap)
        shared = neighbours[a].get(b)
        if shared is None or shared[1] / shared[0] != mean:
            continue
        for other in _join(neighbours, parent, size, a, b):
            area, amount = neighbours[a][other]
            if amount / area < merge_below:
                heapq.heappush(heap, (amount / area, min(a, other), max(a, other)))


def _merge_enclosed(
    neighbours: list[dict[int, Shared]],
    parent: npt.NDArray[np.int64],
    size: list[int],
    rim: list[float],
    enclosed_fraction: float,
) -> None:
    """Fragments from the smallest on, so that what lies in an organelle goes with it into the cell."""
    for a in sorted((a for a, shared in enumerate(neighbours) if shared), key=lambda a: (size[a], a)):
        if not neighbours[a]:
            continue
        total = sum(area for area, _ in neighbours[a].values())
        b = max(neighbours[a], key=lambda other: (neighbours[a][other][0], -other))
        inside = neighbours[a][b][0] >= enclosed_fraction * total and rim[a] <= MAX_RIM * (rim[a] + total)
        if inside and size[b] > size[a]:
            rim[b] += rim[a]
            _join(neighbours, parent, size, b, a)


def _absorb(
    neighbours: list[dict[int, Shared]], parent: npt.NDArray[np.int64], size: list[int], least: int
) -> None:
    for a in sorted((a for a, shared in enumerate(neighbours) if shared), key=lambda a: (size[a], a)):
        if size[a] < least and neighbours[a]:
            _join(neighbours, parent, size, min(neighbours[a], key=lambda b: (_mean(neighbours[a][b]), b)), a)


def _mean(shared: Shared) -> float:
    return shared[1] / shared[0]


def _join(
    neighbours: list[dict[int, Shared]], parent: npt.NDArray[np.int64], size: list[int], a: int, b: int
) -> list[int]:
    """Put b into a; returns the neighbours whose contact with a has changed."""
    parent[b] = a
    size[a] += size[b]
    changed = []
    del neighbours[a][b], neighbours[b][a]
    for other, (area, amount) in neighbours[b].items():
        del neighbours[other][b]
        old = neighbours[a].get(other, (0.0, 0.0))
        neighbours[a][other] = neighbours[other][a] = (old[0] + area, old[1] + amount)
        changed.append(other)
    neighbours[b] = {}
    return changed


def _roots(parent: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The end of every chain of parents."""
    while (parent[parent] != parent).any():
        parent = parent[parent]
    return parent


def _smallest_member(roots: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    smallest = np.full(roots.size, roots.size, np.int64)
    np.minimum.at(smallest, roots, np.arange(roots.size))
    return smallest[roots]
