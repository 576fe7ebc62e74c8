"""Exchanges: once the atoms have settled, a weak one gives way to what the residual holds; only what lowers F is kept.

Alternating minimisation ends where no atom can leave its valley: two patterns that share one atom, or one pattern that took two,
stay as they are. An exchange drops one of the weakest atoms (or none, where there are fewer than asked for), adds a stretch of the
residual that the atoms explain worst, and goes on for a few iterations. Where F then falls below that of the atoms before, the
new ones stay; else those before come back. So F of the atoms that are kept never rises.

References
----------
Dupre la Tour, Moreau, Jas, Gramfort, NeurIPS 2018, section 3.3 (atoms from the residual).
"""

from __future__ import annotations

import numpy as np

from triptych.dictionary import statistics
from triptych.dictionary.events import Events
from triptych.dictionary.passes import Passes

State = dict[str, np.ndarray]

ITERATIONS = 6
"""Iterations that an exchange has to lower F."""

LEAST_GAIN = 1e-5
"""Share of F that an exchange must gain to be kept."""

WEAKEST = 3
"""How many of the weakest atoms are tried, one after the other."""

KEPT = ("spatial", "temporal", "atom", "sample", "amplitude")


def none_yet() -> State:
    """The part of the state that exchanges use: tried, failed since the last that was kept, turn of the present one, rest."""
    return {"exchange": np.zeros(4, np.int64), "value": np.array(np.inf)}


def is_open(state: State) -> bool:
    """Whether an exchange is being tried."""
    return bool(state["exchange"][2])


def is_over(state: State, most: int) -> bool:
    """Whether nothing is left to try, and the atoms have settled after the last exchange that was kept."""
    tried, _, turn, rest = state["exchange"].tolist()
    return tried >= most and not turn and not rest


def begin(state: State, passes: Passes, n_atoms: int, most: int) -> State:
    """Put the atoms aside and exchange one; where the residual holds nothing more to try, exchanges are over."""
    spatial, temporal = state["spatial"], state["temporal"]
    events = Events(state["atom"], state["sample"], state["amplitude"])
    tried, failed, _, _ = state["exchange"].tolist()
    peaks = passes.peaks(events, spatial, temporal)
    peaks = [peak for peak in peaks if peak.strength > float(state["penalty"])]
    full = len(spatial) >= n_atoms
    place = failed // WEAKEST if full else failed
    if place >= len(peaks):
        return {**state, "exchange": np.array([most, failed, 0, 0])}
    kept = np.ones(len(spatial), dtype=bool)
    if full:
        summed = passes.statistics(events, len(spatial))
        share = statistics.explained(summed, spatial, temporal, float(state["energy"]))
        kept[np.argsort(share, kind="stable")[min(failed % WEAKEST, len(share) - 1)]] = False
    number, own = np.cumsum(kept) - 1, kept[events.atom]
    return {
        **state,
        **{f"kept_{name}": state[name] for name in KEPT},
        "spatial": np.vstack([spatial[kept], peaks[place].spatial[None]]),
        "temporal": np.vstack([temporal[kept], peaks[place].temporal[None]]),
        "atom": number[events.atom[own]].astype(np.int32),
        "sample": events.sample[own],
        "amplitude": events.amplitude[own],
        "exchange": np.array([tried + 1, failed, 1, 0]),
    }


def judge(state: State) -> State:
    """Keep, undo or go on with the exchange, by its F and how fast that falls; ``value`` is F of the atoms before."""
    tried, failed, turn, _ = state["exchange"].tolist()
    kept, value = float(state["value"]), float(state["history"][-1, 1])
    if value < kept * (1 - LEAST_GAIN):
        return {**state, "value": np.array(value), "exchange": np.array([tried, 0, 0, ITERATIONS])}
    fall = float(state["history"][-2, 1]) - value if turn > 1 else np.inf
    if turn < ITERATIONS and value - fall * (ITERATIONS - turn) < kept:
        return {**state, "exchange": np.array([tried, failed, turn + 1, 0])}
    undone = {name: state[f"kept_{name}"] for name in KEPT}
    return {**state, **undone, "exchange": np.array([tried, failed + 1, 0, 0])}


def rest(state: State, least_decrease: float) -> State:
    """After an iteration without an exchange: F of the atoms, and fewer iterations to wait for the next exchange."""
    tried, failed, turn, left = state["exchange"].tolist()
    before, value = float(state["value"]), float(state["history"][-1, 1])
    left = 0 if before - value < least_decrease * abs(value) else max(left - 1, 0)
    return {**state, "value": np.array(value), "exchange": np.array([tried, failed, turn, left])}
