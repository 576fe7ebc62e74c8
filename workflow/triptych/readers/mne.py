"""MEG and EEG recordings through mne: FIF (split too), EDF+ / BDF, EEGLAB, BrainVision, read chunk by chunk.

Those in a BIDS dataset are opened through mne-bids, so that the files beside them are heard. What mne raises becomes an
``InputError``, what it warns of a note; nothing is loaded before it is asked for.
"""

from __future__ import annotations

import re
import threading
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triptych.errors import InputError
from triptych.readers import bids
from triptych.readers.montage import montage_positions
from triptych.readers.recording_files import recording_files

SUFFIXES = (".fif", ".fif.gz", ".edf", ".bdf", ".set", ".vhdr")
BRAIN = ("mag", "grad", "eeg", "seeg", "ecog", "dbs")
UNITS = {"mag": "T", "grad": "T/m"}
COMPOSITE_TRIGGERS = ("STI101", "STI201", "STI 014", "STI014", "Status", "STATUS", "TRIGGER")
NAMED_TYPES = {"EOG": "eog", "HEOG": "eog", "VEOG": "eog", "ECG": "ecg", "EKG": "ecg", "EMG": "emg"}
TRUNCATION = re.compile(r"truncat|file size|does not match|unexpected end|too short", re.IGNORECASE)
COPY_AGAIN = "copy it again from its source"


@dataclass(frozen=True)
class Mark:
    """An event or a span: seconds from the first sample of the recording."""

    onset_s: float
    duration_s: float
    kind: str


@dataclass(frozen=True)
class Header:
    """What a recording says of itself.

    Attributes
    ----------
    sampling_rate_hz, samples : of the recording.
    names, types : of all channels; types are mne's (``"mag"``, ``"grad"``, ``"eeg"``, ``"eog"``, ``"stim"``, ...).
    positions : (channels, 3) metres, NaN where the file has none.
    bad_channels : as marked in the file.
    events : annotations and pulses of the trigger channel, by onset; in a BIDS dataset those of its events.tsv.
    bad_spans : annotations that begin with BAD; boundaries between joined pieces have no duration.
    high_pass_hz, low_pass_hz : of the recording itself.
    projections : names of the signal-space projections in the file.
    maxfiltered : whether signal-space separation was applied.
    notes : what the reader decided or was warned of.
    locations : (channels, 12) mne's ``loc`` with ``positions`` in its first three columns, NaN where unknown.
    coil_types : mne's code of each channel's sensor.
    device_to_head : (4, 4) from the frame of the MEG device to that of the head; NaN where the file has none.
    head_sphere : (4,) centre and radius (m, head frame) of the sphere through the digitised head; NaN without one.
    """

    sampling_rate_hz: float
    samples: int
    names: tuple[str, ...]
    types: tuple[str, ...]
    positions: NDArray[np.float64]
    bad_channels: tuple[str, ...]
    events: tuple[Mark, ...]
    bad_spans: tuple[Mark, ...]
    high_pass_hz: float
    low_pass_hz: float
    projections: tuple[str, ...]
    maxfiltered: bool
    notes: tuple[str, ...]
    locations: NDArray[np.float64]
    coil_types: tuple[int, ...]
    device_to_head: NDArray[np.float64]
    head_sphere: NDArray[np.float64]

    def of(self, kinds: tuple[str, ...]) -> list[int]:
        """Numbers of the channels of these types, in the order of the file."""
        return [i for i, kind in enumerate(self.types) if kind in kinds]


_opened = threading.local()


def open_raw(path: Path, *, project: bool) -> tuple[Any, list[str]]:
    """mne's recording, not loaded, and the notes its reader made; kept open per thread.

    Raises
    ------
    InputError
        The file is missing, empty, truncated, of an unknown format, or lacks a file that belongs to it.
    """
    states = [file.stat() for file in (path, *bids.sidecars(path)) if file.is_file()]
    key = (path, project, *((state.st_mtime_ns, state.st_size) for state in states))
    if getattr(_opened, "key", None) != key:
        _opened.value = _open(path, project)
        _opened.key = key
    raw, notes = _opened.value
    return raw, notes


def _open(path: Path, project: bool) -> tuple[Any, list[str]]:
    if not path.exists():
        raise InputError(f"{path} does not exist; check the path")
    if not path.is_file() or not path.name.lower().endswith(SUFFIXES):
        raise InputError(f"{path} is not a recording that can be read: give one of {', '.join(SUFFIXES)}")
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty; {COPY_AGAIN}")
    _check_companions(path)
    bids.check_sidecars(path)
    import mne

    readers = {
        ".fif": mne.io.read_raw_fif,
        ".gz": mne.io.read_raw_fif,
        ".edf": mne.io.read_raw_edf,
        ".bdf": mne.io.read_raw_bdf,
        ".set": mne.io.read_raw_eeglab,
        ".vhdr": mne.io.read_raw_brainvision,
    }
    options: dict[str, Any] = {"allow_maxshield": "yes"} if path.suffix in (".fif", ".gz") else {}
    in_dataset = bids.place_of(path) is not None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            if in_dataset:
                raw = bids.read_raw(path, **options)
            else:
                raw = readers[path.suffix.lower()](path, preload=False, verbose="WARNING", **options)
            if project and raw.info["projs"]:
                raw.apply_proj(verbose="ERROR")
        except (
            Exception
        ) as error:  # mne raises whatever its parsers meet; the user needs the file and the reason
            remedy = bids.REMEDY if in_dataset else COPY_AGAIN
            raise InputError(
                f"{path} cannot be read as a recording ({_sentence(error)}); {remedy}"
            ) from error
    remarks = [bids.remark(path, warning.message) for warning in caught]
    said = list(dict.fromkeys(_sentence(remark) for remark in remarks if remark))
    for sentence in said:
        if TRUNCATION.search(sentence) and "sidecar" not in sentence:
            raise InputError(f"{path} is truncated ({sentence}); {COPY_AGAIN}")
    _check_length(path, raw)
    return raw, said


def _sentence(error: object) -> str:
    text = " ".join(str(error).split())
    return re.split(r"(?<=[a-z\)'\"\]])\.\s", text)[0].rstrip(".")[:200] or type(error).__name__


def _check_companions(path: Path) -> None:
    """Files that a header names must lie beside it."""
    missing = [file for file in recording_files(path) if not file.is_file()]
    if missing:
        raise InputError(f"{path} needs {missing[0].name} beside it, which is missing; copy both files")


def _check_length(path: Path, raw: Any) -> None:
    """The data behind a header must be as long as it says: the last sample can be read."""
    if raw.n_times < 2:
        raise InputError(f"{path} holds no samples; {COPY_AGAIN}")
    fdt = path.with_suffix(".fdt")
    if path.suffix.lower() == ".set" and fdt.is_file():
        wanted = 4 * raw.n_times * len(raw.ch_names)
        if fdt.stat().st_size < wanted:
            raise InputError(f"{fdt} is truncated: {fdt.stat().st_size} of {wanted} bytes; {COPY_AGAIN}")
    try:
        raw.get_data(picks=[0], start=raw.n_times - 1, stop=raw.n_times, verbose="ERROR")
    except Exception as error:  # as in _open
        raise InputError(
            f"{path} is truncated: its last sample cannot be read ({_sentence(error)}); {COPY_AGAIN}"
        ) from error


def read_header(path: Path, *, montage: str = "auto", project: bool = True) -> Header:
    """What a recording says of itself.

    Parameters
    ----------
    path : .fif, .edf, .bdf, .set or .vhdr; other files of the recording are found beside it.
    montage : name of a montage of mne whose positions EEG channels take by name; ``"auto"`` takes the 10-05 system where the
        file has no EEG positions; ``"none"`` takes those of the file or none.
    project : apply the file's signal-space projections.

    Raises
    ------
    InputError
        As ``open_raw``, or the montage is unknown or fits no channel.
    """
    raw, said = open_raw(path, project=project)
    described = bids.describe(path, raw)
    notes = [*(f"the reader warned: {sentence}" for sentence in said), *described.notes]
    names = tuple(raw.ch_names)
    types = list(raw.get_channel_types())
    renamed = []
    for i, (name, kind) in enumerate(zip(names, types, strict=True)):
        word = re.match(r"[A-Za-z]+", name.removeprefix("EEG ").strip())
        if described.channels or kind not in ("eeg", "misc", "bio"):
            continue
        if word and word[0].upper() in NAMED_TYPES:
            types[i] = NAMED_TYPES[word[0].upper()]
            renamed.append(name)
    if renamed:
        notes.append(f"taken for reference channels by their names: {', '.join(renamed)}")
    positions = np.array([channel["loc"][:3] for channel in raw.info["chs"]], dtype=np.float64)
    positions[(positions == 0).all(axis=1)] = np.nan
    placed, note = montage_positions(path, names, types, positions, montage)
    notes += [note] if note else []
    try:
        events, spans = _marks(raw, triggers=not described.events)
    except (ValueError, RuntimeError, OSError) as error:
        raise InputError(f"the events of {path} cannot be read ({_sentence(error)}); {COPY_AGAIN}") from error
    locations = np.array([channel["loc"][:12] for channel in raw.info["chs"]], dtype=np.float64)
    locations[:, :3] = placed
    projections = [f"{p['desc']} ({'applied' if p['active'] else 'not applied'})" for p in raw.info["projs"]]
    return Header(
        sampling_rate_hz=float(raw.info["sfreq"]),
        samples=int(raw.n_times),
        names=names,
        types=tuple(types),
        positions=placed,
        bad_channels=tuple(raw.info["bads"]),
        events=tuple(events),
        bad_spans=tuple(spans),
        high_pass_hz=float(raw.info["highpass"]),
        low_pass_hz=float(raw.info["lowpass"]),
        projections=tuple(projections),
        maxfiltered=bool(raw.info["proc_history"]),
        notes=tuple(notes),
        locations=locations,
        coil_types=tuple(int(channel["coil_type"]) for channel in raw.info["chs"]),
        device_to_head=_device_to_head(raw.info),
        head_sphere=_head_sphere(raw.info),
    )


def _device_to_head(info: Any) -> NDArray[np.float64]:
    transform = info["dev_head_t"]
    return np.full((4, 4), np.nan) if transform is None else np.array(transform["trans"], dtype=np.float64)


def _head_sphere(info: Any) -> NDArray[np.float64]:
    """Sphere through the digitised points of the head, those of the face left out."""
    import mne

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            radius, center, _ = mne.bem.fit_sphere_to_headshape(info, verbose="ERROR")
        except (RuntimeError, ValueError):
            return np.full(4, np.nan)
    return np.array([*center, radius], dtype=np.float64)


def read_samples(
    path: Path, channels: list[int], start: int, stop: int, *, project: bool
) -> NDArray[np.float64]:
    """Samples ``start`` to ``stop`` of some channels, (channels, samples) float64 in SI units.

    Raises
    ------
    InputError
        The file ends before the samples do, or cannot be decoded.
    """
    raw, _ = open_raw(path, project=project)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            data = raw.get_data(picks=channels, start=start, stop=stop, verbose="ERROR")
        except Exception as error:  # as in _open
            raise InputError(
                f"{path} cannot be read from sample {start} to {stop} ({_sentence(error)}); {COPY_AGAIN}"
            ) from error
    if data.shape[1] != stop - start:
        raise InputError(f"{path} ends at sample {start + data.shape[1]} of {raw.n_times}; {COPY_AGAIN}")
    return np.asarray(data, dtype=np.float64)


def _marks(raw: Any, *, triggers: bool) -> tuple[list[Mark], list[Mark]]:
    """Events (with ``triggers`` also those of the trigger channels) and bad spans of a recording."""
    events: list[Mark] = []
    spans: list[Mark] = []
    last = raw.n_times / raw.info["sfreq"]
    for entry in raw.annotations:
        mark = Mark(
            float(entry["onset"]) - raw.first_time, float(entry["duration"]), str(entry["description"])
        )
        word = mark.kind.lower()
        if word.startswith("bad") or word.startswith("edge") or word == "boundary":
            begin, end = max(0.0, mark.onset_s), min(last, mark.onset_s + mark.duration_s)
            if end >= begin:
                spans.append(Mark(begin, end - begin, mark.kind))
        elif 0 <= mark.onset_s < last:
            events.append(mark)
    events += _triggers(raw) if triggers else []
    events.sort(key=lambda mark: (mark.onset_s, mark.kind))
    spans.sort(key=lambda mark: (mark.onset_s, mark.kind))
    return events, spans


def _triggers(raw: Any) -> list[Mark]:
    """Onsets on the trigger channels; the composite channel alone where there is one."""
    import mne

    lines = [name for name, kind in zip(raw.ch_names, raw.get_channel_types(), strict=True) if kind == "stim"]
    lines = [name for name in COMPOSITE_TRIGGERS if name in lines][:1] or lines
    found: list[Mark] = []
    for line in lines:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pulses = mne.find_events(
                raw, stim_channel=line, shortest_event=1, initial_event=False, verbose="ERROR"
            )
        prefix = f"{line}/" if len(lines) > 1 else ""
        found += [
            Mark((int(sample) - raw.first_samp) / float(raw.info["sfreq"]), 0.0, f"{prefix}{code}")
            for sample, _, code in pulses
        ]
    return found
