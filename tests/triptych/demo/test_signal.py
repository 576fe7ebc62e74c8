"""The demo's recordings: deterministic, physical, with the events that are said."""

from pathlib import Path

import mne
import numpy as np
import pytest

from triptych.demo import signal as demo


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, str]]]:
    folder = tmp_path_factory.mktemp("demo")
    return folder, demo.make(folder, seed=3)


def test_rows_name_files_that_are_there(made: tuple[Path, list[dict[str, str]]]) -> None:
    folder, rows = made
    assert len({row["group"] for row in rows}) == 2
    for row in rows:
        assert (folder / row["path"]).is_file()
        lines = (folder / row["labels_events"]).read_text().splitlines()
        assert {line.split("\t")[1] for line in lines[1:]} == set(demo.KINDS)


def test_the_seed_decides_every_byte(made: tuple[Path, list[dict[str, str]]], tmp_path: Path) -> None:
    folder, rows = made
    demo.make(tmp_path, seed=3)
    for row in rows:
        for key in ("path", "labels_events"):
            assert (tmp_path / row[key]).read_bytes() == (folder / row[key]).read_bytes()


def test_the_recording_is_that_of_a_helmet(made: tuple[Path, list[dict[str, str]]]) -> None:
    folder, rows = made
    raw = mne.io.read_raw_fif(folder / rows[0]["path"], preload=True, verbose="ERROR")
    kinds = raw.get_channel_types()
    assert (kinds.count("mag"), kinds.count("eog"), kinds.count("ecg"), kinds.count("stim")) == (64, 1, 1, 1)
    field = raw.get_data("mag")
    assert 1e-13 < field.std() < 5e-12
    events = mne.find_events(raw, verbose="ERROR")
    lines = (folder / rows[0]["labels_events"]).read_text().splitlines()[1:]
    evoked = [float(line.split("\t")[0]) for line in lines if line.endswith("evoked")]
    np.testing.assert_allclose(events[:, 0] / demo.RATE_HZ, evoked, atol=1 / demo.RATE_HZ)


def test_a_sphere_hides_radial_currents() -> None:
    place = demo.HEAD_CENTER + np.array([0.0, 0.03, 0.05])
    radial = (place - demo.HEAD_CENTER) / np.linalg.norm(place - demo.HEAD_CENTER)
    gain = demo.lead_field(*demo.helmet(), place[None])[:, 0]
    assert np.abs(gain @ radial).max() < 1e-6 * np.abs(gain @ np.array([1.0, 0.0, 0.0])).max()
