"""Recordings in BIDS datasets: what the files beside them say is heard, and belongs to the input."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import mne
import mne_bids
import numpy as np
import pytest

from triptych.errors import InputError
from triptych.readers import bids
from triptych.readers import mne as readers
from triptych.readers.recording_files import recording_files

Write = Callable[..., Path]


@pytest.fixture
def recording(write_bids: Write, tmp_path: Path) -> Path:
    return write_bids(tmp_path / "data", "01", session="a")


def beside(recording: Path, ending: str) -> Path:
    """A file that describes the recording."""
    (file,) = [path for path in bids.sidecars(recording) if path.name.endswith(ending)]
    return file


def change(path: Path, old: str, new: str, count: int = -1) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, count))


@pytest.mark.parametrize("form", ["BrainVision", "EDF", "EEGLAB", "FIF"])
def test_a_header_says_what_mne_bids_says(form: str, write_bids: Write, tmp_path: Path) -> None:
    path = write_bids(tmp_path / "data", "01", session="a", form=form)
    header = readers.read_header(path, montage="none")
    raw = mne_bids.read_raw_bids(mne_bids.get_bids_path_from_fname(path, verbose="ERROR"), verbose="ERROR")
    assert header.types == tuple(raw.get_channel_types())
    assert header.types[6:] == ("eog", "ecg", "stim")
    assert header.bad_channels == ("C4",)
    assert len(header.events) == 20
    assert {(mark.kind, mark.duration_s) for mark in header.events} == {("tone", 0.1)}
    assert header.events[0].onset_s == pytest.approx(0.7, abs=1e-9)
    assert [(mark.kind, round(mark.onset_s, 9)) for mark in header.bad_spans] == [("BAD_move", 10.0)]
    assert any("50 Hz" in note for note in header.notes)
    assert not any(str(tmp_path) in note for note in header.notes)
    if form != "FIF":
        places = np.array([channel["loc"][:3] for channel in raw.info["chs"]])
        np.testing.assert_array_equal(header.positions[:6], places[:6])
        assert np.isfinite(header.positions[:6]).all()


def test_all_files_that_are_read_are_files_of_the_recording(recording: Path, write_bids: Write) -> None:
    write_bids(recording.parents[3], "02", session="a")
    names = [path.name for path in recording_files(recording)]
    stem = "sub-01_ses-a_task-tones_run-1"
    assert names[:3] == [f"{stem}_eeg.vhdr", f"{stem}_eeg.eeg", f"{stem}_eeg.vmrk"]
    assert sorted(names[3:]) == [
        "sub-01_ses-a_space-CapTrak_coordsystem.json",
        "sub-01_ses-a_space-CapTrak_electrodes.tsv",
        f"{stem}_channels.tsv",
        f"{stem}_eeg.json",
        f"{stem}_events.tsv",
    ]


def test_files_are_inherited_from_above(recording: Path) -> None:
    root = recording.parents[3]
    shutil.move(beside(recording, "events.tsv"), root / "task-tones_events.tsv")
    shutil.move(beside(recording, "channels.tsv"), root / "sub-01" / "sub-01_task-tones_channels.tsv")
    (root / "task-rest_events.tsv").write_text("onset\tduration\n1\t0\n")
    names = {path.name for path in bids.sidecars(recording)}
    assert {"task-tones_events.tsv", "sub-01_task-tones_channels.tsv"} < names
    assert "task-rest_events.tsv" not in names
    header = readers.read_header(recording)
    assert len(header.events) == 20
    assert header.types[6] == "eog"


def test_an_edit_is_seen_at_once(recording: Path) -> None:
    assert {mark.kind for mark in readers.read_header(recording).events} == {"tone"}
    change(beside(recording, "events.tsv"), "tone", "beep")
    assert {mark.kind for mark in readers.read_header(recording).events} == {"beep"}


def test_the_same_file_outside_a_dataset_is_read_as_before(recording: Path) -> None:
    (recording.parents[3] / bids.DESCRIPTION).unlink()
    assert bids.place_of(recording) is None
    assert bids.sidecars(recording) == []
    header = readers.read_header(recording)
    assert header.types[6:8] == ("eeg", "eeg")
    assert header.bad_channels == ()
    assert not any("mains" in note for note in header.notes)


def test_without_a_table_of_events_the_trigger_line_is_asked(write_bids: Write, tmp_path: Path) -> None:
    path = write_bids(tmp_path / "data", "01", form="FIF")
    assert {mark.kind for mark in readers.read_header(path).events} == {"tone"}
    beside(path, "events.tsv").unlink()
    header = readers.read_header(path)
    assert {mark.kind for mark in header.events} == {"tone", "1"}
    assert any("Did not find any events.tsv" in note for note in header.notes)


def test_names_of_channels_are_not_guessed_where_types_are_told(recording: Path) -> None:
    table = beside(recording, "channels.tsv")
    change(table, "horiz\tEOG", "horiz\tMISC")
    for file in (table, beside(recording, "electrodes.tsv"), recording):
        file.write_text(file.read_text().replace("heart", "EOG7").replace("EOG7\tECG", "EOG7\tEEG"))
    header = readers.read_header(recording)
    assert (header.names[7], header.types[6:8]) == ("EOG7", ("misc", "eeg"))


def test_events_without_an_onset_or_a_name_are_counted(recording: Path) -> None:
    table = beside(recording, "events.tsv")
    change(table, "0.7\t", "n/a\t", 1)
    change(table, "\ttone\t", "\tn/a\t", 3)
    header = readers.read_header(recording)
    assert len(header.events) == 17
    assert any("1 of 21 events" in note and "no onset" in note for note in header.notes)
    assert any("2 of 21 events" in note and "no trial_type" in note for note in header.notes)


def test_the_value_names_events_without_a_trial_type(recording: Path) -> None:
    beside(recording, "events.tsv").write_text("onset\tduration\tvalue\n1.5\tn/a\t7\n2.5\t0.25\t8\n")
    marks = readers.read_header(recording).events
    assert [(mark.onset_s, mark.duration_s, mark.kind) for mark in marks] == [(1.5, 0, "7"), (2.5, 0.25, "8")]


@pytest.mark.parametrize(
    ("ending", "content", "words"),
    [
        ("events.tsv", "", "events.tsv is empty"),
        ("events.tsv", "onset\tduration\n", "holds no event with an onset"),
        ("events.tsv", "onset\tduration\ttrial_type\nn/a\t0\ttone\n", "holds no event with an onset"),
        (
            "events.tsv",
            "onset\tduration\tvalue\nsoon\t0\t1\n",
            "event 1: onset is 'soon', not a number of seconds",
        ),
        ("events.tsv", "onset\tduration\tvalue\n1\tlong\t1\n", "event 1: duration is 'long'"),
        ("events.tsv", "time\tkind\n1\ta\n", "has no column onset"),
        ("events.tsv", "onset\tduration\n1\n", "line 2 has 1 cells for 2 columns"),
        ("channels.tsv", "name\tunits\nFp1\tV\n", "has no column type"),
        ("channels.tsv", "name\ttype\n", "names no channel"),
        ("electrodes.tsv", "name\tx\ty\n", "has no column z"),
        ("_eeg.json", "{", "is not JSON"),
        ("_eeg.json", "[]", "holds no JSON object"),
    ],
)
def test_broken_files_are_one_sentence(ending: str, content: str, words: str, recording: Path) -> None:
    beside(recording, ending).write_text(content)
    with pytest.raises(InputError, match=words):
        readers.read_header(recording)


def test_a_broken_dataset_is_one_sentence(recording: Path) -> None:
    change(beside(recording, "channels.tsv"), "Fp1", "Fpz")
    with pytest.raises(InputError, match=r"eeg\.vhdr cannot be read.*channels\.tsv.*correct its BIDS files"):
        readers.read_header(recording)
    change(beside(recording, "channels.tsv"), "Fpz", "Fp1")
    (recording.parents[3] / bids.PARTICIPANTS).write_text("subject\tage\nsub-01\t7\n")
    with pytest.raises(InputError, match=r"participants\.tsv has no column participant_id"):
        readers.read_header(recording)
    beside(recording, "_eeg.json").unlink()
    (recording.parents[3] / bids.PARTICIPANTS).unlink()
    header = readers.read_header(recording)
    assert any("Did not find any eeg.json" in note for note in header.notes)
    assert not any("participants" in note for note in header.notes)
    events = beside(recording, "events.tsv")
    events.unlink()
    events.symlink_to("annex/object")
    with pytest.raises(InputError, match=r"events\.tsv"):
        readers.read_header(recording)


def test_a_truncated_recording_is_refused_there_too(write_bids: Write, tmp_path: Path) -> None:
    path = write_bids(tmp_path / "data", "01", form="EDF")
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with pytest.raises(InputError, match="truncated"):
        readers.read_header(path)


def test_split_files_are_one_recording(write_bids: Write, tmp_path: Path) -> None:
    path = write_bids(tmp_path / "data", "01", form="FIF")
    raw = mne.io.read_raw_fif(path, preload=True, verbose="ERROR")
    many = mne.concatenate_raws([raw.copy() for _ in range(20)], verbose="ERROR")
    path.unlink()
    many.save(path, split_size="2MB", split_naming="bids", buffer_size_sec=1.0, verbose="ERROR")
    parts = sorted(path.parent.glob("*_meg.fif"))
    assert len(parts) > 1
    assert bids.recordings(tmp_path / "data") == [parts[0]]
    header = readers.read_header(parts[0])
    assert header.samples == 20 * 4000
    assert len(header.events) == 20
    assert recording_files(parts[0])[: len(parts)] == parts


def test_real_eeg_in_a_dataset(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "signal" / "eegmmidb" / "S001R03.edf"
    raw = mne.io.read_raw_edf(source, verbose="ERROR")
    raw.info["line_freq"] = 60
    raw.set_channel_types({"Fp1.": "eog"}, verbose="ERROR")
    path = mne_bids.BIDSPath(subject="001", task="fists", root=tmp_path / "data", datatype="eeg")
    written = mne_bids.write_raw_bids(raw, path, verbose="ERROR").fpath
    assert written.suffix == ".edf"
    there, plain = readers.read_header(written), readers.read_header(source)
    assert there.types[there.names.index("Fp1.")] == "eog"
    assert [(m.kind, m.onset_s) for m in there.events] == [(m.kind, m.onset_s) for m in plain.events]
    np.testing.assert_array_equal(
        readers.read_samples(written, [3], 500, 900, project=True),
        readers.read_samples(source, [3], 500, 900, project=True),
    )
    about = json.loads((tmp_path / "data" / bids.DESCRIPTION).read_text())
    assert about["DatasetType"] == "raw"
