"""quantize_cloud from a cloud or a table to ``measure.zarr``."""

import numpy as np
import pytest

from triptych.demo import cloud as demo
from triptych.engine.run import run_step
from triptych.errors import InputError
from triptych.quantization import quantize
from triptych.steps import import_cloud
from triptych.steps.quantize_cloud import STEP
from triptych.stores.cloud import open_cloud
from triptych.stores.measure import open_measure
from triptych.stores.table import Field, write_table


@pytest.fixture(scope="module")
def cloud(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cloud")
    events, population = demo.simulate("control", "batch1", 9000, np.random.default_rng(0))
    demo.write_fcs(folder / "a.fcs", events)
    demo.write_labels(folder / "a.csv.gz", population)
    inputs = {"raw": folder / "a.fcs", "population": folder / "a.csv.gz"}
    run_step(import_cloud.STEP, inputs, folder / "import_cloud", {"chunk_events": 1024}, kind="cloud")
    return folder / "import_cloud"


def quantized(cloud, out, settings=None, *, kind="cloud", scaling=None, **how):
    inputs = {"cloud": cloud} | ({"scaling": scaling} if scaling else {})
    outcome = run_step(STEP, inputs, out, settings or {}, kind=kind, **how)
    return open_measure(out / "measure.zarr"), outcome.manifest


def test_the_measure_is_that_of_the_front_door(cloud, tmp_path):
    found, manifest = quantized(cloud, tmp_path, {"n_centers": 32})
    events = open_cloud(cloud / "cloud.zarr").events
    expected = quantize(events, 32, chunk=1024)
    assert found.centers == pytest.approx(expected.centers, abs=1e-12)
    assert found.epsilon == pytest.approx(expected.epsilon)
    assert found.covariance == pytest.approx(expected.covariance)
    assert found.features == demo.MARKERS
    assert manifest["counts"]["events"] == 9000


def test_cells_hold_one_population_each(cloud, tmp_path):
    found, manifest = quantized(cloud, tmp_path)
    assert found.composition.sum() == 9000
    assert found.composition.sum(axis=1) == pytest.approx(found.weights * 9000)
    assert manifest["scores"]["purity"] > 0.95
    assert 0.8 < manifest["scores"]["explained_variance"] < 1
    assert (np.diff(found.history) <= 0).all()


@pytest.mark.parametrize(("workers", "executor"), [(2, "threads"), (2, "processes")])
def test_workers_change_no_byte(cloud, tmp_path, workers, executor):
    _, one = quantized(cloud, tmp_path / "one")
    _, two = quantized(cloud, tmp_path / "two", workers=workers, executor=executor)
    assert one["output_digest"] == two["output_digest"]


def test_seed_and_number_of_centers_change_the_result(cloud, tmp_path):
    digests = {
        quantized(cloud, tmp_path / str(i), settings)[1]["output_digest"]
        for i, settings in enumerate([{}, {"seed": 1}, {"n_centers": 63}])
    }
    assert len(digests) == 3


def table(path, n=40, gap=False):
    rng = np.random.default_rng(0)
    columns = {
        "id": np.arange(n),
        "volume": rng.gamma(2, 1e9, n),
        "aspect": rng.random(n),
        "same": np.ones(n),
    }
    if gap:
        columns["aspect"][3] = np.nan
    fields = {
        "id": Field(role="descriptor"),
        "volume": Field("nm3"),
        "aspect": Field("1"),
        "same": Field("1"),
    }
    write_table(path, columns, fields)
    return columns


def scaling(path, features, units, center, scale):
    write_table(
        path,
        {
            "feature": np.array(features),
            "unit": np.array(units),
            "center": np.array(center),
            "scale": np.array(scale),
        },
        {
            "feature": Field(role="descriptor"),
            "unit": Field(role="descriptor"),
            "center": Field(),
            "scale": Field(),
        },
    )
    return path


def test_features_of_a_table_are_scaled_and_gaps_stand_at_the_median(tmp_path):
    columns = table(tmp_path / "objects.parquet", gap=True)
    scales = scaling(
        tmp_path / "scaling.parquet",
        ["volume", "aspect", "same"],
        ["nm3", "1", "1"],
        [2e9, 0.5, 1],
        [1e9, 0.25, 0],
    )
    found, manifest = quantized(tmp_path / "objects.parquet", tmp_path / "out", kind="volume", scaling=scales)
    assert found.features == ("volume", "aspect")
    assert found.epsilon == 0
    assert found.centers[:, 0] == pytest.approx(np.clip((columns["volume"] - 2e9) / 1e9, -10, 10))
    assert found.centers[3, 1] == 0
    assert "the events are the measure" in manifest["notes"][0]


def test_a_table_with_gaps_needs_a_scaling(tmp_path):
    table(tmp_path / "objects.parquet", gap=True)
    with pytest.raises(InputError, match="no finite aspect in row 4"):
        quantized(tmp_path / "objects.parquet", tmp_path / "out", kind="volume")


@pytest.mark.parametrize(
    ("features", "units", "scale", "message"),
    [
        (["volume", "aspect"], ["nm3", "1"], [1, 1], "no scaling of feature same"),
        (["volume", "aspect", "same"], ["um3", "1", "1"], [1, 1, 1], "scales volume in um3"),
        (["volume", "aspect", "same"], ["nm3", "1", "1"], [0, np.nan, 0], "no feature that varies"),
    ],
)
def test_a_scaling_that_does_not_fit_is_refused(tmp_path, features, units, scale, message):
    table(tmp_path / "objects.parquet")
    scales = scaling(
        tmp_path / "scaling.parquet", features, units, np.zeros(len(features)), np.array(scale, float)
    )
    with pytest.raises(InputError, match=message):
        quantized(tmp_path / "objects.parquet", tmp_path / "out", kind="volume", scaling=scales)


def test_an_empty_table_is_refused(tmp_path):
    table(tmp_path / "objects.parquet", n=0)
    with pytest.raises(InputError, match="0 things"):
        quantized(tmp_path / "objects.parquet", tmp_path / "out", kind="volume")


def test_a_scaling_is_wanted_by_kind():
    given = next(i for i in STEP.inputs if i.name == "scaling").when
    settings = STEP.settings()
    assert [given(settings, {"kind": kind}) for kind in ("volume", "cloud", "signal")] == [True, False, True]
