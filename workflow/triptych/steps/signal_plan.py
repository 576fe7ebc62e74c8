"""What ``import_signal`` decides before it filters: channels, filter, reference, and the plan its blocks read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from triptych.engine.step import Context
from triptych.errors import InputError, UsageError

if TYPE_CHECKING:
    from triptych.dictionary.fir import Filtering
    from triptych.readers.mne import Header

LEAST_AVERAGED = 16
PLAN = "scratch/plan.npz"


def header_of(context: Context) -> Header:
    """The header of the recording, positions included."""
    from triptych.readers.mne import read_header

    settings = context.settings
    return read_header(context.source("raw"), montage=settings.montage, project=settings.apply_projections)


def filtering_of(settings: Any, rate_hz: float) -> Filtering:
    """The filter that the settings ask for, at the recording's rate."""
    from triptych.dictionary import fir

    try:
        return fir.design(
            rate_hz,
            fir.rational(rate_hz, settings.sampling_rate_hz),
            settings.high_pass_hz or None,
            settings.low_pass_hz or None,
            settings.notch_hz or None,
        )
    except ValueError as error:
        raise UsageError(f"import_signal at {rate_hz:g} Hz: {error}") from error


def bad_channels_of(settings: Any, header: Header) -> list[str]:
    """Channels that the file or the sheet mark as bad, in the order of the file."""
    named = [name.strip() for name in settings.bad_channels.split(",") if name.strip()]
    if unknown := [name for name in named if name not in header.names]:
        raise InputError(
            f"bad_channels names {unknown[0]!r}, which the recording does not have; its channels are "
            f"{', '.join(header.names[:8])}, ..."
        )
    return sorted(set(named) | set(header.bad_channels), key=header.names.index)


def prepare(context: Context) -> None:
    """Read the header, choose channels, write the metadata of the arrays and the plan of the blocks."""
    import numpy as np

    from triptych.engine.files import save_arrays
    from triptych.readers.mne import BRAIN
    from triptych.stores import signal

    header, settings, path = header_of(context), context.settings, context.source("raw")
    bad = bad_channels_of(settings, header)
    brain = [i for i in header.of(BRAIN) if header.names[i] not in bad]
    if not brain:
        raise InputError(
            f"{path} has no MEG or EEG channel that is not bad; its channels are of type "
            f"{', '.join(sorted(set(header.types)))}"
        )
    analog = header.of(("eog", "ecg", "emg"))
    trigger = header.of(("stim",))
    filtering = filtering_of(settings, header.sampling_rate_hz)
    if header.samples <= 2 * filtering.half:
        raise InputError(
            f"{path} lasts {header.samples / header.sampling_rate_hz:.3g} s, which is shorter than the filter "
            f"({2 * filtering.half / header.sampling_rate_hz:.3g} s); set high_pass_hz higher, or 0"
        )
    rate = header.sampling_rate_hz * filtering.up / filtering.down
    samples = filtering.samples(header.samples)
    chunk = max(1, round(settings.chunk_s * rate))
    references = len(analog) + len(trigger)
    signal.create_arrays(context.path(signal.STORE), len(brain), references, samples, chunk)
    save_arrays(
        context.path(PLAN),
        {
            "brain": np.array(brain, np.int64),
            "analog": np.array(analog, np.int64),
            "trigger": np.array(trigger, np.int64),
            "averaged": np.array(_averaged(settings, header, brain), np.int64),
            "samples": np.array(samples),
            "chunk": np.array(chunk),
            "raw_samples": np.array(header.samples),
            "raw_rate_hz": np.array(header.sampling_rate_hz),
            "names": np.array(header.names),
        },
    )


def _averaged(settings: Any, header: Header, brain: list[int]) -> list[int]:
    """Rows of the data that the average reference is taken over; none where it is not taken."""
    rows = [row for row, i in enumerate(brain) if header.types[i] == "eeg"]
    return rows if settings.eeg_reference == "average" and len(rows) >= LEAST_AVERAGED else []


def plan_of(context: Context) -> Any:
    """The plan that ``prepare`` left for the blocks."""
    from triptych.engine.files import load_arrays

    return load_arrays(context.path(PLAN))


def broken_spans(samples: Any, half: int, header: Header) -> list[Any]:
    """Spans around values that are not finite, as wide as the filter spreads them."""
    import numpy as np

    from triptych.readers.mne import Mark

    samples = np.unique(samples)
    if not len(samples):
        return []
    rate = header.sampling_rate_hz
    runs = np.split(samples, np.flatnonzero(np.diff(samples) > 2 * half + 1) + 1)
    spans = []
    for run in runs:
        start, stop = max(0, int(run[0]) - half), min(header.samples, int(run[-1]) + half + 1)
        spans.append(Mark(start / rate, (stop - start) / rate, "not finite"))
    return spans
