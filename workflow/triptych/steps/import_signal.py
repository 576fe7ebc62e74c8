"""``import_signal``: a raw MEG or EEG recording to ``signal.zarr`` and ``events.parquet``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator

from triptych.engine.step import Context, Estimate, Input, Map, Reduce, Settings, Step
from triptych.errors import InputError
from triptych.steps.signal_plan import (
    PLAN,
    bad_channels_of,
    broken_spans,
    filtering_of,
    header_of,
    plan_of,
    prepare,
)

if TYPE_CHECKING:
    from triptych.dictionary.fir import Filtering

# Deviations that no sensor has: what is left of a constant after filtering is rounding.
FAINTEST = {"mag": 1e-20, "grad": 1e-20, "eeg": 1e-15}


class ImportSignalSettings(Settings):
    """What of a recording is kept, and how it is filtered."""

    high_pass_hz: float = Field(
        1.0, ge=0, le=1000, description="Lower edge of the pass band (Hz); 0 keeps slow drifts."
    )
    low_pass_hz: float = Field(
        40.0,
        ge=0,
        le=10_000,
        description="Upper edge of the pass band (Hz); 0 keeps all that the new rate can carry.",
    )
    notch_hz: float = Field(
        0.0,
        ge=0,
        le=1000,
        description="Mains frequency to take out with its harmonics (Hz); 0 takes none out.",
    )
    sampling_rate_hz: float = Field(
        150.0,
        gt=0,
        le=100_000,
        description="Sampling rate of the result (Hz); a slower recording keeps its own.",
    )
    eeg_reference: Literal["average", "as_recorded"] = Field(
        "average",
        description="Reference of EEG channels; the average is taken over 16 or more good channels.",
    )
    montage: str = Field(
        "auto",
        description="Positions of EEG channels by name: auto (10-05 system where the file has none), none, or a montage "
        "of mne.",
    )
    apply_projections: bool = Field(True, description="Apply the signal-space projections in the file.")
    nonfinite: Literal["error", "exclude"] = Field(
        "error", description="NaN or Inf in the recording: an error, or a bad span around it."
    )
    excluded_spans_s: tuple[tuple[float, float], ...] = Field(
        (), description="Spans to mark as bad (s, start and stop), beside those the file marks."
    )
    chunk_s: float = Field(60.0, ge=1, le=3600, description="Length of a chunk of the store (s).")
    bad_channels: str = Field(
        "", description="Channels to leave out beside those the file marks, comma separated."
    )

    @field_validator("excluded_spans_s")
    @classmethod
    def _ordered(cls, spans: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
        for start, stop in spans:
            if not 0 <= start < stop:
                raise ValueError(f"a span runs from a start to a later stop, not from {start} to {stop}")
        return spans


def probe(path: Path, settings: ImportSignalSettings) -> Mapping[str, Any]:
    """Extent of a recording from its header."""
    from triptych.readers.mne import open_raw

    raw, _ = open_raw(path, project=False)
    return {
        "channels": len(raw.ch_names),
        "samples": int(raw.n_times),
        "sampling_rate_hz": float(raw.info["sfreq"]),
    }


def estimate(extent: Mapping[str, Any], settings: ImportSignalSettings) -> Estimate:
    """Chunks, bytes and memory."""
    seconds = extent["samples"] / extent["sampling_rate_hz"]
    rate = min(settings.sampling_rate_hz, extent["sampling_rate_hz"])
    blocks = max(1, -(-int(seconds) // int(settings.chunk_s)))
    raw_chunk = settings.chunk_s * extent["sampling_rate_hz"] * extent["channels"] * 8
    return Estimate(
        blocks=blocks,
        output_bytes=int(seconds * rate * extent["channels"] * 4),
        memory_bytes=int(2.5 * raw_chunk) + 300_000_000,
        files=2 * blocks + 6,
    )


def recording_files(path: Path) -> Sequence[Path]:
    """All files of the recording, and those of a BIDS dataset that describe it."""
    from triptych.readers.recording_files import recording_files

    return recording_files(path)


def prepared(context: Context) -> Sequence[str]:
    """The arrays' metadata and the plan; there is a reference array only where there are such channels."""
    return [PLAN, "signal.zarr/data/zarr.json", "signal.zarr/reference/zarr.json"]


def chunks(context: Context) -> int:
    """Number of chunks of time."""
    plan = plan_of(context)
    return -(-int(plan["samples"]) // int(plan["chunk"]))


def owned(context: Context, index: int) -> Sequence[str]:
    """The chunk files and the summary of a block."""
    from triptych.stores.signal import chunk_keys

    plan = plan_of(context)
    references = len(plan["analog"]) + len(plan["trigger"])
    return [*chunk_keys(index, references), f"scratch/chunk/{index:06d}.npz"]


def filter_chunk(context: Context, index: int) -> None:
    """Filter, resample and write one chunk; leave its scales and bad samples for the last phase."""
    import numpy as np

    from triptych.dictionary import fir
    from triptych.engine.files import save_arrays
    from triptych.readers.mne import read_samples
    from triptych.stores import signal

    plan, settings, path = plan_of(context), context.settings, context.source("raw")
    raw_samples, rate = int(plan["raw_samples"]), float(plan["raw_rate_hz"])
    filtering = filtering_of(settings, rate)
    start = index * int(plan["chunk"])
    stop = min(start + int(plan["chunk"]), int(plan["samples"]))
    channels = [*plan["brain"].tolist(), *plan["analog"].tolist()]
    broken: list[Any] = []

    def read(first: int, last: int) -> Any:
        raw = read_samples(path, channels, first, last, project=settings.apply_projections)
        finite = np.isfinite(raw)
        if not finite.all():
            if settings.nonfinite == "error":
                row, column = np.argwhere(~finite)[0]
                raise InputError(
                    f"{path} holds a value that is not finite in channel {plan['names'][channels[row]]} at "
                    f"{(first + column) / rate:.3f} s; set nonfinite = exclude, or mark the channel as bad"
                )
            broken.append(np.flatnonzero(~finite.all(axis=0)) + first)
            raw = np.where(finite, raw, 0.0)
        return raw

    filtered = fir.apply(filtering, read, raw_samples, start, stop)
    n_brain = len(plan["brain"])
    data = filtered[:n_brain]
    averaged = plan["averaged"]
    if len(averaged):
        data[averaged] -= data[averaged].mean(axis=0)
    held = _triggers(context, plan, filtering, start, stop)
    reference = np.concatenate([filtered[n_brain:], held]) if len(filtered) > n_brain or len(held) else None
    signal.write_chunk(
        context.path(signal.STORE),
        start,
        data.astype(np.float32),
        None if reference is None else reference.astype(np.float32),
    )
    away = np.abs(data - np.median(data, axis=1, keepdims=True))
    centred = data - data.mean(axis=1, keepdims=True)
    save_arrays(
        context.path(f"scratch/chunk/{index:06d}.npz"),
        {
            "deviation": 1.4826 * np.median(away, axis=1),
            "largest": np.abs(data).max(axis=1),
            "product": centred @ centred.T,
            "broken": np.unique(np.concatenate([np.empty(0, np.int64), *broken])),
        },
    )


def _triggers(context: Context, plan: Any, filtering: Filtering, start: int, stop: int) -> Any:
    import numpy as np

    from triptych.dictionary import fir
    from triptych.readers.mne import read_samples

    trigger = plan["trigger"].tolist()
    if not trigger:
        return np.empty((0, stop - start))
    path = context.source("raw")
    return fir.strongest(
        filtering,
        lambda first, last: read_samples(
            path, trigger, first, last, project=context.settings.apply_projections
        ),
        int(plan["raw_samples"]),
        start,
        stop,
    )


def finish(context: Context) -> None:
    """Scales, bad spans, events and truth; the attributes make the store whole."""
    import numpy as np

    from triptych.engine.files import load_arrays
    from triptych.readers.mne import UNITS, Mark
    from triptych.stores import signal

    header, plan, settings = header_of(context), plan_of(context), context.settings
    parts = [load_arrays(context.path(f"scratch/chunk/{i:06d}.npz")) for i in range(chunks(context))]
    brain, references = plan["brain"].tolist(), [*plan["analog"].tolist(), *plan["trigger"].tolist()]
    types = [header.types[i] for i in brain]
    deviation = np.stack([part["deviation"] for part in parts])
    scales = {kind: float(np.median(deviation[:, [t == kind for t in types]])) for kind in sorted(set(types))}
    if flat := [kind for kind, scale in scales.items() if not scale > FAINTEST.get(kind, FAINTEST["eeg"])]:
        raise InputError(
            f"{context.source('raw')}: most {flat[0]} channels are flat; mark the flat ones as bad_channels"
        )
    filtering = filtering_of(settings, header.sampling_rate_hz)
    rate = header.sampling_rate_hz * filtering.up / filtering.down
    scale = np.array([scales[kind] for kind in types])
    product = sum(part["product"] for part in parts) / np.outer(scale, scale)
    values = np.linalg.eigvalsh(product)
    spans = [*header.bad_spans, *(Mark(a, b - a, "excluded") for a, b in settings.excluded_spans_s)]
    spans += broken_spans(np.concatenate([part["broken"] for part in parts]), filtering.half, header)
    bad = bad_channels_of(settings, header)
    signal.write_attributes(
        context.path(signal.STORE),
        signal.SignalInfo(
            sampling_rate_hz=rate,
            samples=int(plan["samples"]),
            names=tuple(header.names[i] for i in brain),
            types=tuple(types),
            units=tuple(UNITS.get(kind, "V") for kind in types),
            positions=header.positions[brain],
            scales=scales,
            reference_names=tuple(header.names[i] for i in references),
            reference_types=tuple(header.types[i] for i in references),
            bad_channels=tuple(bad),
            bad_spans=np.array(sorted((m.onset_s, m.onset_s + m.duration_s) for m in spans)).reshape(-1, 2),
            raw_rate_hz=header.sampling_rate_hz,
            high_pass_hz=max(settings.high_pass_hz, header.high_pass_hz),
            low_pass_hz=min(settings.low_pass_hz or rate / 2, header.low_pass_hz, rate / 2),
            notch_hz=settings.notch_hz,
            eeg_reference="average" if len(plan["averaged"]) else "as_recorded",
            projections=header.projections,
            maxfiltered=header.maxfiltered,
            rank=int((values > 1e-10 * values.max()).sum()),
            locations=header.locations[brain],
            coil_types=tuple(header.coil_types[i] for i in brain),
            device_to_head=header.device_to_head,
            head_sphere=header.head_sphere,
        ),
    )
    _write_marks(context, header.events, rate, int(plan["samples"]))


def _write_marks(context: Context, marks: Sequence[Any], rate: float, samples: int) -> None:
    import numpy as np

    from triptych.readers.events_table import read_truth
    from triptych.stores import signal

    def write(key: str, onset: Any, duration: Any, kind: list[str]) -> None:
        nearest = np.clip(np.rint(onset * rate).astype(np.int64), 0, samples - 1)
        signal.write_events(context.path(key), onset, nearest, duration, kind)

    write(
        signal.EVENTS,
        np.array([mark.onset_s for mark in marks]),
        np.array([mark.duration_s for mark in marks]),
        [mark.kind for mark in marks],
    )
    if "truth" in context.inputs:
        onset, kind = read_truth(context.source("truth"), samples / rate)
        write(signal.TRUTH, onset, np.zeros(len(onset)), kind)


def finished(context: Context) -> Sequence[str]:
    """The group's metadata and the tables."""
    from triptych.stores import signal

    return [
        f"{signal.STORE}/zarr.json",
        signal.EVENTS,
        *([signal.TRUTH] if "truth" in context.inputs else []),
    ]


def summary(context: Context) -> dict[str, Any]:
    """Counts of what was read, and what the reader decided."""
    import numpy as np

    from triptych.stores import signal

    header = header_of(context)
    info = signal.open_signal(context.path(signal.STORE)).info
    events = signal.read_events(context.path(signal.EVENTS))
    kinds, numbers = np.unique(events.columns["kind"], return_counts=True)
    bad_s = float((~info.good(0, info.samples)).sum() / info.sampling_rate_hz)
    notes = list(header.notes)
    if info.bad_channels:
        notes.append(f"left out as bad: {', '.join(info.bad_channels)}")
    if info.raw_rate_hz > context.settings.sampling_rate_hz != info.sampling_rate_hz:
        notes.append(
            f"resampled to {info.sampling_rate_hz:.6g} Hz, the raw rate {info.raw_rate_hz:.6g} Hz divided by a whole number"
        )
    if not len(events):
        notes.append("the recording has no events")
    flat = _flat_channels(context, info.names)
    if flat:
        notes.append(f"flat channels: {', '.join(flat)}; mark them as bad_channels")
    return {
        "counts": {
            "channels": len(info.names),
            "reference_channels": len(info.reference_names),
            "samples": info.samples,
            "events": {str(kind): int(number) for kind, number in zip(kinds, numbers, strict=True)},
            "bad_channels": len(info.bad_channels),
            "rank": info.rank,
        },
        "scores": {
            "sampling_rate_hz": info.sampling_rate_hz,
            "duration_s": info.samples / info.sampling_rate_hz,
            "bad_s": bad_s,
        },
        "notes": notes,
    }


def _flat_channels(context: Context, names: tuple[str, ...]) -> list[str]:
    import numpy as np

    from triptych.engine.files import load_arrays

    largest = np.max(
        [load_arrays(context.path(f"scratch/chunk/{i:06d}.npz"))["largest"] for i in range(chunks(context))],
        axis=0,
    )
    return [name for name, value in zip(names, largest, strict=True) if value <= 1e-9 * np.median(largest)]


STEP = Step(
    name="import_signal",
    version=2,
    scope="sample",
    kinds=("signal",),
    help="Read a MEG or EEG recording, filter and resample it, and keep its events, positions and bad spans.",
    settings=ImportSignalSettings,
    inputs=(
        Input("raw", "recording: .fif, .edf, .bdf, .set or .vhdr", sheet="path", files=recording_files),
        Input("truth", "known events: TSV with onset_s and kind", required=False, sheet="labels_events"),
    ),
    outputs=("signal.zarr", "events.parquet", "truth.parquet"),
    phases=(
        Reduce("prepare", prepared, prepare),
        Map("filter", chunks, owned, filter_chunk),
        Reduce("finish", finished, finish),
    ),
    summary=summary,
    sheet_fields=("bad_channels",),
    estimate=estimate,
    probe=probe,
)
