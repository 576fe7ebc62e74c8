"""Planted clusters are found, their number too; rows without clusters make one."""

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from triptych.analysis.clustering import Choice, cluster

QUICK = Choice(max_clusters=6, rows=400, bootstraps=8, nulls=10)


def planted(n: int, k: int, d: int, distance: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, k, n)
    centers = rng.normal(size=(k, d))
    centers *= distance / np.linalg.norm(centers, axis=1, keepdims=True)
    return centers[truth] + rng.normal(size=(n, d)), truth


@pytest.mark.parametrize("seed", range(3))
def test_planted_clusters_are_found(seed: int) -> None:
    rows, truth = planted(600, 4, 8, 8.0, seed)
    found = cluster(rows, choice=QUICK, seed=seed)
    assert found.number == 4
    assert adjusted_rand_score(truth, found.labels) > 0.95
    sizes = np.bincount(found.labels)
    assert (np.diff(sizes) <= 0).all()
    np.testing.assert_allclose(found.centers[0], rows[found.labels == 0].mean(axis=0), atol=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_normal_rows_make_one_cluster(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(500, 6)) * np.array([5, 3, 2, 1, 1, 1])
    found = cluster(rows, choice=QUICK, seed=seed)
    assert found.number == 1
    assert (found.labels == 0).all()


def test_same_seed_same_bytes_and_the_subsample_is_stated() -> None:
    rows, _ = planted(900, 3, 5, 7.0, 0)
    a, b = (cluster(rows, choice=QUICK, seed=4) for _ in range(2))
    assert a.labels.tobytes() == b.labels.tobytes()
    assert a.centers.tobytes() == b.centers.tobytes()
    assert a.rows == 400


def test_weights_decide_the_order_of_clusters() -> None:
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(size=(300, 2)), rng.normal(size=(60, 2)) + 12])
    weights = np.repeat([1.0, 50.0], [300, 60])
    found = cluster(rows, weights / weights.sum(), choice=QUICK)
    assert found.number == 2
    assert (found.labels[300:] == 0).all()


@pytest.mark.parametrize("rows", [np.zeros((1, 2)), np.zeros((30, 2)), np.arange(6.0).reshape(3, 2)])
def test_too_little_to_cluster(rows: np.ndarray) -> None:
    found = cluster(rows, choice=QUICK)
    assert found.number == 1
    assert len(found.labels) == len(rows)
    assert not len(found.tried)
