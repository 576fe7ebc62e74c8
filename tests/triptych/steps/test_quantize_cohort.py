"""quantize_cohort from the clouds of all samples to ``pooled.zarr``."""

import numpy as np
import pytest

from triptych.engine.run import run_step
from triptych.errors import InputError, StepError
from triptych.quantization.exact_transport import wasserstein
from triptych.steps import quantization_passes as passes
from triptych.steps.quantize_cohort import STEP
from triptych.stores.cloud import Channel, create_arrays, write_attributes, write_chunk
from triptych.stores.pooled import open_pooled

MARKERS = ("CD3", "CD4", "CD19")


def write(path, events, markers=MARKERS, chunk=1024, populations=(), codes=None):
    path.parent.mkdir(parents=True)
    create_arrays(path, *events.shape, chunk, population=codes is not None)
    for index in range(-(-len(events) // chunk)):
        part = slice(index * chunk, (index + 1) * chunk)
        write_chunk(path, index, events[part], None if codes is None else codes[part].astype(np.uint16))
    channels = tuple(Channel(f"FL{j}", m, "marker", "logicle") for j, m in enumerate(markers))
    write_attributes(path, channels, populations, path.parent.name, events.mean(axis=0), np.cov(events.T))
    return path


def events_of(seed, n, groups=3):
    rng = np.random.default_rng(seed)
    codes = rng.choice(groups, n, p=np.array([0.6, 0.3, 0.1])[:groups] / sum([0.6, 0.3, 0.1][:groups]))
    corners = np.array([[0.0, 0, 0], [5, 0, 1], [0, 6, 2]])
    return (corners[codes] + rng.normal(size=(n, 3)) + 0.2 * rng.normal(size=3)).astype(np.float32), codes


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clouds")
    events = {f"s{i}": events_of(i, 2000 + 900 * i) for i in range(4)}
    paths = {
        name: write(folder / name / "cloud.zarr", values, populations=("T", "B", "NK"), codes=codes)
        for name, (values, codes) in events.items()
    }
    return paths, {name: values for name, (values, _) in events.items()}


def pooled(paths, out, settings=None, **how):
    outcome = run_step(
        STEP, {"clouds": paths}, out, {"n_centers": 16} | (settings or {}), kind="cloud", **how
    )
    return open_pooled(out / "pooled.zarr"), outcome.manifest


def test_every_sample_is_a_measure_on_its_own_cell_means(cohort, tmp_path):
    paths, events = cohort
    found, manifest = pooled(paths, tmp_path)
    assert found.samples == ("s0", "s1", "s2", "s3")
    assert found.weights.sum(axis=1) == pytest.approx(1)
    assert (found.epsilon <= found.common_epsilon + 1e-12).all()
    for i, values in enumerate(events.values()):
        assert found.weights[i] @ found.means[i] == pytest.approx(values.astype(float).mean(axis=0))
        about = ((values[:, None].astype(float) - found.means[i][found.weights[i] > 0]) ** 2).sum(axis=2)
        assert found.epsilon[i] ** 2 >= about.min(axis=1).mean() - 1e-9
        assert found.mean[i] == pytest.approx(values.astype(float).mean(axis=0))
        assert found.covariance[i] == pytest.approx(np.cov(values.astype(float).T, bias=True))
        assert found.composition[i].sum() == found.events[i] == len(values)
    share = found.weights.mean(axis=0)
    assert found.centers == pytest.approx(
        (found.weights[..., None] * found.means).sum(axis=0) / 4 / share[:, None]
    )
    assert manifest["scores"]["purity"] > 0.95
    assert (np.diff(found.history) <= 0).all()


def test_bounds_hold_between_samples_and_their_common_measures(tmp_path):
    clouds = {f"s{i}": events_of(i, 400)[0] for i in range(3)}
    paths = {name: write(tmp_path / name / "cloud.zarr", values) for name, values in clouds.items()}
    found, _ = pooled(paths, tmp_path / "out", {"n_centers": 12})
    for i, values in enumerate(clouds.values()):
        points, mass = values.astype(float), np.full(400, 1 / 400)
        used = found.weights[i] > 0
        weights = found.weights[i][used]
        assert wasserstein(points, mass, found.means[i][used], weights) <= found.epsilon[i] + 1e-9
        assert wasserstein(points, mass, found.centers[used], weights) <= found.common_epsilon[i] + 1e-9


def test_a_large_sample_weighs_as_much_as_a_small_one(tmp_path):
    rng = np.random.default_rng(0)
    small, large = rng.normal(size=(600, 3)), rng.normal(size=(30_000, 3)) + 50
    paths = {
        name: write(tmp_path / name / "cloud.zarr", values.astype(np.float32))
        for name, values in (("a", small), ("b", large))
    }
    found, _ = pooled(paths, tmp_path / "out", {"n_centers": 20})
    assert (found.weights[0] > 0).sum() == pytest.approx(10, abs=3)


@pytest.mark.parametrize(("workers", "executor"), [(2, "threads"), (4, "threads"), (2, "processes")])
def test_workers_change_no_byte(cohort, tmp_path, workers, executor):
    settings = {"tolerance": 0.0, "passes": 3}
    _, one = pooled(cohort[0], tmp_path / "one", settings)
    _, other = pooled(cohort[0], tmp_path / "other", settings, workers=workers, executor=executor)
    assert one["output_digest"] == other["output_digest"]


def test_markers_are_matched_however_they_are_spelt_and_placed(cohort, tmp_path):
    paths, events = cohort
    shuffled = np.column_stack([events["s1"][:, [2, 0]], np.ones(len(events["s1"])), events["s1"][:, 1]])
    other = write(
        tmp_path / "s1" / "cloud.zarr", shuffled.astype(np.float32), ("cd19", "CD-3", "HLA-DR", "CD4 FITC")
    )
    found, manifest = pooled({**paths, "s1": other}, tmp_path / "out")
    assert len(found.features) == 3
    order = [found.features.index(m) for m in MARKERS]
    assert found.mean[1][order] == pytest.approx(events["s1"].astype(float).mean(axis=0))
    assert manifest["notes"] == [
        "markers that not all samples have take no part: s0 has no HLA-DR; s2 has no HLA-DR; s3 has no HLA-DR"
    ]


def test_panels_that_share_too_little_are_refused(cohort, tmp_path):
    other = write(tmp_path / "s1" / "cloud.zarr", cohort[1]["s1"], ("CD3", "CD8", "CD56"))
    with pytest.raises(InputError, match="share 1 markers"):
        pooled({**cohort[0], "s1": other}, tmp_path / "out")


def test_one_sample_is_a_cohort_too(cohort, tmp_path):
    found, _ = pooled({"s0": cohort[0]["s0"]}, tmp_path)
    assert found.epsilon == pytest.approx(found.common_epsilon)


@pytest.mark.parametrize("stopped_in", [1, 2, 3])
def test_a_step_stopped_in_any_pass_goes_on_to_the_same_bytes(cohort, tmp_path, monkeypatch, stopped_in):
    settings = {"tolerance": 0.0, "passes": 3}
    _, whole = pooled(cohort[0], tmp_path / "whole", settings)
    begun, moved = [], passes.moved

    def counted(*given):
        begun.append(1)
        if len(begun) == stopped_in:
            raise RuntimeError("stopped")
        return moved(*given)

    monkeypatch.setattr(passes, "moved", counted)
    with pytest.raises(StepError, match="stopped"):
        pooled(cohort[0], tmp_path / "out", settings)
    _, resumed = pooled(cohort[0], tmp_path / "out", settings)
    assert len(begun) == 3 + 1
    assert resumed["output_digest"] == whole["output_digest"]


def test_values_whose_squares_leave_float32_are_refused(cohort, tmp_path):
    events = cohort[1]["s1"].copy()
    events[70, 2] = 1e30
    other = write(tmp_path / "s1" / "cloud.zarr", events)
    with pytest.raises(InputError, match=r"s1/cloud.zarr has 1e\+30 for CD19 in row 71"):
        pooled({**cohort[0], "s1": other}, tmp_path / "out")
