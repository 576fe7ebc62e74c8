"""The in-memory front door: the functions that ``segment_volume`` runs on blocks, on one array."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from triptych.segmentation import contacts
from triptych.segmentation.agglomeration import agglomerate
from triptych.segmentation.seeds import (
    Connectivity,
    SeedRule,
    canonical_ids,
    components,
    merge_components,
    seed_voxels,
    sizes_and_firsts,
)
from triptych.segmentation.watershed import Terrain, flood_block, plan_terrain

Spacing = tuple[float, float, float]
Triple = tuple[int, int, int]


@dataclass(frozen=True)
class Plan:
    """Parameters of a segmentation with every length resolved for one voxel size.

    Attributes
    ----------
    threshold : boundary value (uint8) from which on a voxel is membrane.
    min_seed_voxels, min_object_voxels : smaller seeds and objects are dropped, counted over the whole volume.
    """

    voxel_size_nm: Spacing
    threshold: int
    seeds: SeedRule
    min_seed_voxels: int
    terrain: Terrain
    merge_below: float
    enclosed_fraction: float
    absorb_voxels: int
    min_object_voxels: int
    fill_membrane: bool


# Above this ratio of voxel sizes a wall may pass between two slices unseen: seeds are found in each slice alone.
COARSE_Z = 3.0
MERGE_BELOW = 0.5
# Between coarse slices a wall that leans shows only at the edge of the common face, so that means are lower.
MERGE_BELOW_IN_SLICES = 0.35


def plan_segmentation(
    voxel_size_nm: Spacing,
    *,
    threshold: float = 0.5,
    seed_distance_nm: float | None = None,
    core_distance_nm: float | None = None,
    connectivity: Connectivity = 26,
    min_seed_volume_nm3: float = 0.0,
    contrast: float = 30.0,
    reach_nm: float | None = None,
    merge_below: float | None = None,
    enclosed_fraction: float = 0.8,
    absorb_volume_nm3: float | None = None,
    min_object_volume_nm3: float = 0.0,
    fill_membrane: bool = True,
) -> Plan:
    """Resolve lengths and volumes for a voxel size; None stands for a multiple of the finest voxel (see ``segment``)."""
    finest = min(voxel_size_nm)
    voxel = float(np.prod(voxel_size_nm))
    least = 1.5 * finest if seed_distance_nm is None else seed_distance_nm
    core = max(least, 6 * finest if core_distance_nm is None else core_distance_nm)
    reach = core + 2 * finest * (1 + contrast) if reach_nm is None else reach_nm
    absorb = (10 * finest) ** 3 if absorb_volume_nm3 is None else absorb_volume_nm3
    in_plane = voxel_size_nm[0] > COARSE_Z * min(voxel_size_nm[1:])
    return Plan(
        voxel_size_nm,
        max(1, int(np.ceil(threshold * 255))),
        SeedRule(voxel_size_nm, least, core, 2 * least, connectivity, in_plane),
        int(np.ceil(min_seed_volume_nm3 / voxel)),
        plan_terrain(voxel_size_nm, contrast, reach),
        (MERGE_BELOW_IN_SLICES if in_plane else MERGE_BELOW) if merge_below is None else merge_below,
        enclosed_fraction,
        int(np.ceil(absorb / voxel)),
        int(np.ceil(min_object_volume_nm3 / voxel)),
        fill_membrane,
    )


def seed_mask(boundary: npt.NDArray[np.uint8], plan: Plan) -> npt.NDArray[np.bool_]:
    """Seed voxels of a block that is given with its halo."""
    return seed_voxels(boundary >= plan.threshold, plan.seeds)


def fragments(
    seeds: npt.NDArray[Any],
    boundary: npt.NDArray[np.uint8],
    plan: Plan,
    inside: tuple[slice, ...] = (slice(None),) * 3,
    cut: tuple[tuple[bool, bool], ...] = ((False, False),) * 3,
) -> npt.NDArray[np.uint32] | None:
    """Flooded seeds of a block that is given with a halo, or None where this halo is too small (see ``flood_block``).

    Membrane is emptied again unless it shall be filled.
    """
    labels = flood_block(seeds, boundary, plan.terrain, inside, cut)
    if labels is not None and not plan.fill_membrane:
        labels[boundary[inside] >= plan.threshold] = 0
    return labels


def object_ids(
    found: contacts.Contacts, sizes: npt.NDArray[np.int64], firsts: npt.NDArray[np.int64], plan: Plan
) -> npt.NDArray[np.uint32]:
    """From fragment ids to object ids, which are ordered by the smallest linear voxel index of the object.

    Parameters
    ----------
    sizes, firsts : (n + 1,) voxels and smallest linear voxel index of every fragment in the whole volume.
    """
    objects = agglomerate(
        found, sizes, plan.voxel_size_nm, plan.merge_below, plan.enclosed_fraction, plan.absorb_voxels
    )
    size = np.zeros(sizes.size, np.int64)
    first = np.full(sizes.size, np.iinfo(np.int64).max)
    np.add.at(size, objects[1:], sizes[1:])
    np.minimum.at(first, objects[1:], firsts[1:])
    ids = canonical_ids(first, (size >= max(1, plan.min_object_voxels)) & (np.arange(size.size) > 0))
    return ids[objects].astype(np.uint32)


def segment(
    boundaries: Any,
    voxel_size_nm: Spacing,
    *,
    threshold: float = 0.5,
    seed_distance_nm: float | None = None,
    core_distance_nm: float | None = None,
    connectivity: Connectivity = 26,
    min_seed_volume_nm3: float = 0.0,
    contrast: float = 30.0,
    reach_nm: float | None = None,
    merge_below: float | None = None,
    enclosed_fraction: float = 0.8,
    absorb_volume_nm3: float | None = None,
    min_object_volume_nm3: float = 0.0,
    fill_membrane: bool = True,
) -> npt.NDArray[np.uint32]:
    """Cells from a boundary map held in memory; equal to what ``segment_volume`` makes of it in blocks.

    Parameters
    ----------
    boundaries : (z, y, x) anything that can be sliced: uint8 (255 for probability 1) or floating point from 0 to 1.
    voxel_size_nm : (z, y, x).
    threshold : probability from which on a voxel is membrane.
    seed_distance_nm : seeds are farther than this from membrane, and the deepest within twice this along each axis; None for
        1.5 times the finest voxel.
    core_distance_nm : all that is farther than this from membrane is seed; None for six times the finest voxel.
    connectivity : of seed voxels, 6, 18 or 26.
    min_seed_volume_nm3 : smaller seeds are dropped.
    contrast : how many times longer than clear tissue a full boundary counts, less one.
    reach_nm : longest path from a seed, in nm of clear tissue; None for the core distance and two finest voxels of boundary.
    merge_below : fragments whose common face has a smaller mean boundary probability are joined; None for 0.5, or 0.35 where z is
        more than three times coarser than the plane.
    enclosed_fraction : a fragment with this share of its contacts to one larger object is joined to it; above 1 for never.
    absorb_volume_nm3 : smaller objects go to the neighbour with the weakest boundary; None for the cube of ten finest voxels.
    min_object_volume_nm3 : smaller objects that are left are removed.
    fill_membrane : whether membrane voxels get the label of the nearest object.

    Returns
    -------
    (z, y, x) uint32, ids from 1 by smallest linear voxel index, 0 for none.

    Raises
    ------
    ValueError
        Not three axes, or probabilities outside [0, 1].
    """
    given = np.asarray(boundaries[...])
    if given.ndim != 3:
        raise ValueError(f"boundaries have {given.ndim} axes; z, y, x are needed")
    boundary = as_bytes(given)
    plan = plan_segmentation(
        voxel_size_nm,
        threshold=threshold,
        seed_distance_nm=seed_distance_nm,
        core_distance_nm=core_distance_nm,
        connectivity=connectivity,
        min_seed_volume_nm3=min_seed_volume_nm3,
        contrast=contrast,
        reach_nm=reach_nm,
        merge_below=merge_below,
        enclosed_fraction=enclosed_fraction,
        absorb_volume_nm3=absorb_volume_nm3,
        min_object_volume_nm3=min_object_volume_nm3,
        fill_membrane=fill_membrane,
    )
    origin, shape = (0, 0, 0), boundary.shape
    seeds, count = components(seed_mask(boundary, plan), plan.seeds)
    sizes, firsts = sizes_and_firsts(seeds, count, origin, shape)
    (table,), count = merge_components([count], [sizes], [firsts], iter(()), plan.min_seed_voxels)
    labels = fragments(table[seeds], boundary, plan)
    assert labels is not None  # nothing was cut
    sizes, firsts = sizes_and_firsts(labels, count, origin, shape)
    found = contacts.partial(labels, boundary, shape, origin, shape)
    return object_ids(found, sizes, firsts, plan)[labels]


def as_bytes(probability: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Probabilities as uint8, 255 for 1; uint8 passes. Raises ValueError outside [0, 1] and for other types."""
    if probability.dtype == np.uint8:
        return np.ascontiguousarray(probability)
    if probability.dtype.kind != "f":
        raise ValueError(f"probabilities are {probability.dtype}; uint8 or floating point is needed")
    if probability.size and not (probability.min() >= 0 and probability.max() <= 1):
        raise ValueError("probabilities lie outside [0, 1] or are not numbers")
    return np.rint(probability.astype(np.float64) * 255).astype(np.uint8)
