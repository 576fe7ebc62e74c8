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
    distortion=np.zeros(3),
    epsilon=0.1 + 0.2,
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
)


def test_round_trip(tmp_path):
    write_measure(tmp_path / "measure.zarr", MEASURE)
    found = open_measure(tmp_path / "measure.zarr")
    for name, value in dataclasses.asdict(MEASURE).items():
        assert np.array_equal(getattr(found, name), value), name


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
