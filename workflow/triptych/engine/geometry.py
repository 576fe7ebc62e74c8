"""Block geometry: how an array is cut into blocks, and a block with its halo."""

from __future__ import annotations

import math
from dataclasses import dataclass

Slices = tuple[slice, ...]


@dataclass(frozen=True)
class Grid:
    """A regular grid of blocks anchored at the origin; blocks at the far border are smaller.

    Blocks are numbered in C order (last axis fastest), which is also the order in which their results are summed.
    """

    shape: tuple[int, ...]
    block_shape: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.shape) != len(self.block_shape):
            raise ValueError(f"shape {self.shape} and block shape {self.block_shape} differ in dimension")
        if min(self.block_shape) < 1:
            raise ValueError(f"block shape {self.block_shape} must be positive")

    @property
    def counts(self) -> tuple[int, ...]:
        """Number of blocks along each axis."""
        return tuple(-(-n // b) for n, b in zip(self.shape, self.block_shape, strict=True))

    def __len__(self) -> int:
        return math.prod(self.counts)

    def position(self, index: int) -> tuple[int, ...]:
        """Coordinates of block ``index`` in the grid of blocks."""
        if not 0 <= index < len(self):
            raise IndexError(f"block {index} of {len(self)}")
        position = []
        for n in reversed(self.counts):
            index, rest = divmod(index, n)
            position.append(rest)
        return tuple(reversed(position))

    def index(self, position: tuple[int, ...]) -> int:
        """Number of the block at these coordinates."""
        number = 0
        for p, n in zip(position, self.counts, strict=True):
            number = number * n + p
        return number

    def core(self, index: int) -> Slices:
        """The voxels a block owns."""
        return tuple(
            slice(p * b, min((p + 1) * b, n))
            for p, b, n in zip(self.position(index), self.block_shape, self.shape, strict=True)
        )

    def outer(self, index: int, halo: tuple[int, ...]) -> Slices:
        """The voxels a block reads: its core grown by the halo, cut at the border of the array."""
        return tuple(
            slice(max(0, s.start - h), min(n, s.stop + h))
            for s, h, n in zip(self.core(index), halo, self.shape, strict=True)
        )

    def inside(self, index: int, halo: tuple[int, ...]) -> Slices:
        """Where the core lies inside the array read by ``outer``."""
        return tuple(
            slice(c.start - o.start, c.stop - o.start)
            for c, o in zip(self.core(index), self.outer(index, halo), strict=True)
        )


def part_of(count: int, part: int, parts: int) -> range:
    """Block numbers of part ``part`` (1-based) of ``parts``: contiguous, sizes differ by at most one."""
    if not 1 <= part <= parts:
        raise ValueError(f"part {part} of {parts}: the first number runs from 1 to the second")
    return range(count * (part - 1) // parts, count * part // parts)
