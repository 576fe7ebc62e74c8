"""Pieces of an image: what is read, in which unit, and which part of a large image atoms are learned from.

An image is anything with a shape that is sliced like an array; only the voxels of a block are read at a time. All of it is
normalised by one mean and one deviation. A local mean may be taken off before: a Gaussian one, which the block reads with
its halo, so that it does not depend on blocks.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from triptych.dictionary.textures.box import Box, Triple, triple
from triptych.dictionary.textures.events import Floats

TRUNCATE = 3.0
"""Standard deviations at which the Gaussian of the local mean ends."""

Sigma = tuple[float, float, float]


@dataclass(frozen=True)
class Contrast:
    """Mean and standard deviation of the grey values that atoms are laid over (mean zero where local means are off)."""

    mean: float
    deviation: float


@dataclass(frozen=True)
class Sums:
    """Sums over voxels, from which ``contrast`` is made."""

    count: float
    total: float
    squares: float

    def __add__(self, other: Sums) -> Sums:
        return Sums(self.count + other.count, self.total + other.total, self.squares + other.squares)

    def contrast(self) -> Contrast:
        """Mean and deviation.

        Raises
        ------
        ValueError
            The image is constant or holds values that are not finite.
        """
        mean = self.total / self.count
        variance = self.squares / self.count - mean**2
        if not math.isfinite(variance):
            raise ValueError("the image holds values that are not finite")
        if not variance > 1e-12 * mean**2:
            raise ValueError("the image is constant")
        return Contrast(mean, math.sqrt(variance))


@dataclass(frozen=True)
class Piece:
    """A box of an image, as an image of its own.

    Attributes
    ----------
    array : (z, y, x), anything that slices like an array, or (y, x).
    box : voxels of the array.
    sigma : standard deviation (z, y, x) of the local mean in voxels; zeros leave it on.
    contrast : mean and deviation to normalise by.
    """

    array: Any
    box: Box
    sigma: Sigma = (0.0, 0.0, 0.0)
    contrast: Contrast = Contrast(0.0, 1.0)

    @property
    def shape(self) -> Triple:
        return self.box.shape

    def read(self, box: Box) -> Floats:
        """Normalised voxels of a box of the piece, float64."""
        raw = self.raw(box)
        raw -= self.contrast.mean
        raw /= self.contrast.deviation
        return raw

    def raw(self, box: Box) -> Floats:
        """Grey values of a box of the piece, less their local mean if it is taken off, float64."""
        wanted = box.seen_from(triple(-s for s in self.box.start))
        if not any(self.sigma):
            return self._grey(wanted)
        halo = triple(int(TRUNCATE * s + 0.5) for s in self.sigma)
        wide = wanted.grown(halo, halo, extent(self.array))
        grey = self._grey(wide)
        smooth = ndimage.gaussian_filter(grey, self.sigma, mode="nearest", truncate=TRUNCATE)
        difference: Floats = (grey - smooth)[wanted.seen_from(wide.start).slices]
        return np.ascontiguousarray(difference)

    def sums(self, box: Box) -> Sums:
        """Sums over a box of the piece."""
        raw = self.raw(box)
        return Sums(float(raw.size), float(raw.sum()), float(np.vdot(raw, raw)))

    def _grey(self, box: Box) -> Floats:
        z, y, x = box.slices
        part = self.array[y, x][None] if len(self.array.shape) == 2 else self.array[z, y, x]
        return np.array(part, dtype=np.float64)


def extent(array: Any) -> Triple:
    """Voxels (z, y, x) of an image; a plane has one along z.

    Raises
    ------
    ValueError
        It has neither two nor three axes.
    """
    shape = tuple(int(n) for n in array.shape)
    if len(shape) not in (2, 3):
        raise ValueError(f"an image has the axes (y, x) or (z, y, x), this one has shape {shape}")
    return triple((1, *shape)[-3:])


def choose_pieces(shape: Triple, wanted: Triple, most: int, seed: int) -> list[Box]:
    """The whole image cut in pieces, or ``most`` of them spread evenly over it, one drawn from each stretch.

    Parameters
    ----------
    shape : voxels of the image.
    wanted : voxels of a piece; all are of one shape, and a rest at the far borders that is too small for one is left out.
    most : pieces at most.
    """
    size = triple(min(n, w) for n, w in zip(shape, wanted, strict=True))
    starts = [range(0, n - s + 1, s) for n, s in zip(shape, size, strict=True)]
    count = math.prod(map(len, starts))
    chosen = set(range(count))
    if count > most:
        generator = np.random.Generator(np.random.PCG64([seed, 2]))
        ends = [count * i // most for i in range(most + 1)]
        chosen = {int(generator.integers(a, b)) for a, b in itertools.pairwise(ends)}
    corners = itertools.islice(itertools.product(*starts), count)
    return [
        Box(triple(corner), triple(a + s for a, s in zip(corner, size, strict=True)))
        for i, corner in enumerate(corners)
        if i in chosen
    ]
