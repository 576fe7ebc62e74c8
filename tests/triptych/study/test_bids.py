"""The sample sheet of a BIDS dataset."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from triptych.errors import InputError, UsageError
from triptych.steps import open_study, study_model
from triptych.study.bids import read_dataset
from triptych.study.init import make_bids_study

Write = Callable[..., Path]


@pytest.fixture(scope="module")
def made(write_bids: Write, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("bids") / "data"
    write_bids(root, "01", session="a")
    write_bids(root, "01", session="b", form="EDF")
    write_bids(root, "02")
    return root


@pytest.fixture
def dataset(made: Path, tmp_path: Path) -> Path:
    """A dataset of three recordings of two subjects, to change at will."""
    root = tmp_path / "data"
    shutil.copytree(made, root)
    (root / "participants.tsv").write_text(
        "participant_id\tage\tDiagnosis\tsite\tarm\nsub-01\t30\tpatient\tLyon\tx\nsub-02\tn/a\tcontrol\tn/a\ty\n"
    )
    return root


def test_a_study_has_a_row_per_recording(dataset: Path, tmp_path: Path) -> None:
    description = dataset / "dataset_description.json"
    description.write_text(json.dumps(json.loads(description.read_text()) | {"Name": 'Tones: "A" & \u00e9'}))
    count, notes = make_bids_study(tmp_path / "deep" / "s", study_model(), dataset, None)
    assert count == 3
    assert any("group is column Diagnosis" in note for note in notes)
    assert any("batch is column site" in note for note in notes)
    study = open_study(tmp_path / "deep" / "s" / "config.yaml")
    assert study.settings.report.title == 'Tones: "A" & \u00e9'
    assert study.samples() == [
        "sub-01_ses-a_task-tones_run-1", "sub-01_ses-b_task-tones_run-1", "sub-02_task-tones_run-1"
    ]  # fmt: skip
    row = study.sheet.rows["sub-01_ses-a_task-tones_run-1"]
    assert row == {
        "sample": "sub-01_ses-a_task-tones_run-1",
        "kind": "signal",
        "path": "../../data/sub-01/ses-a/eeg/sub-01_ses-a_task-tones_run-1_eeg.vhdr",
        "subject": "sub-01",
        "session": "ses-a",
        "group": "patient",
        "batch": "Lyon",
        "bad_channels": "C4",
    }
    other = study.sheet.rows["sub-02_task-tones_run-1"]
    assert "session" not in other
    assert "batch" not in other
    assert study.sheet.raw(row["sample"], "path").is_file()


def test_another_column_may_hold_the_group(dataset: Path, tmp_path: Path) -> None:
    rows = read_dataset(dataset, tmp_path / "s", "arm").rows
    assert [row["group"] for row in rows] == ["x", "x", "y"]
    with pytest.raises(UsageError, match=r"no column arms; its columns are age, Diagnosis, site, arm"):
        read_dataset(dataset, tmp_path / "s", "arms")
    (dataset / "participants.tsv").write_text("participant_id\tage\nsub-01\t30\n")
    found = read_dataset(dataset, tmp_path / "s", None)
    assert any("--group-column" in note for note in found.notes)
    assert any("says nothing of sub-02" in note for note in found.notes)
    (dataset / "participants.tsv").unlink()
    found = read_dataset(dataset, tmp_path / "s", None)
    assert any("no participants.tsv" in note for note in found.notes)
    with pytest.raises(UsageError, match="there is no"):
        read_dataset(dataset, tmp_path / "s", "age")


def test_what_cannot_be_read_is_excluded_with_the_reason(dataset: Path, tmp_path: Path) -> None:
    folder = dataset / "sub-02" / "eeg"
    (folder / "sub-02_task-tones_run-1_events.tsv").write_text("")
    (folder / "sub-02_task-nap_eeg.edf").touch()
    (folder / "sub-02_task-gone_eeg.edf").symlink_to("../../annex/x")
    (folder / "sub-02_task-old_eeg.cnt").write_text("x")
    meg = dataset / "sub-02" / "meg"
    (meg / "sub-02_task-tones_run-1_meg.ds").mkdir(parents=True)
    (meg / "sub-02_task-kit_meg").mkdir()
    (meg / "sub-02_task-nap_meg.con").write_text("x")
    (meg / "sub-02_acq-crosstalk_meg.fif").write_text("x")
    empty = dataset / "sub-emptyroom" / "ses-20200101" / "meg"
    empty.mkdir(parents=True)
    (empty / "sub-emptyroom_ses-20200101_task-noise_meg.fif").write_text("x")
    found = read_dataset(dataset, tmp_path / "s", None)
    reasons = {row["sample"]: row["exclude"] for row in found.rows if "exclude" in row}
    told = {
        "sub-02_task-tones_run-1_eeg": "sub-02/eeg/sub-02_task-tones_run-1_events.tsv is empty",
        "sub-02_task-nap_eeg": "sub-02_task-nap_eeg.edf is empty",
        "sub-02_task-gone": "datalad get",
        "sub-02_task-old": "a recording of the format .cnt",
        "sub-02_task-tones_run-1_meg": "a CTF folder",
        "sub-02_task-kit": "a folder of KIT or 4D/BTi",
        "sub-02_task-nap_meg": "a KIT file",
        "sub-emptyroom_ses-20200101_task-noise": "empty room",
    }
    assert reasons.keys() == told.keys()
    for sample, words in told.items():
        assert words in reasons[sample]
        assert str(tmp_path) not in reasons[sample]
    assert any("8 of 10 recordings are excluded" in note for note in found.notes)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("participants.tsv", "", "participants.tsv is empty"),
        ("participants.tsv", "subject\nsub-01\n", "no column participant_id"),
        ("participants.tsv", "participant_id\tage\nsub-01\n", "line 2 has 1 cells"),
        ("dataset_description.json", "Name: x", "dataset_description.json is not JSON"),
    ],
)
def test_broken_datasets_are_one_sentence(
    name: str, content: str, words: str, dataset: Path, tmp_path: Path
) -> None:
    (dataset / name).write_text(content)
    with pytest.raises(InputError, match=words):
        make_bids_study(tmp_path / "s", study_model(), dataset, None)
    assert not (tmp_path / "s").exists()


def test_wrong_roots_are_one_sentence(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a folder"):
        read_dataset(tmp_path / "none", tmp_path / "s", None)
    with pytest.raises(InputError, match=r"no dataset_description\.json; its root seems to be .*data"):
        read_dataset(dataset / "sub-01", tmp_path / "s", None)
    with pytest.raises(InputError, match="has one at its root"):
        read_dataset(tmp_path, tmp_path / "s", None)
    for folder in dataset.glob("sub-*"):
        shutil.rmtree(folder)
    with pytest.raises(InputError, match="holds no recording"):
        read_dataset(dataset, tmp_path / "s", None)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a").touch()
    with pytest.raises(UsageError, match="not empty"):
        make_bids_study(tmp_path / "full", study_model(), dataset, None)
