"""How many atoms, how long, how sparse: scored on stretches and channels that had no part in it.

Some stretches of the recording are held out of learning. There the code is found from some of the channels, its amplitudes are
fitted without the penalty, and the *other* channels are predicted through the maps of the atoms. An activation that fits noise
predicts nothing elsewhere, and an atom that describes one stretch of noise predicts nothing in another, so the score falls both
where there is too little and where there is too much. The share of variance that a code explains in the channels it was found from
always grows, and tells nothing.

References
----------
Owen, Perry: Bi-cross-validation of the SVD and the nonnegative matrix factorization, Ann. Appl. Stat. 3 (2009).
Breiman, Friedman, Olshen, Stone: Classification and Regression Trees, Wadsworth (1984): the simplest within one standard error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from triptych.dictionary import lgcd, residual
from triptych.dictionary.coding import Chunks, Window
from triptych.dictionary.events import Floats
from triptych.dictionary.passes import Mapper, Passes, Recording, read_window

LEAST_CHANNELS = 4
LEAST_CHANGE = 1e-3


@dataclass(frozen=True)
class Stretches:
    """A recording of which every so many stretches are held out, or the rest.

    Attributes
    ----------
    recording : picklable.
    size : samples of a stretch.
    every : one of so many is held out.
    held_out : whether the held-out stretches count, or the others.
    """

    recording: Recording
    size: int
    every: int
    held_out: bool

    @property
    def samples(self) -> int:
        """Number of samples T."""
        return self.recording.samples

    def read(self, start: int, stop: int) -> Floats:
        """Samples ``start`` to ``stop``, (P, stop - start) float64."""
        return self.recording.read(start, stop)

    def good(self, start: int, stop: int) -> NDArray[np.bool_]:
        """Which of these samples count, (stop - start,) bool."""
        number = np.arange(start, stop) // self.size
        held_out = number % self.every == self.every // 2
        return self.recording.good(start, stop) & (held_out == self.held_out)


@dataclass(frozen=True)
class Channels:
    """Some channels of a recording."""

    recording: Recording
    rows: tuple[int, ...]

    @property
    def samples(self) -> int:
        """Number of samples T."""
        return self.recording.samples

    def read(self, start: int, stop: int) -> Floats:
        """Samples ``start`` to ``stop``, (len(rows), stop - start) float64."""
        return self.recording.read(start, stop)[list(self.rows)]

    def good(self, start: int, stop: int) -> NDArray[np.bool_]:
        """Which of these samples count, (stop - start,) bool."""
        return self.recording.good(start, stop)


def channel_folds(n_channels: int, folds: int, seed: int) -> list[tuple[int, ...]]:
    """Channels to predict, each once.

    Raises
    ------
    ValueError
        There are too few channels to predict some from the others.
    """
    if n_channels < LEAST_CHANNELS:
        raise ValueError(
            f"{n_channels} channels: predicting some from the others takes {LEAST_CHANNELS} at least"
        )
    order = np.random.Generator(np.random.Philox(seed)).permutation(n_channels)
    return [tuple(sorted(part.tolist())) for part in np.array_split(order, min(folds, n_channels))]


def predict(
    recording: Recording,
    size: int,
    model: lgcd.Model,
    folds: Sequence[tuple[int, ...]],
    mapper: Mapper = map,
) -> Floats:
    """Energy of the held-out channels, and of what the others do not predict of them, stretch by stretch.

    Parameters
    ----------
    recording : the stretches that were held out (``Stretches``).
    size : samples of a stretch, at least ``coding.MIN_CHUNK_WAVEFORMS`` waveforms.
    model : atoms on all channels, penalty and tolerance.
    folds : channels to predict.

    Returns
    -------
    energies : (stretches, 2) float64, summed over the folds: of the signal, of the residual.
    """
    chunks = Chunks(recording.samples, model.length, size)
    total = np.zeros((len(chunks), 2))
    for predicted in folds:
        seen = tuple(row for row in range(model.spatial.shape[1]) if row not in predicted)
        part = lgcd.model(model.spatial[:, seen], model.temporal, model.penalty, model.tolerance)
        passes = Passes(Channels(recording, seen), chunks, mapper)
        events, _ = passes.code(part)
        # Amplitudes to a thousandth of the largest: what they predict does not depend on more.
        enough = max(model.tolerance, LEAST_CHANGE * float(events.amplitude.max(initial=0.0)))
        events, _ = passes.code(replace(part, tolerance=enough), events, refit=True)
        work = partial(
            _energies,
            Channels(recording, predicted),
            model.spatial[:, predicted],
            model.temporal,
            len(chunks),
        )
        windows = list(enumerate(passes.windows(events)))
        total += np.array(list(mapper(work, windows)))
    return total


def _energies(
    recording: Recording, spatial: Floats, temporal: Floats, count: int, numbered: tuple[int, Window]
) -> tuple[float, float]:
    """Energies of the good samples of one stretch."""
    number, window = numbered
    signal, _ = read_window(recording, temporal.shape[1], window.start, window.stop)
    good = recording.good(window.start, window.stop + temporal.shape[1] - 1)
    own = signal if number == count - 1 else signal[:, : window.stop - window.start]
    left = residual.residual(own, window.start, window.events, spatial, temporal)
    left[:, ~good[: own.shape[1]]] = 0.0
    return float(np.vdot(own, own)), float(np.vdot(left, left))


def score(energies: Floats) -> float:
    """Share of the variance of the held-out channels that is predicted."""
    signal, left = energies.sum(axis=0)
    return float(1.0 - left / signal) if signal > 0 else 0.0


def errors(energies: Floats, best: int) -> Floats:
    """Standard error of the difference of every score to that of the best, over stretches, (C,).

    Parameters
    ----------
    energies : (C, stretches, 2) of every candidate.
    """
    used = energies[best, :, 0] > 0
    n = int(used.sum())
    if n < 2:
        return np.zeros(len(energies))
    signal, left = energies[:, used, 0], energies[:, used, 1]
    mean = signal[best].mean()
    gap = (left - left[best]) / mean
    found: Floats = gap.std(axis=1, ddof=1) / np.sqrt(n)
    return found


def choose(
    scores: Floats, errors: Floats, simplicity: Sequence[tuple[float, ...]], least_gain: float = 0.0
) -> int:
    """The simplest candidate within one standard error of the best, or within a share of its score.

    Parameters
    ----------
    scores, errors : (C,), of ``score`` and ``errors``.
    simplicity : per candidate, smaller is simpler, e.g. (atoms, -lambda).
    least_gain : share of the best score that is not worth less simplicity.
    """
    best = int(np.argmax(scores))
    behind = scores[best] - scores
    able = np.flatnonzero(behind <= np.maximum(errors, least_gain * abs(scores[best]))).tolist()
    return min(able, key=lambda c: (*simplicity[c], c))
