"""``describe_atoms``: what each atom is like, how often it occurs, and what it goes with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field

from triptych.engine.step import Context, Input, Reduce, Settings, Step
from triptych.errors import InputError

if TYPE_CHECKING:
    from triptych.dictionary.passes import Passes
    from triptych.stores.dictionary import Dictionary
    from triptych.stores.signal import SignalInfo

RESULT = "scratch/truth.json"


class DescribeAtomsSettings(Settings):
    """What counts as an occurrence and as the same event, what makes a family, and what an artefact."""

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
    family_map_agreement: float = Field(
        0.9, gt=0, le=1, description="Least cosine between the maps of a family of atoms."
    )
    family_waveform_agreement: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Least correlation between the waveforms of a family, after the shift that suits them best.",
    )
    reference_correlation: float = Field(
        0.4,
        gt=0,
        le=1,
        description="Correlation with an EOG or ECG channel from which an atom is ocular or cardiac.",
    )
    eye_share: float = Field(
        0.5,
        gt=0,
        le=1,
        description="Share of a map's energy near the eyes from which a slow, large atom is ocular.",
    )
    eye_deflection: float = Field(
        1.5,
        ge=0,
        le=1000,
        description="Least deflection of such an atom, in robust standard deviations of the sensors.",
    )
    channel_share: float = Field(
        0.7,
        gt=0,
        le=1,
        description="Share of a map's energy in one channel from which an atom is channel noise.",
    )
    muscle_share: float = Field(
        0.5, gt=0, le=1, description="Share of the power above 20 Hz from which a broad atom is muscle."
    )
    brain_fit: float = Field(
        0.9,
        gt=0,
        le=1,
        description="Goodness of fit of a dipole from which an atom that no artefact claims is brain.",
    )
    chunk_s: float = Field(60.0, ge=1, le=3600, description="Length of the chunks that are read at once (s).")


def _passes(context: Context) -> Passes:
    from triptych.dictionary.coding import MIN_CHUNK_WAVEFORMS, Chunks
    from triptych.dictionary.passes import Passes
    from triptych.stores.dictionary import open_dictionary
    from triptych.stores.signal import ScaledSignal, open_signal

    path = context.source("signal")
    info = open_signal(path).info
    atoms = open_dictionary(context.source("dictionary"), context.inputs["signal"].digest)
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
    """Measure, group and label the atoms; write the tables; compare with known events where they are given."""
    import numpy as np

    from triptych.dictionary import families, labels
    from triptych.dictionary.events import Events
    from triptych.dictionary.occurrences import occurrences
    from triptych.engine.files import write_json
    from triptych.steps.atom_dipoles import dipole_columns, head_sphere
    from triptych.steps.atom_evidence import gather, thresholds
    from triptych.steps.atom_tables import atom_fields, occurrence_columns, shape_columns
    from triptych.steps.atom_truth import compare
    from triptych.stores.dictionary import open_dictionary, read_activations
    from triptych.stores.occurrences import OCCURRENCES, write_occurrences
    from triptych.stores.table import write_table

    settings, passes = context.settings, _passes(context)
    info: SignalInfo = passes.recording.info  # type: ignore[attr-defined]
    rate = info.sampling_rate_hz
    atoms = open_dictionary(context.source("dictionary"), context.inputs["signal"].digest)
    table = read_activations(context.source("activations"))
    peaks = np.array(table.attributes["peaks"], dtype=np.int64)
    if len(peaks) != len(atoms.spatial):
        raise InputError(
            f"{context.source('activations')} has {len(peaks)} atoms, the dictionary {len(atoms.spatial)}; give the dictionary "
            "that coded them"
        )
    events = Events(table.columns["atom"], table.columns["sample"], table.columns["amplitude"])
    strength, own_energy = _strengths(passes, events, atoms)
    merge = settings.merge_s * rate
    found = occurrences(events, peaks, merge, settings.least_amplitude)
    agreement = settings.family_map_agreement, settings.family_waveform_agreement
    family = families.group(atoms.spatial, atoms.temporal, strength, *agreement)
    grouped = families.by_family(
        events, family, atoms.spatial, atoms.temporal, info.samples, merge, settings.least_amplitude
    )
    good_s = float(info.good(0, info.samples).sum()) / rate
    columns: dict[str, Any] = {
        "atom": np.arange(len(atoms.spatial), dtype=np.int32),
        "family": family,
        **shape_columns(atoms),
        **occurrence_columns(found, good_s),
        "explained_variance": strength,
        "activations": np.bincount(events.atom, minlength=len(atoms.spatial)).astype(np.int64),
    }
    for kind in ("eog", "ecg"):
        columns[f"{kind}_correlation"] = _coupling(
            context, passes, info, kind, events, atoms.temporal, own_energy
        )
    rows = [info.names.index(name) for name in atoms.names]
    sphere = head_sphere(info)
    columns |= dipole_columns(atoms.spatial, atoms.scales, info, rows, sphere)
    evidence = gather(columns, atoms, info, rows, sphere, grouped, good_s)
    columns |= labels.columns(labels.decide(evidence, thresholds(settings)))
    fields = atom_fields()
    ordered = {name: columns[name] for name in fields}
    write_table(context.path("atoms.parquet"), ordered, fields, {"sampling_rate_hz": rate})
    write_occurrences(
        context.path(OCCURRENCES),
        np.repeat(list(grouped), [len(own.sample) for own in grouped.values()]),
        np.concatenate([own.atom for own in grouped.values()]),
        np.concatenate([own.sample for own in grouped.values()]),
        np.concatenate([own.amplitude for own in grouped.values()]),
        rate,
    )
    scores: dict[str, Any] = {}
    if "truth" in context.inputs:
        scores = compare(
            context.source("truth"),
            [sample for sample, _ in found],
            {k: own.sample for k, own in grouped.items()},
            {k: int((family == k).sum()) for k in grouped},
            settings.match_s * rate,
            round(settings.match_lag_s * rate),
            rate,
        )
    write_json(context.path(RESULT), scores)


def _strengths(passes: Passes, events: Any, atoms: Dictionary) -> tuple[Any, Any]:
    """Share of the variance that each atom explains alone, and the energy of each waveform's convolved activations."""
    import numpy as np

    from triptych.dictionary import statistics

    energy, _ = passes.survey()
    summed = passes.statistics(events, len(atoms.spatial))
    share = statistics.explained(summed, atoms.spatial, atoms.temporal, energy)
    return share, statistics.own_energy(summed, np.ones((len(atoms.spatial), 1)), atoms.temporal)


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


def finished(context: Context) -> Sequence[str]:
    """The tables and the comparison with known events."""
    return ["atoms.parquet", "occurrences.parquet", RESULT]


def summary(context: Context) -> dict[str, Any]:
    """Numbers of atoms, of each label, of families and their occurrences; recall and precision where events are known."""
    import json

    import numpy as np

    from triptych.stores.table import read_info, read_table

    columns = read_table(context.path("atoms.parquet")).columns
    kinds, numbers = np.unique(columns["label"], return_counts=True)
    notes = []
    if np.isnan(columns["dipole_fit"]).all():
        notes.append(
            "no dipoles: fewer than eight MEG or EEG channels have a position in the frame of the head"
        )
    return {
        "counts": {
            "atoms": len(columns["atom"]),
            "families": len(np.unique(columns["family"])),
            "occurrences": read_info(context.path("occurrences.parquet")).rows,
            "labels": {str(kind): int(number) for kind, number in zip(kinds, numbers, strict=True)},
        },
        "scores": json.loads(context.path(RESULT).read_text()),
        "notes": notes,
    }


STEP = Step(
    name="describe_atoms",
    version=2,
    scope="sample",
    kinds=("signal",),
    help="Shape, rate, map, dipole, couplings and a label of each atom; families of atoms and when they occur.",
    settings=DescribeAtomsSettings,
    inputs=(
        Input(
            "dictionary",
            "atoms",
            store="dictionary.zarr",
            producers={"signal": "learn_atoms"},
            alternatives={"signal": "learn_cohort_atoms"},
        ),
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
    outputs=("atoms.parquet", "occurrences.parquet"),
    phases=(Reduce("finish", finished, finish),),
    summary=summary,
)
