"""Learning of image atoms: code, sum the statistics, update the atoms, and again; F never rises.

Atoms begin as patches of the image. An atom that no activation uses is replaced by the patch that the others explain worst, which
leaves F as it is. Once F has settled, trials follow: atoms whose energy lies off the middle are moved there, and one of the weakest
gives way to a patch of the residual. A trial has a few iterations and is kept only where F falls below that of the atoms
before. lambda is fixed once, as a fraction of lambda_max of the first atoms.

References
----------
Moreau, Gramfort: DiCoDiLe, IEEE TPAMI 2022. Dupre la Tour, Moreau, Jas, Gramfort, NeurIPS 2018, section 3.3.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from triptych.dictionary.certificate import duality_gap
from triptych.dictionary.textures import initial, lgcd, statistics, trials
from triptych.dictionary.textures.events import Events, Floats, Whole, sorted_events
from triptych.dictionary.textures.passes import Passes
from triptych.dictionary.textures.statistics import Statistics
from triptych.dictionary.textures.trials import Fit, State
from triptych.dictionary.textures.update import update

TRIAL_ITERATIONS = 4
LEAST_GAIN = 1e-5


@dataclass(frozen=True)
class Options:
    """What learning is asked for.

    Attributes
    ----------
    n_atoms : K.
    regularization : lambda as a fraction of lambda_max.
    tolerance : of coding, as a fraction of lambda.
    max_iterations : outer iterations, each trial counted as one.
    least_decrease : relative decrease of F in one iteration below which atoms count as settled.
    exchanges : trials at most.
    seed : of the first atoms.
    """

    n_atoms: int
    regularization: float = 0.1
    tolerance: float = 1e-2
    max_iterations: int = 40
    least_decrease: float = 1e-3
    exchanges: int = 9
    seed: int = 0


def start(passes: Passes, options: Options, atoms: Floats | None = None) -> State:
    """First atoms, energy, lambda_max and lambda.

    Parameters
    ----------
    passes : pieces of a normalised image.
    atoms : (K, dz, dy, dx) to begin from; drawn from the image when None.

    Raises
    ------
    ValueError
        The image holds too few different patches.
    """
    if atoms is None:
        shapes = [blocks.positions for blocks in passes.cut.blocks]
        places = initial.candidate_places(shapes, options.n_atoms, options.seed)
        atoms = initial.draw(passes.patches(places), options.n_atoms, options.seed)
    largest = passes.largest_correlation(atoms)
    return {
        "atoms": np.ascontiguousarray(atoms, dtype=np.float64),
        **_packed(passes.no_code()),
        "energy": np.array(passes.energy()),
        "penalty_max": np.array(largest),
        "penalty": np.array(options.regularization * largest),
        "history": np.empty((0, 3)),
        "round": np.array(0),
        "trials": np.zeros(2, np.int64),
        "settled": np.array(False),
    }


def advance(state: State, passes: Passes, options: Options) -> State:
    """One iteration, or one trial once the atoms have settled.

    The history gains (F after coding, F after the update, number of atoms replaced or moved); a trial that fails adds nothing.
    """
    state = {**state, "round": state["round"] + 1}
    if state["settled"]:
        return _trial(state, passes, options)
    summed, fit, coded = _iterate(state, _fit(state, passes), passes, options)
    fit, edits = _replace_unused(state, summed, fit, passes)
    history = np.vstack([state["history"], [[coded, fit.value, edits]]])
    return {**_with(state, fit), "history": history, "settled": np.array(_is_settled(history, options))}


def finished(state: State, options: Options) -> bool:
    """Whether the atoms have settled and no trial is left, or the iterations are used up."""
    tried = int(state["trials"][0])
    return int(state["round"]) >= options.max_iterations or bool(
        state["settled"] and tried >= options.exchanges
    )


def _is_settled(history: Floats, options: Options) -> bool:
    if len(history) < 2 or history[-1, 2]:
        return False
    before, after = history[-2:, 1]
    return bool(before - after < options.least_decrease * abs(after))


def _iterate(state: State, fit: Fit, passes: Passes, options: Options) -> tuple[Statistics, Fit, float]:
    """Code and update; returns the statistics of the updated fit, the fit, and F after coding."""
    energy, penalty = float(state["energy"]), float(state["penalty"])
    model = lgcd.model(fit.atoms, penalty, options.tolerance * penalty)
    codes, _ = passes.code(model, fit.codes)
    summed = passes.statistics(codes, len(fit.atoms))
    coded = statistics.objective(summed, fit.atoms, energy, penalty)
    renewed = update(summed, fit.atoms)
    value = statistics.objective(renewed.statistics, renewed.atoms, energy, penalty)
    codes = [
        Events(code.positions, code.atom, code.index, code.amplitude * renewed.scale[code.atom])
        for code in codes
    ]
    return renewed.statistics, Fit(renewed.atoms, codes, value), coded


def _replace_unused(state: State, summed: Statistics, fit: Fit, passes: Passes) -> tuple[Fit, int]:
    """Patches of the residual in the place of atoms without activations."""
    unused = np.flatnonzero(summed.count == 0)
    if not len(unused):
        return fit, 0
    atoms, places = fit.atoms.copy(), list(unused)
    live = atoms[summed.count > 0]
    for patch in passes.peaks(fit.codes, fit.atoms):
        if not places:
            break
        if patch.strength > float(state["penalty"]) and (
            not len(live) or initial.similarity(live, patch.values).max() < trials.ALIKE
        ):
            atoms[places.pop(0)] = patch.values
            live = np.concatenate([live, patch.values[None]])
    return Fit(atoms, fit.codes, fit.value), len(unused) - len(places)


def _trial(state: State, passes: Passes, options: Options) -> State:
    """Move or exchange atoms, go on for a few iterations, and keep the outcome where F has fallen."""
    tried, failed = state["trials"].tolist()
    before = _fit(state, passes)
    changed = trials.moved(before) if tried == 0 else trials.exchanged(state, before, passes, failed)
    state = {**state, "trials": np.array([tried + 1, failed + (tried > 0)])}
    if changed is None:
        over = options.exchanges if tried else tried + 1
        return {**state, "trials": np.array([over, failed])}
    fit, edits = changed
    rows = []
    for _ in range(TRIAL_ITERATIONS):
        _, fit, coded = _iterate(state, fit, passes, options)
        rows.append([coded, fit.value, 0])
    if not fit.value < before.value * (1 - LEAST_GAIN):
        return state
    rows[-1][2] = edits
    return {
        **_with(state, fit),
        "history": np.vstack([state["history"], rows[-1:]]),
        "trials": np.array([tried + 1, 0]),
        "settled": np.array(False),
    }


def _packed(codes: list[Events]) -> State:
    """Activations of all pieces as flat arrays."""
    return {
        "piece": np.repeat(np.arange(len(codes), dtype=np.int32), [len(code) for code in codes]),
        "atom": np.concatenate([code.atom for code in codes]),
        "index": np.concatenate([code.index for code in codes]),
        "amplitude": np.concatenate([code.amplitude for code in codes]),
    }


def _fit(state: State, passes: Passes) -> Fit:
    codes = [
        Events(
            blocks.positions, *(state[name][state["piece"] == i] for name in ("atom", "index", "amplitude"))
        )
        for i, blocks in enumerate(passes.cut.blocks)
    ]
    value = float(state["history"][-1, 1]) if len(state["history"]) else np.inf
    return Fit(state["atoms"], codes, value)


def _with(state: State, fit: Fit) -> State:
    return {**state, "atoms": fit.atoms, **_packed(fit.codes)}


@dataclass(frozen=True)
class Concluded:
    """Learned atoms in their final order.

    Attributes
    ----------
    atoms : (K, dz, dy, dx) float64, unit norm; most explained energy first.
    penalty, penalty_max : lambda and lambda_max, in deviations of the image.
    explained : (K,) share of energy that each atom explains alone.
    count, mass : (K,) number of activations and sum of their amplitudes.
    codes : activations of every piece.
    history : (n, 3), see ``advance``.
    certificate : objective, KKT residual, duality gap and share of energy explained by the last code.
    """

    atoms: Floats
    penalty: float
    penalty_max: float
    explained: Floats
    count: Whole
    mass: Floats
    codes: list[Events]
    history: Floats
    certificate: dict[str, float]


def conclude(state: State, passes: Passes, options: Options) -> Concluded:
    """Order the atoms, code with them once more, and certify the code."""
    energy, penalty, fit = float(state["energy"]), float(state["penalty"]), _fit(state, passes)
    model = lgcd.model(fit.atoms, penalty, options.tolerance * penalty)
    codes, _ = passes.code(model, fit.codes)
    summed = passes.statistics(codes, len(fit.atoms))
    share = statistics.explained(summed, fit.atoms, energy)
    order = np.lexsort((np.arange(len(share)), -share))
    number = np.argsort(order)
    codes = [sorted_events(code.positions, number[code.atom], code.index, code.amplitude) for code in codes]
    model = lgcd.model(fit.atoms[order], penalty, options.tolerance * penalty)
    found, energies = passes.certify(model, codes)
    return Concluded(
        atoms=fit.atoms[order],
        penalty=penalty,
        penalty_max=float(state["penalty_max"]),
        explained=share[order],
        count=summed.count[order].astype(np.int64),
        mass=summed.mass[order],
        codes=codes,
        history=state["history"],
        certificate={
            "objective": energies.objective(penalty),
            "kkt_residual": found.kkt,
            "duality_gap": duality_gap(found, energies, penalty),
            "explained_energy": energies.explained,
        },
    )
