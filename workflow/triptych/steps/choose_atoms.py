"""``choose_atoms``: which lambda, how many atoms, how long, by what they predict of stretches and channels held out of learning.

A path of fits, each begun from the one before: for every length of the waveforms and every number of atoms from few to many,
lambda from large to small. ``learn_atoms`` takes the choice where a study asks for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field, field_validator

from triptych.engine.step import Context, Estimate, Input, Iterate, Reduce, Settings, Step, load_state
from triptych.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from triptych.dictionary.learning import Options
    from triptych.dictionary.passes import Passes
    from triptych.dictionary.selection import Stretches
    from triptych.engine.step import State
    from triptych.stores.signal import ScaledSignal

PATH = "path.parquet"
LEAST_STRETCH_S = 10.0
Candidate = tuple[float, int, float]


class ChooseAtomsSettings(Settings):
    """What is tried, and how it is scored."""

    enabled: bool = Field(
        False, description="Whether a study chooses before it learns; learn_atoms then takes what is chosen."
    )
    n_atoms: tuple[int, ...] = Field(
        (5, 10, 20), min_length=1, max_length=20, description="Numbers of atoms to try."
    )
    atom_durations_s: tuple[float, ...] = Field(
        (0.7,), min_length=1, max_length=10, description="Lengths of the waveforms to try (s)."
    )
    regularizations: tuple[float, ...] = Field(
        (0.3, 0.2, 0.1, 0.05),
        min_length=1,
        max_length=50,
        description="Penalties to try, as fractions of the lambda_max of the first atoms of each length.",
    )
    least_gain: float = Field(
        0.02,
        ge=0,
        lt=1,
        description="Share of the best score that more atoms or a smaller penalty must gain to be worth it.",
    )
    held_out_every: int = Field(
        5, ge=2, le=100, description="One stretch of so many is held out of learning."
    )
    channel_folds: int = Field(
        5, ge=2, le=100, description="Parts of the channels, each predicted from the others."
    )
    max_iterations: int = Field(20, ge=1, le=10_000, description="Most iterations of one fit.")
    least_decrease: float = Field(
        1e-3, ge=0, lt=1, description="Relative decrease of the objective below which a fit ends."
    )
    tolerance: float = Field(
        1e-2, gt=0, le=1, description="Largest change of an amplitude left undone, as a fraction of lambda."
    )
    chunk_s: float = Field(
        60.0, ge=1, le=3600, description="Length of the chunks that are coded independently (s)."
    )
    seed: int = Field(0, ge=0, description="Seed of the first atoms and of the parts of the channels.")

    @field_validator("n_atoms", "atom_durations_s", "regularizations")
    @classmethod
    def _within_bounds(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        if min(values) <= 0 or len(set(values)) < len(values):
            raise ValueError(f"must be positive and differ from each other, not {values}")
        return values

    @field_validator("regularizations")
    @classmethod
    def _below_one(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        if max(values) >= 1:
            raise ValueError("are fractions of lambda_max, below 1")
        return values


def chooses(settings: Any) -> bool:
    """Whether a study chooses; asked with the settings of the whole study."""
    return bool(settings.choose_atoms.enabled and settings.learn_cohort_atoms.shared_by == "none")


def _candidates(settings: ChooseAtomsSettings) -> list[Candidate]:
    """(length in s, atoms, fraction of lambda_max) in the order of the path."""
    return [
        (length, number, fraction)
        for length in sorted(settings.atom_durations_s)
        for number in sorted(settings.n_atoms)
        for fraction in sorted(settings.regularizations, reverse=True)
    ]


def _recording(context: Context) -> ScaledSignal:
    from triptych.stores.signal import scaled

    return scaled(context.source("signal"))


def _length(context: Context, candidate: Candidate) -> int:
    rate = _recording(context).info.sampling_rate_hz
    return max(2, round(candidate[0] * rate))


def _stretches(context: Context, *, held_out: bool) -> Stretches:
    """Stretches of one size for all candidates: ten of the longest waveforms, and ten seconds at least."""
    from triptych.dictionary.coding import MIN_CHUNK_WAVEFORMS
    from triptych.dictionary.selection import Stretches

    recording, settings = _recording(context), context.settings
    rate = recording.info.sampling_rate_hz
    longest = max(_length(context, one) for one in _candidates(settings))
    size = max(MIN_CHUNK_WAVEFORMS * longest, round(LEAST_STRETCH_S * rate))
    if recording.samples < 2 * settings.held_out_every * size:
        raise InputError(
            f"{context.source('signal')} lasts {recording.samples / rate:.4g} s; to hold out one stretch of "
            f"{settings.held_out_every}, each of {size / rate:.3g} s, at least twice, it must last "
            f"{2 * settings.held_out_every * size / rate:.4g} s; set choose_atoms.held_out_every or atom_durations_s lower"
        )
    return Stretches(recording, size, settings.held_out_every, held_out)


def _passes(context: Context, candidate: Candidate) -> Passes:
    from triptych.dictionary.coding import MIN_CHUNK_WAVEFORMS, Chunks
    from triptych.dictionary.passes import Passes

    recording, length = _stretches(context, held_out=False), _length(context, candidate)
    rate = _recording(context).info.sampling_rate_hz
    size = max(round(context.settings.chunk_s * rate), MIN_CHUNK_WAVEFORMS * length)
    return Passes(recording, Chunks(recording.samples, length, size), context.map)


def _options(settings: ChooseAtomsSettings, candidate: Candidate, largest: float | None) -> Options:
    from triptych.dictionary.learning import Options

    _, number, fraction = candidate
    return Options(
        n_atoms=number,
        regularization=fraction,
        tolerance=settings.tolerance,
        max_iterations=settings.max_iterations,
        least_decrease=settings.least_decrease,
        seed=settings.seed,
        exchanges=0,
        penalty=None if largest is None else fraction * largest,
    )


def start(context: Context) -> State:
    """The first fit."""
    import numpy as np

    from triptych.dictionary import selection

    settings: ChooseAtomsSettings = context.settings
    channels = len(_recording(context).info.names)
    try:
        selection.channel_folds(channels, settings.channel_folds, settings.seed)
    except ValueError as error:
        raise InputError(
            f"{context.source('signal')} has {error}; set n_atoms and regularization by hand"
        ) from error
    stretches = _stretches(context, held_out=True)
    count = max(1, (stretches.samples - 1) // stretches.size)
    candidates = _candidates(settings)
    return {
        "candidate": np.array(0),
        "found": np.zeros((len(candidates), 7)),
        "energies": np.zeros((len(candidates), count, 2)),
        **_begin(context, 0, {}),
    }


def _begin(context: Context, index: int, before: Mapping[str, NDArray[Any]]) -> State:
    """A fit begun from the atoms of the one before it, where that has the same length and no more atoms."""
    import numpy as np

    from triptych.dictionary import learning

    candidates = _candidates(context.settings)
    length, number, _ = candidates[index]
    same_length = index > 0 and candidates[index - 1][0] == length
    largest = float(before["path_max"]) if same_length else None
    atoms = None
    if same_length:
        first = candidates[index - 1][1] < number
        prefix = "first_" if first else ""
        atoms = (before[f"{prefix}spatial"], before[f"{prefix}temporal"])
    try:
        state = learning.start(
            _passes(context, candidates[index]), _options(context.settings, candidates[index], largest), atoms
        )
    except ValueError as error:
        raise InputError(f"{context.source('signal')}: {error}; exclude less of the recording") from error
    state["path_max"] = np.array(largest if largest is not None else float(state["penalty_max"]))
    return state


def advance(context: Context, state: State) -> State:
    """One iteration of the present fit; where it has settled, its score and the beginning of the next."""
    import numpy as np

    from triptych.dictionary import learning

    index, candidates = int(state["candidate"]), _candidates(context.settings)
    kept: State = {key: state[key] for key in ("candidate", "found", "energies")}
    first: State = {key: state[key] for key in ("first_spatial", "first_temporal") if key in state}
    own = {key: value for key, value in state.items() if key not in kept and key not in first}
    options = _options(context.settings, candidates[index], float(state["path_max"]))
    if not learning.finished(own, options):
        return {**kept, **first, **learning.advance(own, _passes(context, candidates[index]), options)}
    found, energies = kept["found"].copy(), kept["energies"].copy()
    found[index], scored = _score(context, candidates[index], own)
    energies[index, : len(scored)] = scored
    if index == 0 or candidates[index - 1][:2] != candidates[index][:2]:
        first = {"first_spatial": own["spatial"], "first_temporal": own["temporal"]}
    kept = {"candidate": np.array(index + 1), "found": found, "energies": energies}
    if index + 1 == len(candidates):
        return {**kept, **first, **own}
    return {**kept, **first, **_begin(context, index + 1, {**own, **first})}


def _score(
    context: Context, candidate: Candidate, own: State
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What a fit is like, and its energies on the held-out stretches."""
    import numpy as np

    from triptych.dictionary import learning, lgcd, selection

    settings, penalty = context.settings, float(own["penalty"])
    model = lgcd.model(own["spatial"], own["temporal"], penalty, settings.tolerance * penalty)
    held_out = _stretches(context, held_out=True)
    folds = selection.channel_folds(own["spatial"].shape[1], settings.channel_folds, settings.seed)
    energies = selection.predict(held_out, held_out.size, model, folds, context.map)
    passes = _passes(context, candidate)
    events = learning.events_of(own)
    _, seen = passes.certify(model, events)
    good = sum(int(passes.recording.good(*span).sum()) for span in passes.spans)
    rate = _recording(context).info.sampling_rate_hz
    row = [
        len(own["spatial"]), penalty, selection.score(energies), seen.explained, len(events) / good * rate,
        len(own["history"]), float(own["history"][-1, 1]),
    ]  # fmt: skip
    return np.array(row, dtype=np.float64), energies


def done(context: Context, state: State) -> bool:
    """Whether the path is walked."""
    return int(state["candidate"]) == len(_candidates(context.settings))


def limit(context: Context) -> int:
    """Most iterations of the path."""
    return len(_candidates(context.settings)) * (int(context.settings.max_iterations) + 1)


def finish(context: Context) -> None:
    """Write the path and what is chosen."""
    import numpy as np

    from triptych.dictionary import selection
    from triptych.stores.table import write_table

    state, candidates = load_state(context, "path"), _candidates(context.settings)
    found, energies = state["found"], state["energies"]
    scores = found[:, 2]
    errors = selection.errors(energies, int(scores.argmax()))
    simplicity = [(number, length, -fraction) for length, number, fraction in candidates]
    chosen = selection.choose(scores, errors, simplicity, context.settings.least_gain)
    columns = {
        "atom_duration_s": np.array([one[0] for one in candidates]),
        "n_atoms": np.array([one[1] for one in candidates], np.int64),
        "regularization": np.array([one[2] for one in candidates]),
        "atoms_found": found[:, 0].astype(np.int64),
        "penalty": found[:, 1],
        "score": scores,
        "score_error": errors,
        "explained_variance": found[:, 3],
        "activation_rate_hz": found[:, 4],
        "iterations": found[:, 5].astype(np.int64),
        "objective": found[:, 6],
        "chosen": np.arange(len(candidates)) == chosen,
    }
    write_table(context.path(PATH), columns, _fields())


def _fields() -> dict[str, Any]:
    from triptych.stores.table import Field as Column

    named = {
        "atom_duration_s": ("s", "Length of the waveforms."),
        "n_atoms": ("1", "Atoms that were asked for."),
        "regularization": ("1", "lambda as a fraction of the lambda_max of the first atoms of this length."),
        "atoms_found": ("1", "Atoms at the end of the fit."),
        "penalty": ("", "lambda in scaled units."),
        "score": ("1", "Share of the variance of held-out channels in held-out stretches that is predicted."),
        "score_error": ("1", "Standard error of the difference to the best score, over stretches."),
        "explained_variance": ("1", "Share of variance that the code explains where the atoms were learned."),
        "activation_rate_hz": ("Hz", "Activations per second of good recording, all atoms together."),
        "iterations": ("1", "Iterations of the fit."),
        "objective": ("", "F at its end, in scaled units; comparable at equal lambda only."),
        "chosen": ("", "Whether this one is chosen."),
    }
    return {
        name: Column(unit, "choice", definition, role="descriptor")
        for name, (unit, definition) in named.items()
    }


def finished(context: Context) -> Sequence[str]:
    """The path."""
    return [PATH]


def summary(context: Context) -> dict[str, Any]:
    """What is chosen, and what the best would have been."""
    import numpy as np

    from triptych.stores.table import read_table

    columns = read_table(context.path(PATH)).columns
    best, chosen = int(np.argmax(columns["score"])), int(np.flatnonzero(columns["chosen"])[0])

    def said(row: int) -> str:
        return (
            f"{columns['n_atoms'][row]} atoms of {columns['atom_duration_s'][row]:g} s at {columns['regularization'][row]:g} "
            f"of lambda_max (score {columns['score'][row]:.4f})"
        )

    notes = [f"chosen: {said(chosen)}; best: {said(best)}"]
    for name, values in (("n_atoms", columns["n_atoms"]), ("regularizations", columns["regularization"])):
        ends = {values.max()} if name == "n_atoms" else {values.min()}
        if len(set(values.tolist())) > 1 and values[best] in ends:
            notes.append(f"the best score lies at the end of choose_atoms.{name}: try further")
    scores = {
        "score": float(columns["score"][chosen]),
        "best_score": float(columns["score"][best]),
        "regularization": float(columns["regularization"][chosen]),
        "penalty": float(columns["penalty"][chosen]),
        "atom_duration_s": float(columns["atom_duration_s"][chosen]),
    }
    counts = {"candidates": len(columns["score"]), "n_atoms": int(columns["n_atoms"][chosen])}
    return {"counts": counts, "scores": scores, "notes": notes}


def estimate(extent: Mapping[str, Any], settings: ChooseAtomsSettings) -> Estimate:
    """As many fits as there are candidates."""
    rate = min(150.0, extent["sampling_rate_hz"])
    seconds, channels = extent["samples"] / extent["sampling_rate_hz"], extent["channels"]
    atoms, length = max(settings.n_atoms), max(settings.atom_durations_s) * rate
    statistics = 8 * atoms * (channels * length + 2 * atoms * length)
    chunk = 8 * settings.chunk_s * rate * (2 * channels + 4 * atoms)
    return Estimate(
        blocks=len(_candidates(settings))
        * settings.max_iterations
        * max(1, round(seconds / settings.chunk_s)),
        output_bytes=100 * len(_candidates(settings)) + 10_000,
        memory_bytes=int(4 * statistics + chunk) + 300_000_000,
        files=6,
    )


STEP = Step(
    name="choose_atoms",
    version=1,
    scope="sample",
    kinds=("signal",),
    help="Which penalty, how many atoms, how long: scored on stretches and channels that were held out.",
    settings=ChooseAtomsSettings,
    inputs=(
        Input("signal", "filtered recording", store="signal.zarr", producers={"signal": "import_signal"}),
    ),
    outputs=(PATH,),
    phases=(Iterate("path", start, advance, done, limit), Reduce("finish", finished, finish)),
    summary=summary,
    estimate=estimate,
    wanted=chooses,
)
