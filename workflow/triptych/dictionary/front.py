"""The front door: atoms and activations of a signal in memory, by the functions that run on chunks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triptych.dictionary import learning, lgcd
from triptych.dictionary.coding import MIN_CHUNK_WAVEFORMS, Chunks
from triptych.dictionary.events import Floats
from triptych.dictionary.passes import ArrayRecording, Mapper, Passes


@dataclass(frozen=True)
class Learned:
    """Atoms of a signal.

    Attributes
    ----------
    spatial : (K, P) float64, unit norm.
    temporal : (K, L) float64, unit norm.
    penalty, penalty_max : lambda and the lambda_max it is a fraction of, in the unit of the signal.
    history : (n, 3): F after coding, F after the update, atoms replaced or moved, per iteration (in the unit of the
        signal divided by its standard deviation).
    """

    spatial: Floats
    temporal: Floats
    penalty: float
    penalty_max: float
    history: Floats


def encode(
    signal: Any,
    spatial: Floats,
    temporal: Floats,
    regularization: float = 0.1,
    tolerance: float = 1e-3,
    *,
    penalty: float | None = None,
    good: NDArray[np.bool_] | None = None,
    chunk_size: int | None = None,
    mapper: Mapper = map,
    device: str | None = None,
    warm_start: bool = False,
) -> tuple[NDArray[np.int32], NDArray[np.int64], Floats]:
    """The sparse positive code of a signal with given atoms, exact to the tolerance.

    Parameters
    ----------
    signal : (P, T), finite.
    spatial, temporal : (K, P) and (K, L).
    regularization : lambda as a fraction of lambda_max of this signal and these atoms.
    tolerance : largest change of an amplitude left undone, as a fraction of lambda.
    penalty : lambda itself, in the unit of the signal; overrides ``regularization``.
    good : (T,) False where samples are to be left out; no atom is laid over them.
    chunk_size : samples of a chunk; the code of chunks is that of the whole within the tolerance.
    mapper : spreads chunks over workers, e.g. ``ThreadPoolExecutor().map``.
    device : where a warm start is computed, ``"cpu"`` (the default) or a CUDA device of torch.
    warm_start : begin from accelerated gradient steps on all chunks of one colour at once. The code is as exact either way;
        on a CPU it takes longer.

    Returns
    -------
    atom : (n,) int32.
    sample : (n,) int64, where the waveform starts; sorted.
    amplitude : (n,) float64, in the unit of the signal.

    Raises
    ------
    ValueError
        Shapes do not fit, or the signal is shorter than an atom, constant, or not finite; torch is not installed or sees no
        such device, if a warm start is asked for.

    References
    ----------
    Dupre la Tour, Moreau, Jas, Gramfort, NeurIPS 2018; Moreau, Oudre, Vayatis: DICOD, ICML 2018.
    """
    passes, scale = _passes(signal, temporal.shape[1], good, chunk_size, mapper)
    if spatial.shape[1] != signal.shape[0]:
        raise ValueError(f"atoms have {spatial.shape[1]} channels, the signal has {signal.shape[0]}")
    if penalty is None:
        largest = passes.largest_correlation(np.asarray(spatial, float), np.asarray(temporal, float))
        penalty = regularization * largest * scale
    model = lgcd.model(spatial, temporal, penalty / scale, tolerance * penalty / scale)
    warm = None
    if warm_start:
        from triptych.dictionary import warm_start as warm_starts

        how = warm_starts.WarmStart(device or "cpu")
        warm = partial(warm_starts.begin, passes.recording, model, how, mapper=mapper)
    events, _ = passes.code(model, warm=warm)
    return events.atom, events.sample, events.amplitude * scale


def learn(
    signal: Any,
    n_atoms: int,
    atom_length: int,
    regularization: float = 0.1,
    tolerance: float = 1e-2,
    *,
    max_iterations: int = 40,
    least_decrease: float = 1e-4,
    seed: int = 0,
    atoms: tuple[Floats, Floats] | None = None,
    edits: bool = True,
    exchanges: int = 8,
    good: NDArray[np.bool_] | None = None,
    chunk_size: int | None = None,
    mapper: Mapper = map,
) -> Learned:
    """Rank-1 atoms of a signal.

    Parameters
    ----------
    signal : (P, T), finite.
    n_atoms, atom_length : K and L (samples).
    regularization : lambda as a fraction of lambda_max of the first atoms.
    tolerance, good, chunk_size, mapper : as in ``encode``.
    max_iterations, least_decrease, seed, edits, exchanges : see ``learning.Options``.
    atoms : spatial and temporal atoms to begin from.

    Raises
    ------
    ValueError
        As in ``encode``, or no stretch of good signal is as long as an atom.
    """
    passes, scale = _passes(signal, atom_length, good, chunk_size, mapper)
    options = learning.Options(
        n_atoms, regularization, tolerance, max_iterations, least_decrease, seed, edits, exchanges
    )
    state = learning.start(passes, options, atoms)
    while not learning.finished(state, options):
        state = learning.advance(state, passes, options)
    return Learned(
        state["spatial"],
        state["temporal"],
        float(state["penalty"]) * scale,
        float(state["penalty_max"]) * scale,
        state["history"],
    )


def _passes(
    signal: Any, length: int, good: NDArray[np.bool_] | None, chunk_size: int | None, mapper: Mapper
) -> tuple[Passes, float]:
    """The signal in standard deviations, cut in chunks."""
    signal = np.asarray(signal, dtype=np.float64)
    if signal.ndim != 2:
        raise ValueError(f"the signal must be (channels, samples), it has shape {signal.shape}")
    if not np.isfinite(signal).all():
        raise ValueError("the signal holds values that are not finite")
    mask = np.ones(signal.shape[1], dtype=bool) if good is None else np.asarray(good, dtype=bool)
    scale = float(signal[:, mask].std())
    if not scale > 0:
        raise ValueError("the signal is constant")
    size = chunk_size or max(signal.shape[1], MIN_CHUNK_WAVEFORMS * length)
    return Passes(ArrayRecording(signal / scale, mask), Chunks(signal.shape[1], length, size), mapper), scale
