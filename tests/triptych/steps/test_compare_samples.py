"""compare_samples from measures to distances and an embedding."""

import dataclasses

import numpy as np
import pytest

from triptych.engine.run import run_step
from triptych.errors import InputError
from triptych.quantization import quantize, transport
from triptych.steps.compare_samples import STEP
from triptych.stores.embedding import open_embedding
from triptych.stores.measure import StoredMeasure, write_measure
from triptych.stores.table import read_table


def stored(events, **changes):
    found = quantize(events, 12)
    whole = StoredMeasure(
        *(found.centers, found.weights, found.distortion, found.epsilon, found.mean, found.covariance),
        features=("a", "b"),
        units=("u", "v"),
        scaling=None,
        events=len(events),
        content=str(float(events.sum())),
    )
    return found, dataclasses.replace(whole, **changes)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    folder = tmp_path_factory.mktemp("measures")
    rng = np.random.default_rng(0)
    paths, measures, sheet = {}, [], {}
    for i in range(7):
        group = "control" if i < 4 else "treated"
        found, whole = stored(rng.normal(size=(400, 2)) + (0 if i < 4 else 3) + rng.normal(size=2) * 0.2)
        name = f"s{i}"
        write_measure(folder / name / "measure.zarr", whole)
        paths[name] = folder / name / "measure.zarr"
        measures.append(found)
        sheet[name] = {"group": group, "batch": "", "subject": f"p{i}"}
    return paths, measures, sheet


def compared(paths, out, sheet=None, **settings):
    how = {key: settings.pop(key) for key in ("workers", "executor") if key in settings}
    outcome = run_step(STEP, {"measures": paths}, out, settings, kind="cloud", sheet=sheet or {}, **how)
    return (
        read_table(out / "distances.parquet").columns,
        open_embedding(out / "embedding.zarr"),
        outcome.manifest,
    )


@pytest.mark.parametrize("tile", [1, 3, 32])
def test_all_pairs_whatever_the_tile(cohort, tmp_path, tile):
    paths, measures, sheet = cohort
    table, embedding, manifest = compared(paths, tmp_path, sheet, tile_samples=tile)
    expected = transport(measures)
    first, second = np.triu_indices(7, 1)
    assert table["sample_a"].tolist() == [f"s{i}" for i in first]
    assert table["sample_b"].tolist() == [f"s{i}" for i in second]
    for name in ("w2", "lower", "upper"):
        assert table[name] == pytest.approx(getattr(expected, name)[first, second])
        assert embedding.obsp[name] == pytest.approx(getattr(expected, name))
    assert (table["lower"] <= table["upper"]).all()
    assert manifest["counts"] == {"samples": 7, "pairs": 21}


def test_groups_separate_and_are_described(cohort, tmp_path):
    _, embedding, manifest = compared(*cohort[::2][:1], tmp_path, cohort[2])
    assert manifest["scores"]["group_nearest_neighbour_accuracy"] == 1.0
    assert manifest["scores"]["group_majority_accuracy"] == pytest.approx(4 / 7)
    assert embedding.obs["group"].tolist() == ["control"] * 4 + ["treated"] * 3
    assert "batch" not in embedding.obs
    assert embedding.var["unit"].tolist() == ["u", "v"]
    axis = embedding.obsm["X_lot"][:, 0]
    assert axis[:4].max() < axis[4:].min() or axis[:4].min() > axis[4:].max()
    assert embedding.uns["lot_explained"][0] > 0.9


@pytest.mark.parametrize(
    ("workers", "executor"), [(2, "threads"), pytest.param(2, "processes", marks=pytest.mark.slow)]
)
def test_workers_change_no_byte(cohort, tmp_path, workers, executor):
    one = compared(cohort[0], tmp_path / "one", cohort[2], tile_samples=2)[2]
    two = compared(
        cohort[0], tmp_path / "two", cohort[2], tile_samples=2, workers=workers, executor=executor
    )[2]
    assert one["output_digest"] == two["output_digest"]


def test_one_sample_has_no_pair(cohort, tmp_path):
    table, embedding, manifest = compared({"s0": cohort[0]["s0"]}, tmp_path)
    assert len(table["w2"]) == 0
    assert embedding.shape == (1, 2)
    assert "one sample" in manifest["notes"][0]


def test_equal_recordings_are_named(tmp_path):
    events = np.random.default_rng(0).normal(size=(100, 2))
    paths = {}
    for name in ("a", "b"):
        write_measure(tmp_path / name / "measure.zarr", stored(events)[1])
        paths[name] = tmp_path / name / "measure.zarr"
    table, _, manifest = compared(paths, tmp_path / "out")
    assert table["w2"][0] == pytest.approx(0, abs=1e-7)
    assert "a, b hold the same events" in manifest["notes"][0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features": ("a", "c")}, "sample bad has no feature b, which sample s0 has"),
        ({"features": ("b", "a")}, "different order"),
        (
            {"units": ("u", "w")},
            "feature b is in 'v' in sample s0 and in 'w' in sample bad|feature b is in 'w' in sample bad",
        ),
        ({"scaling": {"center": [0, 0], "scale": [1, 2]}}, "scaled differently"),
    ],
)
def test_measures_of_other_features_are_refused(cohort, tmp_path, changes, message):
    write_measure(
        tmp_path / "bad" / "measure.zarr", stored(np.random.default_rng(1).normal(size=(50, 2)), **changes)[1]
    )
    paths = {"s0": cohort[0]["s0"], "zbad": tmp_path / "bad" / "measure.zarr"}
    with pytest.raises(InputError, match=message.replace("bad", "zbad")):
        compared(paths, tmp_path / "out")
