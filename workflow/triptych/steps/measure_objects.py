"""One row per object: size, position, shape, surface, orientation, intensity.

Reads ``--labels`` and ``--image`` once, block by block; sums are whole numbers, so the table does not depend on blocks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field

from triptych.engine.geometry import Grid, Slices
from triptych.engine.step import Context, Estimate, Input, Map, Reduce, Settings, Step
from triptych.errors import InputError
from triptych.steps.volume_geometry import Shape, extent_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from triptych.morphometry.sums import Sums

OBJECTS = "objects.parquet"
HALO = (1, 1, 1)
# Blocks whose sums are held together while they are added up.
GROUP = 64


class MeasureObjectsSettings(Settings):
    """Settings of measure_objects."""

    block_shape: Shape = Field((256, 256, 256), description="Voxels (z, y, x) of a block of work.")


def _grid(context: Context) -> Grid:
    return Grid(extent_of(context.source("labels"))[0], context.settings.block_shape)


def _count(context: Context) -> int:
    shape, image = extent_of(context.source("labels"))[0], extent_of(context.source("image"))[0]
    if shape != image:
        raise InputError(
            f"{context.source('labels')} has shape {shape}, {context.source('image')} {image}: "
            "give the image that was segmented"
        )
    return len(_grid(context))


def _sums_key(context: Context, index: int) -> Sequence[str]:
    return [f"scratch/sums/{index}.npz"]


def _measure_block(context: Context, index: int) -> None:
    import numpy as np

    from triptych.engine.files import save_arrays
    from triptych.morphometry.sums import partial
    from triptych.stores.volume import open_volume

    grid = _grid(context)
    core, outer = grid.core(index), grid.outer(index, HALO)
    labels = np.pad(open_volume(context.source("labels")).read(outer), _missing(core, outer))
    image = open_volume(context.source("image")).read(core)
    z, y, x = (s.start for s in core)
    nz, ny, nx = grid.shape
    (key,) = _sums_key(context, index)
    save_arrays(context.path(key), partial(labels, image, (z, y, x), (nz, ny, nx)).__dict__)


def _missing(core: Slices, outer: Slices) -> list[tuple[int, int]]:
    """Planes of the halo that lie outside the volume, per axis and side."""
    return [(1 - (c.start - o.start), 1 - (o.stop - c.stop)) for c, o in zip(core, outer, strict=True)]


def _add_up(context: Context) -> Sums:
    from triptych.engine.files import load_arrays
    from triptych.morphometry.sums import Sums, merge

    total: list[Sums] = []
    for index in range(len(_grid(context))):
        (key,) = _sums_key(context, index)
        total.append(Sums(**load_arrays(context.path(key))))
        if len(total) == GROUP:
            total = [merge(*total)]
    return merge(*total)


def _write_table(context: Context) -> None:
    from triptych.morphometry.shape import PARAMETERS, finish
    from triptych.stores.table import Field as Column
    from triptych.stores.table import write_table

    size = extent_of(context.source("labels"))[1]
    columns = finish(_add_up(context), size)
    fields = {
        name: Column(p.unit, p.category, p.definition, p.source, "feature" if p.feature else "descriptor")
        for name, p in ((name, PARAMETERS[name]) for name in columns)
    }
    write_table(context.path(OBJECTS), columns, fields, {"voxel_size_nm": list(size)})


def _summary(context: Context) -> dict[str, Any]:
    from triptych.stores.table import read_table

    table = read_table(context.path(OBJECTS), ["touches_border", "voxels"]).columns
    inner: npt.NDArray[np.bool_] = ~table["touches_border"]
    counts = {
        "objects": int(inner.size),
        "whole_objects": int(inner.sum()),
        "object_voxels": int(table["voxels"].sum()),
    }
    notes = [] if inner.any() else ["every object is cut by the border of the volume: sizes are lower bounds"]
    return {"counts": counts, "notes": notes}


def _estimate(extent: Mapping[str, Any], settings: Any) -> Estimate:
    grid = Grid(tuple(extent["shape"]), settings.block_shape)
    block = math.prod(min(b + 2, n) for b, n in zip(settings.block_shape, extent["shape"], strict=True))
    return Estimate(blocks=len(grid), output_bytes=1_000_000, memory_bytes=300_000_000 + 30 * block, files=1)


STEP = Step(
    name="measure_objects",
    version=1,
    scope="sample",
    kinds=("volume",),
    help="Size, position, shape, surface, orientation and intensity of every object.",
    settings=MeasureObjectsSettings,
    inputs=(
        Input(
            "labels",
            "labels of segment-volume",
            store="labels.ome.zarr",
            producers={"volume": "segment_volume"},
        ),
        Input(
            "image", "image of import-volume", store="image.ome.zarr", producers={"volume": "import_volume"}
        ),
    ),
    outputs=(OBJECTS,),
    phases=(
        Map("sums", _count, _sums_key, _measure_block),
        Reduce("table", lambda _context: [OBJECTS], _write_table),
    ),
    summary=_summary,
    estimate=_estimate,
)
