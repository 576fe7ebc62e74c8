"""``learn_cohort_atoms``: atoms that the recordings of a cohort share, or those of each subject.

Recordings are joined with a gap that no atom crosses, so coding, sums, updates and certificate are those of ``learn_atoms`` on all
of them together. Each recording is then coded alone, with the common atoms, by ``encode_signal``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from triptych.engine.step import Context, Estimate, Input, Iterate, Reduce, Step, load_state
from triptych.errors import InputError
from triptych.steps.learn_atoms import LearnAtomsSettings, learned_notes, options_of
from triptych.steps.learn_atoms import estimate as estimate_one

if TYPE_CHECKING:
    from triptych.dictionary.passes import Passes
    from triptych.engine.step import State
    from triptych.stores.signal import ScaledSignal

STORE = "dictionary.zarr"


class LearnCohortAtomsSettings(LearnAtomsSettings):
    """How many atoms, how long, how sparse, and who shares them."""

    shared_by: Literal["none", "cohort", "subject"] = Field(
        "none",
        description="Who shares atoms: all recordings (cohort), those of one subject (subject), or nobody: then learn_atoms learns "
        "from each recording alone.",
    )


def shares_atoms(settings: Any) -> bool:
    """Whether a study shares atoms between recordings; asked with the settings of the whole study."""
    return bool(settings.learn_cohort_atoms.shared_by != "none")


def _groups(context: Context) -> dict[str, list[str]]:
    """Names of the recordings that share atoms, by group; a recording of no subject is its own."""
    names = list(context.collections["signals"])
    if context.settings.shared_by != "subject":
        return {"cohort": names}
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(context.sheet.get(name, {}).get("subject", "") or name, []).append(name)
    return dict(sorted(found.items()))


def _recordings(context: Context, names: Sequence[str]) -> list[ScaledSignal]:
    """Recordings of one group on their common channels, in common scales."""
    import numpy as np

    from triptych.stores.signal import ScaledSignal, open_signal

    paths = {name: context.collections["signals"][name].path for name in names}
    infos = {name: open_signal(path).info for name, path in paths.items()}
    first = infos[names[0]]
    for name, info in infos.items():
        if abs(info.sampling_rate_hz - first.sampling_rate_hz) > 1e-6 * first.sampling_rate_hz:
            raise InputError(
                f"{name} is sampled at {info.sampling_rate_hz:g} Hz and {names[0]} at {first.sampling_rate_hz:g} Hz; import all "
                "at one rate (import_signal.sampling_rate_hz)"
            )
    kinds = {name: dict(zip(info.names, info.types, strict=True)) for name, info in infos.items()}
    common = [
        channel
        for channel, kind in zip(first.names, first.types, strict=True)
        if all(own.get(channel) == kind for own in kinds.values())
    ]
    if not common:
        raise InputError(
            f"{', '.join(names)} have no channel in common, by name and type; give channels one name, or share atoms by subject"
        )
    types = [kinds[names[0]][channel] for channel in common]
    middle = {kind: float(np.median([info.scales[kind] for info in infos.values()])) for kind in set(types)}
    scales = np.array([middle[kind] for kind in types])
    return [
        ScaledSignal(paths[name], info, tuple(info.names.index(channel) for channel in common), scales)
        for name, info in infos.items()
    ]


def _passes(context: Context, names: Sequence[str]) -> Passes:
    from triptych.dictionary.coding import MIN_CHUNK_WAVEFORMS, Chunks
    from triptych.dictionary.joined import Joined
    from triptych.dictionary.passes import Passes

    recordings = _recordings(context, names)
    rate = recordings[0].info.sampling_rate_hz
    length = max(2, round(context.settings.atom_duration_s * rate))
    for name, recording in zip(names, recordings, strict=True):
        if recording.samples < 2 * length:
            raise InputError(
                f"{name} lasts {recording.samples / rate:.3g} s, too short for atoms of {context.settings.atom_duration_s:g} s; "
                "set atom_duration_s lower, or exclude the recording"
            )
    joined = Joined(tuple(recordings))
    size = max(round(context.settings.chunk_s * rate), MIN_CHUNK_WAVEFORMS * length)
    return Passes(joined, Chunks(joined.samples, length, size), context.map)


def start(context: Context) -> State:
    """First atoms of the first group."""
    import numpy as np

    return {"group": np.array(0), **_begin(context, 0)}


def _begin(context: Context, group: int) -> State:
    from triptych.dictionary import learning

    name, members = list(_groups(context).items())[group]
    try:
        return learning.start(_passes(context, members), options_of(context.settings))
    except ValueError as error:
        raise InputError(
            f"{name} ({len(members)} recordings): {error}; exclude less, or set learn_cohort_atoms.atom_duration_s lower"
        ) from error


def advance(context: Context, state: State) -> State:
    """One coding and one update of the present group; where it has settled, the first atoms of the next one."""
    import numpy as np

    from triptych.dictionary import learning

    group, options = int(state["group"]), options_of(context.settings)
    members = list(_groups(context).values())[group]
    own = {key: value for key, value in state.items() if not key.startswith("done")}
    done = {key: value for key, value in state.items() if key.startswith("done")}
    if learning.finished(own, options):
        done |= {f"done{group}_{key}": value for key, value in own.items()}
        return {**done, **_begin(context, group + 1), "group": np.array(group + 1)}
    return {**done, **learning.advance(own, _passes(context, members), options)}


def done(context: Context, state: State) -> bool:
    """Whether the last group has settled."""
    from triptych.dictionary import learning

    last = int(state["group"]) == len(_groups(context)) - 1
    return last and learning.finished(state, options_of(context.settings))


def limit(context: Context) -> int:
    """Most iterations over all groups."""
    from triptych.dictionary import learning

    return len(_groups(context)) * (learning.most_iterations(options_of(context.settings)) + 1)


def finish(context: Context) -> None:
    """Code each group once more, order its atoms, and write them with their certificate."""
    from triptych.dictionary import learning
    from triptych.stores import dictionary

    state, groups = load_state(context, "learn"), _groups(context)
    sources = context.collections["signals"]
    members = []
    for number, (name, names) in enumerate(groups.items()):
        prefix = f"done{number}_" if number < len(groups) - 1 else ""
        own = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
        passes = _passes(context, names)
        recording: Any = passes.recording.recordings[0]  # type: ignore[attr-defined]
        ordered = learning.conclude(own, passes, options_of(context.settings))
        found = dictionary.Dictionary(
            spatial=ordered.spatial,
            temporal=ordered.temporal,
            sampling_rate_hz=recording.info.sampling_rate_hz,
            names=tuple(recording.info.names[row] for row in recording.rows),
            types=tuple(recording.info.types[row] for row in recording.rows),
            scales=recording.scales,
            penalty=ordered.penalty,
            penalty_max=ordered.penalty_max,
            explained=ordered.explained,
            history=ordered.history,
            certificate=ordered.certificate,
        )
        members.append(dictionary.Member(name, {sample: sources[sample].digest for sample in names}, found))
    dictionary.write_dictionaries(context.path(STORE), members)


def finished(context: Context) -> Sequence[str]:
    """The dictionaries."""
    return [STORE]


def summary(context: Context) -> dict[str, Any]:
    """What the atoms of every group explain."""
    from triptych.stores import dictionary

    members = dictionary.open_dictionaries(context.path(STORE))
    scores: dict[str, Any] = {}
    notes: list[str] = []
    for member in members:
        found, prefix = member.dictionary, "" if len(members) == 1 else f"{member.name}_"
        scores |= {f"{prefix}{key}": value for key, value in found.certificate.items()}
        scores |= {f"{prefix}penalty": found.penalty}
        notes += [
            f"{member.name}: {note}" if len(members) > 1 else note
            for note in learned_notes(found, context.settings)
        ]
    return {
        "counts": {
            "groups": len(members),
            "recordings": sum(len(member.signals) for member in members),
            "atoms": sum(len(member.dictionary.spatial) for member in members),
            "channels": min(len(member.dictionary.names) for member in members),
        },
        "scores": scores,
        "notes": notes,
    }


def estimate(extent: Mapping[str, Any], settings: LearnCohortAtomsSettings) -> Estimate:
    """As for one recording: the same chunks, of all recordings."""
    n = int(extent.get("samples", 100))
    one = estimate_one({"sampling_rate_hz": 150.0, "samples": 90_000, "channels": 64}, settings)
    return Estimate(
        n * one.blocks, one.output_bytes * (n if settings.shared_by == "subject" else 1), one.memory_bytes, 8
    )


STEP = Step(
    name="learn_cohort_atoms",
    version=1,
    scope="cohort",
    kinds=("signal",),
    help="Learn the waveforms and maps that the recordings of a cohort, or of each subject, have in common.",
    settings=LearnCohortAtomsSettings,
    inputs=(
        Input(
            "signals",
            "filtered recordings",
            store="signal.zarr",
            producers={"signal": "import_signal"},
            many=True,
        ),
    ),
    outputs=(STORE,),
    phases=(Iterate("learn", start, advance, done, limit), Reduce("finish", finished, finish)),
    summary=summary,
    estimate=estimate,
    wanted=shares_atoms,
)
