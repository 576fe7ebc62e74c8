"""signal.zarr and its events: what is written is read, and what is no signal is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import zarr

from triptych.errors import InputError
from triptych.stores import signal

INFO = signal.SignalInfo(
    sampling_rate_hz=10.0,
    samples=95,
    names=("M1", "E1", "E2"),
    types=("mag", "eeg", "eeg"),
    units=("T", "V", "V"),
    positions=np.array([[0.1, 0.2, 0.3], [np.nan] * 3, [0.0, 0.1, 0.0]]),
    scales={"eeg": 2.0, "mag": 4.0},
    reference_names=("EOG",),
    reference_types=("eog",),
    bad_channels=("E9",),
    bad_spans=np.array([[1.0, 2.05], [5.0, 5.0]]),
    raw_rate_hz=100.0,
    high_pass_hz=1.0,
    low_pass_hz=4.0,
    notch_hz=0.0,
    eeg_reference="as_recorded",
    projections=("PCA (applied)",),
    maxfiltered=False,
    rank=3,
)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / signal.STORE
    signal.create_arrays(path, 3, 1, 95, 40)
    data = np.arange(4 * 95, dtype=np.float32).reshape(4, 95)
    for start in (80, 0, 40):
        part = data[:, start : start + 40]
        signal.write_chunk(path, start, part[:3], part[3:])
    signal.write_attributes(path, INFO)
    return path


def test_a_signal_comes_back(store: Path) -> None:
    found = signal.open_signal(store)
    np.testing.assert_array_equal(found.data[:], np.arange(285).reshape(3, 95))
    np.testing.assert_array_equal(found.reference[:], np.arange(285, 380).reshape(1, 95))
    np.testing.assert_array_equal(found.info.positions, INFO.positions)
    for name in ("names", "types", "scales", "bad_channels", "projections", "rank", "reference_types"):
        assert getattr(found.info, name) == getattr(INFO, name)


def test_chunk_files_are_those_that_are_named(store: Path) -> None:
    written = {path.relative_to(store.parent).as_posix() for path in store.rglob("*") if path.is_file()}
    named = {key for i in range(3) for key in signal.chunk_keys(i, 1)} | set(signal.array_metadata(1))
    assert written == named | {f"{signal.STORE}/zarr.json"}


def test_channels_are_scaled_by_type_and_picked_by_row(store: Path) -> None:
    np.testing.assert_allclose(signal.scaled(store).read(3, 5), [[0.75, 1.0], [49, 49.5], [96.5, 97]])
    picked = signal.ScaledSignal(store, INFO, (2, 0), np.array([1.0, 10.0]))
    np.testing.assert_allclose(picked.read(0, 1), [[190.0], [0.0]])
    np.testing.assert_allclose(signal.Reference(store, (0,)).read(1, 2), [[286.0]])


def test_bad_spans_and_borders_are_not_good() -> None:
    assert np.flatnonzero(~INFO.good(0, 95)).tolist() == [*range(10, 21), 50]
    assert np.flatnonzero(~INFO.good(15, 30)).tolist() == [0, 1, 2, 3, 4, 5]


def test_what_is_no_signal_is_refused(store: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        signal.open_signal(tmp_path / "none.zarr")
    zarr.create_group(tmp_path / "other.zarr", attributes={"triptych": "cloud"})
    with pytest.raises(InputError, match="not a signal"):
        signal.open_signal(tmp_path / "other.zarr")
    (store / "zarr.json").unlink()
    with pytest.raises(InputError, match="not a"):
        signal.open_signal(store)


def test_a_torn_chunk_is_named(store: Path) -> None:
    chunk = store / "data" / "c" / "0" / "1"
    content = bytearray(chunk.read_bytes())
    content[len(content) // 2] ^= 0xFF
    chunk.write_bytes(content)
    recording = signal.scaled(store)
    recording.read(0, 10)
    with pytest.raises(InputError, match="cannot be read from sample 40"):
        recording.read(40, 50)


def test_equal_signals_have_equal_bytes(store: Path, tmp_path: Path) -> None:
    before = (store / "zarr.json").read_bytes()
    signal.write_attributes(tmp_path / "again.zarr", replace(INFO))
    assert (tmp_path / "again.zarr" / "zarr.json").read_bytes() == before


def test_events_come_back(tmp_path: Path) -> None:
    path = tmp_path / "events.parquet"
    signal.write_events(path, np.array([0.5, 1.0]), np.array([5, 10]), np.array([0.0, 0.2]), ["a", "b"])
    columns = signal.read_events(path).columns
    assert columns["kind"].tolist() == ["a", "b"]
    assert columns["sample"].tolist() == [5, 10]
    signal.write_events(path, np.empty(0), np.empty(0, np.int64), np.empty(0), [])
    assert len(signal.read_events(path)) == 0
