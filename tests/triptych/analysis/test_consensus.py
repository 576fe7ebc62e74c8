"""Consensus of centers: planted groups are found, noise is one population, the parts are the whole."""

import numpy as np
import pytest

from triptych.analysis.consensus import agree, find, numbers_to_try, partition


def planted(number, each, dimension=4, seed=0):
    rng = np.random.default_rng(seed)
    middle = rng.normal(size=(number, dimension)) * 12
    return np.repeat(middle, each, axis=0) + rng.normal(size=(number * each, dimension)), np.repeat(
        np.arange(number), each
    )


@pytest.mark.parametrize("number", [2, 3, 5, 8])
def test_the_planted_number_is_found_and_populations_are_stable(number):
    points, truth = planted(number, 10)
    weights = np.random.default_rng(1).dirichlet(np.full(len(points), 5.0))
    found = find(points, weights, resamples=30)
    assert found.number == number
    pairs = {(int(a), int(b)) for a, b in zip(found.labels, truth, strict=True)}
    assert len(pairs) == number
    mass = np.bincount(found.labels, weights=weights)
    assert (np.diff(mass) <= 0).all()
    assert found.population == pytest.approx(np.ones(number))
    assert found.matrix == pytest.approx(found.matrix.T)


def test_one_normal_cloud_is_one_population():
    points = np.random.default_rng(0).normal(size=(80, 5))
    found = find(points, np.full(80, 1 / 80), resamples=30)
    assert found.number == 1
    assert found.stability.max() < 0.85
    assert found.labels.tolist() == [0] * 80


def test_a_fixed_number_is_taken_even_where_it_is_not_stable():
    points = np.random.default_rng(0).normal(size=(40, 3))
    assert find(points, np.full(40, 1 / 40), n_populations=7, resamples=20).number == 7
    assert find(points, np.full(40, 1 / 40), n_populations=1, resamples=20).number == 1
    assert find(points, np.full(40, 1 / 40), n_populations=40, resamples=20).number == 40


def test_few_centers_are_one_population():
    assert numbers_to_try(7, 40) == []
    for n in (1, 2, 5):
        assert find(np.arange(n * 2.0).reshape(n, 2), np.full(n, 1 / n)).number == 1


def test_parts_are_the_whole_and_the_seed_decides():
    points, _ = planted(4, 9)
    weights = np.full(36, 1 / 36)
    numbers = numbers_to_try(36, 40)
    parts = [partition(points, numbers, 3, i) for i in range(20)]
    whole = find(points, weights, resamples=20, seed=3)
    again = agree(parts, points, weights, numbers, 0.85)
    assert whole.matrix.tobytes() == again.matrix.tobytes()
    assert whole.stability.tolist() == again.stability.tolist()
    assert not np.array_equal(partition(points, numbers, 4, 0), parts[0])
    assert ((parts[0] == -1).sum(axis=1) == 36 - round(0.9 * 36)).all()


def test_a_lone_center_is_as_sure_as_its_distance_to_others():
    points, _ = planted(2, 12)
    points = np.vstack([points, points.max(axis=0) + 200])
    found = find(points, np.full(25, 1 / 25), n_populations=3, resamples=30)
    assert found.labels[-1] == 2
    assert found.center[-1] == pytest.approx(1.0)
