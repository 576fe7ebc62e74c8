"""Passes over a recording: the same per-chunk functions for an array in memory and for a store read chunk by chunk."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial, reduce
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from triptych.dictionary import certificate, coding, initial, lgcd, residual, statistics
from triptych.dictionary.coding import Chunks, Window
from triptych.dictionary.events import Events, Floats
from triptych.dictionary.gram import correlate


class Recording(Protocol):
    """A recording that can be read piece by piece; picklable."""

    @property
    def samples(self) -> int:
        """Number of samples T."""

    def read(self, start: int, stop: int) -> Floats:
        """Samples ``start`` to ``stop``, (P, stop - start) float64."""

    def good(self, start: int, stop: int) -> NDArray[np.bool_]:
        """Which of these samples count, (stop - start,) bool."""


@dataclass(frozen=True)
class ArrayRecording:
    """A recording in memory (or anything that slices like an array): (P, T)."""

    signal: Any
    mask: NDArray[np.bool_]

    @property
    def samples(self) -> int:
        return int(self.signal.shape[1])

    def read(self, start: int, stop: int) -> Floats:
        return np.ascontiguousarray(self.signal[:, start:stop], dtype=np.float64)

    def good(self, start: int, stop: int) -> NDArray[np.bool_]:
        return self.mask[start:stop]


Mapper = Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]


def read_window(recording: Recording, length: int, start: int, stop: int) -> tuple[Floats, NDArray[np.bool_]]:
    """The samples that atoms starting in ``start`` .. ``stop`` reach, and where they may start."""
    signal = recording.read(start, stop + length - 1)
    good = recording.good(start, stop + length - 1)
    return np.where(good, signal, 0.0), coding.allowed_positions(good, length)


def code_window(
    recording: Recording, model: lgcd.Model, window: Window, *, refit: bool = False
) -> lgcd.Coded:
    """``lgcd.code_window`` on a recording."""
    signal, allowed = read_window(recording, model.length, window.start, window.stop)
    return lgcd.code_window(signal, allowed, window.start, window.events, model, refit=refit)


def _statistics(recording: Recording, n_atoms: int, length: int, window: Window) -> statistics.Statistics:
    signal, _ = read_window(recording, length, window.start, window.stop)
    return statistics.partial(signal, window.start, window.stop, window.events, n_atoms, length)


def certify(
    recording: Recording, model: lgcd.Model, window: Window
) -> tuple[certificate.Violation, residual.Energies]:
    """Extremes and energies of a chunk."""
    signal, allowed = read_window(recording, model.length, window.start, window.stop)
    last = window.stop + model.length - 1 == recording.samples
    return (
        certificate.partial(signal, allowed, window.start, window.events, model),
        residual.energies(
            signal, window.start, window.stop, window.events, model.spatial, model.temporal, last=last
        ),
    )


def _reference_patches(
    recording: Recording,
    read_reference: Callable[[int, int], Floats],
    shape: tuple[int, int, int],
    window: Window,
) -> tuple[Floats, Floats]:
    """Sums of a reference under the activations of a chunk, and its energy in the chunk."""
    n_atoms, length, lag = shape
    own = window.events.between(window.start, window.stop)
    first, last = window.start - lag, window.stop + length - 1 + lag
    inside = read_reference(max(0, first), min(recording.samples, last))
    reference = np.pad(inside, ((0, 0), (max(0, -first), max(0, last - recording.samples))))
    ends = window.stop + length - 1 == recording.samples
    core = reference[:, lag : lag + window.stop - window.start + (length - 1 if ends else 0)]
    patches = statistics.patches(reference, own, window.start, n_atoms, length + 2 * lag)
    return patches, (core**2).sum(axis=1)


def _peaks(recording: Recording, spatial: Floats, temporal: Floats, window: Window) -> list[initial.Patch]:
    signal, allowed = read_window(recording, temporal.shape[1], window.start, window.stop)
    return initial.residual_peaks(signal, allowed, window.start, window.events, spatial, temporal)


def _largest(recording: Recording, spatial: Floats, temporal: Floats, span: tuple[int, int]) -> float:
    signal, allowed = read_window(recording, temporal.shape[1], *span)
    return float(np.max(correlate(signal, spatial, temporal)[:, allowed], initial=0.0))


def _survey(recording: Recording, length: int, span: tuple[int, int]) -> tuple[float, NDArray[np.int64]]:
    """Energy of the good samples of a span, and where in it an atom may start."""
    start, stop = span
    signal, allowed = read_window(recording, length, start, stop)
    last = stop + length - 1 == recording.samples
    own = signal if last else signal[:, : stop - start]
    return float(np.vdot(own, own)), np.flatnonzero(allowed).astype(np.int64) + start


def _patch(recording: Recording, length: int, sample: int) -> initial.Patch:
    return initial.rank_one(recording.read(sample, sample + length), sample)


@dataclass(frozen=True)
class Passes:
    """A recording, how it is cut, and what spreads the chunks over workers (results in order).

    Sums run over chunks in their order, so the result is the same bits for any mapper.
    """

    recording: Recording
    chunks: Chunks
    mapper: Mapper = map

    @property
    def spans(self) -> list[tuple[int, int]]:
        return [self.chunks.core(i) for i in range(len(self.chunks))]

    def windows(self, events: Events) -> list[Window]:
        return coding.windows(self.chunks, self.spans, events)

    def survey(self) -> tuple[float, NDArray[np.int64]]:
        """||X||^2 over good samples, and all samples at which an atom may start."""
        found = list(self.mapper(partial(_survey, self.recording, self.chunks.length), self.spans))
        return sum(energy for energy, _ in found), np.concatenate([starts for _, starts in found])

    def patches(self, samples: NDArray[np.int64]) -> list[initial.Patch]:
        return list(self.mapper(partial(_patch, self.recording, self.chunks.length), samples.tolist()))

    def largest_correlation(self, spatial: Floats, temporal: Floats) -> float:
        """The smallest penalty at which no atom is used (lambda_max)."""
        return max(self.mapper(partial(_largest, self.recording, spatial, temporal), self.spans))

    def code(
        self,
        model: lgcd.Model,
        events: Events | None = None,
        *,
        refit: bool = False,
        warm: coding.Warm | None = None,
    ) -> tuple[Events, int]:
        """The code, or with ``refit`` the amplitudes that fit best on the support of ``events``, and the number of updates."""
        work = partial(code_window, self.recording, model, refit=refit)
        return coding.code(self.chunks, lambda found: self.mapper(work, found), events, warm)

    def statistics(self, events: Events, n_atoms: int) -> statistics.Statistics:
        work = partial(_statistics, self.recording, n_atoms, self.chunks.length)
        return reduce(statistics.merge, self.mapper(work, self.windows(events)))

    def certify(self, model: lgcd.Model, events: Events) -> tuple[certificate.Violation, residual.Energies]:
        """Extremes and energies of the recording."""
        found = list(self.mapper(partial(certify, self.recording, model), self.windows(events)))
        return (
            reduce(certificate.merge, (violation for violation, _ in found)),
            reduce(operator.add, (energies for _, energies in found)),
        )

    def reference_patches(
        self, read_reference: Callable[[int, int], Floats], events: Events, n_atoms: int, lag: int
    ) -> tuple[Floats, Floats]:
        """Inputs of ``description.coupling`` for channels beside the recording."""
        work = partial(_reference_patches, self.recording, read_reference, (n_atoms, self.chunks.length, lag))
        found = list(self.mapper(work, self.windows(events)))
        return reduce(np.add, (patches for patches, _ in found)), reduce(
            np.add, (energy for _, energy in found)
        )

    def peaks(self, events: Events, spatial: Floats, temporal: Floats) -> list[initial.Patch]:
        """Stretches of the residual, strongest first, no two overlapping."""
        work = partial(_peaks, self.recording, spatial, temporal)
        found = [patch for part in self.mapper(work, self.windows(events)) for patch in part]
        found.sort(key=lambda patch: (-patch.strength, patch.sample))
        kept: list[initial.Patch] = []
        for patch in found:
            if all(abs(patch.sample - other.sample) >= self.chunks.length for other in kept):
                kept.append(patch)
        return kept
