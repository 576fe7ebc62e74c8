"""The code of images from boxes: blocks of one colour after the other, then zones around borders, until nothing is unsettled.

What is unsettled is known exactly, segment by segment. A box that was coded is settled; its updates unsettle the segments beyond
it that their atoms reach. Only boxes that hold an unsettled segment are coded again, and only those segments wake. So the last
sweep is the proof: no segment is left in which a coordinate would change by more than the tolerance. Boxes of one colour do
not meet, and the result does not depend on the order in which they are coded.

References
----------
Moreau, Gramfort: DiCoDiLe, IEEE TPAMI 2022 (soft locks; here colours take their place, so that runs agree to the bit).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from triptych.dictionary.textures.blocks import Blocks
from triptych.dictionary.textures.box import Box
from triptych.dictionary.textures.events import Events, join
from triptych.dictionary.textures.lgcd import Coded

MAX_SWEEPS = 100


@dataclass(frozen=True)
class Window:
    """Positions of an image to code: which image, which segments of the box are awake, and the activations in and near it."""

    image: int
    box: Box
    awake: NDArray[np.bool_]
    events: Events


Run = Callable[[list[Window]], Iterable[Coded]]


def code(cuts: Sequence[Blocks], run: Run, codes: Sequence[Events]) -> tuple[list[Events], int, int]:
    """Code images until every coordinate is settled.

    Parameters
    ----------
    cuts : how each image is cut.
    run : codes windows, in any order, results in the order of the windows.
    codes : activations of each image to begin from.

    Returns
    -------
    activations of each image, number of updates, number of sweeps.

    Raises
    ------
    ValueError
        No settled code after ``MAX_SWEEPS`` sweeps.
    """
    unsettled = [np.ones(cut.segments, dtype=np.bool_) for cut in cuts]
    found, total = list(codes), 0
    plans = [list(cut.colours()) for cut in cuts]
    for sweep in range(MAX_SWEEPS):
        if not any(part.any() for part in unsettled):
            return found, total, sweep
        for step in range(max(map(len, plans))):
            chosen = [
                (i, cut)
                for i, plan in enumerate(plans)
                if step < len(plan)
                for cut in plan[step]
                if unsettled[i][cut.slices].any()
            ]
            if chosen:
                total += _code_colour(cuts, run, found, unsettled, chosen)
    raise ValueError(f"the borders of blocks did not settle within {MAX_SWEEPS} sweeps: use larger blocks")


def _code_colour(
    cuts: Sequence[Blocks],
    run: Run,
    found: list[Events],
    unsettled: list[NDArray[np.bool_]],
    chosen: list[tuple[int, Box]],
) -> int:
    """Code boxes of segments that do not meet; returns the number of updates."""
    windows = []
    for i, cut in chosen:
        box = cuts[i].box(cut)
        windows.append(Window(i, box, unsettled[i][cut.slices].copy(), found[i].inside(cuts[i].near(box))))
    new: dict[int, list[Coded]] = {}
    for (i, cut), coded in zip(chosen, run(windows), strict=True):
        if len(coded.leaving):
            unsettled[i][cuts[i].reached(coded.leaving)] = True
        unsettled[i][cut.slices] = False
        new.setdefault(i, []).append(coded)
    for i, parts in new.items():
        kept = found[i].outside([part.box for part in parts])
        found[i] = join(cuts[i].positions, [kept, *(part.events for part in parts)])
    return sum(part.updates for parts in new.values() for part in parts)
