"""Read one SEM volume, and label volumes of the same shape, into OME-Zarr 0.5 with a pyramid.

Reads ``--raw`` (multipage TIFF, a folder of TIFF slices, OME-Zarr) region by region; keeps the exact histogram of the image
beside it, so that later steps scale grey values of a block by the whole volume.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from triptych.engine.geometry import Grid
from triptych.engine.step import Context, Estimate, Input, Map, Reduce, Step
from triptych.errors import InputError
from triptych.steps.volume_geometry import (
    BlockSettings,
    VoxelSize,
    choose,
    extent_of,
    pyramid_phases,
    stored_bytes,
)

if TYPE_CHECKING:
    from triptych.readers.raw_volume import RawVolume, Role
    from triptych.stores.volume import Spacing, Triple

IMAGE = "image.ome.zarr"
CLASSES = ("cell", "nucleus", "mitochondrion", "vessel")
# A voxel size of the file that differs by more from the one of the sheet is worth a note.
TOLERANCE = 0.01


class ImportVolumeSettings(BlockSettings):
    """Settings of import_volume."""

    voxel_size_nm: VoxelSize | None = Field(
        None,
        description="Voxel size z, y, x in nm; wins over what the file says. Usually the column voxel_size_nm of the sheet.",
    )
    dataset: str | None = Field(
        None,
        description="Array inside an OME-Zarr group; none takes its highest resolution. Usually the column dataset.",
    )


def _open(context: Context, name: str, *, verify: bool = False) -> RawVolume:
    from triptych.readers.volume_files import open_raw_volume

    role: Role = "image" if name == "raw" else "labels"
    dataset = context.settings.dataset if name == "raw" else None
    return open_raw_volume(context.source(name), role, dataset or None, verify=verify)


def _stores(context: Context) -> list[str]:
    """The stores this run writes: the image, then the labels that are given."""
    return [IMAGE, *(f"{name}.ome.zarr" for name in _label_inputs(context))]


def _label_inputs(context: Context) -> list[str]:
    return [f"labels_{kind}" for kind in CLASSES if f"labels_{kind}" in context.inputs]


def _header(context: Context) -> tuple[Triple, str, Spacing | None]:
    """Shape, type and voxel size that the raw image states; every page or slice looked at once."""
    path = context.source("raw")
    return _read_header(str(path), context.settings.dataset or None, path.stat().st_mtime_ns)


@functools.lru_cache(maxsize=8)
def _read_header(path: str, dataset: str | None, _modified: int) -> tuple[Triple, str, Spacing | None]:
    from triptych.readers.volume_files import open_raw_volume

    with open_raw_volume(Path(path), "image", dataset) as raw:
        return raw.shape, raw.dtype.name, raw.voxel_size_nm


def _voxel_size_nm(context: Context) -> Spacing:
    stated = context.settings.voxel_size_nm or _header(context)[2]
    if stated is None:
        raise InputError(
            f"{context.source('raw')} states no voxel size: give voxel_size_nm (z,y,x in nm) in the sample sheet, or "
            "--set voxel_size_nm=40,10,10 for a step typed by hand"
        )
    z, y, x = stated
    return float(z), float(y), float(x)


def _metadata(context: Context) -> list[str]:
    from triptych.stores.volume import metadata_keys

    shape = _header(context)[0]
    return [key for name in _stores(context) for key in metadata_keys(name, shape, _voxel_size_nm(context))]


def _prepare(context: Context) -> None:
    """Prove that every input is whole and fits the image, then write the metadata of all stores."""
    from triptych.stores.volume import create

    shape, dtype, stated = _header(context)
    size, settings = _voxel_size_nm(context), context.settings
    for name in _label_inputs(context):
        with _open(context, name, verify=True) as labels:
            if labels.shape != shape:
                raise InputError(
                    f"{labels.path} has shape {labels.shape}, the image {shape}: give labels of the same voxels"
                )
    attributes = {"voxel_size_from": "sheet" if settings.voxel_size_nm else "file"}
    if stated is not None:
        attributes["voxel_size_nm_of_file"] = list(stated)  # type: ignore[assignment]
    geometry = {"chunk_shape": settings.chunk_shape, "shard_shape": settings.block_shape}
    create(context.path(IMAGE), shape, dtype, size, "image", attributes=attributes, **geometry)
    for name in _label_inputs(context):
        create(context.path(f"{name}.ome.zarr"), shape, "uint32", size, "labels", **geometry)


def _rows(context: Context) -> list[tuple[str, Grid]]:
    """Blocks of the first level: rows of shards along x, so that a compressed page is decoded once per row."""
    shape, _ = extent_of(context.path(IMAGE))
    z, y, _ = context.settings.block_shape
    return [(name, Grid(shape, (z, y, shape[2]))) for name in _stores(context)]


def _row_count(context: Context) -> int:
    return sum(len(grid) for _, grid in _rows(context))


def _histogram_key(block: int) -> str:
    return f"scratch/histogram/{block}.npz"


def _row_keys(context: Context, index: int) -> list[str]:
    from triptych.stores.volume import shard_keys

    name, grid, block = choose(_rows(context), index)
    keys = shard_keys(name, 0, grid.core(block), context.settings.block_shape)
    return [*keys, _histogram_key(block)] if name == IMAGE else keys


def _write_row(context: Context, index: int) -> None:
    """Copy one row of shards and count its grey values."""
    import numpy as np

    from triptych.engine.files import save_arrays
    from triptych.stores.volume import open_volume, pieces

    name, grid, block = choose(_rows(context), index)
    region = grid.core(block)
    array = open_volume(context.path(name)).array
    counts = np.zeros(65536, np.int64)
    with _open(context, "raw" if name == IMAGE else name.removesuffix(".ome.zarr")) as raw:
        whole = None if raw.direct else raw.read((region[0], region[1], region[2]))
        for z, y, x in pieces(region, context.settings.block_shape):
            data = raw.read((z, y, x)) if whole is None else whole[:, :, x]
            if name == IMAGE:
                counts += np.bincount(data.ravel(), minlength=65536)
            elif data.dtype.itemsize == 8 and data.size and data.max() >= 2**32:
                raise InputError(f"{raw.path} holds label {data.max()}: give ids below 4294967296")
            array[z, y, x] = data.astype(array.dtype, copy=False)
    if name == IMAGE:
        values = np.flatnonzero(counts)
        save_arrays(context.path(_histogram_key(block)), {"values": values, "counts": counts[values]})


def _histogram_files(context: Context) -> Sequence[str]:
    return [f"{IMAGE}/histogram"]


def _write_histogram(context: Context) -> None:
    import numpy as np

    from triptych.engine.files import load_arrays
    from triptych.stores.volume import create_histogram

    counts = np.zeros(65536, np.int64)
    for block in range(len(_rows(context)[0][1])):
        part = load_arrays(context.path(_histogram_key(block)))
        counts[part["values"]] += part["counts"]
    values = np.flatnonzero(counts)
    create_histogram(context.path(IMAGE), values, counts[values])


def _summary(context: Context) -> dict[str, Any]:
    from triptych.segmentation.intensity import percentile
    from triptych.stores.volume import open_volume, read_histogram

    image = open_volume(context.path(IMAGE))
    values, counts = read_histogram(context.path(IMAGE))
    notes = []
    stated = image.attributes.get("voxel_size_nm_of_file")
    if stated and image.attributes["voxel_size_from"] == "sheet":
        off = max(abs(a - b) / b for a, b in zip(stated, image.voxel_size_nm, strict=True))
        if off > TOLERANCE:
            notes.append(f"the file states voxels of {_text(stated)} nm, the sheet {_text(image.voxel_size_nm)} nm: "
                         "the sheet was used")  # fmt: skip
    if len(values) < 2:
        notes.append("every voxel of the image has the same grey value")
    z, y, x = image.shape
    return {
        "counts": {
            "voxels": math.prod(image.shape),
            "slices": z,
            "rows": y,
            "columns": x,
            "intensity_p1": percentile(values, counts, 1),
            "intensity_p50": percentile(values, counts, 50),
            "intensity_p99": percentile(values, counts, 99),
            "label_volumes": len(_label_inputs(context)),
        },
        "notes": notes,
    }


def _text(size: Sequence[float]) -> str:
    return " x ".join(f"{s:g}" for s in size)


def _probe(path: Path, settings: Any) -> Mapping[str, Any]:
    from triptych.readers.volume_files import open_raw_volume

    with open_raw_volume(path, "image", settings.dataset or None, verify=False) as raw:
        return {"shape": raw.shape, "itemsize": raw.dtype.itemsize}


def _estimate(extent: Mapping[str, Any], settings: Any) -> Estimate:
    shape, itemsize = extent["shape"], extent["itemsize"]
    z, y, _ = settings.block_shape
    row = min(z, shape[0]) * min(y, shape[1]) * shape[2] * itemsize
    grid = Grid(tuple(shape), settings.block_shape)
    return Estimate(
        blocks=len(Grid(tuple(shape), (z, y, shape[2]))),
        output_bytes=stored_bytes(math.prod(shape), itemsize, 1.4),
        memory_bytes=200_000_000 + 3 * row,
        files=2 * len(grid) + 12,
    )


STEP = Step(
    name="import_volume",
    version=1,
    scope="sample",
    kinds=("volume",),
    help="Read a TIFF or OME-Zarr volume (and labels of the same voxels) into OME-Zarr 0.5 with a pyramid.",
    settings=ImportVolumeSettings,
    inputs=(
        Input("raw", "multipage TIFF, folder of TIFF slices, or OME-Zarr", sheet="path"),
        *(
            Input(
                f"labels_{kind}",
                f"labels of class {kind}, same voxels",
                sheet=f"labels_{kind}",
                required=False,
            )
            for kind in CLASSES
        ),
    ),
    outputs=(IMAGE, "labels_*.ome.zarr"),
    phases=(
        Reduce("prepare", _metadata, _prepare),
        Map("level0", _row_count, _row_keys, _write_row),
        Reduce("histogram", _histogram_files, _write_histogram),
        *pyramid_phases(_stores),
    ),
    summary=_summary,
    sheet_fields=("voxel_size_nm", "dataset"),
    estimate=_estimate,
    probe=_probe,
)
