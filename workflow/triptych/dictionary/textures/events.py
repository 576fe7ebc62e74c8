"""Sparse activations of an image: the only thing about a code that leaves a block."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from triptych.dictionary.textures.box import Box, Triple

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]


@dataclass(frozen=True)
class Events:
    """Activations sorted by place (C order), then atom; a (place, atom) pair occurs once.

    Attributes
    ----------
    positions : numbers of positions (z, y, x) at which an atom may start.
    atom : (n,) int32, number of the atom.
    index : (n,) int64, first voxel of the atom as a flat index into ``positions``.
    amplitude : (n,) float64, positive, in the unit of the image that was coded.
    """

    positions: Triple
    atom: NDArray[np.int32]
    index: Whole
    amplitude: Floats

    def __len__(self) -> int:
        return int(self.atom.size)

    @property
    def place(self) -> Whole:
        """First voxel of the atom, (n, 3) int64."""
        return np.stack(np.unravel_index(self.index, self.positions), axis=1).astype(np.int64)

    def inside(self, box: Box) -> Events:
        """Activations that start in a box."""
        band, chosen = self._chosen(box)
        return Events(
            self.positions, self.atom[band][chosen], self.index[band][chosen], self.amplitude[band][chosen]
        )

    def outside(self, boxes: Sequence[Box]) -> Events:
        """Activations that start in none of the boxes."""
        kept = np.ones(len(self), dtype=bool)
        for box in boxes:
            band, chosen = self._chosen(box)
            kept[band] &= ~chosen
        return Events(self.positions, self.atom[kept], self.index[kept], self.amplitude[kept])

    def _chosen(self, box: Box) -> tuple[slice, NDArray[np.bool_]]:
        """A range of events that holds all of a box, and which of them lie in it."""
        if box.size <= 0 or not len(self):
            return slice(0, 0), np.zeros(0, dtype=bool)
        _, ny, nx = self.positions
        first = (box.start[0] * ny + box.start[1]) * nx + box.start[2]
        last = ((box.stop[0] - 1) * ny + box.stop[1] - 1) * nx + box.stop[2] - 1
        a, b = np.searchsorted(self.index, (first, last + 1), side="left")
        place = np.unravel_index(self.index[a:b], self.positions)
        chosen = np.ones(b - a, dtype=bool)
        for values, start, stop in zip(place, box.start, box.stop, strict=True):
            chosen &= (values >= start) & (values < stop)
        return slice(int(a), int(b)), chosen


def no_events(positions: Triple) -> Events:
    """The code of nothing."""
    return Events(positions, np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0))


def sorted_events(
    positions: Triple, atom: NDArray[np.integer], index: NDArray[np.integer], amplitude: Floats
) -> Events:
    """Activations in the order of ``Events``."""
    order = np.lexsort((atom, index))
    return Events(
        positions,
        np.asarray(atom, np.int32)[order],
        np.asarray(index, np.int64)[order],
        np.asarray(amplitude, np.float64)[order],
    )


def join(positions: Triple, parts: Iterable[Events]) -> Events:
    """Activations of several parts of one image, sorted."""
    parts = [part for part in parts if len(part)]
    if not parts:
        return no_events(positions)
    return sorted_events(
        positions,
        np.concatenate([part.atom for part in parts]),
        np.concatenate([part.index for part in parts]),
        np.concatenate([part.amplitude for part in parts]),
    )


def events_of(activation: Floats, start: Triple, positions: Triple) -> Events:
    """Activations of a dense code (K, z, y, x) whose first voxel is position ``start`` of the image."""
    n_atoms = len(activation)
    spread = np.moveaxis(activation, 0, -1)
    found = np.flatnonzero(spread)
    place = np.unravel_index(found // n_atoms, activation.shape[1:])
    index = np.ravel_multi_index(tuple(p + s for p, s in zip(place, start, strict=True)), positions)
    return Events(
        positions,
        (found % n_atoms).astype(np.int32),
        np.asarray(index, np.int64),
        np.ascontiguousarray(spread[(*place, found % n_atoms)]),
    )


def dense(events: Events, n_atoms: int, box: Box) -> Floats:
    """The dense code (K, z, y, x) of a box that may reach beyond the positions of the image."""
    code = np.zeros((n_atoms, *box.shape))
    near = events.inside(box.grown((0, 0, 0), (0, 0, 0), events.positions))
    place = near.place - np.array(box.start)
    code[near.atom, place[:, 0], place[:, 1], place[:, 2]] = near.amplitude
    return code
