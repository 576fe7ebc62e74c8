"""``signal.zarr``: brain channels by time in chunks of all channels, reference channels beside them.

``data`` (channels, time) float32 in SI units, ``reference`` (channels, time) float32 likewise; trigger lines keep their numbers.
The attributes of the group say what the channels are and which spans are bad. The group's metadata is written last.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import Crc32cCodec, ZstdCodec

from triptych.errors import InputError
from triptych.stores.table import Field, Table, read_table, write_table

STORE = "signal.zarr"
EVENTS = "events.parquet"
TRUTH = "truth.parquet"
REMEDY = "give the signal.zarr that import_signal wrote, or run import_signal again"

# Attributes whose numbers may be missing, which JSON knows as null.
PLACES = {"positions": (-1, 3), "locations": (-1, 12), "device_to_head": (4, 4), "head_sphere": (4,)}

EVENT_FIELDS = {
    "onset_s": Field("s", "event", "Onset from the first sample of the recording.", role="descriptor"),
    "sample": Field("", "event", "Sample of signal.zarr nearest to the onset.", role="descriptor"),
    "duration_s": Field("s", "event", "Duration; zero for a trigger.", role="descriptor"),
    "kind": Field("", "event", "Name of the annotation or number of the trigger.", role="descriptor"),
}


@dataclass(frozen=True)
class SignalInfo:
    """What the channels of a signal are.

    Attributes
    ----------
    sampling_rate_hz : of ``data`` and ``reference``.
    samples : T.
    names, types, units : of the channels of ``data``.
    positions : (P, 3) metres, NaN where unknown.
    scales : per sensor type, robust standard deviation in SI units.
    reference_names, reference_types : of the channels of ``reference``.
    bad_channels : left out of ``data``.
    bad_spans : (n, 2) seconds; start equal to stop marks a border between pieces.
    raw_rate_hz, high_pass_hz, low_pass_hz, notch_hz : how the signal was made; 0 where nothing was done.
    eeg_reference : ``"average"`` or ``"as_recorded"``.
    projections, maxfiltered : as the file says.
    rank : number of channels less the dimensions that projections, separation and re-referencing took.
    locations : (P, 12) as in mne: place of the sensor (m), then the axes of a coil or the place of an electrode's reference;
        MEG in the frame of the device, EEG in that of the head; NaN where unknown. No rows in signals of earlier versions.
    coil_types : mne's code of each channel of ``data``; 0 where unknown.
    device_to_head : (4, 4) from the frame of the MEG device to that of the head; NaN where unknown.
    head_sphere : (4,) centre and radius (m, head frame) of the sphere through the digitised head; NaN where it was not digitised.
    """

    sampling_rate_hz: float
    samples: int
    names: tuple[str, ...]
    types: tuple[str, ...]
    units: tuple[str, ...]
    positions: NDArray[np.float64]
    scales: dict[str, float]
    reference_names: tuple[str, ...]
    reference_types: tuple[str, ...]
    bad_channels: tuple[str, ...]
    bad_spans: NDArray[np.float64]
    raw_rate_hz: float
    high_pass_hz: float
    low_pass_hz: float
    notch_hz: float
    eeg_reference: str
    projections: tuple[str, ...]
    maxfiltered: bool
    rank: int
    locations: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 12)))
    coil_types: tuple[int, ...] = ()
    device_to_head: NDArray[np.float64] = field(default_factory=lambda: np.full((4, 4), np.nan))
    head_sphere: NDArray[np.float64] = field(default_factory=lambda: np.full(4, np.nan))

    @property
    def channel_scales(self) -> NDArray[np.float64]:
        """The scale of each channel of ``data``, (P,), by its sensor type."""
        return np.array([self.scales[kind] for kind in self.types], dtype=np.float64)

    def good(self, start: int, stop: int) -> NDArray[np.bool_]:
        """Which samples lie in no bad span, (stop - start,) bool; a border between pieces costs one sample."""
        good = np.ones(stop - start, dtype=bool)
        for begin, end in self.bad_spans:
            first = int(np.floor(begin * self.sampling_rate_hz))
            last = max(first + 1, int(np.ceil(end * self.sampling_rate_hz)))
            good[max(0, first - start) : max(0, last - start)] = False
        return good


@dataclass(frozen=True)
class Signal:
    """An open signal: ``data`` and ``reference`` are Zarr arrays (channels, time); ``reference`` may be None."""

    info: SignalInfo
    data: Any
    reference: Any | None


@dataclass(frozen=True)
class ScaledSignal:
    """Channels of a signal, each divided by a scale; picklable, read by ranges.

    Attributes
    ----------
    path, info : of the signal.
    rows : channels of ``data`` to read, in this order.
    scales : (len(rows),) divisors in SI units.
    """

    path: Path
    info: SignalInfo
    rows: tuple[int, ...]
    scales: NDArray[np.float64]

    @property
    def samples(self) -> int:
        """Number of samples T."""
        return self.info.samples

    def read(self, start: int, stop: int) -> NDArray[np.float64]:
        """Samples ``start`` to ``stop``, (P, n) float64."""
        try:
            stored: Any = zarr.open_array(self.path / "data", mode="r")[:, start:stop]
        except (ValueError, RuntimeError, OSError) as error:
            raise InputError(f"{self.path} cannot be read from sample {start} to {stop}; {REMEDY}") from error
        scaled: NDArray[np.float64] = stored[list(self.rows)].astype(np.float64) / self.scales[:, None]
        return scaled

    def good(self, start: int, stop: int) -> NDArray[np.bool_]:
        """Which of these samples lie in no bad span."""
        return self.info.good(start, stop)


@dataclass(frozen=True)
class Reference:
    """Reference channels of a signal, read by ranges; picklable."""

    path: Path
    rows: tuple[int, ...]

    def read(self, start: int, stop: int) -> NDArray[np.float64]:
        """Samples ``start`` to ``stop``, (channels, n) float64, SI units."""
        stored: Any = zarr.open_array(self.path / "reference", mode="r")[:, start:stop]
        rows: NDArray[np.float64] = stored[list(self.rows)].astype(np.float64)
        return rows


def scaled(path: Path) -> ScaledSignal:
    """All channels of a signal, divided by the scales of their types."""
    info = open_signal(path).info
    return ScaledSignal(path, info, tuple(range(len(info.names))), info.channel_scales)


def create_arrays(path: Path, channels: int, references: int, samples: int, chunk_samples: int) -> None:
    """Write the metadata of the arrays; the chunks are then written by ``write_chunk``, in any order."""
    for name, rows in (("data", channels), ("reference", references)):
        if rows:
            zarr.create_array(
                store=path / name,
                shape=(rows, samples),
                chunks=(rows, chunk_samples),
                dtype="float32",
                fill_value=float("nan"),
                compressors=[ZstdCodec(level=3), Crc32cCodec()],
                dimension_names=("channel", "time"),
            )


def array_metadata(references: int) -> list[str]:
    """Keys of the metadata files that ``create_arrays`` writes, relative to the result folder."""
    return [f"{STORE}/data/zarr.json"] + ([f"{STORE}/reference/zarr.json"] if references else [])


def chunk_keys(index: int, references: int) -> list[str]:
    """Keys of the files of one chunk of time, relative to the result folder."""
    return [f"{STORE}/data/c/0/{index}"] + ([f"{STORE}/reference/c/0/{index}"] if references else [])


def write_chunk(
    path: Path, start: int, data: NDArray[np.float32], reference: NDArray[np.float32] | None
) -> None:
    """Write one whole chunk of time."""
    zarr.open_array(path / "data", mode="r+")[:, start : start + data.shape[1]] = data
    if reference is not None:
        zarr.open_array(path / "reference", mode="r+")[:, start : start + data.shape[1]] = reference


def write_attributes(path: Path, info: SignalInfo) -> None:
    """Write the group's metadata: the last write, which makes the signal whole."""
    stored = {name: getattr(info, name) for name in SignalInfo.__dataclass_fields__}
    for name in PLACES:
        stored[name] = _without_nan(stored[name])
    stored["bad_spans"] = info.bad_spans.tolist()
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in stored.items()}
    zarr.create_group(path, attributes={"triptych": "signal", **plain})


def _without_nan(values: NDArray[np.float64]) -> list[Any]:
    """Nested lists of the values, None for those that are not finite."""
    kept = values.astype(object)
    kept[~np.isfinite(values)] = None
    known: list[Any] = kept.tolist()
    return known


def open_signal(path: Path) -> Signal:
    """Open a signal to read it.

    Raises
    ------
    InputError : there is no whole signal at the path.
    """
    if not path.exists():
        raise InputError(f"{path} does not exist; {REMEDY}")
    try:
        group = zarr.open_group(path, mode="r")
        stored: dict[str, Any] = dict(group.attrs)
        if stored.pop("triptych", None) != "signal":
            raise InputError(f"{path} is not a signal of triptych; {REMEDY}")
        for name, shape in PLACES.items():
            if name in stored:
                stored[name] = np.array(stored[name], dtype=np.float64).reshape(shape)
        stored["bad_spans"] = np.array(stored["bad_spans"], dtype=np.float64).reshape(-1, 2)
        fields: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in stored.items()
        }
        info = SignalInfo(**fields)
        return Signal(info, group["data"], group["reference"] if info.reference_names else None)
    except (KeyError, TypeError, ValueError, FileNotFoundError) as error:
        raise InputError(f"{path} is not a whole signal ({type(error).__name__}); {REMEDY}") from error


def write_events(
    path: Path,
    onset_s: NDArray[np.float64],
    sample: NDArray[np.int64],
    duration_s: NDArray[np.float64],
    kind: list[str],
) -> None:
    """Write events, sorted by the caller."""
    columns = {
        "onset_s": np.asarray(onset_s, np.float64),
        "sample": np.asarray(sample, np.int64),
        "duration_s": np.asarray(duration_s, np.float64),
        "kind": np.array(kind, dtype=np.str_),
    }
    write_table(path, columns, EVENT_FIELDS)


def read_events(path: Path) -> Table:
    """Read events written by ``write_events``."""
    return read_table(path, list(EVENT_FIELDS))
