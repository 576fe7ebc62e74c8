"""The code of a whole recording from windows: even chunks, odd chunks, borders.

Activations interact only when less than a waveform apart. So chunks of even number do not meet, and can be coded at the same
time; then the odd ones, against what the even ones found; then a window around each border. What the odd chunks changed lies
within a waveform of a border, so after the border windows every coordinate is settled, unless an update came so near to the end
of its border window that it disturbs a coordinate outside: then the sweep is repeated. The result does not depend on the order
in which windows of one colour are coded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from triptych.dictionary.events import Events, join, no_events
from triptych.dictionary.lgcd import Coded

BORDER_WAVEFORMS = 4
MIN_CHUNK_WAVEFORMS = 2 * BORDER_WAVEFORMS + 2
MAX_SWEEPS = 100


@dataclass(frozen=True)
class Window:
    """A range of starting samples to code, with the activations in it and within a waveform of it."""

    start: int
    stop: int
    events: Events


@dataclass(frozen=True)
class Chunks:
    """How the positions at which an atom may start are cut.

    Attributes
    ----------
    samples : T, samples of the recording.
    length : L, samples of a waveform.
    size : samples of a chunk; the last chunk takes the remainder and is shorter than two.
    """

    samples: int
    length: int
    size: int

    def __post_init__(self) -> None:
        if self.samples < self.length:
            raise ValueError(f"the recording has {self.samples} samples, fewer than an atom's {self.length}")
        if self.size < MIN_CHUNK_WAVEFORMS * self.length:
            raise ValueError(
                f"chunks of {self.size} samples are too short: {MIN_CHUNK_WAVEFORMS} waveforms of {self.length}"
            )

    @property
    def positions(self) -> int:
        """Samples at which an atom may start, T - L + 1."""
        return self.samples - self.length + 1

    def __len__(self) -> int:
        return max(1, self.positions // self.size)

    def core(self, index: int) -> tuple[int, int]:
        """First and past-the-last position of a chunk."""
        return index * self.size, self.positions if index == len(self) - 1 else (index + 1) * self.size

    def border(self, index: int) -> tuple[int, int]:
        """The window around the border between chunks ``index`` and ``index + 1``."""
        middle, half = (index + 1) * self.size, BORDER_WAVEFORMS * self.length
        return middle - half, min(self.positions, middle + half)

    def reach(self, start: int, stop: int) -> tuple[int, int]:
        """The positions whose activations interact with those of a window."""
        return max(0, start - self.length + 1), min(self.positions, stop + self.length - 1)

    def settled(self, coded: Coded) -> bool:
        """Whether no update of a border window can have disturbed a coordinate outside it."""
        if coded.first > coded.last:
            return True
        reach = self.length - 1
        return coded.first - reach >= coded.start and (
            coded.last + reach < coded.stop or coded.stop == self.positions
        )


Run = Callable[[list[Window]], Iterable[Coded]]
Warm = Callable[[list[Window]], list[Window]]


def windows(chunks: Chunks, spans: Sequence[tuple[int, int]], events: Events) -> list[Window]:
    """Windows with the activations they need."""
    return [Window(start, stop, events.between(*chunks.reach(start, stop))) for start, stop in spans]


def sweep(chunks: Chunks, events: Events, run: Run, warm: Warm | None = None) -> tuple[Events, int, bool]:
    """Code even chunks, odd chunks and borders once; ``warm`` as in ``code``.

    Returns
    -------
    events, number of updates, and whether every coordinate is settled.
    """
    updates, settled = 0, True
    for colour in (0, 1):
        spans = [chunks.core(i) for i in range(colour, len(chunks), 2)]
        events, changed, _ = _replace(chunks, events, spans, run, warm)
        updates += changed
    events, changed, settled = _replace(
        chunks, events, [chunks.border(i) for i in range(len(chunks) - 1)], run
    )
    return events, updates + changed, settled


def _replace(
    chunks: Chunks, events: Events, spans: list[tuple[int, int]], run: Run, warm: Warm | None = None
) -> tuple[Events, int, bool]:
    if not spans:
        return events, 0, True
    found = windows(chunks, spans, events)
    coded = list(run(warm(found) if warm else found))
    kept = events
    for start, stop in spans:
        kept = kept.outside(start, stop)
    updates = sum(part.updates for part in coded)
    return join([kept, *(part.events for part in coded)]), updates, all(map(chunks.settled, coded))


def code(
    chunks: Chunks, run: Run, events: Events | None = None, warm: Warm | None = None
) -> tuple[Events, int]:
    """Code a recording to the tolerance of the model behind ``run``.

    Parameters
    ----------
    chunks : how the recording is cut.
    run : codes windows, in any order, results in the order of the windows.
    events : activations to begin from.
    warm : gives the chunks of one colour activations to begin from, at the first sweep, e.g. ``warm_start.begin``.

    Returns
    -------
    events, number of updates.

    Raises
    ------
    ValueError
        No settled code after ``MAX_SWEEPS`` sweeps.
    """
    events = no_events() if events is None else events
    total = 0
    for number in range(MAX_SWEEPS):
        events, updates, settled = sweep(chunks, events, run, warm if number == 0 else None)
        total += updates
        if settled:
            return events, total
    raise ValueError(f"the borders of chunks did not settle within {MAX_SWEEPS} sweeps: use longer chunks")


def allowed_positions(good: NDArray[np.bool_], length: int) -> NDArray[np.bool_]:
    """Where an atom of ``length`` samples lies wholly in good samples.

    Parameters
    ----------
    good : (T,) bool.

    Returns
    -------
    (T - L + 1,) bool.
    """
    bad = np.concatenate([[0], np.cumsum(~good)])
    return np.asarray(bad[length:] == bad[:-length])
