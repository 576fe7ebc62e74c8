"""How the positions of an image are cut: segments, blocks of segments, zones around the borders of blocks, and colours.

Activations interact only when less than an atom apart along every axis. Blocks, and zones around borders, are made of whole
segments of two atoms; two of the same parity along every axis do not meet, so all of one colour can be coded at the same time.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from triptych.dictionary.textures.box import Box, Triple, triple
from triptych.dictionary.textures.events import Whole

MARGIN = 2
"""Segments on both sides of a border that a border zone holds, where blocks are large enough."""
LEAST = 2
"""Segments of a block along an axis, at least."""


@dataclass(frozen=True)
class Blocks:
    """The cut of one image.

    Attributes
    ----------
    shape : voxels (z, y, x) of the image.
    atom : voxels of an atom.
    wanted : voxels of a block as asked for; whole segments are used, two at least, and the last block takes the rest.
    """

    shape: Triple
    atom: Triple
    wanted: Triple

    def __post_init__(self) -> None:
        if min(self.positions) < 1:
            raise ValueError(f"an image of {self.shape} voxels is smaller than an atom of {self.atom}")
        if min(self.wanted) < 1:
            raise ValueError(f"blocks of {self.wanted} voxels must be positive")

    @cached_property
    def positions(self) -> Triple:
        """Positions at which an atom may start."""
        return triple(n - d + 1 for n, d in zip(self.shape, self.atom, strict=True))

    @cached_property
    def segment(self) -> Triple:
        """Positions of a segment, 2 d - 1."""
        return triple(2 * d - 1 for d in self.atom)

    @cached_property
    def segments(self) -> Triple:
        """Number of segments along each axis."""
        return triple(-(-n // s) for n, s in zip(self.positions, self.segment, strict=True))

    @cached_property
    def reach(self) -> Triple:
        """How far away another activation can lie and interact, d - 1."""
        return triple(d - 1 for d in self.atom)

    @cached_property
    def _spans(self) -> tuple[list[tuple[int, int]], ...]:
        """Segments of the blocks along each axis."""
        found = []
        for n, size, wanted, reach in zip(self.segments, self.segment, self.wanted, self.reach, strict=True):
            step = max(LEAST if reach else 1, wanted // size)
            count = max(1, n // step)
            found.append([(i * step, n if i == count - 1 else (i + 1) * step) for i in range(count)])
        return tuple(found)

    @cached_property
    def _zones(self) -> tuple[list[tuple[int, int]], ...]:
        """Segments around the borders between blocks along each axis; no border where nothing interacts."""
        found = []
        for spans, reach in zip(self._spans, self.reach, strict=True):
            margin = min(MARGIN, (spans[0][1] - spans[0][0]) // 2)
            found.append([(b - margin, b + margin) for _, b in spans[:-1]] if reach else [])
        return tuple(found)

    def __len__(self) -> int:
        return math.prod(len(spans) for spans in self._spans)

    def cores(self) -> list[Box]:
        """Positions of the blocks, in C order."""
        return [self.box(cut) for cut in map(_cut, itertools.product(*self._spans))]

    def colours(self) -> Iterator[list[Box]]:
        """Boxes of segments that do not meet: the blocks, then zones around faces, edges and corners of blocks.

        Together they hold every border in the inside of some box. Each list can be coded in any order.
        """
        for borders in sorted(itertools.product((False, True), repeat=3), key=sum):
            along = [list(enumerate(self._zones[a] if borders[a] else self._spans[a])) for a in range(3)]
            parities = [(0, 1) if r else (0,) for r in self.reach]
            for colour in itertools.product(*parities):
                chosen = [
                    [span for i, span in found if len(kinds) == 1 or i % 2 == parity]
                    for found, parity, kinds in zip(along, colour, parities, strict=True)
                ]
                if boxes := [_cut(spans) for spans in itertools.product(*chosen)]:
                    yield boxes

    def box(self, cut: Box) -> Box:
        """Positions of a box of segments."""
        return Box(
            triple(a * s for a, s in zip(cut.start, self.segment, strict=True)),
            triple(min(b * s, n) for b, s, n in zip(cut.stop, self.segment, self.positions, strict=True)),
        )

    def near(self, box: Box) -> Box:
        """The positions whose activations interact with those of a box."""
        return box.grown(self.reach, self.reach, self.positions)

    def voxels(self, box: Box) -> Box:
        """Voxels that atoms starting in a box of positions can reach."""
        return box.grown((0, 0, 0), self.reach, self.shape)

    def own(self, box: Box) -> Box:
        """Voxels that count as those of a block: every voxel belongs to one."""
        last = (b == n for b, n in zip(box.stop, self.positions, strict=True))
        return Box(
            box.start,
            triple(b + r * end for b, r, end in zip(box.stop, self.reach, last, strict=True)),
        )

    def reached(self, places: Whole) -> tuple[NDArray[np.intp], ...]:
        """Segments in which activations at these places (n, 3) change the gradient, as indices (some twice)."""
        ends = [
            (np.maximum(p - r, 0) // s, np.minimum(p + r, n - 1) // s)
            for p, r, s, n in zip(places.T, self.reach, self.segment, self.positions, strict=True)
        ]
        chosen = [np.stack(combination) for combination in itertools.product(*ends)]
        z, y, x = np.concatenate(chosen, axis=1)
        return z, y, x


def _cut(spans: tuple[tuple[int, int], ...]) -> Box:
    return Box(triple(a for a, _ in spans), triple(b for _, b in spans))
