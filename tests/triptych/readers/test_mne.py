"""Recordings of four formats, and recordings that are none."""

import shutil
from pathlib import Path

import mne
import numpy as np
import pybv
import pytest
from eeglabio.raw import export_set

from triptych.errors import InputError, UsageError
from triptych.readers import mne as readers

RATE = 200.0
NAMES = ["Fp1", "Fp2", "C3", "C4", "O1", "O2"]


@pytest.fixture(scope="module")
def data() -> np.ndarray:
    return 1e-5 * np.random.default_rng(0).standard_normal((6, 2000))


def raw_of(data: np.ndarray) -> mne.io.RawArray:
    raw = mne.io.RawArray(data, mne.create_info(NAMES, RATE, "eeg"), verbose="ERROR")
    raw.set_annotations(mne.Annotations([1.0, 2.5, 4.0], [0.0, 0.5, 0.0], ["tone", "BAD_move", "tone"]))
    return raw


@pytest.fixture(scope="module")
def fif(tmp_path_factory: pytest.TempPathFactory, data: np.ndarray) -> Path:
    path = tmp_path_factory.mktemp("fif") / "rest_raw.fif"
    raw_of(data).save(path, verbose="ERROR")
    return path


def write(kind: str, folder: Path, data: np.ndarray) -> Path:
    if kind == "vhdr":
        pybv.write_brainvision(
            data=data,
            sfreq=RATE,
            ch_names=NAMES,
            fname_base="rest",
            folder_out=folder,
            unit="µV",
            resolution=0.001,
        )
        return folder / "rest.vhdr"
    if kind == "set":
        path = folder / "rest.set"
        export_set(str(path), data, RATE, NAMES)
        return path
    path = folder / f"rest.{kind}"
    raw = raw_of(data)
    raw.set_annotations(None)
    raw.export(path, physical_range="auto", verbose="ERROR")
    return path


@pytest.mark.parametrize("kind", ["vhdr", "set", "edf"])
def test_formats_give_the_samples_that_were_written(kind: str, tmp_path: Path, data: np.ndarray) -> None:
    path = write(kind, tmp_path, data)
    header = readers.read_header(path)
    assert (header.sampling_rate_hz, header.samples, header.names) == (RATE, 2000, tuple(NAMES))
    parts = [readers.read_samples(path, [1, 4], a, b, project=True) for a, b in ((0, 700), (700, 2000))]
    np.testing.assert_allclose(np.concatenate(parts, axis=1), data[[1, 4]], atol=3e-9)
    assert np.isfinite(header.positions).all()
    assert any("take their positions" in note for note in header.notes)


def test_events_and_bad_spans_are_told_apart(fif: Path) -> None:
    header = readers.read_header(fif)
    assert [(m.onset_s, m.kind) for m in header.events] == [(1.0, "tone"), (4.0, "tone")]
    assert [(m.onset_s, m.duration_s) for m in header.bad_spans] == [(2.5, 0.5)]


def test_split_files_are_one_recording(tmp_path: Path) -> None:
    long = 1e-5 * np.random.default_rng(1).standard_normal((6, 150_000)).astype(np.float32)
    path = tmp_path / "long_raw.fif"
    raw_of(long).save(path, split_size="2MB", buffer_size_sec=1.0, verbose="ERROR")
    files = readers.recording_files(path)
    assert len(files) > 1
    assert files[1].name == "long_raw-1.fif"
    assert readers.read_header(path).samples == 150_000
    np.testing.assert_allclose(
        readers.read_samples(path, [2], 149_000, 150_000, project=True)[0], long[2, 149_000:], rtol=1e-5
    )
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copyfile(path, alone / path.name)
    with pytest.raises(InputError, match=r"long_raw\.fif"):
        readers.read_header(alone / path.name)


def test_names_tell_reference_channels(tmp_path: Path, data: np.ndarray) -> None:
    raw = raw_of(data).rename_channels({"Fp1": "EOG1", "Fp2": "ECG"})
    raw.save(tmp_path / "named_raw.fif", verbose="ERROR")
    header = readers.read_header(tmp_path / "named_raw.fif")
    assert header.types[:3] == ("eog", "ecg", "eeg")
    assert any("EOG1, ECG" in note for note in header.notes)


def test_montages_are_demanded_or_left_out(fif: Path) -> None:
    assert np.isnan(readers.read_header(fif, montage="none").positions).all()
    with pytest.raises(UsageError, match="not one of mne's"):
        readers.read_header(fif, montage="colander")
    with pytest.raises(InputError, match="no channel of montage GSN"):
        readers.read_header(fif, montage="GSN-HydroCel-64_1.0")


@pytest.mark.parametrize("kept", [0.9, 0.5, 0.02])
def test_truncated_fif_is_refused(kept: float, fif: Path, tmp_path: Path) -> None:
    whole = fif.read_bytes()
    cut = tmp_path / "cut_raw.fif"
    cut.write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(InputError, match=r"cut_raw\.fif.*copy it again"):
        readers.read_header(cut)


def test_truncated_edf_and_fdt_are_refused(tmp_path: Path, data: np.ndarray, shared_data: Path) -> None:
    edf = write("edf", tmp_path, data)
    edf.write_bytes(edf.read_bytes()[: edf.stat().st_size * 2 // 3])
    with pytest.raises(InputError, match="truncated"):
        readers.read_header(edf)
    for name in ("eeglab_data.set", "eeglab_data.fdt"):
        shutil.copyfile(shared_data / "signal" / "eeglab" / name, tmp_path / name)
    fdt = tmp_path / "eeglab_data.fdt"
    fdt.write_bytes(fdt.read_bytes()[:1000])
    with pytest.raises(InputError, match="truncated: 1000 of"):
        readers.read_header(tmp_path / "eeglab_data.set")
    fdt.unlink()
    with pytest.raises(InputError, match=r"eeglab_data\.(set|fdt)"):
        readers.read_header(tmp_path / "eeglab_data.set")


@pytest.mark.parametrize("name", ["x.fif", "x.edf", "x.set", "x.vhdr", "x.bdf"])
@pytest.mark.parametrize("content", [b"", b"no recording at all\n" * 50])
def test_files_that_are_no_recording_are_refused(name: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=name.replace(".", r"\.")):
        readers.read_header(path)


def test_missing_and_unknown_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        readers.read_header(tmp_path / "none.fif")
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(InputError, match="give one of"):
        readers.read_header(tmp_path / "notes.txt")
    (tmp_path / "m.vhdr").write_text("[Common Infos]\nDataFile=m.eeg\nMarkerFile=m.vmrk\n")
    with pytest.raises(InputError, match=r"needs m\.eeg"):
        readers.read_header(tmp_path / "m.vhdr")


def test_the_trigger_channel_gives_events(shared_data: Path) -> None:
    header = readers.read_header(shared_data / "signal" / "mne-elekta3ch" / "test_elekta_3ch_raw.fif")
    assert len(header.events) == 162
    assert header.events[0].onset_s == pytest.approx(0.483)
