"""Subsamples and seeds: reproducible, spread out, never more than there are distinct points."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from triptych.quantization.seeding import seed_centers, subsample_rows


@given(n=st.integers(1, 10**9), size=st.integers(1, 500), seed=st.integers(0, 2**31))
def test_subsample_takes_one_row_of_each_stretch(n, size, seed):
    rows = subsample_rows(n, size, seed)
    assert len(rows) == min(n, size)
    assert (np.diff(rows) > 0).all()
    assert rows[0] >= 0
    assert rows[-1] < n
    assert (rows == subsample_rows(n, size, seed)).all()


def test_subsample_is_even_within_a_stretch():
    rows = np.concatenate([subsample_rows(1000, 10, seed) for seed in range(2000)])
    counts = np.histogram(rows, bins=20, range=(0, 1000))[0]
    assert counts.min() > 900
    assert counts.max() < 1100


def test_another_seed_gives_other_rows():
    assert (subsample_rows(10**6, 1000, 0) != subsample_rows(10**6, 1000, 1)).any()


def test_seeds_find_well_separated_groups():
    rng = np.random.default_rng(0)
    corners = np.array([[0, 0], [0, 100], [100, 0], [100, 100.0]])
    points = np.concatenate([corner + rng.normal(size=(200, 2)) for corner in corners])
    centers = seed_centers(points, 4, seed=1)
    nearest = ((centers[:, None] - corners[None]) ** 2).sum(axis=2).argmin(axis=1)
    assert sorted(nearest) == [0, 1, 2, 3]


def test_no_more_seeds_than_distinct_points():
    points = np.repeat([[0.0, 1.0], [2.0, 3.0]], 10, axis=0)
    assert len(seed_centers(points, 5, seed=0)) == 2


def test_points_without_weight_are_never_seeds():
    points = np.arange(20.0)[:, None]
    weights = np.where(np.arange(20) % 2, 1.0, 0.0)
    for seed in range(20):
        assert (seed_centers(points, 6, seed, weights) % 2 == 1).all()
