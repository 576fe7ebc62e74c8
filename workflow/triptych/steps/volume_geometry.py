"""What the steps of volumes share: block and chunk shapes, voxel sizes in the sheet, and the phases that build a pyramid.

A block is one shard: one file, one writer.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import BeforeValidator, Field, PositiveFloat, PositiveInt, model_validator

from triptych.engine.geometry import Grid, Slices
from triptych.engine.step import Context, Map, Settings

if TYPE_CHECKING:
    from triptych.stores.volume import Level, Spacing, Triple

# Levels above the first: one phase each, because a level is made from the whole level below it.
LEVELS = range(1, 9)


def parse_numbers(value: Any) -> Any:
    """Three numbers from a cell of the sample sheet such as ``40,10,10``; one number stands for a cube."""
    if isinstance(value, str):
        parts = value.replace(";", ",").replace("x", ",").replace(" ", ",").split(",")
        value = [part for part in parts if part]
        return value * 3 if len(value) == 1 else value or None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return (value,) * 3
    return value


VoxelSize = Annotated[tuple[PositiveFloat, PositiveFloat, PositiveFloat], BeforeValidator(parse_numbers)]
Shape = Annotated[tuple[PositiveInt, PositiveInt, PositiveInt], BeforeValidator(parse_numbers)]


class BlockSettings(Settings):
    """Geometry of what a step writes."""

    block_shape: Shape = Field(
        (256, 256, 256),
        description="Voxels (z, y, x) of a block of work, which is one shard, one file, of the store.",
    )
    chunk_shape: Shape = Field(
        (64, 64, 64),
        description="Voxels (z, y, x) of a chunk: the smallest piece a reader decodes; divides the block.",
    )

    @model_validator(mode="after")
    def _block_holds_chunks(self) -> Self:
        if any(b % c for b, c in zip(self.block_shape, self.chunk_shape, strict=True)):
            raise ValueError(
                f"block_shape {self.block_shape} must be a multiple of chunk_shape {self.chunk_shape}"
            )
        return self


def levels_of(path: Path) -> tuple[Level, ...]:
    """Levels of a volume store that has its metadata."""
    return _levels_of(str(path), (path / "zarr.json").stat().st_mtime_ns)


@functools.lru_cache(maxsize=64)
def _levels_of(path: str, _modified: int) -> tuple[Level, ...]:
    from triptych.stores.volume import open_volume, plan_levels

    volume = open_volume(Path(path))
    return plan_levels(volume.shape, volume.voxel_size_nm)


def extent_of(path: Path) -> tuple[Triple, Spacing]:
    """Shape and voxel size of a volume store."""
    level = levels_of(path)[0]
    return level.shape, level.voxel_size_nm


def origin_of(region: Slices) -> Triple:
    """First corner of a region (z, y, x)."""
    z, y, x = (s.start for s in region)
    return z, y, x


def overlapping(grid: Grid, region: Slices) -> Iterator[tuple[int, Slices, Slices]]:
    """Blocks that a region meets: number, the common part as seen from the block, and as seen from the region."""
    ranges = [range(r.start // b, -(-r.stop // b)) for r, b in zip(region, grid.block_shape, strict=True)]
    for position in itertools.product(*ranges):
        block = grid.index(position)
        core = grid.core(block)
        common = [
            slice(max(c.start, r.start), min(c.stop, r.stop)) for c, r in zip(core, region, strict=True)
        ]
        yield block, _seen_from(core, common), _seen_from(region, common)


def _seen_from(frame: Slices, part: Sequence[slice]) -> Slices:
    return tuple(slice(s.start - f.start, s.stop - f.start) for s, f in zip(part, frame, strict=True))


def pyramid_phases(stores: Callable[[Context], Sequence[str]]) -> tuple[Map, ...]:
    """One map phase for every level that a pyramid may have, over the blocks of all ``stores`` of the step."""
    return tuple(
        Map(
            f"level{level}",
            functools.partial(_level_blocks, stores, level),
            functools.partial(_level_keys, stores, level),
            functools.partial(_level_work, stores, level),
        )
        for level in LEVELS
    )


def _grids(
    stores: Callable[[Context], Sequence[str]], level: int, context: Context
) -> list[tuple[str, Grid]]:
    """Stores that have this level, with its grid of blocks."""
    found = []
    for name in stores(context):
        levels = levels_of(context.path(name))
        if level < len(levels):
            found.append((name, Grid(levels[level].shape, context.settings.block_shape)))
    return found


def choose(grids: Sequence[tuple[str, Grid]], index: int) -> tuple[str, Grid, int]:
    """Block ``index`` of several stores, counted one after the other."""
    for name, grid in grids:
        if index < len(grid):
            return name, grid, index
        index -= len(grid)
    raise IndexError(index)


def _level_blocks(stores: Callable[[Context], Sequence[str]], level: int, context: Context) -> int:
    return sum(len(grid) for _, grid in _grids(stores, level, context))


def _level_keys(
    stores: Callable[[Context], Sequence[str]], level: int, context: Context, index: int
) -> list[str]:
    from triptych.stores.volume import shard_keys

    name, grid, block = choose(_grids(stores, level, context), index)
    return shard_keys(name, level, grid.core(block), context.settings.block_shape)


def _level_work(stores: Callable[[Context], Sequence[str]], level: int, context: Context, index: int) -> None:
    """Write one shard of a level from the level below."""
    from triptych.segmentation.pyramid import halve_image, halve_labels
    from triptych.stores.volume import open_volume

    name, grid, block = choose(_grids(stores, level, context), index)
    below, here = open_volume(context.path(name), level - 1), open_volume(context.path(name), level)
    factors = levels_of(context.path(name))[level].factors
    core = grid.core(block)
    region: Slices = tuple(
        slice(s.start * f, min(s.stop * f, n)) for s, f, n in zip(core, factors, below.shape, strict=True)
    )
    halve = halve_labels if here.attributes["role"] == "labels" else halve_image
    here.array[core] = halve(below.read(region), factors)


def stored_bytes(voxels: int, itemsize: int, compression: float) -> int:
    """Bytes on disk of a pyramid, with the compression ratio that such data have by experience."""
    return int(voxels * itemsize * 8 / 7 / compression)
