"""Lloyd passes: chunked equals whole, inertia falls, empty cells are filled."""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans

from triptych.quantization import lloyd, quantize


def cloud(seed: int, n: int = 400, d: int = 3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(n, d)) + rng.integers(0, 4, (n, 1)) * 3).astype(np.float32)


@given(cuts=st.sets(st.integers(1, 399), max_size=6), seed=st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_sums_of_chunks_are_those_of_the_whole(cuts, seed):
    points = cloud(seed)
    centers = points[:5].astype(float)
    edges = [0, *sorted(cuts), len(points)]
    chunks = [points[a:b] for a, b in pairwise(edges)]
    parts = lloyd.merge_all(lloyd.partial(chunk, centers) for chunk in chunks)
    whole = lloyd.partial(points, centers)
    assert (parts.mass == whole.mass).all()
    assert parts.shift == pytest.approx(whole.shift, abs=1e-9)
    assert parts.square == pytest.approx(whole.square)
    assert (parts.far == whole.far).all()
    assert (parts.far_point == whole.far_point).all()


def test_inertia_never_rises_and_matches_scikit_learn():
    points = cloud(1, 2000)
    start = points[::250].astype(float)
    centers, history = lloyd.lloyd(points, start, 100, 0.0, relaxation=1.0)
    assert (np.diff(history) <= 1e-9 * history[0]).all()
    peer = KMeans(len(start), init=start, n_init=1, max_iter=100, tol=0).fit(points.astype(float))
    assert history[-1] == pytest.approx(peer.inertia_, rel=1e-6)
    assert np.sort(centers, axis=0) == pytest.approx(np.sort(peer.cluster_centers_, axis=0), abs=1e-5)


def test_an_empty_cell_takes_the_farthest_event_of_the_costliest_cell():
    points = np.array([[0.0], [1.0], [2.0], [100.0], [101.0], [140.0]])
    centers = np.array([[1.0], [110.0], [1e6]])
    new = lloyd.finish(lloyd.partial(points, centers), centers)
    assert new[2, 0] == 140.0
    _, history = lloyd.lloyd(points, centers, 20, 0.0, relaxation=1.0)
    assert history[-1] == pytest.approx(2.0 + 0.5)


def test_more_empty_cells_than_events_to_give_stay_where_they_are():
    points = np.zeros((4, 2))
    centers = np.array([[0.0, 0.0], [5.0, 5.0], [6.0, 6.0]])
    new = lloyd.finish(lloyd.partial(points, centers), centers)
    assert (new == centers).all()


def test_weights_count_as_copies():
    points = cloud(2, 60)
    copies = np.random.default_rng(0).integers(1, 4, 60)
    centers = points[:4].astype(float)
    weighted, _ = lloyd.lloyd(points, centers, 5, 0.0, copies.astype(float))
    repeated, _ = lloyd.lloyd(np.repeat(points, copies, axis=0), centers, 5, 0.0)
    assert weighted == pytest.approx(repeated)


@pytest.mark.parametrize("seed", range(5))
def test_a_step_beyond_the_mean_falls_further_in_as_many_passes(seed):
    points = cloud(seed, 5000, 6)
    start = points[::50].astype(float)
    _, plain = lloyd.lloyd(points, start, 12, 0.0, relaxation=1.0)
    _, beyond = lloyd.lloyd(points, start, 12, 0.0)
    assert (np.diff(beyond) <= 1e-6 * beyond[0]).all()
    assert beyond[-1] < plain[-1]


def test_the_gain_is_what_the_cell_means_take_from_the_inertia():
    points = cloud(4, 900)
    centers = points[:7].astype(float) + 0.3
    sums, labels = lloyd.certified(points, centers)
    means = lloyd.finish(sums, centers, 1.0)
    left = ((points - means[labels]) ** 2).sum()
    assert sums.inertia * (1 - sums.gain) == pytest.approx(left)


def test_a_rising_inertia_is_a_defect():
    points = cloud(4, 900)
    centers = points[:7].astype(float) + 0.3
    sums, _ = lloyd.certified(points, centers)
    value = sums.inertia
    lloyd.check_fall(np.array([value, value, value * 0.9]), sums, centers)
    with pytest.raises(ValueError, match="inertia rose"):
        lloyd.check_fall(np.array([value, value * 1.1]), sums, centers)


@pytest.mark.parametrize("seed", range(12))
def test_far_outliers_and_few_places_are_no_defect(seed):
    rng = np.random.default_rng(seed)
    far = rng.normal(size=(250, 4))
    far[:2] *= 2e5
    few = rng.integers(0, 3, (300, 2)) * rng.uniform(0.1, 10) + rng.uniform(-100, 100)
    for points in (far, few):
        assert quantize(points, 50, seed=seed).epsilon >= 0


def test_threads_give_the_same_bytes():
    points = cloud(5, 40_000, 4)
    start = points[::1000].astype(float)
    one = lloyd.lloyd(points, start, 4, 0.0)
    with ThreadPoolExecutor(4) as pool:
        four = lloyd.lloyd(points, start, 4, 0.0, over=pool.map)
    assert one[0].tobytes() == four[0].tobytes()
    assert one[1].tobytes() == four[1].tobytes()


def test_a_pass_needs_a_chunk():
    with pytest.raises(ValueError, match="at least one chunk"):
        lloyd.merge_all([])
