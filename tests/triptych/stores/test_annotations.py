"""Activations in the forms of MNE and BIDS come back as they were."""

import json
from pathlib import Path

import mne
import mne_bids
import numpy as np

from triptych.stores.annotations import Occurring, atom_names, files

RATE = 600.615 / 4


def occurring(count: int) -> Occurring:
    generator = np.random.default_rng(0)
    return Occurring(
        atom=generator.integers(0, 3, count).astype(np.int32),
        sample=np.sort(generator.integers(0, 10_000_000, count)),
        amplitude=generator.exponential(size=count),
        sampling_rate_hz=RATE,
        peaks=np.array([10, 0, 70]),
        length=105,
        channels=("MEG 0111", "é", "C3"),
    )


def write(folder: Path, given: Occurring) -> None:
    for name, content in files(given).items():
        (folder / name).write_bytes(b"".join(content))


def test_mne_reads_every_onset_exactly(tmp_path: Path) -> None:
    given = occurring(500)
    write(tmp_path, given)
    read = mne.read_annotations(tmp_path / "annotations.txt")
    assert read.orig_time is None
    np.testing.assert_array_equal(read.onset, given.sample / RATE)
    np.testing.assert_array_equal(read.duration, np.full(500, 105 / RATE))
    assert read.description.tolist() == [f"atom-{k:02d}" for k in given.atom]


def test_mne_bids_reads_every_column_exactly(tmp_path: Path) -> None:
    given = occurring(500)
    write(tmp_path, given)
    read = mne_bids.events_file_to_annotation_kwargs(tmp_path / "events.tsv", verbose="ERROR")
    np.testing.assert_array_equal(read["onset"], given.sample / RATE)
    assert read["description"].tolist() == [f"atom-{k:02d}" for k in given.atom]
    assert [extra["amplitude"] for extra in read["extras"]] == given.amplitude.tolist()
    peaks = (given.sample + given.peaks[given.atom]) / RATE
    assert [extra["peak"] for extra in read["extras"]] == peaks.tolist()
    header, first = (tmp_path / "events.tsv").read_text().splitlines()[:2]
    about = json.loads((tmp_path / "events.json").read_text(encoding="utf-8"))
    assert list(about) == header.split("\t")
    assert about["onset"]["Units"] == "s"
    assert about["trial_type"]["Levels"]["atom-01"] == "Atom 1 of dictionary.zarr, strongest on channel é"
    assert first.split("\t")[3] == str(given.sample[0])


def test_no_activation_is_no_annotation(tmp_path: Path) -> None:
    write(tmp_path, occurring(0))
    assert len(mne.read_annotations(tmp_path / "annotations.txt")) == 0
    assert (tmp_path / "events.tsv").read_text().count("\n") == 1
    write(tmp_path, occurring(1))
    assert len(mne.read_annotations(tmp_path / "annotations.txt")) == 1


def test_names_sort_as_numbers() -> None:
    names = atom_names(120)
    assert names == sorted(names)
    assert atom_names(3)[2] == "atom-02"
