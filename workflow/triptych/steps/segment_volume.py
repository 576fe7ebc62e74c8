"""Cells from boundaries: seeds between membranes, seeded watershed, fragments joined where no membrane divides them.

Every voxel's label depends on whole-number rules that hold for the whole volume; blocks read the halo these rules can reach, so
labels are the same for every block shape and every number of workers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from triptych.engine.geometry import Grid, Slices
from triptych.engine.step import Context, Estimate, Input, Map, Reduce, Step
from triptych.errors import InputError
from triptych.steps.volume_geometry import (
    BlockSettings,
    extent_of,
    origin_of,
    overlapping,
    pyramid_phases,
    stored_bytes,
)

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from triptych.segmentation.whole import Plan

LABELS = "labels.ome.zarr"
TABLES = "scratch/seed_tables.npz"
OBJECTS = "scratch/objects.npz"


class SegmentVolumeSettings(BlockSettings):
    """Settings of segment_volume."""

    threshold: float = Field(
        0.5, gt=0, le=1, description="Boundary probability from which on a voxel is membrane."
    )
    seed_distance_nm: float | None = Field(
        None,
        gt=0,
        description="Seeds are farther than this from membrane, in nm, and the deepest within twice this along each axis; "
        "none: 1.5 times the finest voxel.",
    )
    core_distance_nm: float | None = Field(
        None,
        gt=0,
        description="All that is farther than this from membrane is seed, in nm; none: six times the finest voxel.",
    )
    connectivity: Literal[6, 18, 26] = Field(26, description="Neighbours that connect seed voxels.")
    min_seed_volume_nm3: float = Field(0.0, ge=0, description="Smaller seeds are dropped, nm^3.")
    contrast: float = Field(
        30.0,
        ge=0,
        le=10_000,
        description="How many times longer than clear tissue full boundary counts for a path, less one.",
    )
    reach_nm: float | None = Field(
        None,
        gt=0,
        description="Longest path from a seed in nm of clear tissue; none: the core distance and two voxels of full boundary.",
    )
    merge_below: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Fragments whose common face has a smaller mean boundary probability are joined; none: 0.5, or 0.35 where z is "
        "more than three times coarser than the plane.",
    )
    enclosed_fraction: float = Field(
        0.8,
        gt=0.5,
        le=2,
        description="A fragment with this share of its contacts to one larger object lies in it and is joined; above 1: never.",
    )
    absorb_volume_nm3: float | None = Field(
        None,
        ge=0,
        description="Smaller objects go to the neighbour with the weakest boundary, nm^3; none: (10 finest voxels)^3.",
    )
    min_object_volume_nm3: float = Field(
        0.0, ge=0, description="Smaller objects that are left are removed, nm^3."
    )
    fill_membrane: bool = Field(
        True, description="Give membrane voxels to the nearest object, else leave them 0."
    )


def _grid(context: Context) -> Grid:
    return Grid(extent_of(context.source("boundaries"))[0], context.settings.block_shape)


def _count(context: Context) -> int:
    return len(_grid(context))


def _plan(context: Context) -> Plan:
    from triptych.segmentation.whole import plan_segmentation

    geometry = {"block_shape", "chunk_shape"}
    return plan_segmentation(
        extent_of(context.source("boundaries"))[1], **context.settings.model_dump(exclude=geometry)
    )


def _boundary(context: Context, region: Slices) -> npt.NDArray[np.uint8]:
    from triptych.stores.volume import open_volume

    return open_volume(context.source("boundaries")).read(region, channel=0)


def _seed_keys(context: Context, index: int) -> Sequence[str]:
    return [f"scratch/seeds/{index}.npy", f"scratch/seeds/{index}.npz"]


def _find_seeds(context: Context, index: int) -> None:
    """Components of the seed voxels of one block, numbered within the block."""
    import numpy as np

    from triptych.engine.files import save_arrays
    from triptych.segmentation.seeds import borders, components, sizes_and_firsts
    from triptych.segmentation.whole import seed_mask

    grid, plan = _grid(context), _plan(context)
    mask = seed_mask(_boundary(context, grid.outer(index, plan.seeds.halo)), plan)
    labels, count = components(mask[grid.inside(index, plan.seeds.halo)], plan.seeds)
    sizes, firsts = sizes_and_firsts(labels, count, origin_of(grid.core(index)), grid.shape)
    voxels, sums = _seed_keys(context, index)
    np.save(context.path(voxels), labels)
    save_arrays(context.path(sums), {"sizes": sizes, "firsts": firsts, **borders(labels)})


def _merge_seeds(context: Context) -> None:
    """Join components over the borders of blocks, drop small ones, and number them over the whole volume."""
    from triptych.engine.files import load_arrays, save_arrays
    from triptych.segmentation.seeds import merge_components, neighbour_directions, touching

    grid, plan = _grid(context), _plan(context)
    parts = [load_arrays(context.path(_seed_keys(context, i)[1])) for i in range(len(grid))]

    def pairs() -> Iterator[tuple[int, int, npt.NDArray[np.int64]]]:
        for i in range(len(grid)):
            for direction in neighbour_directions(plan.seeds):
                there = tuple(p + d for p, d in zip(grid.position(i), direction, strict=True))
                if all(0 <= p < n for p, n in zip(there, grid.counts, strict=True)):
                    j = grid.index(there)
                    yield i, j, touching(parts[i], parts[j], direction, plan.seeds)

    sizes, firsts = [p["sizes"] for p in parts], [p["firsts"] for p in parts]
    tables, _ = merge_components([s.size - 1 for s in sizes], sizes, firsts, pairs(), plan.min_seed_voxels)
    save_arrays(context.path(TABLES), {str(i): table for i, table in enumerate(tables)})


def _fragment_keys(context: Context, index: int) -> Sequence[str]:
    return [f"scratch/fragments/{index}.npy", f"scratch/fragments/{index}.npz"]


def _flood(context: Context, index: int) -> None:
    """Watershed of one block, with the smallest halo that proves its labels."""
    import numpy as np

    from triptych.engine.files import save_arrays
    from triptych.segmentation.seeds import sizes_and_firsts
    from triptych.segmentation.whole import fragments

    grid, plan = _grid(context), _plan(context)
    found = None
    for halo in plan.terrain.halos:
        outer = grid.outer(index, halo)
        cut = tuple((s.start > 0, s.stop < n) for s, n in zip(outer, grid.shape, strict=True))
        last = halo == plan.terrain.halos[-1]
        ids, seeds = _seeds(context, grid, outer)
        found = fragments(
            seeds,
            _boundary(context, outer),
            plan,
            grid.inside(index, halo),
            ((False,) * 2,) * 3 if last else cut,
        )
        if found is not None:
            break
    assert found is not None  # no path within the limit crosses the last halo
    labels = np.ascontiguousarray(found)
    sizes, firsts = sizes_and_firsts(labels, ids.size - 1, origin_of(grid.core(index)), grid.shape)
    present = np.flatnonzero(sizes[1:]) + 1
    voxels, sums = _fragment_keys(context, index)
    np.save(context.path(voxels), ids.astype(np.uint32)[labels])
    save_arrays(context.path(sums), {"ids": ids[present], "sizes": sizes[present], "firsts": firsts[present]})


def _seeds(
    context: Context, grid: Grid, region: Slices
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint32]]:
    """Seeds of a region with ids that are compact in it and keep their order, so that ties fall as in the whole volume.

    Returns
    -------
    ids : (k,) int64, from compact ids to those of the volume; the first is 0.
    seeds : region, compact ids.
    """
    import numpy as np

    parts = list(overlapping(grid, region))
    with np.load(context.path(TABLES)) as stored:
        tables = {block: stored[str(block)] for block, _, _ in parts}
    ids = np.unique(np.concatenate([[0], *tables.values()]))
    seeds = np.zeros([s.stop - s.start for s in region], np.uint32)
    for block, there, here in parts:
        local = np.load(context.path(_seed_keys(context, block)[0]), mmap_mode="r")[there]
        seeds[here] = np.searchsorted(ids, tables[block]).astype(np.uint32)[local]
    return ids, seeds


def _contact_key(context: Context, index: int) -> Sequence[str]:
    return [f"scratch/contacts/{index}.npz"]


def _count_contacts(context: Context, index: int) -> None:
    """Faces between fragments that a block owns."""
    import numpy as np

    from triptych.engine.files import save_arrays
    from triptych.segmentation.contacts import partial

    grid = _grid(context)
    core = grid.core(index)
    region = tuple(slice(s.start, min(s.stop + 1, n)) for s, n in zip(core, grid.shape, strict=True))
    labels = np.zeros([s.stop - s.start for s in region], np.uint32)
    for block, there, here in overlapping(grid, region):
        labels[here] = np.load(context.path(_fragment_keys(context, block)[0]), mmap_mode="r")[there]
    z, y, x = (s.stop - s.start for s in core)
    found = partial(
        labels,
        _boundary(context, region),
        (z, y, x),
        origin_of(core),
        extent_of(context.source("boundaries"))[0],
    )
    (key,) = _contact_key(context, index)
    save_arrays(context.path(key), found.arrays())


def _join_fragments(context: Context) -> None:
    """Decide over the whole volume which fragments are one object, and number the objects."""
    import numpy as np

    from triptych.engine.files import load_arrays, save_arrays
    from triptych.segmentation.contacts import Contacts, merge
    from triptych.segmentation.whole import object_ids

    blocks = range(len(_grid(context)))
    with np.load(context.path(TABLES)) as stored:
        count = max(int(stored[name].max(initial=0)) for name in stored.files)
    sizes = np.zeros(count + 1, np.int64)
    firsts = np.full(count + 1, np.iinfo(np.int64).max)
    for block in blocks:
        part = load_arrays(context.path(_fragment_keys(context, block)[1]))
        sizes[part["ids"]] += part["sizes"]
        firsts[part["ids"]] = np.minimum(firsts[part["ids"]], part["firsts"])
    found = merge(
        *(Contacts(**load_arrays(context.path(key))) for b in blocks for key in _contact_key(context, b))
    )
    objects = object_ids(found, sizes, firsts, _plan(context))
    unlabelled = math.prod(_grid(context).shape) - int(sizes[objects > 0].sum())
    save_arrays(context.path(OBJECTS), {"objects": objects, "unlabelled": np.asarray(unlabelled)})


def _metadata(context: Context) -> Sequence[str]:
    from triptych.stores.volume import metadata_keys

    return metadata_keys(LABELS, *extent_of(context.source("boundaries")))


def _prepare(context: Context) -> None:
    from triptych.stores.volume import create

    shape, size = extent_of(context.source("boundaries"))
    if "truth" in context.inputs and extent_of(context.source("truth"))[0] != shape:
        raise InputError(
            f"{context.source('truth')} has shape {extent_of(context.source('truth'))[0]}, the boundaries {shape}: "
            "give the truth of the same volume"
        )
    settings = context.settings
    create(
        context.path(LABELS), shape, "uint32", size, "labels",
        chunk_shape=settings.chunk_shape, shard_shape=settings.block_shape,
    )  # fmt: skip


def _overlap_key(index: int) -> str:
    return f"scratch/overlaps/{index}.npz"


def _label_keys(context: Context, index: int) -> Sequence[str]:
    from triptych.stores.volume import shard_keys

    keys = shard_keys(LABELS, 0, _grid(context).core(index), context.settings.block_shape)
    return [*keys, _overlap_key(index)] if "truth" in context.inputs else keys


def _write_labels(context: Context, index: int) -> None:
    """Write the objects of one block, and their overlaps with the truth."""
    import numpy as np

    from triptych.engine.files import load_arrays, save_arrays
    from triptych.segmentation.scores import partial
    from triptych.stores.volume import open_volume

    core = _grid(context).core(index)
    objects = load_arrays(context.path(OBJECTS))["objects"]
    labels = objects[np.load(context.path(_fragment_keys(context, index)[0]))]
    open_volume(context.path(LABELS)).array[core] = labels
    if "truth" in context.inputs:
        truth = open_volume(context.source("truth")).read(core)
        save_arrays(context.path(_overlap_key(index)), partial(truth, labels).__dict__)


def _summary(context: Context) -> dict[str, Any]:
    from triptych.engine.files import load_arrays
    from triptych.segmentation.scores import Overlaps, finish, merge

    stored = load_arrays(context.path(OBJECTS))
    counts = {
        "objects": int(stored["objects"].max(initial=0)),
        "fragments": stored["objects"].size - 1,
        "unlabelled_voxels": int(stored["unlabelled"]),
    }
    notes, scores = [], {}
    if not counts["objects"]:
        notes.append(
            "no object was found: look at the boundaries, then lower seed_distance_nm or raise threshold"
        )
    if "truth" in context.inputs:
        parts = (Overlaps(**load_arrays(context.path(_overlap_key(i)))) for i in range(_count(context)))
        overlaps = merge(*parts)
        if (overlaps.truth > 0).any():
            scores = finish(overlaps)
            counts["true_objects"] = len(set(overlaps.truth[overlaps.truth > 0].tolist()))
            notes.append("scores leave out voxels whose true label is 0; found label 0 counts as one object")
        else:
            notes.append("the truth holds no object: no score")
    return {"counts": counts, "scores": scores, "notes": notes}


def _stores(context: Context) -> list[str]:
    return [LABELS]


def _has_truth(settings: Any, row: Mapping[str, str]) -> bool:
    """A study gives the truth where the sheet names labels of cells."""
    return bool(row.get("labels_cell"))


def _estimate(extent: Mapping[str, Any], settings: Any) -> Estimate:
    shape = tuple(extent["shape"])
    grid = Grid(shape, settings.block_shape)
    outer = math.prod(min(b + 132, n) for b, n in zip(settings.block_shape, shape, strict=True))
    return Estimate(
        blocks=4 * len(grid),
        output_bytes=stored_bytes(math.prod(shape), 4, 40),
        memory_bytes=300_000_000 + 30 * outer,
        files=2 * len(grid) + 8,
    )


_BOUNDARIES = Input(
    "boundaries", "result of predict-boundaries", "boundaries.ome.zarr", {"volume": "predict_boundaries"}
)
_TRUTH = Input(
    "truth", "true cells (labels_cell of import-volume), for scores only", "labels_cell.ome.zarr", {"volume": "import_volume"},
    required=False, when=_has_truth,
)  # fmt: skip
STEP = Step(
    name="segment_volume",
    version=1,
    scope="sample",
    kinds=("volume",),
    help="Cells from boundaries: seeded watershed, exact in blocks, fragments joined where no membrane divides them.",
    settings=SegmentVolumeSettings,
    inputs=(_BOUNDARIES, _TRUTH),
    outputs=(LABELS,),
    phases=(
        Map("seeds", _count, _seed_keys, _find_seeds),
        Reduce("merge", lambda _context: [TABLES], _merge_seeds),
        Map("flood", _count, _fragment_keys, _flood),
        Map("contacts", _count, _contact_key, _count_contacts),
        Reduce("join", lambda _context: [OBJECTS], _join_fragments),
        Reduce("prepare", _metadata, _prepare),
        Map("labels", _count, _label_keys, _write_labels),
        *pyramid_phases(_stores),
    ),
    summary=_summary,
    estimate=_estimate,
)
