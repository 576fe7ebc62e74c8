"""``encode_signal``: when each atom of a dictionary occurs in a recording, and how strongly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field

from triptych.engine.step import Context, Estimate, Input, Map, Reduce, Settings, Step
from triptych.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from triptych.dictionary.coding import Chunks, Window
    from triptych.dictionary.events import Events
    from triptych.dictionary.lgcd import Model
    from triptych.dictionary.passes import Passes
    from triptych.stores.signal import ScaledSignal


OUTPUTS = ("activations.parquet", "annotations.txt", "events.tsv", "events.json")

REFIT = 1e-2
"""Tolerance of the amplitudes without the penalty, as a share of lambda."""


class EncodeSignalSettings(Settings):
    """How exactly a recording is coded."""

    tolerance: float = Field(
        1e-3, gt=0, le=1, description="Largest change of an amplitude left undone, as a fraction of lambda."
    )
    chunk_s: float = Field(
        60.0,
        ge=1,
        le=3600,
        description="Length of the chunks that are coded independently (s); at least ten waveforms.",
    )


def estimate(extent: Mapping[str, Any], settings: EncodeSignalSettings) -> Estimate:
    """Chunks, bytes and memory for twenty atoms of one second at 150 Hz."""
    rate = min(150.0, extent["sampling_rate_hz"])
    seconds = extent["samples"] / extent["sampling_rate_hz"]
    chunk = 8 * settings.chunk_s * rate * (3 * extent["channels"] + 100)
    blocks = max(1, round(seconds / settings.chunk_s))
    return Estimate(3 * blocks, int(seconds * 60 * 28), int(chunk) + 300_000_000, 3 * blocks + 4)


def _recording(context: Context) -> ScaledSignal:
    """The dictionary's channels of the signal, by name, in the dictionary's scale."""
    from triptych.stores.dictionary import open_dictionary
    from triptych.stores.signal import ScaledSignal, open_signal

    path = context.source("signal")
    info = open_signal(path).info
    atoms = open_dictionary(context.source("dictionary"), context.inputs["signal"].digest)
    if abs(info.sampling_rate_hz - atoms.sampling_rate_hz) > 1e-6 * atoms.sampling_rate_hz:
        raise InputError(
            f"{path} is sampled at {info.sampling_rate_hz:g} Hz, the dictionary at {atoms.sampling_rate_hz:g} Hz; import both "
            "at one rate"
        )
    row = {name: i for i, name in enumerate(info.names)}
    if lacking := [name for name in atoms.names if name not in row]:
        raise InputError(
            f"{path} lacks channel {lacking[0]} of the dictionary ({len(lacking)} of {len(atoms.names)} are not there); learn "
            "atoms on the channels that both have"
        )
    return ScaledSignal(path, info, tuple(row[name] for name in atoms.names), atoms.scales)


_OPENED: dict[tuple[Any, ...], tuple[ScaledSignal, Model, Chunks]] = {}


def _problem(context: Context) -> tuple[ScaledSignal, Model, Chunks]:
    """Recording, model and chunks, opened once per process: they are the same for every window."""
    sources = (context.inputs["signal"], context.inputs["dictionary"])
    key = (*((str(source.path), source.digest) for source in sources), context.settings)
    found = _OPENED.get(key)
    if found is None:
        found = _open_problem(context)
        _OPENED.clear()
        _OPENED[key] = found
    return found


def _open_problem(context: Context) -> tuple[ScaledSignal, Model, Chunks]:
    from triptych.dictionary.coding import MIN_CHUNK_WAVEFORMS, Chunks
    from triptych.dictionary.lgcd import model
    from triptych.stores.dictionary import open_dictionary

    recording = _recording(context)
    atoms = open_dictionary(context.source("dictionary"), context.inputs["signal"].digest)
    length = atoms.temporal.shape[1]
    if recording.samples < length:
        raise InputError(f"{context.source('signal')} is shorter than an atom; leave it out of the study")
    size = max(round(context.settings.chunk_s * atoms.sampling_rate_hz), MIN_CHUNK_WAVEFORMS * length)
    return (
        recording,
        model(atoms.spatial, atoms.temporal, atoms.penalty, context.settings.tolerance * atoms.penalty),
        Chunks(recording.samples, length, size),
    )


def _chunks(context: Context) -> Chunks:
    return _problem(context)[2]


def _key(kind: str, index: int) -> str:
    return f"scratch/{kind}/{index:06d}.npz"


def _save(context: Context, key: str, events: Events, **more: Any) -> None:
    from triptych.engine.files import save_arrays

    arrays: dict[str, Any] = {"atom": events.atom, "sample": events.sample, "amplitude": events.amplitude}
    save_arrays(context.path(key), {**arrays, **more})


def _load(context: Context, key: str) -> Events:
    from triptych.dictionary.events import Events
    from triptych.engine.files import load_arrays

    stored = load_arrays(context.path(key))
    return Events(stored["atom"], stored["sample"], stored["amplitude"])


def _code(context: Context, span: tuple[int, int], events: Events, key: str) -> None:
    import numpy as np

    from triptych.dictionary.coding import windows
    from triptych.dictionary.passes import code_window

    recording, model, chunks = _problem(context)
    (window,) = windows(chunks, [span], events)
    coded = code_window(recording, model, window)
    _save(
        context,
        key,
        coded.events,
        settled=np.array(chunks.settled(coded)),
        updates=np.array(coded.updates),
    )


def code_even(context: Context, index: int) -> None:
    """Code chunk ``2 index`` from nothing."""
    from triptych.dictionary.events import no_events

    _code(context, _chunks(context).core(2 * index), no_events(), _key("chunk", 2 * index))


def code_odd(context: Context, index: int) -> None:
    """Code chunk ``2 index + 1`` against its neighbours."""
    from triptych.dictionary.events import join

    number, chunks = 2 * index + 1, _chunks(context)
    beside = [i for i in (number - 1, number + 1) if i < len(chunks)]
    events = join([_load(context, _key("chunk", i)) for i in beside])
    _code(context, chunks.core(number), events, _key("chunk", number))


def code_border(context: Context, index: int) -> None:
    """Code the window around the border between chunks ``index`` and ``index + 1``."""
    from triptych.dictionary.events import join

    events = join([_load(context, _key("chunk", i)) for i in (index, index + 1)])
    _code(context, _chunks(context).border(index), events, _key("border", index))


def certify_chunk(context: Context, index: int) -> None:
    """Violations and energies of a chunk under the code as it stands."""
    from triptych.dictionary.passes import certify

    recording, model, chunks = _problem(context)
    numbers = range(max(0, index - 1), min(len(chunks), index + 2))
    violation, energies = certify(
        recording, model, _window(chunks, index, _settled_events(context, chunks, numbers))
    )
    own = _settled_events(context, chunks, range(index, index + 1))
    _save(context, _key("certified", index), own, numbers=_numbers(violation, energies))


def _settled_events(context: Context, chunks: Chunks, numbers: range) -> Events:
    """Activations of some chunks: those of the chunks, replaced around borders by those of the border windows."""
    from triptych.dictionary.events import join

    found = []
    for number in numbers:
        start, stop = chunks.core(number)
        events = _load(context, _key("chunk", number))
        for border in (number - 1, number):
            if 0 <= border < len(chunks) - 1:
                events = join(
                    [
                        events.outside(*chunks.border(border)),
                        _load(context, _key("border", border)).between(start, stop),
                    ]
                )
        found.append(events)
    return join(found)


def _window(chunks: Chunks, index: int, events: Events) -> Window:
    from triptych.dictionary.coding import windows

    return windows(chunks, [chunks.core(index)], events)[0]


def _numbers(violation: Any, energies: Any) -> Any:
    import numpy as np

    return np.array([
        violation.kkt, violation.change, violation.correlation,
        energies.signal, energies.residual, energies.product, energies.mass,
    ])  # fmt: skip


def finish(context: Context) -> None:
    """Join the chunks; where a border did not settle, sweep again; write activations and certificate."""
    from functools import reduce

    import numpy as np

    from triptych.dictionary.certificate import Violation, duality_gap, merge
    from triptych.dictionary.events import join
    from triptych.dictionary.occurrences import peak_offsets
    from triptych.dictionary.passes import Passes
    from triptych.dictionary.residual import Energies
    from triptych.engine.files import load_arrays, write_json
    from triptych.stores import dictionary

    recording, model, chunks = _problem(context)
    events = join([_load(context, _key("certified", i)) for i in range(len(chunks))])
    borders = [load_arrays(context.path(_key("border", i))) for i in range(len(chunks) - 1)]
    if all(bool(border["settled"]) for border in borders):
        stored = [load_arrays(context.path(_key("certified", i)))["numbers"] for i in range(len(chunks))]
        violation = reduce(merge, (Violation(*map(float, row[:3])) for row in stored))
        energies = reduce(Energies.__add__, (Energies(*map(float, row[3:])) for row in stored))
    else:
        passes = Passes(recording, chunks, context.map)
        events, _ = passes.code(model, events)
        violation, energies = passes.certify(model, events)
    dictionary.write_activations(
        context.path(dictionary.ACTIVATIONS),
        events.atom,
        events.sample,
        events.amplitude,
        _refitted(Passes(recording, chunks, context.map), model, events),
        recording.info.sampling_rate_hz,
        peak_offsets(model.temporal),
    )
    _write_for_others(context, recording, model, events)
    counts = np.bincount(events.atom, minlength=len(model.spatial))
    certificate = {
        "objective": energies.objective(model.penalty),
        "kkt_residual": violation.kkt,
        "duality_gap": duality_gap(violation, energies, model.penalty),
        "explained_variance": energies.explained,
        "penalty": model.penalty,
    }
    write_json(
        context.path("scratch/certificate.json"),
        {
            "scores": certificate,
            "counts": counts.tolist(),
            "borders_unsettled": sum(not b["settled"] for b in borders),
        },
    )


def _refitted(passes: Passes, model: Model, events: Events) -> NDArray[np.float64]:
    """Amplitudes that fit the signal best on the support, without the penalty; zero where none is left, (n,)."""
    from dataclasses import replace

    import numpy as np

    # The penalty shrinks amplitudes by about itself; a hundredth of it is enough here.
    enough = max(model.tolerance, REFIT * model.penalty)
    fitted, _ = passes.code(replace(model, tolerance=enough), events, refit=True)
    place = np.searchsorted(_keys(events, len(model.spatial)), _keys(fitted, len(model.spatial)))
    found = np.zeros(len(events))
    found[place] = fitted.amplitude
    return found


def _keys(events: Events, n_atoms: int) -> NDArray[np.int64]:
    """One number for each activation, increasing in their order."""
    import numpy as np

    keys: NDArray[np.int64] = events.sample * n_atoms + events.atom.astype(np.int64)
    return keys


def _write_for_others(context: Context, recording: ScaledSignal, model: Model, events: Events) -> None:
    """The activations once more, as MNE and BIDS tools read them."""
    import numpy as np

    from triptych.dictionary.occurrences import peak_offsets
    from triptych.engine.files import write_pieces
    from triptych.stores import annotations

    rate, length = recording.info.sampling_rate_hz, model.temporal.shape[1]
    strongest = np.abs(model.spatial).argmax(axis=1)
    channels = tuple(recording.info.names[recording.rows[row]] for row in strongest)
    peaks = peak_offsets(model.temporal)
    occurring = annotations.Occurring(
        events.atom, events.sample, events.amplitude, rate, peaks, length, channels
    )
    for key, content in annotations.files(occurring).items():
        write_pieces(context.path(key), content)


def summary(context: Context) -> dict[str, Any]:
    """Certificate of the code."""
    import json

    stored = json.loads(context.path("scratch/certificate.json").read_text())
    info = _recording(context)
    notes = []
    extra = len(info.info.names) - len(info.rows)
    if extra:
        notes.append(f"{extra} channels of the recording are not in the dictionary and were left out")
    if stored["borders_unsettled"]:
        notes.append(f"{stored['borders_unsettled']} borders of chunks needed a second sweep")
    counts = stored["counts"]
    return {
        "counts": {"activations": sum(counts), "atoms_used": sum(count > 0 for count in counts)},
        "scores": stored["scores"],
        "notes": notes,
    }


def _count_even(context: Context) -> int:
    return (len(_chunks(context)) + 1) // 2


def _count_odd(context: Context) -> int:
    return len(_chunks(context)) // 2


def _count_borders(context: Context) -> int:
    return len(_chunks(context)) - 1


def _count_all(context: Context) -> int:
    return len(_chunks(context))


def _owns_even(context: Context, index: int) -> Sequence[str]:
    return [_key("chunk", 2 * index)]


def _owns_odd(context: Context, index: int) -> Sequence[str]:
    return [_key("chunk", 2 * index + 1)]


def _owns_border(context: Context, index: int) -> Sequence[str]:
    return [_key("border", index)]


def _owns_certified(context: Context, index: int) -> Sequence[str]:
    return [_key("certified", index)]


def _owns_result(context: Context) -> Sequence[str]:
    return [*OUTPUTS, "scratch/certificate.json"]


STEP = Step(
    name="encode_signal",
    version=2,
    scope="sample",
    kinds=("signal",),
    help="Code a recording with the atoms of a dictionary: exact, sparse, with a duality gap.",
    settings=EncodeSignalSettings,
    inputs=(
        Input("signal", "filtered recording", store="signal.zarr", producers={"signal": "import_signal"}),
        Input(
            "dictionary",
            "atoms",
            store="dictionary.zarr",
            producers={"signal": "learn_atoms"},
            alternatives={"signal": "learn_cohort_atoms"},
        ),
    ),
    outputs=OUTPUTS,
    phases=(
        Map("even", _count_even, _owns_even, code_even),
        Map("odd", _count_odd, _owns_odd, code_odd),
        Map("border", _count_borders, _owns_border, code_border),
        Map("certify", _count_all, _owns_certified, certify_chunk),
        Reduce("finish", _owns_result, finish),
    ),
    summary=summary,
    estimate=estimate,
)
