"""learn_textures: what it writes, interruptions, bad input, and that a study leaves it out unless told."""

import json
from pathlib import Path

import numpy as np
import pytest

from triptych.engine.run import run_step
from triptych.errors import InputError
from triptych.steps import open_study
from triptych.steps.learn_textures import STEP
from triptych.stores.table import read_table
from triptych.stores.textures import FIELDS, open_textures
from triptych.study.study import Job

SETTINGS = {
    "n_atoms": 4,
    "atom_size_nm": (0.0, 320.0, 320.0),
    "local_mean_nm": 0.0,
    "piece_shape": (2, 40, 40),
    "block_shape": (2, 30, 30),
    "max_iterations": 4,
    "exchanges": 1,
    "max_pieces": 3,
}


def digest(folder: Path) -> str:
    found: str = json.loads((folder / "manifest.json").read_text())["output_digest"]
    return found


@pytest.fixture(scope="module")
def learned(volume_study: Path) -> Path:
    folder = volume_study / "textures"
    run_step(STEP, {"image": volume_study / "import"}, folder, SETTINGS)
    return folder


def test_atoms_table_and_example_are_there(learned: Path) -> None:
    found = open_textures(learned / "textures.zarr")
    assert found.atoms.shape == (4, 1, 8, 8)
    assert found.voxel_size_nm == (80.0, 40.0, 40.0)
    assert found.pieces.shape == (3, 2, 3)
    assert (np.diff(found.history[:, 1]) <= 0).all()
    assert found.example.shape == (2, 40, 40)
    table = read_table(learned / "textures.parquet")
    assert list(table.columns) == list(FIELDS)
    volume = 3 * 2 * 40 * 40 * 80 * 40 * 40 / 1e9
    assert table.attributes["volume_um3"] == pytest.approx(volume)
    np.testing.assert_allclose(table.columns["density"] * volume, table.columns["activations"])
    manifest = json.loads((learned / "manifest.json").read_text())
    assert manifest["counts"]["pieces"] == 3
    assert "learned from 3 pieces" in manifest["notes"][0]
    assert 0 < manifest["scores"]["explained_energy"] < 1


def test_workers_and_an_interruption_change_no_bit(
    volume_study: Path, learned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = {"image": volume_study / "import"}
    run_step(STEP, inputs, tmp_path / "two", SETTINGS, workers=2)
    assert digest(tmp_path / "two") == digest(learned)
    monkeypatch.setattr("triptych.dictionary.textures.learning.conclude", _fail)
    with pytest.raises(Exception, match="torn"):
        run_step(STEP, inputs, tmp_path / "torn", SETTINGS)
    monkeypatch.undo()
    run_step(STEP, inputs, tmp_path / "torn", SETTINGS)
    assert digest(tmp_path / "torn") == digest(learned)


def _fail(*_: object) -> None:
    raise RuntimeError("torn")


def test_volumes_of_atoms_and_levels(volume_study: Path, tmp_path: Path) -> None:
    settings = {**SETTINGS, "atom_size_nm": (240.0, 240.0, 240.0), "max_pieces": 1, "local_mean_nm": 200.0}
    run_step(STEP, {"image": volume_study / "import"}, tmp_path / "cubes", settings)
    found = open_textures(tmp_path / "cubes" / "textures.zarr")
    assert found.atoms.shape == (4, 3, 6, 6)
    assert found.mean == pytest.approx(0, abs=2)
    assert (found.pieces[0, 1] - found.pieces[0, 0]).tolist() == [12, 40, 40]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"level": 5}, "set learn_textures.level to 0 or less"),
        ({"atom_size_nm": (0.0, 10.0, 10.0)}, "atom_size_nm larger"),
        ({"atom_size_nm": (5000.0, 400.0, 400.0)}, "fewer than an atom"),
        ({"n_atoms": 500, "atom_size_nm": (400.0, 2000.0, 2000.0)}, "more than 2 GiB"),
    ],
)
def test_what_cannot_be_learned_is_one_sentence(
    volume_study: Path, tmp_path: Path, changed: dict[str, object], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        run_step(STEP, {"image": volume_study / "import"}, tmp_path / "out", {**SETTINGS, **changed})


def test_a_study_runs_it_only_where_it_is_enabled(tmp_path: Path) -> None:
    (tmp_path / "samples.tsv").write_text("sample\tkind\tpath\tvoxel_size_nm\nV1\tvolume\tv.tif\t40,8,8\n")
    for config, there in (("", False), ("learn_textures: {enabled: true}\n", True)):
        (tmp_path / "config.yaml").write_text(config)
        study = open_study(tmp_path / "config.yaml")
        job = Job("learn_textures", "V1", "volume")
        assert (job in study.jobs) is there
        assert (job in study.upstream(Job("report"))) is there
        assert study.job("learn_textures", "V1", None) == job
