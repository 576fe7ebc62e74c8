"""Compiled loops against the same in NumPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triptych.quantization import kernels, lloyd
from triptych.quantization.kernels import TILE


def squares(points, centers):
    return ((points[:, None].astype(float) - centers[None]) ** 2).sum(axis=2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(n=st.integers(1, 600), d=st.integers(1, 9), k=st.integers(1, 40), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_certified_cells_are_those_of_float64_distances(dtype, n, d, k, seed):
    rng = np.random.default_rng(seed)
    points, centers = rng.normal(size=(n, d)).astype(dtype), rng.normal(size=(k, d))
    _, labels = lloyd.certified(points, centers)
    distances = squares(points, centers)
    assert (distances[np.arange(n), labels] <= distances.min(axis=1) * (1 + 1e-14)).all()


def test_near_ties_are_settled_in_float64():
    centers = np.array([[1.0, 0.0], [1.0 + 1e-9, 0.0], [-40.0, 3.0]])
    points = np.column_stack([np.linspace(0.5, 1.5, 1001), np.zeros(1001)])
    _, labels = lloyd.certified(points, centers)
    assert (labels == squares(points, centers).argmin(axis=1)).all()
    assert set(labels) == {0, 1}


def test_ties_go_to_the_lowest_index():
    points = np.array([[1.0, 0.0], [0.0, 2.0], [-3.0, 0.0], [0.0, 0.0], [2.0, 2.0]], dtype=np.float32)
    centers = np.array([[9.0, 9.0], [1.0, 1.0], [1.0, 1.0], [-1.0, 1.0], [1.0, -1.0]])
    assert lloyd.certified(points, centers)[1].tolist() == [1, 1, 3, 1, 1]


def test_the_label_of_a_point_does_not_depend_on_its_neighbours():
    rng = np.random.default_rng(3)
    points, centers = rng.normal(size=(2 * TILE + 7, 7)).astype(np.float32), rng.normal(size=(33, 7))
    whole = lloyd.certified(points, centers)[1]
    for start in (1, 8, TILE - 1, TILE, TILE + 3):
        assert (lloyd.certified(points[start:], centers)[1] == whole[start:]).all()


def test_an_offset_is_taken_off_before_rounding():
    rng = np.random.default_rng(4)
    points, centers = rng.normal(size=(500, 3)) + 1e6, rng.normal(size=(12, 3))
    offset = np.full(3, 1e6)
    _, labels = lloyd.certified(points, centers, offset)
    assert (labels == squares(points - offset, centers).argmin(axis=1)).all()


@pytest.mark.parametrize("device", ["cpu", "cpu:0"])
def test_sums_per_cell_on_numba_and_on_torch(device):
    rng = np.random.default_rng(5)
    points, weights = rng.normal(size=(1500, 3)).astype(np.float32), rng.random(1500)
    centers = np.vstack([rng.normal(size=(4, 3)), [[90.0, 90.0, 90.0]]])
    sums = lloyd.partial(points, centers, weights, np.zeros(3), device)
    labels = squares(points, centers).argmin(axis=1)
    gaps = points - centers[labels]
    for k in range(4):
        mine = labels == k
        distances = (gaps[mine] ** 2).sum(axis=1)
        assert sums.mass[k] == pytest.approx(weights[mine].sum())
        assert sums.shift[k] == pytest.approx((weights[mine, None] * gaps[mine]).sum(axis=0))
        assert sums.square[k] == pytest.approx((weights[mine, None] * gaps[mine] ** 2).sum(axis=0))
        assert sums.far[k] == pytest.approx(distances.max())
        assert (sums.far_point[k] == points[mine][distances.argmax()]).all()
    assert (sums.mass[4], sums.far[4], sums.far_point[4].any()) == (0.0, -1.0, False)


def test_torch_finds_the_cells_of_the_kernel():
    rng = np.random.default_rng(6)
    points = rng.normal(size=(3000, 5)).astype(np.float32)
    centers = np.vstack([points[:40].astype(float), points[:3].astype(float) + 1e-9])
    expected, labels = lloyd.certified(points, centers)
    found, others = lloyd.certified(points, centers, np.zeros(5), "cpu:0")
    assert (labels == others).all()
    assert found.square == pytest.approx(expected.square, abs=1e-9)
    assert (found.far_point == expected.far_point).all()


def tiles_of(points):
    n, d = points.shape
    count = -(-n // TILE)
    padded = np.zeros((count * TILE, -(-d // 4) * 4), np.float32)
    padded[:n, :d] = points
    weights = (np.arange(count * TILE) < n).astype(np.float32).reshape(count, TILE)
    return np.ascontiguousarray(padded.reshape(count, TILE, -1).transpose(0, 2, 1)), weights


def test_costs_of_candidates():
    rng = np.random.default_rng(6)
    points = rng.normal(size=(600, 6)).astype(np.float32)
    tiles, weights = tiles_of(points)
    closest = np.full(weights.shape, 4.0, np.float32)
    expected = np.minimum(((points - points[333]) ** 2).sum(axis=1), 4.0)
    costs = kernels.candidate_costs(tiles, weights, closest, np.array([3, 333]))
    assert costs[1] == pytest.approx(expected.sum(), rel=1e-5)
    heights = kernels.lower_closest(tiles, weights, closest, 333)
    assert closest.ravel()[:600] == pytest.approx(expected, rel=1e-5)
    assert heights.sum() == pytest.approx(expected.sum(), rel=1e-5)


def test_points_are_drawn_in_proportion_to_their_mass():
    closest = np.zeros((2, TILE), np.float32)
    closest[0, 3], closest[1, 7], closest[1, 9] = 1.0, 2.0, 1.0
    weights = np.ones_like(closest)
    uniforms = (np.arange(400) + 0.5) / 400
    drawn = kernels.draw(weights, closest, (weights * closest).sum(axis=1).astype(float), uniforms)
    numbers, counts = np.unique(drawn, return_counts=True)
    assert numbers.tolist() == [3, TILE + 7, TILE + 9]
    assert counts.tolist() == [100, 200, 100]


def test_products_about_an_offset():
    rng = np.random.default_rng(7)
    points, offset = rng.normal(size=(700, 5)).astype(np.float32) + 100, np.full(5, 99.0)
    total, products = kernels.scatter(points, offset)
    gaps = points.astype(float) - offset
    assert total == pytest.approx(gaps.sum(axis=0))
    assert products == pytest.approx(gaps.T @ gaps)
