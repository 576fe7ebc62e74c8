"""Compiled loops against the same in NumPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triptych.quantization.kernels import candidate_costs, cell_sums
from triptych.quantization.lloyd import assign


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(n=st.integers(1, 70), d=st.integers(1, 9), k=st.integers(1, 40), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_assignment_is_to_a_nearest_center(dtype, n, d, k, seed):
    rng = np.random.default_rng(seed)
    points, centers = rng.normal(size=(n, d)).astype(dtype), rng.normal(size=(k, d))
    labels = assign(points, centers)
    distances = ((points[:, None].astype(float) - centers[None]) ** 2).sum(axis=2)
    slack = 1e-4 if dtype == np.float32 else 1e-10
    assert (distances[np.arange(n), labels] <= distances.min(axis=1) + slack).all()


def test_ties_go_to_the_lowest_index():
    points = np.array([[1.0, 0.0], [0.0, 2.0], [-3.0, 0.0], [0.0, 0.0], [2.0, 2.0]], dtype=np.float32)
    centers = np.array([[9.0, 9.0], [1.0, 1.0], [1.0, 1.0], [-1.0, 1.0], [1.0, -1.0]])
    assert assign(points, centers).tolist() == [1, 1, 3, 1, 1]


def test_the_label_of_a_point_does_not_depend_on_its_neighbours():
    rng = np.random.default_rng(3)
    points, centers = rng.normal(size=(103, 7)).astype(np.float32), rng.normal(size=(33, 7))
    whole = assign(points, centers)
    for start in range(0, 9):
        assert (assign(points[start:], centers) == whole[start:]).all()


def test_sums_per_cell():
    rng = np.random.default_rng(5)
    points, centers, weights = rng.normal(size=(50, 3)), rng.normal(size=(4, 3)), rng.random(50)
    labels = rng.integers(0, 3, 50).astype(np.int32)
    mass, shift, square, far, far_row = cell_sums(points, weights, labels, centers)
    gaps = points - centers[labels]
    for k in range(3):
        mine = labels == k
        assert mass[k] == pytest.approx(weights[mine].sum())
        assert shift[k] == pytest.approx((weights[mine, None] * gaps[mine]).sum(axis=0))
        assert square[k] == pytest.approx((weights[mine] * (gaps[mine] ** 2).sum(axis=1)).sum())
        assert far_row[k] == np.flatnonzero(mine)[(gaps[mine] ** 2).sum(axis=1).argmax()]
    assert (mass[3], far[3], far_row[3]) == (0.0, -1.0, -1)


def test_costs_of_candidates():
    rng = np.random.default_rng(6)
    points, weights, closest = rng.normal(size=(40, 2)), rng.random(40), rng.random(40)
    costs, distances = candidate_costs(points, weights, closest, np.array([3, 7]))
    expected = np.minimum(((points - points[7]) ** 2).sum(axis=1), closest)
    assert distances[1] == pytest.approx(expected)
    assert costs[1] == pytest.approx((weights * expected).sum())
