"""``describe_atoms``: what each atom is like, how often it occurs, and what it goes with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field

from triptych.engine.step import Context, Input, Reduce, Settings, Step
from triptych.errors import InputError

if TYPE_CHECKING:
    from triptych.dictionary.passes import Passes
    from triptych.stores.signal import SignalInfo

RESULT = "scratch/truth.json"


class DescribeAtomsSettings(Settings):
    """What counts as an occurrence, and as the same event."""

    merge_s: float = Field(
        0.25, ge=0, le=10, description="Activations of one atom nearer than this are one occurrence (s)."
    )
    least_amplitude: float = Field(
        0.2,
        ge=0,
        le=1,
        description="Least amplitude of an occurrence, as a share of the atom's 95th percentile.",
    )
    largest_lag_s: float = Field(
        0.2,
        ge=0,
        le=2,
        description="Largest lag at which an atom is correlated with a reference channel (s).",
    )
    match_s: float = Field(
        0.1, gt=0, le=10, description="Distance within which an occurrence is a known event (s)."
    )
    match_lag_s: float = Field(
        0.6, ge=0, le=10, description="Largest constant lag between an atom's peak and the known events (s)."
    )
    chunk_s: float = Field(60.0, ge=1, le=3600, description="Length of the chunks that are read at once (s).")


def _passes(context: Context) -> Passes:
    from triptych.dictionary.coding import MIN_CHUNK_WAVEFORMS, Chunks
    from triptych.dictionary.passes import Passes
    from triptych.stores.dictionary import open_dictionary
    from triptych.stores.signal import ScaledSignal, open_signal

    path = context.source("signal")
    info = open_signal(path).info
    atoms = open_dictionary(context.source("dictionary"))
    row = {name: i for i, name in enumerate(info.names)}
    if lacking := [name for name in atoms.names if name not in row]:
        raise InputError(
            f"{path} lacks channel {lacking[0]} of the dictionary; give the signal that was encoded"
        )
    if abs(info.sampling_rate_hz - atoms.sampling_rate_hz) > 1e-6 * atoms.sampling_rate_hz:
        raise InputError(
            f"{path} is sampled at {info.sampling_rate_hz:g} Hz, the dictionary at {atoms.sampling_rate_hz:g} Hz; give the "
            "signal that was encoded"
        )
    length = atoms.temporal.shape[1]
    size = max(round(context.settings.chunk_s * info.sampling_rate_hz), MIN_CHUNK_WAVEFORMS * length)
    recording = ScaledSignal(path, info, tuple(row[name] for name in atoms.names), atoms.scales)
    return Passes(recording, Chunks(info.samples, length, size), context.map)


def finish(context: Context) -> None:
    """Measure the atoms and write the table; compare with known events where they are given."""
    import numpy as np

    from triptych.dictionary import description, statistics
    from triptych.dictionary.events import Events
    from triptych.dictionary.occurrences import occurrences
    from triptych.engine.files import write_json
    from triptych.stores.dictionary import open_dictionary, read_activations
    from triptych.stores.table import write_table

    settings, passes = context.settings, _passes(context)
    info: SignalInfo = passes.recording.info  # type: ignore[attr-defined]
    rate = info.sampling_rate_hz
    atoms = open_dictionary(context.source("dictionary"))
    table = read_activations(context.source("activations"))
    peaks = np.array(table.attributes["peaks"], dtype=np.int64)
    if len(peaks) != len(atoms.spatial):
        raise InputError(
            f"{context.source('activations')} has {len(peaks)} atoms, the dictionary {len(atoms.spatial)}; give the dictionary "
            "that coded them"
        )
    events = Events(table.columns["atom"], table.columns["sample"], table.columns["amplitude"])
    found = occurrences(events, peaks, settings.merge_s * rate, settings.least_amplitude)
    samples = [own for own, _ in found]
    energy, _ = passes.survey()
    summed = passes.statistics(events, len(atoms.spatial))
    frequency, power = description.spectra(atoms.temporal, rate)
    minutes = float(info.good(0, info.samples).sum()) / rate / 60
    columns: dict[str, Any] = {
        "atom": np.arange(len(atoms.spatial), dtype=np.int32),
        "peak_frequency": description.peak_frequency(frequency, power),
        "bandwidth": description.bandwidth(frequency, power),
        "duration": description.duration(atoms.temporal, rate),
        "peak_asymmetry": description.peak_asymmetry(atoms.temporal),
        "focality": description.focality(atoms.spatial),
        "rate": np.array([len(own) for own in samples]) / minutes,
        "interval_variation": description.interval_variation(samples),
        "amplitude": np.array([np.median(own) if len(own) else 0.0 for _, own in found]),
        "explained_variance": statistics.explained(summed, atoms.spatial, atoms.temporal, energy),
        "activations": np.bincount(events.atom, minlength=len(atoms.spatial)).astype(np.int64),
        "occurrences": np.array([len(own) for own in samples], dtype=np.int64),
    }
    own_energy = statistics.own_energy(summed, np.ones((len(atoms.spatial), 1)), atoms.temporal)
    for kind in ("eog", "ecg"):
        columns[f"{kind}_correlation"] = _coupling(
            context, passes, info, kind, events, atoms.temporal, own_energy
        )
    write_table(context.path("atoms.parquet"), columns, _fields(), {"sampling_rate_hz": rate})
    write_json(context.path(RESULT), _compare(context, samples, rate, info.samples))


def _coupling(
    context: Context, passes: Passes, info: SignalInfo, kind: str, events: Any, temporal: Any, own_energy: Any
) -> Any:
    """Largest correlation with any reference channel of a type; NaN where the recording has none."""
    import numpy as np

    from triptych.dictionary import description
    from triptych.stores.signal import Reference

    rows = tuple(i for i, found in enumerate(info.reference_types) if found == kind)
    if not rows:
        return np.full(len(temporal), np.nan)
    lag = round(context.settings.largest_lag_s * info.sampling_rate_hz)
    reference = Reference(context.source("signal"), rows)
    patches, energy = passes.reference_patches(reference.read, events, len(temporal), lag)
    return description.coupling(patches, temporal, own_energy, energy).max(axis=1)


def _compare(context: Context, samples: Sequence[Any], rate: float, length: int) -> Mapping[str, Any]:
    """The atom that meets each kind of known event best (largest harmonic mean of recall and precision)."""
    import numpy as np

    from triptych.dictionary.occurrences import match
    from triptych.stores.signal import read_events

    if "truth" not in context.inputs:
        return {}
    settings = context.settings
    truth = read_events(context.source("truth")).columns
    scores: dict[str, Any] = {}
    for kind in sorted(set(truth["kind"].tolist())):
        wanted = np.sort(truth["sample"][truth["kind"] == kind])
        best: tuple[float, int, float, float, int] = (-1.0, 0, 0.0, 0.0, 0)
        for k, own in enumerate(samples):
            recall, precision, lag = match(
                own, wanted, settings.match_s * rate, round(settings.match_lag_s * rate)
            )
            mean = 2 * recall * precision / (recall + precision) if recall + precision else 0.0
            if mean > best[0]:
                best = (mean, k, recall, precision, lag)
        scores |= {
            f"{kind}_atom": best[1],
            f"{kind}_recall": best[2],
            f"{kind}_precision": best[3],
            f"{kind}_lag_s": best[4] / rate,
        }
    return scores


FIELDS = {
    "atom": ("", "id", "Number of the atom, most explained variance first.", ""),
    "peak_frequency": ("Hz", "spectrum", "Frequency of the largest power of the waveform.", ""),
    "bandwidth": ("Hz", "spectrum", "Twice the power-weighted standard deviation of frequency.", ""),
    "duration": ("s", "shape", "Time that holds the middle 90 % of the waveform's energy.", ""),
    "peak_asymmetry": (
        "1", "shape", "(p - q) / (p + q) of the largest positive and negative excursions.", "Cole & Voytek 2017",
    ),
    "focality": ("1", "topography", "Sparseness of the map, 0 uniform to 1 one sensor.", "Hoyer 2004"),
    "rate": ("1/min", "occurrence", "Occurrences per minute of good recording.", ""),
    "interval_variation": ("1", "occurrence", "Interquartile range over median of the intervals.", ""),
    "amplitude": ("1", "occurrence", "Median amplitude of the occurrences, in scaled units.", ""),
    "explained_variance": (
        "1", "occurrence", "Share of variance that the atom explains alone.", "1 - |X - D*z|^2 / |X|^2",
    ),
    "activations": ("1", "occurrence", "Activations before merging.", ""),
    "occurrences": ("1", "occurrence", "Occurrences after merging.", ""),
    "eog_correlation": ("1", "reference", "Largest |correlation| with an EOG channel; NaN without one.", ""),
    "ecg_correlation": ("1", "reference", "Largest |correlation| with an ECG channel; NaN without one.", ""),
}  # fmt: skip
DESCRIPTORS = ("atom", "activations", "occurrences", "eog_correlation", "ecg_correlation")


def _fields() -> dict[str, Any]:
    from triptych.stores.table import Field as Column

    return {
        name: Column(
            unit, category, definition, source, role="descriptor" if name in DESCRIPTORS else "feature"
        )
        for name, (unit, category, definition, source) in FIELDS.items()
    }


def finished(context: Context) -> Sequence[str]:
    """The table and the comparison with known events."""
    return ["atoms.parquet", RESULT]


def summary(context: Context) -> dict[str, Any]:
    """Number of atoms, and recall and precision where events are known."""
    import json

    from triptych.stores.table import read_table

    columns = read_table(context.path("atoms.parquet")).columns
    scores = json.loads(context.path(RESULT).read_text())
    return {
        "counts": {"atoms": len(columns["atom"]), "occurrences": int(columns["occurrences"].sum())},
        "scores": scores,
        "notes": [],
    }


STEP = Step(
    name="describe_atoms",
    version=1,
    scope="sample",
    kinds=("signal",),
    help="Frequency, duration, rate, topography and couplings of each atom, one row per atom.",
    settings=DescribeAtomsSettings,
    inputs=(
        Input("dictionary", "atoms", store="dictionary.zarr", producers={"signal": "learn_atoms"}),
        Input(
            "activations",
            "activations of atoms",
            store="activations.parquet",
            producers={"signal": "encode_signal"},
        ),
        Input("signal", "filtered recording", store="signal.zarr", producers={"signal": "import_signal"}),
        Input(
            "truth",
            "known events",
            store="truth.parquet",
            producers={"signal": "import_signal"},
            required=False,
            when=lambda settings, row: bool(row.get("labels_events")),
        ),
    ),
    outputs=("atoms.parquet",),
    phases=(Reduce("finish", finished, finish),),
    summary=summary,
)
