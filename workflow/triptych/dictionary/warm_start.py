"""Windows of a recording that begin from a code found on another device; torch is loaded when the first is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triptych.dictionary import lgcd
from triptych.dictionary.coding import Window, allowed_positions
from triptych.dictionary.events import Events, Floats, join, no_events
from triptych.dictionary.passes import Mapper, Recording, read_window

VALUES_PER_BATCH = 2**25
"""Atoms times samples that are on the device at once: bounds its memory to some arrays of so many float32."""
LEAST_OF_PENALTY = 0.03
SAMPLE_WINDOWS, OTHER_WINDOWS, SAMPLE_WAVEFORMS, DRAWN = 4, 12, 10, 64


@dataclass(frozen=True)
class WarmStart:
    """How windows are begun.

    Attributes
    ----------
    device : ``"cpu"`` or a CUDA device of torch.
    iterations : accelerated steps of the safe size; where waveforms are alike, few leave the descent more to do than nothing does.
    steps : sizes of plain steps instead, from ``learned_steps``.
    """

    device: str = "cpu"
    iterations: int = 300
    steps: tuple[float, ...] | None = None


def begin(
    recording: Recording,
    model: lgcd.Model,
    how: WarmStart,
    windows: Sequence[Window],
    mapper: Mapper = map,
) -> list[Window]:
    """The windows with activations to begin from; one that has activations inside stays as it is.

    Which windows share a batch changes last bits; it follows from their number and width alone, so workers change none.

    Raises
    ------
    ValueError
        Torch is not installed or sees no such device.
    """
    torch_warm_start = _torch_warm_start()
    step = torch_warm_start.safe_step(model.gram)
    sizes = None if how.steps is None else np.array(how.steps)
    norms = model.norms
    least = np.divide(LEAST_OF_PENALTY * model.penalty, norms, out=np.zeros_like(norms), where=norms > 0)
    found = []
    for some in _batches(windows, len(model.spatial)):
        stacked = _stacked(recording, model, some, mapper)
        held = torch_warm_start.batch(*stacked, model.gram, model.penalty, how.device)
        begun = torch_warm_start.begin(held, step, least, iterations=how.iterations, steps=sizes)
        found += [_with(window, events) for window, events in zip(some, begun, strict=True)]
    return found


def learned_steps(
    recording: Recording, model: lgcd.Model, iterations: int = 30, seed: int = 0, device: str = "cpu"
) -> tuple[float, ...]:
    """Step sizes for the atoms and the penalty of a model, learned on a few windows of a recording.

    Worth their time where many windows are coded with one dictionary.

    Parameters
    ----------
    iterations : T, the number of steps.
    seed : of the places of the windows, among which those with most good samples are taken.

    Raises
    ------
    ValueError
        As in ``begin``.
    """
    torch_warm_start = _torch_warm_start()
    positions = recording.samples - model.length + 1
    width = min(positions, SAMPLE_WAVEFORMS * model.length)
    starts = np.random.default_rng(seed).integers(0, positions - width + 1, DRAWN)
    usable = [
        int(allowed_positions(recording.good(s, s + width + model.length - 1), model.length).sum())
        for s in starts.tolist()
    ]
    best = starts[np.argsort(-np.array(usable), kind="stable")].tolist()
    some, others = (
        torch_warm_start.batch(
            *_stacked(recording, model, [Window(s, s + width, no_events()) for s in part], map),
            model.gram, model.penalty, device,
        )
        for part in (best[:SAMPLE_WINDOWS], best[SAMPLE_WINDOWS : SAMPLE_WINDOWS + OTHER_WINDOWS])
    )  # fmt: skip
    sizes = torch_warm_start.learn_steps(some, others, torch_warm_start.safe_step(model.gram), iterations)
    return tuple(sizes.tolist())


def _torch_warm_start() -> Any:
    try:
        from triptych.dictionary import torch_warm_start  # torch takes seconds to import
    except ImportError as error:
        raise ValueError("a warm start needs torch: pip install 'triptych[gpu]'") from error
    return torch_warm_start


def _batches(windows: Sequence[Window], atoms: int) -> Iterator[list[Window]]:
    """Windows in their order, as many at a time as the memory of the device is meant to hold."""
    some: list[Window] = []
    for window in windows:
        widest = max(w.stop - w.start for w in [*some, window])
        if some and (len(some) + 1) * widest * atoms > VALUES_PER_BATCH:
            yield some
            some = []
        some.append(window)
    if some:
        yield some


def _stacked(
    recording: Recording, model: lgcd.Model, windows: Sequence[Window], mapper: Mapper
) -> tuple[Floats, NDArray[np.bool_]]:
    """Correlations (B, K, W) and where atoms may start (B, W), zero and False beyond the end of a window."""
    width = max(window.stop - window.start for window in windows)
    correlations = np.zeros((len(windows), len(model.spatial), width))
    allowed = np.zeros((len(windows), width), dtype=bool)
    for row, (own, where) in enumerate(mapper(partial(_correlations, recording, model), windows)):
        correlations[row, :, : own.shape[1]], allowed[row, : len(where)] = own, where
    return correlations, allowed


def _correlations(
    recording: Recording, model: lgcd.Model, window: Window
) -> tuple[Floats, NDArray[np.bool_]]:
    """What the atoms have in common with the signal less the activations outside the window."""
    signal, allowed = read_window(recording, model.length, window.start, window.stop)
    outside = window.events.outside(window.start, window.stop)
    beta, _ = lgcd.gradient(signal, allowed, window.start, outside, model)
    return np.where(allowed, -beta, 0.0), allowed


def _with(window: Window, events: Events) -> Window:
    """The window with activations (samples counted from its start) beside those outside it."""
    if len(window.events.between(window.start, window.stop)):
        return window
    own = Events(events.atom, events.sample + window.start, events.amplitude)
    return Window(window.start, window.stop, join([window.events, own]))
