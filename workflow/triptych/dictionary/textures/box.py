"""Boxes of voxels or of positions at which atoms start, axes (z, y, x)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

Triple = tuple[int, int, int]


def triple(values: Iterable[Any]) -> Triple:
    """Three whole numbers as a tuple."""
    z, y, x = (int(value) for value in values)
    return z, y, x


@dataclass(frozen=True)
class Box:
    """From ``start`` to before ``stop`` along each axis."""

    start: Triple
    stop: Triple

    @property
    def shape(self) -> Triple:
        return triple(b - a for a, b in zip(self.start, self.stop, strict=True))

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        z, y, x = (slice(a, b) for a, b in zip(self.start, self.stop, strict=True))
        return z, y, x

    def grown(self, before: Triple, after: Triple, limit: Triple) -> Box:
        """Larger by so many voxels on the near and on the far sides, within 0 and ``limit``."""
        return Box(
            triple(max(0, a - n) for a, n in zip(self.start, before, strict=True)),
            triple(min(m, b + n) for b, n, m in zip(self.stop, after, limit, strict=True)),
        )

    def seen_from(self, corner: Triple) -> Box:
        """The same box where ``corner`` is the origin."""
        return Box(
            triple(a - c for a, c in zip(self.start, corner, strict=True)),
            triple(b - c for b, c in zip(self.stop, corner, strict=True)),
        )


def whole(shape: Triple) -> Box:
    """All voxels of an array."""
    return Box((0, 0, 0), shape)
