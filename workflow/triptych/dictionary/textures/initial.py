"""First atoms, and new ones where an atom is unused or weak: patches of the images, or of what the atoms leave of them.

The first are drawn with a probability in proportion to what the patches drawn before leave of a patch, as in k-means++; new
ones are the patches of the residual that hold the most energy.

References
----------
Arthur, Vassilvitskii: k-means++, SODA 2007.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from triptych.dictionary.textures.box import Box, Triple, triple
from triptych.dictionary.textures.events import Floats
from triptych.dictionary.textures.gram import AXES, transform_shape

CANDIDATES_PER_ATOM = 10
PEAKS_PER_BLOCK = 4


@dataclass(frozen=True)
class Patch:
    """A patch of unit norm: which image, where it starts, and the norm it had."""

    image: int
    place: Triple
    strength: float
    values: Floats


def unit_patch(image: int, place: Triple, values: Floats) -> Patch:
    """A patch from its voxels."""
    strength = float(np.linalg.norm(values))
    return Patch(image, place, strength, values / max(strength, 1e-300))


def candidate_places(shapes: list[Triple], n_atoms: int, seed: int) -> list[tuple[int, Triple]]:
    """Image and place of the patches that atoms are drawn from, in order; ``shapes`` are the numbers of positions."""
    generator = np.random.Generator(np.random.PCG64(seed))
    sizes = [math.prod(shape) for shape in shapes]
    count = min(sum(sizes), CANDIDATES_PER_ATOM * n_atoms)
    chosen: set[int] = set()
    while len(chosen) < count:
        chosen.add(int(generator.integers(sum(sizes))))
    ends = np.cumsum(sizes)
    found = []
    for flat in sorted(chosen):
        image = int(np.searchsorted(ends, flat, side="right"))
        local = flat - int(ends[image] - sizes[image])
        found.append((image, triple(np.unravel_index(local, shapes[image]))))
    return found


def draw(patches: list[Patch], n_atoms: int, seed: int) -> Floats:
    """Atoms (K, dz, dy, dx) from the candidates.

    Raises
    ------
    ValueError
        There are fewer different candidates than atoms.
    """
    generator = np.random.Generator(np.random.PCG64([seed, 1]))
    values = np.stack([patch.values for patch in patches])
    left = np.array([patch.strength for patch in patches]) ** 2
    chosen: list[int] = []
    for _ in range(n_atoms):
        mass = float(left.sum())
        if not mass > 0:
            raise ValueError(f"the image does not hold {n_atoms} different patches: ask for fewer atoms")
        k = int(generator.choice(len(patches), p=left / mass))
        chosen.append(k)
        left *= np.maximum(0.0, 1.0 - np.maximum(similarity(values, values[k]), 0.0) ** 2)
        left[k] = 0.0
    return values[chosen]


def similarity(atoms: Floats, one: Floats) -> Floats:
    """Largest shifted scalar product of unit atoms (M, dz, dy, dx) with one of them, (M,).

    Opposite atoms are not alike: activations are positive.
    """
    size = transform_shape(tuple(2 * n - 1 for n in one.shape))
    spectrum = fft.rfftn(one, size).conj()
    lags = fft.irfftn(fft.rfftn(atoms, size, axes=AXES) * spectrum, size, axes=AXES)
    largest: Floats = lags.reshape(len(atoms), -1).max(axis=1)
    return largest


def peaks(left: Floats, image: int, box: Box, atom: Triple) -> list[Patch]:
    """The patches of a block that hold the most energy, none overlapping.

    Parameters
    ----------
    left : (nz + dz - 1, ny + dy - 1, nx + dx - 1) float64, residual of the voxels that atoms starting in the box reach.
    image, box : which image, and which of its positions.
    """
    energy = box_sums(left**2, atom)
    found = []
    for _ in range(PEAKS_PER_BLOCK):
        z, y, x = np.unravel_index(int(np.argmax(energy)), energy.shape)
        if energy[z, y, x] <= 0:
            break
        here = triple((z, y, x))
        part = left[tuple(slice(p, p + d) for p, d in zip(here, atom, strict=True))]
        place = triple(p + s for p, s in zip(here, box.start, strict=True))
        found.append(unit_patch(image, place, part))
        energy[tuple(slice(max(0, p - d + 1), p + d) for p, d in zip(here, atom, strict=True))] = -1.0
    return found


def box_sums(values: Floats, atom: Triple) -> Floats:
    """Sum under an atom laid at every position of an array."""
    for axis, d in enumerate(atom):
        summed = np.cumsum(values, axis=axis)
        summed = np.concatenate([np.zeros_like(np.take(summed, [0], axis)), summed], axis)
        n = summed.shape[axis]
        values = np.take(summed, np.arange(d, n), axis) - np.take(summed, np.arange(n - d), axis)
    return values


def apart(patches: list[Patch], atom: Triple) -> list[Patch]:
    """Patches by falling strength, none overlapping a stronger one."""
    ordered = sorted(patches, key=lambda patch: (-patch.strength, patch.image, patch.place))
    kept: list[Patch] = []
    for patch in ordered:
        if all(patch.image != other.image or not _overlap(patch.place, other.place, atom) for other in kept):
            kept.append(patch)
    return kept


def _overlap(a: Triple, b: Triple, atom: Triple) -> bool:
    near: NDArray[np.bool_] = np.abs(np.subtract(a, b)) < np.array(atom)
    return bool(near.all())
