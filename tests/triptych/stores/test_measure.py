"""``measure.zarr``: what is written is read; halves are refused."""

import dataclasses
import shutil

import numpy as np
import pytest

from triptych.errors import InputError
from triptych.stores.measure import StoredMeasure, open_measure, write_measure

MEASURE = StoredMeasure(
    centers=np.arange(6.0).reshape(3, 2),
    weights=np.array([0.5, 0.25, 0.25]),
    distortion=np.array([1.0, 2.5, 1.25]),
    epsilon=float(np.sqrt(0.5 + 0.625 + 0.3125)),
    mean=np.array([1.0, 2.0]),
    covariance=np.eye(2),
    features=("CD3", "µ"),
    units=("a", "b"),
    scaling={"center": [0.0, 1.0], "scale": [1.0, 2.0], "clip": 10.0},
    events=1000,
    content="ff",
    populations=("B", "T"),
    composition=np.array([[1, 2], [3, 4], [5, 6]]),
    history=(3.0, 2.0),
    spread=np.array([[0.0, 1.0], [2.0, 0.5], [1.0, 0.25]]),
    split_half=0.25,
    left_out={"margin": 3},
    keys=("cd3", "u"),
)


def test_round_trip(tmp_path):
    write_measure(tmp_path / "measure.zarr", MEASURE)
    found = open_measure(tmp_path / "measure.zarr")
    for name, value in dataclasses.asdict(MEASURE).items():
        assert np.array_equal(getattr(found, name), value), name


def test_a_measure_seen_through_one_feature():
    found = MEASURE.select([1], ("U",))
    assert found.centers.tolist() == [[1.0], [3.0], [5.0]]
    assert found.epsilon == pytest.approx(np.sqrt(0.5 * 1 + 0.25 * 0.5 + 0.25 * 0.25))
    assert (found.features, found.units, found.keys) == (("U",), ("b",), ("u",))
    assert found.scaling == {"center": [1.0], "scale": [2.0], "clip": 10.0}
    assert found.covariance.tolist() == [[1.0]]


def test_a_measure_without_spread_cannot_be_seen_through_some_features():
    with pytest.raises(InputError, match="run quantize_cloud again"):
        dataclasses.replace(MEASURE, spread=None).select([0], ("a",))


def test_without_labels(tmp_path):
    write_measure(
        tmp_path / "m.zarr", dataclasses.replace(MEASURE, composition=None, populations=(), scaling=None)
    )
    found = open_measure(tmp_path / "m.zarr")
    assert found.composition is None
    assert found.scaling is None


def test_what_is_no_measure_is_refused(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        open_measure(tmp_path / "none.zarr")
    write_measure(tmp_path / "m.zarr", MEASURE)
    shutil.rmtree(tmp_path / "m.zarr" / "weights")
    with pytest.raises(InputError, match="not a whole measure"):
        open_measure(tmp_path / "m.zarr")


@pytest.mark.parametrize("name", ["centers", "weights", "distortion", "spread", "composition"])
def test_a_lost_chunk_is_not_read_as_zeros(tmp_path, name):
    write_measure(tmp_path / "m.zarr", MEASURE)
    shutil.rmtree(tmp_path / "m.zarr" / name / "c")
    with pytest.raises(InputError, match="not a whole measure"):
        open_measure(tmp_path / "m.zarr")


@pytest.mark.parametrize(
    "changes",
    [
        {"weights": np.array([0.5, 0.5])},
        {"features": ("CD3",)},
        {"populations": ("B",)},
        {"composition": None},
    ],
)
def test_parts_that_do_not_fit_each_other_are_refused(tmp_path, changes):
    write_measure(tmp_path / "m.zarr", dataclasses.replace(MEASURE, **changes))
    with pytest.raises(InputError, match="not a whole measure"):
        open_measure(tmp_path / "m.zarr")
