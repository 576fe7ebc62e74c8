"""Volumes on disk: OME-Zarr 0.5 multiscale groups, axes z y x, nanometres, chunks inside shards.

``image.ome.zarr`` and ``labels_*.ome.zarr`` hold a pyramid of arrays ``0``, ``1``, ...; ``boundaries.ome.zarr`` one array
``0`` with a channel axis in front. One shard is one file: whoever writes a whole shard writes alone.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import zarr
from zarr.codecs import Crc32cCodec, ZstdCodec

from triptych.errors import InputError

Role = Literal["image", "labels", "probability"]
Triple = tuple[int, int, int]
Spacing = tuple[float, float, float]

VERSION = "0.5"
AXES = ("z", "y", "x")
MAX_LEVELS = 9
SMALLEST_LEVEL = 128
HISTOGRAM = "histogram"


@dataclass(frozen=True)
class Level:
    """One array of a pyramid: its shape, the voxel size in nm, and the factors from the level before."""

    shape: Triple
    voxel_size_nm: Spacing
    factors: Triple


@dataclass(frozen=True)
class Volume:
    """An open volume store.

    Attributes
    ----------
    array : the array of the level that was asked for; (z, y, x), or (channel, z, y, x) for probabilities.
    voxel_size_nm : (z, y, x) of that level.
    attributes : what triptych keeps beside the OME metadata (role, origin of the voxel size, ...).
    """

    path: Path
    array: zarr.Array[Any]
    voxel_size_nm: Spacing
    attributes: Mapping[str, Any]

    @property
    def shape(self) -> Triple:
        """Extent in voxels (z, y, x)."""
        z, y, x = self.array.shape[-3:]
        return int(z), int(y), int(x)

    def read(self, region: Sequence[slice], channel: int | None = None) -> npt.NDArray[Any]:
        """Voxels of a region (z, y, x), of one channel where the store has channels."""
        index: Any = tuple(region) if channel is None else (channel, *region)
        return np.asarray(self.array[index])


def plan_levels(shape: Triple, voxel_size_nm: Spacing) -> tuple[Level, ...]:
    """Levels of a pyramid that respects anisotropy.

    An axis is halved only where its voxel is within a factor sqrt(2) of the finest one, so that levels grow towards cubes; the
    last level has no axis longer than 128 voxels (or is the ninth).
    """
    levels = [Level(shape, voxel_size_nm, (1, 1, 1))]
    while max(levels[-1].shape) > SMALLEST_LEVEL and len(levels) < MAX_LEVELS:
        last = levels[-1]
        finest = min(size for size, n in zip(last.voxel_size_nm, last.shape, strict=True) if n > 1)
        factors = tuple(
            2 if n > 1 and size < finest * math.sqrt(2) else 1
            for size, n in zip(last.voxel_size_nm, last.shape, strict=True)
        )
        levels.append(
            Level(
                _triple(-(-n // f) for n, f in zip(last.shape, factors, strict=True)),
                _spacing(s * f for s, f in zip(last.voxel_size_nm, factors, strict=True)),
                _triple(factors),
            )
        )
    return tuple(levels)


def create(
    path: Path,
    shape: Triple,
    dtype: npt.DTypeLike,
    voxel_size_nm: Spacing,
    role: Role,
    *,
    chunk_shape: Triple = (64, 64, 64),
    shard_shape: Triple = (256, 256, 256),
    channels: Sequence[str] = (),
    attributes: Mapping[str, Any] | None = None,
) -> None:
    """Write the metadata of a new volume store, no voxel.

    ``channels`` (names) puts a channel axis in front and leaves the pyramid away. Raises ValueError where the shard is not a
    multiple of the chunk.
    """
    if any(s % c for s, c in zip(shard_shape, chunk_shape, strict=True)):
        raise ValueError(f"shard shape {shard_shape} is no multiple of chunk shape {chunk_shape}")
    levels = plan_levels(shape, voxel_size_nm)[: 1 if channels else None]
    lead = (len(channels),) if channels else ()
    axes = ([{"name": "c", "type": "channel"}] if channels else []) + [
        {"name": name, "type": "space", "unit": "nanometer"} for name in AXES
    ]
    ome: dict[str, Any] = {
        "version": VERSION,
        "multiscales": [
            {
                "name": path.name.removesuffix(".ome.zarr"),
                "axes": axes,
                "datasets": [
                    {
                        "path": str(number),
                        "coordinateTransformations": _transformations(level, levels[0], bool(lead)),
                    }
                    for number, level in enumerate(levels)
                ],
            }
        ],
    }
    if role == "labels":
        ome["image-label"] = {}
    own = {"role": role, **({"channels": list(channels)} if channels else {}), **(attributes or {})}
    group = zarr.create_group(str(path), attributes={"ome": ome, "triptych": own})
    for number, level in enumerate(levels):
        group.create_array(
            str(number),
            shape=lead + level.shape,
            dtype=dtype,
            chunks=(1,) * len(lead) + chunk_shape,
            shards=(1,) * len(lead) + shard_shape,
            compressors=[ZstdCodec(level=3), Crc32cCodec()],
            fill_value=0,
            dimension_names=(("c",) if lead else ()) + AXES,
        )


def create_histogram(path: Path, values: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]) -> None:
    """Keep the exact histogram of an image beside its pyramid: rows (intensity, number of voxels)."""
    table = np.stack([values, counts], axis=1)
    group = zarr.open_group(str(path), mode="r+")
    array = group.create_array(
        HISTOGRAM,
        shape=table.shape,
        dtype=np.int64,
        chunks=table.shape,
        compressors=[ZstdCodec(level=3), Crc32cCodec()],
    )
    array[:] = table


def read_histogram(path: Path) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Intensities that occur, ascending, and how many voxels have each."""
    try:
        table = np.asarray(zarr.open_group(str(path), mode="r")[HISTOGRAM][:])  # type: ignore[index]
    except (KeyError, FileNotFoundError, ValueError) as error:
        raise InputError(
            f"{path} holds no intensity histogram: make the image with `triptych step import-volume`"
        ) from error
    return table[:, 0], table[:, 1]


def open_volume(path: Path, level: int = 0) -> Volume:
    """Open one level of a volume store for reading and writing of whole shards.

    Raises InputError where the folder is no volume store of triptych.
    """
    try:
        attributes: Any = zarr.open_group(str(path), mode="r").attrs.asdict()
        ome, own = attributes["ome"], attributes["triptych"]
        dataset = ome["multiscales"][0]["datasets"][level]
        array = zarr.open_array(str(path / dataset["path"]), mode="r+")
        scale = dataset["coordinateTransformations"][0]["scale"]
    except (KeyError, IndexError, TypeError, FileNotFoundError, ValueError, json.JSONDecodeError) as error:
        raise InputError(
            f"{path} is not a volume store (OME-Zarr 0.5 written by triptych): {error}"
        ) from error
    return Volume(path, array, _spacing(scale[-3:]), own)


def metadata_keys(name: str, shape: Triple, voxel_size_nm: Spacing, channels: bool = False) -> list[str]:
    """Keys of the ``zarr.json`` files that ``create`` writes for a store ``name``."""
    count = 1 if channels else len(plan_levels(shape, voxel_size_nm))
    return [f"{name}/zarr.json", *(f"{name}/{number}/zarr.json" for number in range(count))]


def shard_keys(
    name: str, level: int, region: Sequence[slice], shard_shape: Triple, channels: int = 0
) -> list[str]:
    """Keys of the shards that a region (in voxels, starting at a shard's corner) covers."""
    ranges = [range(r.start // s, -(-r.stop // s)) for r, s in zip(region, shard_shape, strict=True)]
    if channels:
        ranges.insert(0, range(channels))
    return [f"{name}/{level}/c/" + "/".join(map(str, p)) for p in itertools.product(*ranges)]


def pieces(region: Sequence[slice], shard_shape: Triple) -> Iterator[tuple[slice, slice, slice]]:
    """The shards of a region that starts at a shard's corner, in C order."""
    starts = [range(r.start, r.stop, s) for r, s in zip(region, shard_shape, strict=True)]
    for corner in itertools.product(*starts):
        z, y, x = (slice(a, min(a + s, r.stop)) for a, s, r in zip(corner, shard_shape, region, strict=True))
        yield z, y, x


def check(path: Path) -> None:
    """Prove that every stored shard decodes and that shapes and voxel sizes agree; raises InputError otherwise."""
    first = open_volume(path)
    single = first.array.ndim == 4
    levels = plan_levels(first.shape, first.voxel_size_nm)[: 1 if single else None]
    for number, level in enumerate(levels):
        volume = open_volume(path, number)
        if volume.shape != level.shape or not np.allclose(
            volume.voxel_size_nm, level.voxel_size_nm, rtol=1e-6
        ):
            raise InputError(
                f"{path}: level {number} is {volume.shape}, the pyramid asks for {level.shape}: import it again"
            )
        shards = volume.array.shards
        assert shards is not None
        for piece in pieces([slice(0, n) for n in volume.shape], _triple(shards[-3:])):
            try:
                volume.array[(..., *piece)]
            except Exception as error:
                place = tuple(s.start for s in piece)
                raise InputError(
                    f"{path}: level {number} cannot be read at {place} ({error}): run its step again"
                ) from error


def _transformations(level: Level, first: Level, channels: bool) -> list[dict[str, Any]]:
    """Scale, and the shift of the first voxel's centre that averaging whole blocks brings."""
    lead_scale, lead_shift = ([1.0], [0.0]) if channels else ([], [])
    shift = [(a - b) / 2 for a, b in zip(level.voxel_size_nm, first.voxel_size_nm, strict=True)]
    return [
        {"type": "scale", "scale": lead_scale + list(level.voxel_size_nm)},
        {"type": "translation", "translation": lead_shift + shift},
    ]


def _triple(values: Any) -> Triple:
    z, y, x = (int(v) for v in values)
    return z, y, x


def _spacing(values: Any) -> Spacing:
    z, y, x = (float(v) for v in values)
    return z, y, x
