"""``pooled.zarr``: what is written is read; halves are refused."""

import dataclasses
import shutil

import numpy as np
import pytest

from triptych.errors import InputError
from triptych.stores.pooled import StoredPooled, open_pooled, write_pooled

POOLED = StoredPooled(
    centers=np.arange(6.0).reshape(3, 2),
    weights=np.array([[0.5, 0.25, 0.25], [0.0, 0.5, 0.5]]),
    means=np.arange(12.0).reshape(2, 3, 2),
    distortion=np.ones((2, 3)),
    epsilon=np.array([1.0, 0.5]),
    common_epsilon=np.array([1.5, 1.0]),
    mean=np.array([[1.0, 2.0], [3.0, 4.0]]),
    covariance=np.stack([np.eye(2), np.eye(2)]),
    events=np.array([8, 4]),
    samples=("a", "b"),
    features=("CD3", "µ"),
    units=("u", "v"),
    content=("ff", "ee"),
    populations=("B", "T"),
    history=(3.0, 2.0),
    scaling={"center": [0.0, 1.0], "scale": [1.0, 2.0], "clip": 10.0},
    composition=np.arange(12).reshape(2, 3, 2),
)
ARRAYS = [name for name, value in vars(POOLED).items() if isinstance(value, np.ndarray)]


@pytest.mark.parametrize("changes", [{}, {"composition": None, "populations": (), "scaling": None}])
def test_round_trip(tmp_path, changes):
    written = dataclasses.replace(POOLED, **changes)
    write_pooled(tmp_path / "pooled.zarr", written)
    found = open_pooled(tmp_path / "pooled.zarr")
    for name, value in dataclasses.asdict(written).items():
        assert np.array_equal(getattr(found, name), value), name


def test_what_is_no_pooled_measure_is_refused(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        open_pooled(tmp_path / "none.zarr")
    write_pooled(tmp_path / "p.zarr", POOLED)
    shutil.rmtree(tmp_path / "p.zarr" / "weights")
    with pytest.raises(InputError, match="not a whole pooled measure"):
        open_pooled(tmp_path / "p.zarr")


@pytest.mark.parametrize("name", ARRAYS)
def test_a_lost_chunk_is_not_read_as_zeros(tmp_path, name):
    write_pooled(tmp_path / "p.zarr", POOLED)
    shutil.rmtree(tmp_path / "p.zarr" / name / "c")
    with pytest.raises(InputError, match="not a whole pooled measure"):
        open_pooled(tmp_path / "p.zarr")


@pytest.mark.parametrize("changes", [{"samples": ("a",)}, {"features": ("CD3",)}, {"composition": None}])
def test_parts_that_do_not_fit_each_other_are_refused(tmp_path, changes):
    write_pooled(tmp_path / "p.zarr", dataclasses.replace(POOLED, **changes))
    with pytest.raises(InputError, match="not a whole pooled measure"):
        open_pooled(tmp_path / "p.zarr")
