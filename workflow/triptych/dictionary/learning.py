"""Learning of atoms: code, sum the statistics, update the atoms, and again.

Atoms are added a few at a time, each from the stretch of signal that the atoms before it explain worst, so that a
strong pattern is explained everywhere before the next is sought, and does not take several atoms. F falls in every coding
and every update. Only edits may raise it: in the first iterations an atom that died or repeats a stronger one is dropped,
and from time to time the weakest one, which makes room for what is explained worst by then; and a waveform whose energy
lies off the middle of its window is moved there, so that no pattern stays cut. Edits are counted in the history. lambda is
fixed once, as a fraction of lambda_max, and never scaled again.

References
----------
Dupre la Tour, Moreau, Jas, Gramfort: Multivariate Convolutional Sparse Coding for Electromagnetic Brain Signals, NeurIPS 2018.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from triptych.dictionary import certificate, exchange, initial, lgcd, statistics, update
from triptych.dictionary.events import Events, Floats, no_events, sorted_events
from triptych.dictionary.passes import Passes

State = dict[str, np.ndarray]

LEAST_ACTIVATIONS = 2
DUPLICATE = 0.8
OFF_CENTER = 0.1
GROWTH = 10
TRIAL = 3
GROWING = 0.5
PRUNING = 0.75
ALIKE = 0.7


@dataclass(frozen=True)
class Options:
    """What learning is asked for.

    Attributes
    ----------
    n_atoms : K.
    regularization : lambda as a fraction of lambda_max.
    tolerance : of coding, as a fraction of lambda: the duality gap is then about that share of the objective at most.
    max_iterations : outer iterations.
    least_decrease : relative decrease of F in one iteration below which learning stops.
    seed : of the first atoms.
    edits : False forbids the replacement and moving of atoms.
    penalty : lambda itself; overrides ``regularization``.
    exchanges : most exchanges that are tried once the atoms have settled (see ``exchange``).
    """

    n_atoms: int
    regularization: float = 0.1
    tolerance: float = 1e-2
    max_iterations: int = 40
    least_decrease: float = 1e-4
    seed: int = 0
    edits: bool = True
    exchanges: int = 8
    penalty: float | None = None


def start(passes: Passes, options: Options, atoms: tuple[Floats, Floats] | None = None) -> State:
    """First atoms, energy, lambda_max and lambda.

    Parameters
    ----------
    atoms : spatial (K, P) and temporal (K, L) to begin from; drawn from the signal when None.

    Raises
    ------
    ValueError
        No stretch of good signal is as long as an atom, or the signal is zero.
    """
    energy, allowed = passes.survey()
    if not len(allowed):
        raise ValueError(f"no stretch of good signal is as long as an atom ({passes.chunks.length} samples)")
    if not energy > 0:
        raise ValueError("the signal is zero everywhere")
    if atoms is None:
        samples = initial.candidate_samples(allowed, options.n_atoms, options.seed)
        spatial, temporal = initial.draw(passes.patches(samples), options.n_atoms, options.seed)
    else:
        spatial, temporal = (np.ascontiguousarray(part, dtype=np.float64) for part in atoms)
    largest = passes.largest_correlation(spatial, temporal)
    penalty = options.regularization * largest if options.penalty is None else options.penalty
    if atoms is None:
        nothing = Atoms(spatial[:0], temporal[:0], no_events())
        spatial, temporal = _grow(passes, nothing, options, penalty)
    return {
        "spatial": spatial,
        "temporal": temporal,
        "atom": np.empty(0, np.int32),
        "sample": np.empty(0, np.int64),
        "amplitude": np.empty(0),
        "energy": np.array(energy),
        "penalty_max": np.array(largest),
        "penalty": np.array(penalty),
        "history": np.empty((0, 3)),
        "settled": np.array(False),
        **exchange.none_yet(),
    }


def events_of(state: State) -> Events:
    """The code in a state."""
    return Events(state["atom"], state["sample"], state["amplitude"])


def advance(state: State, passes: Passes, options: Options) -> State:
    """One outer iteration; the history gains (F after coding, F after the update, number of edits)."""
    trying, failed = exchange.is_open(state), int(state["exchange"][1])
    state = _iterate(state, passes, options)
    if trying:
        state = exchange.judge(state)
    else:
        state = exchange.rest(state, options.least_decrease)
        state["settled"] = np.array(bool(state["settled"]) or _is_settled(state, options))
    undone = int(state["exchange"][1]) > failed
    if _may_exchange(state, options):
        state = exchange.begin(state, passes, options.n_atoms, options.exchanges)
    if undone or (exchange.is_open(state) and state["exchange"][2] == 1):
        state["history"][-1, 2] += 1
    return state


def _may_exchange(state: State, options: Options) -> bool:
    tried, _, turn, left = state["exchange"].tolist()
    return bool(options.edits and state["settled"] and tried < options.exchanges and not turn and not left)


def _iterate(state: State, passes: Passes, options: Options) -> State:
    spatial, temporal = state["spatial"], state["temporal"]
    energy, penalty = float(state["energy"]), float(state["penalty"])
    iteration = len(state["history"])
    model = lgcd.model(spatial, temporal, penalty, options.tolerance * penalty)
    events, _ = passes.code(model, events_of(state))
    summed = passes.statistics(events, len(spatial))
    coded = statistics.objective(summed, spatial, temporal, energy, penalty)
    renewed = update.update(summed, spatial, temporal, energy, penalty)
    spatial, temporal = renewed.spatial, renewed.temporal
    updated = statistics.objective(renewed.statistics, spatial, temporal, energy, penalty)
    events = Events(events.atom, events.sample, events.amplitude * renewed.scale[events.atom])
    edits = 0
    if options.edits and not state["settled"] and iteration < PRUNING * options.max_iterations:
        spatial, temporal, events, edits = _edit(
            passes, renewed.statistics, Atoms(spatial, temporal, events), options, penalty, iteration
        )
    return {
        **state,
        "spatial": spatial,
        "temporal": temporal,
        "atom": events.atom,
        "sample": events.sample,
        "amplitude": events.amplitude,
        "history": np.vstack([state["history"], [[coded, updated, edits]]]),
    }


def _is_settled(state: State, options: Options) -> bool:
    """Whether F decreased too little in the last iteration, or the iterations are used up."""
    history = state["history"]
    if len(history) >= options.max_iterations:
        return True
    if len(history) < 2 or history[-2:, 2].any():
        return False
    before, after = history[-2:, 1]
    return bool(before - after < options.least_decrease * abs(after))


def finished(state: State, options: Options) -> bool:
    """Whether the atoms have settled and no exchange is left to try."""
    if not state["settled"]:
        return False
    return not options.edits or exchange.is_over(state, options.exchanges)


def most_iterations(options: Options) -> int:
    """Outer iterations at most, those of exchanges included."""
    return options.max_iterations + 2 * exchange.ITERATIONS * options.exchanges


class Atoms(NamedTuple):
    """Atoms with the activations of their code."""

    spatial: Floats
    temporal: Floats
    events: Events


def _edit(
    passes: Passes,
    summed: statistics.Statistics,
    atoms: Atoms,
    options: Options,
    penalty: float,
    iteration: int,
) -> tuple[Floats, Floats, Events, int]:
    """Find new atoms in the residual, move waveforms to the middle, drop what died or repeats; returns the number of edits."""
    before = len(atoms.spatial)
    gain = statistics.gains(summed, atoms.spatial, atoms.temporal)[atoms.events.atom]
    unshrunk = atoms._replace(
        events=Events(atoms.events.atom, atoms.events.sample, atoms.events.amplitude * gain)
    )
    growing = iteration < GROWING * options.max_iterations
    new_spatial, new_temporal = (
        _grow(passes, unshrunk, options, penalty) if growing else (atoms.spatial[:0], atoms.temporal[:0])
    )
    centred, moved = _center(passes, atoms)
    kept = _kept(summed, centred)
    trial = (
        iteration >= GROWTH
        and iteration % TRIAL == 0
        and iteration + TRIAL < GROWING * options.max_iterations
    )
    if trial and kept.sum() > 1:
        share = statistics.explained(summed, atoms.spatial, atoms.temporal, 1.0)
        kept[np.argmin(np.where(kept, share, np.inf))] = False
    number = np.cumsum(kept) - 1
    own = kept[centred.events.atom]
    events = Events(
        number[centred.events.atom[own]].astype(np.int32),
        centred.events.sample[own],
        centred.events.amplitude[own],
    )
    spatial = np.vstack([centred.spatial[kept], new_spatial])
    temporal = np.vstack([centred.temporal[kept], new_temporal])
    return spatial, temporal, events, moved + len(new_spatial) + before - int(kept.sum())


def _grow(passes: Passes, atoms: Atoms, options: Options, penalty: float) -> tuple[Floats, Floats]:
    """New atoms from the stretches that the code explains worst; none alike, none too weak to outweigh the penalty."""
    room = min(options.n_atoms - len(atoms.spatial), -(-options.n_atoms // GROWTH))
    spatial, temporal = atoms.spatial, atoms.temporal
    before = len(spatial)
    if room > 0:
        for patch in passes.peaks(atoms.events, spatial[:before], temporal[:before]):
            one = patch.spatial[None], patch.temporal[None]
            if (
                patch.strength > penalty
                and initial.similarity((spatial, temporal), one).max(initial=0.0) < ALIKE
            ):
                spatial, temporal = np.vstack([spatial, one[0]]), np.vstack([temporal, one[1]])
            if len(spatial) - before == room:
                break
    return spatial[before:], temporal[before:]


def _center(passes: Passes, atoms: Atoms) -> tuple[Atoms, int]:
    """Move waveforms whose energy lies off the middle; their events move the other way."""
    temporal, events = atoms.temporal, atoms.events
    length = temporal.shape[1]
    power = temporal**4  # the fourth power weighs the peaks, so that slow tails do not draw the middle
    mass = power.sum(axis=1)
    middle = np.divide(
        power @ np.arange(length), mass, out=np.full(len(mass), (length - 1) / 2), where=mass > 0
    )
    shift = np.rint(middle - (length - 1) / 2).astype(np.int64)
    shift[np.abs(shift) < OFF_CENTER * length] = 0
    moved = np.zeros_like(temporal)
    for k, by in enumerate(shift):
        if by >= 0:
            moved[k, : length - by] = temporal[k, by:]
        else:
            moved[k, -by:] = temporal[k, :by]
    moved /= np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), 1e-300)
    sample = events.sample + shift[events.atom]
    inside = (sample >= 0) & (sample < passes.chunks.positions)
    events = sorted_events(events.atom[inside], sample[inside], events.amplitude[inside])
    allowed = np.ones(len(events), dtype=bool)
    for e in np.flatnonzero(shift[events.atom]):
        first = int(events.sample[e])
        allowed[e] = passes.recording.good(first, first + length).all()
    events = Events(events.atom[allowed], events.sample[allowed], events.amplitude[allowed])
    return Atoms(atoms.spatial, np.where(shift[:, None] != 0, moved, temporal), events), int(
        (shift != 0).sum()
    )


def _kept(summed: statistics.Statistics, atoms: Atoms) -> NDArray[np.bool_]:
    """Which atoms live and repeat none that carries more; at least one is kept."""
    kept = summed.count >= LEAST_ACTIVATIONS
    order = np.lexsort((np.arange(len(kept)), -summed.mass))
    repeated = update.duplicates(atoms.spatial[order], atoms.temporal[order], DUPLICATE)
    kept[order[repeated]] = False
    if not kept.any():
        kept[order[0]] = True
    return kept


@dataclass(frozen=True)
class Concluded:
    """Learned atoms in their final order and polarity.

    Attributes
    ----------
    spatial, temporal : (K, P), (K, L) float64, unit norm; most explained variance first, the largest excursion of a
        waveform positive.
    penalty, penalty_max : lambda and lambda_max in the unit of the signal that was coded.
    explained : (K,) share of variance that each atom explains alone.
    history : (n, 3), see ``advance``.
    certificate : objective, KKT residual, duality gap and share of variance explained by the last code.
    """

    spatial: Floats
    temporal: Floats
    penalty: float
    penalty_max: float
    explained: Floats
    history: Floats
    certificate: dict[str, float]


def polarity(spatial: Floats, temporal: Floats) -> tuple[Floats, Floats]:
    """The sign that (u, v) and (-u, -v) leave free: the largest excursion of every waveform is positive."""
    peak = temporal[np.arange(len(temporal)), np.abs(temporal).argmax(axis=1)]
    sign = np.where(peak < 0, -1.0, 1.0)[:, None]
    return spatial * sign, temporal * sign


def conclude(state: State, passes: Passes, options: Options) -> Concluded:
    """Code with the last atoms, certify the code, order the atoms."""
    energy, penalty = float(state["energy"]), float(state["penalty"])
    spatial, temporal = polarity(state["spatial"], state["temporal"])
    model = lgcd.model(spatial, temporal, penalty, options.tolerance * penalty)
    events, _ = passes.code(model, events_of(state))
    summed = passes.statistics(events, len(spatial))
    share = statistics.explained(summed, spatial, temporal, energy)
    order = np.lexsort((np.arange(len(share)), -share))
    violation, energies = passes.certify(model, events)
    return Concluded(
        spatial=spatial[order],
        temporal=temporal[order],
        penalty=penalty,
        penalty_max=float(state["penalty_max"]),
        explained=share[order],
        history=state["history"],
        certificate={
            "objective": energies.objective(penalty),
            "kkt_residual": violation.kkt,
            "duality_gap": certificate.duality_gap(violation, energies, penalty),
            "explained_variance": energies.explained,
        },
    )
