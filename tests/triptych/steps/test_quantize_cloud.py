"""quantize_cloud from a cloud or a table to ``measure.zarr``."""

import numpy as np
import pytest

from triptych.demo import cloud as demo
from triptych.engine.run import run_step
from triptych.errors import InputError, StepError, UsageError
from triptych.quantization import lloyd, quantize
from triptych.steps import import_cloud
from triptych.steps import quantization_passes as passes
from triptych.steps.quantize_cloud import STEP
from triptych.stores.cloud import (
    Channel,
    Mask,
    create_arrays,
    open_cloud,
    write_attributes,
    write_chunk,
)
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


@pytest.mark.parametrize("stopped_in", [1, 2, 3, 4])
def test_a_step_stopped_in_any_pass_goes_on_to_the_same_bytes(cloud, tmp_path, monkeypatch, stopped_in):
    settings = {"tolerance": 0.0, "passes": 4, "split_half": False}
    _, whole = quantized(cloud, tmp_path / "whole", settings)
    begun = []

    def counted(state, sums, part=passes.WHOLE):
        begun.append(part)
        if len(begun) == stopped_in:
            raise RuntimeError("stopped")
        return moved(state, sums, part)

    moved = passes.moved
    monkeypatch.setattr(passes, "moved", counted)
    with pytest.raises(StepError, match="stopped"):
        quantized(cloud, tmp_path / "out", settings)
    _, resumed = quantized(cloud, tmp_path / "out", settings)
    assert len(begun) == 4 + 1
    assert resumed["output_digest"] == whole["output_digest"]


def test_halves_of_one_sample_lie_closer_than_two_samples(cloud, tmp_path):
    found, manifest = quantized(cloud, tmp_path / "one", {"n_centers": 32})
    assert 0 < found.split_half < found.epsilon
    assert manifest["scores"]["split_half_w2"] == found.split_half
    without, _ = quantized(cloud, tmp_path / "two", {"n_centers": 32, "split_half": False})
    assert without.split_half is None
    assert (without.centers == found.centers).all()


def test_a_cuda_pass_finds_the_measure_of_the_cpu(cloud, tmp_path, monkeypatch):
    found, _ = quantized(cloud, tmp_path / "cpu", {"n_centers": 32})
    original = lloyd._pass
    through_torch = []

    def on_torch(points, centers, weights, offset, device, *, exact):
        through_torch.append(device)
        return original(points, centers, weights, offset, "cpu:0", exact=exact)

    monkeypatch.setattr(lloyd, "_pass", on_torch)
    other, _ = quantized(cloud, tmp_path / "torch", {"n_centers": 32})
    assert through_torch
    assert other.centers == pytest.approx(found.centers, abs=1e-5)
    assert other.epsilon == pytest.approx(found.epsilon, rel=1e-6)


@pytest.fixture(scope="module")
def masked(tmp_path_factory):
    """A cloud of which every tenth event is at the margin, every seventh dead and every third debris."""
    path = tmp_path_factory.mktemp("masked") / "cloud.zarr"
    rng, n = np.random.default_rng(0), 5000
    events, codes = rng.normal(size=(n, 2)).astype(np.float32), rng.integers(0, 2, n).astype(np.uint16)
    marks = [np.arange(n) % k == 0 for k in (10, 3, 7)]
    quality = sum(mark.astype(np.uint8) << bit for bit, mark in enumerate(marks)).astype(np.uint8)
    create_arrays(path, n, 2, 1024, population=True, quality=True)
    for index in range(5):
        part = slice(index * 1024, (index + 1) * 1024)
        write_chunk(path, index, events[part], codes[part], quality[part])
    names = ("margin", "debris", "dead")
    masks = tuple(Mask(name, "by hand", int(mark.sum())) for name, mark in zip(names, marks, strict=True))
    channels = tuple(Channel(name, name, "marker", "1") for name in ("a", "b"))
    write_attributes(path, channels, ("p", "q"), "x", events.mean(axis=0), np.cov(events.T), masks)
    return path, events, codes, dict(zip(names, marks, strict=True))


@pytest.mark.parametrize("leave_out", [["margin", "dead"], ["debris"], ["drift"], []])
def test_masks_leave_events_out_and_bring_them_back(masked, tmp_path, leave_out):
    path, events, codes, marks = masked
    found, manifest = quantized(path, tmp_path, {"n_centers": 16, "leave_out": leave_out})
    out = np.zeros(5000, bool)
    for name in leave_out:
        out |= marks.get(name, out)
    kept = events[~out].astype(float)
    assert found.events == len(kept)
    assert found.mean == pytest.approx(kept.mean(axis=0))
    assert found.weights @ found.centers == pytest.approx(kept.mean(axis=0))
    assert found.composition.sum(axis=0).tolist() == np.bincount(codes[~out]).tolist()
    assert found.left_out == {name: int(marks[name].sum()) for name in leave_out if name in marks}
    assert manifest["counts"]["events_left_out"] == out.sum()
    assert any("take no part because of masks" in note for note in manifest["notes"]) == out.any()


def test_a_cloud_of_which_masks_leave_nothing_is_refused(tmp_path):
    path = tmp_path / "cloud.zarr"
    create_arrays(path, 50, 1, 1024, population=False, quality=True)
    write_chunk(path, 0, np.zeros((50, 1), np.float32), None, np.ones(50, np.uint8))
    channel = (Channel("a", "a", "marker", "1"),)
    write_attributes(path, channel, (), "x", np.zeros(1), np.eye(1), (Mask("dead", "all of them", 50),))
    with pytest.raises(InputError, match="no event left"):
        quantized(path, tmp_path / "out")


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


def test_a_mask_spelt_wrong_is_refused(masked, tmp_path):
    with pytest.raises(UsageError, match=r"leave_out.*no mask margins; masks are margin"):
        quantized(masked[0], tmp_path / "out", {"leave_out": ["margins"]})


def flat(path, events):
    create_arrays(path, *events.shape, 1024, population=False)
    for index in range(-(-len(events) // 1024)):
        write_chunk(path, index, events[index * 1024 : (index + 1) * 1024], None)
    channels = tuple(Channel(f"F{j}", f"F{j}", "marker", "1") for j in range(events.shape[1]))
    write_attributes(path, channels, (), "x", np.zeros(events.shape[1]), np.eye(events.shape[1]))
    return path


@pytest.mark.parametrize("n_centers", [4, 64, 4000])
def test_values_whose_squares_leave_float32_are_refused(tmp_path, n_centers):
    events = np.random.default_rng(0).normal(size=(3000, 2)).astype(np.float32)
    events[2500, 1] = -1e25
    path = flat(tmp_path / "cloud.zarr", events)
    with pytest.raises(InputError, match=r"has -1e\+25 for F1 in row 2501, beyond 1e\+15"):
        quantized(path, tmp_path / "out", {"n_centers": n_centers, "subsample_size": 16})


@pytest.mark.parametrize(
    "events",
    [np.zeros((1, 2)), np.full((500, 2), 7.25), np.arange(500.0)[:, None] % 5 * 1e6 + 1e7],
    ids=["one event", "one place", "five places"],
)
def test_few_distinct_events_are_their_own_measure(tmp_path, events):
    path = flat(tmp_path / "cloud.zarr", events.astype(np.float32))
    found, manifest = quantized(path, tmp_path / "out")
    assert sorted(found.centers.tolist()) == np.unique(events, axis=0).tolist()
    assert found.epsilon == pytest.approx(0, abs=1e-6)
    assert manifest["notes"]
