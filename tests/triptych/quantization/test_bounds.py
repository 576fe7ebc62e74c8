"""Bounds of W2 between clouds against the truth."""

import itertools

import numpy as np
import ot
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm
from scipy.spatial.distance import cdist

from triptych.quantization import CloudMeasure, bounds, quantize, transport
from triptych.quantization.exact_transport import solved
from triptych.readers.fcs import open_fcs


def moments_only(mean, covariance):
    """A measure of one center with the moments of a cloud."""
    return bounds.prepare(
        CloudMeasure(
            np.array([mean]),
            np.ones(1),
            np.diag(covariance)[None],
            np.sqrt(np.trace(covariance)),
            mean,
            covariance,
        )
    )


def mixture(n, d, seed):
    """Four populations that move, stretch and change their share from cloud to cloud."""
    cohort, own = np.random.default_rng([1, d]), np.random.default_rng([2, d, seed])
    means = 3 * cohort.normal(size=(4, d)) + 0.7 * own.normal(size=(4, d))
    shapes = cohort.normal(size=(4, d, d)) / np.sqrt(d) * own.uniform(0.5, 1.5, size=(4, 1, 1))
    of = own.choice(4, n, p=own.dirichlet(np.full(4, 2.0)))
    return means[of] + np.einsum("nij,nj->ni", shapes[of], own.standard_t(5, size=(n, d)))


def exact(first, second):
    """W2 of two clouds from their events."""
    weights = [np.full(len(cloud), 1 / len(cloud)) for cloud in (first, second)]
    return np.sqrt(ot.emd2(*weights, cdist(first, second, "sqeuclidean"), numItermax=10**8))


def held(clouds, n_centers, rounds=bounds.ROUNDS):
    """(pairs, 4): moments, lower, w2 and upper over the exact distance; every bound on its side."""
    ready = [bounds.prepare(quantize(cloud, n_centers)) for cloud in clouds]
    rows = []
    for i, j in itertools.combinations(range(len(clouds)), 2):
        truth = exact(clouds[i], clouds[j])
        w2, lower, upper = bounds.interval(ready[i], ready[j], rounds)
        assert (w2, lower, upper) == bounds.interval(ready[j], ready[i], rounds)
        assert lower <= truth * (1 + 1e-9)
        assert truth <= upper * (1 + 1e-9)
        rows.append(np.array([bounds.gelbrich(ready[i], ready[j]), lower, w2, upper]) / truth)
    return np.array(rows)


def test_gelbrich_is_the_distance_of_gaussians():
    rng = np.random.default_rng(5)
    a, b = rng.normal(size=(3, 3)), rng.normal(size=(3, 3))
    s, t, m = a @ a.T, b @ b.T, rng.normal(size=3)
    root = np.real(sqrtm(s))
    expected = np.sqrt((m**2).sum() + np.trace(s + t - 2 * np.real(sqrtm(root @ t @ root))))
    assert bounds.gelbrich(moments_only(m, s), moments_only(np.zeros(3), t)) == pytest.approx(expected)
    assert bounds.gelbrich(moments_only(m, s), moments_only(m, s)) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(("d", "least"), [(1, 0.97), (2, 0.85), (5, 0.7), (8, 0.65)])
def test_the_interval_holds_the_distance_of_the_clouds(d, least):
    found = held([mixture(500, d, seed) for seed in range(5)], 64)
    moments, lower, _, upper = found.mean(axis=0)
    assert lower > max(moments + 0.001, least)
    assert upper < 1.2


@given(st.integers(0, 2**31), st.integers(1, 4), st.integers(2, 60), st.integers(2, 60), st.integers(1, 20))
@settings(max_examples=40, deadline=None)
def test_no_cloud_escapes(seed, d, n, m, k):
    """Heavy tails, few events, clouds far apart or the same, features that are constant or copies of another."""
    rng = np.random.default_rng(seed)
    first = rng.standard_t(1.5, size=(n, d)) * 10.0 ** rng.integers(-3, 4)
    second = (
        first[:m]
        if rng.random() < 0.2
        else rng.gamma(0.3, size=(m, d)) + rng.normal(size=d) * rng.integers(0, 9)
    )
    if rng.random() < 0.3:
        first, second = (np.column_stack([x, x[:, 0], np.full(len(x), 7.0)]) for x in (first, second))
    truth = exact(first, second)
    scale = 1e-7 * np.sqrt((first**2).sum(axis=1).max() + (second**2).sum(axis=1).max())
    ready = [bounds.prepare(quantize(np.ascontiguousarray(cloud), k)) for cloud in (first, second)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bounds, "LEFT_OUT", np.inf)
        for rounds in (0, 1, 5):
            _, lower, upper = bounds.interval(*ready, rounds)
            assert lower <= truth + scale
            assert truth <= upper + scale


def test_more_rounds_never_lower_the_bound_and_help():
    ready = [bounds.prepare(quantize(mixture(800, 3, seed), 64)) for seed in (0, 1)]
    lowers = [bounds.interval(*ready, rounds)[1] for rounds in (0, 3, 6, 12)]
    assert lowers == sorted(lowers)
    assert lowers[-1] > 1.05 * lowers[0]


def test_measures_without_error_are_known_exactly():
    clouds = [np.random.default_rng(seed).normal(size=(20, 3)) + seed for seed in (0, 1)]
    w2, lower, upper = bounds.interval(*(bounds.prepare(quantize(cloud, 20)) for cloud in clouds))
    assert lower == pytest.approx(w2, rel=1e-9)
    assert lower <= w2 == upper
    assert w2 == pytest.approx(exact(*clouds), rel=1e-9)


def test_the_front_door_gives_the_same_matrices():
    measures = [quantize(mixture(200, 2, seed), 16) for seed in range(4)]
    found = transport(measures)
    ready = [bounds.prepare(measure) for measure in measures]
    for i, j in itertools.permutations(range(4), 2):
        assert (found.w2[i, j], found.lower[i, j], found.upper[i, j]) == bounds.interval(ready[i], ready[j])
    assert (np.diag(found.upper) == 0).all()


def test_recordings_keep_inside_their_bounds(shared_data):
    files = sorted((shared_data / "cloud" / "optimalflow").glob("*.fcs"))[:5]
    if not files:
        pytest.skip("the optimalflow recordings are not there")
    clouds = []
    for path in files:
        opened = open_fcs(path)
        rows = np.random.default_rng(0).choice(opened.n_events, 500, replace=False)
        clouds.append(np.asarray(opened.read(0, opened.n_events)[np.sort(rows)], np.float64))
    moments, lower, w2, upper = held(clouds, 128).mean(axis=0)
    assert moments < lower
    assert lower > 0.78
    assert w2 == pytest.approx(1, abs=0.05)
    assert upper < 1.15


@pytest.mark.parametrize("seed", range(4))
def test_equal_clouds_that_were_quantized_differently_may_be_equal(seed):
    rng = np.random.default_rng(seed)
    cloud = rng.normal(size=(3, 5))[rng.integers(0, 3, 160 + seed)]
    events, cells = quantize(cloud, 500), quantize(cloud, 3)
    w2, lower, upper = bounds.interval(bounds.prepare(events), bounds.prepare(cells))
    assert lower == 0.0 <= w2 <= upper < 1e-5


def test_flat_clouds_across_each_other_have_no_smooth_map():
    along = np.random.default_rng(0).normal(size=(60, 1))
    first, second = (bounds.prepare(quantize(along @ [axis], 8)) for axis in ([1.0, 0.0], [0.0, 1.0]))
    _, *plan = solved(first.side, second.side)
    assert bounds.smooth(first, second, plan, 3) == 0.0
    held([along @ [[1.0, 0.0]], along @ [[0.0, 1.0]], along @ [[1.0, 1e-9]]], 8)
