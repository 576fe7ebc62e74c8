"""Sparse activations: the only thing about a code that leaves a chunk."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Events:
    """Activations sorted by sample, then atom; a (sample, atom) pair occurs once.

    Attributes
    ----------
    atom : (n,) int32, number of the atom.
    sample : (n,) int64, first sample of the atom's waveform.
    amplitude : (n,) float64, positive, in the unit of the signal that was coded.
    """

    atom: NDArray[np.int32]
    sample: NDArray[np.int64]
    amplitude: Floats

    def __len__(self) -> int:
        return int(self.atom.size)

    def between(self, start: int, stop: int) -> Events:
        """Activations with ``start <= sample < stop``."""
        a, b = np.searchsorted(self.sample, (start, stop), side="left")
        return Events(self.atom[a:b], self.sample[a:b], self.amplitude[a:b])

    def outside(self, start: int, stop: int) -> Events:
        """Activations with ``sample < start`` or ``sample >= stop``."""
        a, b = np.searchsorted(self.sample, (start, stop), side="left")
        return Events(
            np.delete(self.atom, slice(a, b)),
            np.delete(self.sample, slice(a, b)),
            np.delete(self.amplitude, slice(a, b)),
        )


def no_events() -> Events:
    """The code of nothing."""
    return Events(np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0))


def sorted_events(atom: NDArray[np.integer], sample: NDArray[np.integer], amplitude: Floats) -> Events:
    """Activations in the order of ``Events``."""
    order = np.lexsort((atom, sample))
    return Events(
        np.asarray(atom, np.int32)[order],
        np.asarray(sample, np.int64)[order],
        np.asarray(amplitude, np.float64)[order],
    )


def join(parts: Iterable[Events]) -> Events:
    """Activations of several parts, sorted."""
    parts = [part for part in parts if len(part)]
    if not parts:
        return no_events()
    return sorted_events(
        np.concatenate([part.atom for part in parts]),
        np.concatenate([part.sample for part in parts]),
        np.concatenate([part.amplitude for part in parts]),
    )


def events_of(activation: Floats, start: int) -> Events:
    """Activations of a dense code (K, W) whose first column is sample ``start``."""
    sample, atom = np.nonzero(activation.T)
    return Events(atom.astype(np.int32), sample.astype(np.int64) + start, activation[atom, sample])
