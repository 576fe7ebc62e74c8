"""``learn_atoms``: rank-1 atoms of a recording, by alternating sparse coding and dictionary updates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field

from triptych.engine.step import Context, Estimate, Input, Iterate, Reduce, Settings, Step, load_state
from triptych.errors import InputError

if TYPE_CHECKING:
    from triptych.dictionary.learning import Options
    from triptych.dictionary.passes import Passes
    from triptych.engine.step import State
    from triptych.stores.dictionary import Dictionary


class LearnAtomsSettings(Settings):
    """How many atoms, how long, how sparse."""

    n_atoms: int = Field(20, ge=1, le=1000, description="Number of atoms; rather more than fewer.")
    atom_duration_s: float = Field(
        0.7,
        gt=0,
        le=60,
        description="Length of a waveform (s): that of the longest pattern, and less than a heartbeat.",
    )
    regularization: float = Field(
        0.1, gt=0, lt=1, description="Penalty lambda as a fraction of lambda_max of the first atoms."
    )
    max_iterations: int = Field(40, ge=1, le=10_000, description="Most iterations of coding and update.")
    least_decrease: float = Field(
        1e-4, ge=0, lt=1, description="Relative decrease of the objective below which learning stops."
    )
    tolerance: float = Field(
        1e-2,
        gt=0,
        le=1,
        description="Largest change of an amplitude left undone while learning, as a fraction of lambda.",
    )
    chunk_s: float = Field(
        60.0,
        ge=1,
        le=3600,
        description="Length of the chunks that are coded independently (s); at least ten waveforms.",
    )
    exchanges: int = Field(
        8,
        ge=0,
        le=1000,
        description="Once the atoms have settled, weak ones are exchanged for what the residual holds, and kept where the "
        "objective falls: this many times at most.",
    )
    seed: int = Field(0, ge=0, description="Seed of the first atoms.")


def estimate(extent: Mapping[str, Any], settings: LearnAtomsSettings) -> Estimate:
    """Chunks, bytes and memory; the statistics and the codes of a chunk are what counts."""
    rate = min(150.0, extent["sampling_rate_hz"])
    length = settings.atom_duration_s * rate
    seconds = extent["samples"] / extent["sampling_rate_hz"]
    atoms, channels = settings.n_atoms, extent["channels"]
    statistics = 8 * atoms * (channels * length + 2 * atoms * length)
    chunk = 8 * settings.chunk_s * rate * (2 * channels + 4 * atoms)
    return Estimate(
        blocks=settings.max_iterations * max(1, round(seconds / settings.chunk_s)),
        output_bytes=int(8 * atoms * (channels + length)) + 10_000,
        memory_bytes=int(4 * statistics + chunk) + 300_000_000,
        files=6,
    )


def options_of(settings: LearnAtomsSettings, penalty: float | None = None) -> Options:
    """What the settings ask of learning; ``penalty`` overrides their regularization."""
    from triptych.dictionary.learning import Options

    return Options(
        n_atoms=settings.n_atoms,
        regularization=settings.regularization,
        tolerance=settings.tolerance,
        max_iterations=settings.max_iterations,
        least_decrease=settings.least_decrease,
        seed=settings.seed,
        exchanges=settings.exchanges,
        penalty=penalty,
    )


def asked(context: Context) -> tuple[LearnAtomsSettings, Options]:
    """Settings and options, with what choose_atoms chose in their place where its result is given."""
    import numpy as np

    settings: LearnAtomsSettings = context.settings
    if "choice" not in context.inputs:
        return settings, options_of(settings)
    from triptych.stores.table import read_table

    columns = read_table(
        context.source("choice"), ["n_atoms", "atom_duration_s", "regularization", "penalty", "chosen"]
    ).columns
    row = int(np.flatnonzero(columns["chosen"])[0])
    chosen = {
        "n_atoms": int(columns["n_atoms"][row]),
        "atom_duration_s": float(columns["atom_duration_s"][row]),
        "regularization": float(columns["regularization"][row]),
    }
    settings = settings.model_copy(update=chosen)
    return settings, options_of(settings, float(columns["penalty"][row]))


def _passes(context: Context) -> Passes:
    from triptych.dictionary.coding import MIN_CHUNK_WAVEFORMS, Chunks
    from triptych.dictionary.passes import Passes
    from triptych.stores.signal import scaled

    recording, settings = scaled(context.source("signal")), asked(context)[0]
    rate = recording.info.sampling_rate_hz
    length = max(2, round(settings.atom_duration_s * rate))
    if recording.samples < 2 * length:
        raise InputError(
            f"{context.source('signal')} lasts {recording.samples / rate:.3g} s, too short for atoms of "
            f"{settings.atom_duration_s:g} s; set atom_duration_s lower"
        )
    size = max(round(settings.chunk_s * rate), MIN_CHUNK_WAVEFORMS * length)
    return Passes(recording, Chunks(recording.samples, length, size), context.map)


def start(context: Context) -> State:
    """First atoms, drawn from the recording."""
    from triptych.dictionary import learning

    try:
        return learning.start(_passes(context), asked(context)[1])
    except ValueError as error:
        raise InputError(
            f"{context.source('signal')}: {error}; exclude less of the recording, or set learn_atoms.atom_duration_s lower"
        ) from error


def advance(context: Context, state: State) -> State:
    """One coding and one update."""
    from triptych.dictionary import learning

    return learning.advance(state, _passes(context), asked(context)[1])


def done(context: Context, state: State) -> bool:
    """Whether the objective has settled."""
    from triptych.dictionary import learning

    return learning.finished(state, asked(context)[1])


def limit(context: Context) -> int:
    """Most iterations, those of exchanges included."""
    from triptych.dictionary import learning

    return learning.most_iterations(asked(context)[1])


def finish(context: Context) -> None:
    """Code once more, order the atoms, and write them with their certificate."""
    from triptych.dictionary import learning
    from triptych.stores import dictionary

    passes = _passes(context)
    info = passes.recording.info  # type: ignore[attr-defined]
    ordered = learning.conclude(load_state(context, "learn"), passes, asked(context)[1])
    dictionary.write_dictionary(
        context.path(dictionary.STORE),
        dictionary.Dictionary(
            spatial=ordered.spatial,
            temporal=ordered.temporal,
            sampling_rate_hz=info.sampling_rate_hz,
            names=info.names,
            types=info.types,
            scales=info.channel_scales,
            penalty=ordered.penalty,
            penalty_max=ordered.penalty_max,
            explained=ordered.explained,
            history=ordered.history,
            certificate=ordered.certificate,
        ),
    )


def finished(context: Context) -> Sequence[str]:
    """The dictionary."""
    return ["dictionary.zarr"]


def summary(context: Context) -> dict[str, Any]:
    """Objective, certificate and what the atoms explain."""
    from triptych.stores import dictionary

    found = dictionary.open_dictionary(context.path(dictionary.STORE))
    return {
        "counts": {
            "atoms": len(found.spatial),
            "iterations": len(found.history),
            "atoms_added_moved_or_dropped": int(found.history[:, 2].sum()),
        },
        "scores": {
            **found.certificate,
            "penalty": found.penalty,
            "penalty_max": found.penalty_max,
        },
        "notes": _chosen_notes(context) + learned_notes(found, asked(context)[0]),
    }


def _chosen_notes(context: Context) -> list[str]:
    if "choice" not in context.inputs:
        return []
    settings, options = asked(context)
    return [
        f"chosen by choose_atoms: {settings.n_atoms} atoms of {settings.atom_duration_s:g} s, lambda {options.penalty:.4g} "
        f"({settings.regularization:g} of lambda_max); n_atoms, atom_duration_s and regularization of learn_atoms do not apply"
    ]


def learned_notes(found: Dictionary, settings: LearnAtomsSettings) -> list[str]:
    """What a reader of the atoms should know."""
    notes, iterations = [], len(found.history)
    if iterations >= settings.max_iterations > 1:
        before, after = found.history[settings.max_iterations - 2 : settings.max_iterations, 1]
        if before - after >= settings.least_decrease * abs(after):
            notes.append(f"not settled within max_iterations = {settings.max_iterations}")
    if unused := int((found.explained <= 0).sum()):
        notes.append(
            f"{unused} atoms are not used: lower n_atoms or regularization, and mark large artifacts as bad"
        )
    return notes


def learns_alone(settings: Any) -> bool:
    """Whether a study learns from every recording alone; asked with the settings of the whole study."""
    return bool(settings.learn_cohort_atoms.shared_by == "none")


STEP = Step(
    name="learn_atoms",
    version=2,
    scope="sample",
    kinds=("signal",),
    help="Learn the waveforms and maps that recur in a recording (convolutional dictionary learning).",
    settings=LearnAtomsSettings,
    inputs=(
        Input("signal", "filtered recording", store="signal.zarr", producers={"signal": "import_signal"}),
        Input(
            "choice",
            "what choose-atoms chose: number and length of atoms, and lambda",
            store="path.parquet",
            producers={"signal": "choose_atoms"},
            required=False,
        ),
    ),
    outputs=("dictionary.zarr",),
    phases=(Iterate("learn", start, advance, done, limit), Reduce("finish", finished, finish)),
    summary=summary,
    estimate=estimate,
    wanted=learns_alone,
)
