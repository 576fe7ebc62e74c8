"""Exact transport against closed forms, and bounds against the truth."""

import numpy as np
import ot
import pytest
from scipy.linalg import sqrtm

from triptych.quantization import quantize, transport
from triptych.quantization.exact_transport import PIVOTS, gelbrich, plan, wasserstein


def test_translation_is_its_length():
    rng = np.random.default_rng(0)
    centers, weights = rng.normal(size=(30, 4)), rng.random(30)
    shift = np.array([3.0, 0, 4.0, 0])
    assert wasserstein(centers, weights, centers + shift, weights) == pytest.approx(5.0)
    assert wasserstein(centers, weights, centers, weights) == pytest.approx(0.0, abs=1e-7)


def test_one_dimension_is_the_distance_of_quantiles():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(200, 1)), rng.gamma(2, size=(200, 1)) * 1000
    equal = np.ones(200)
    expected = np.sqrt(((np.sort(a[:, 0]) - np.sort(b[:, 0])) ** 2).mean())
    assert wasserstein(a, equal, b, equal) == pytest.approx(expected, rel=1e-9)


def test_tiny_and_huge_units_give_the_same_plan():
    rng = np.random.default_rng(2)
    a, b, w, v = rng.normal(size=(40, 3)), rng.normal(size=(50, 3)), rng.random(40), rng.random(50)
    one = wasserstein(a, w, b, v)
    for unit in (1e-9, 1e9):
        assert wasserstein(a * unit, w, b * unit, v) == pytest.approx(one * unit, rel=1e-6)


def test_a_plan_has_the_marginals(monkeypatch):
    rng = np.random.default_rng(3)
    w, v = rng.random(5), rng.random(7)
    coupling, _ = plan(rng.normal(size=(5, 2)), w, rng.normal(size=(7, 2)), v)
    assert coupling.sum(axis=1) == pytest.approx(w / w.sum())
    assert coupling.sum(axis=0) == pytest.approx(v / v.sum())


def test_a_solver_that_gives_up_is_an_error(monkeypatch):
    monkeypatch.setattr("triptych.quantization.exact_transport.PIVOTS", 1)
    rng = np.random.default_rng(4)
    with pytest.warns(UserWarning, match="numItermax"), pytest.raises(ValueError, match="did not converge"):
        plan(rng.normal(size=(50, 2)), np.ones(50), rng.normal(size=(50, 2)), np.ones(50))
    assert PIVOTS > 10**6


def test_gelbrich_is_the_distance_of_gaussians():
    rng = np.random.default_rng(5)
    a, b = rng.normal(size=(3, 3)), rng.normal(size=(3, 3))
    s, t, m = a @ a.T, b @ b.T, rng.normal(size=3)
    root = np.real(sqrtm(s))
    expected = np.sqrt((m**2).sum() + np.trace(s + t - 2 * np.real(sqrtm(root @ t @ root))))
    assert gelbrich(m, s, np.zeros(3), t) == pytest.approx(expected)
    assert gelbrich(m, s, m, s) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("d", [2, 6])
def test_the_interval_holds_the_distance_of_the_clouds(d):
    rng = np.random.default_rng(d)
    clouds = []
    for _ in range(5):
        spread = rng.normal(size=(d, d))
        clouds.append((rng.standard_t(5, size=(400, d)) @ spread + rng.normal(size=d)).astype(np.float64))
    found = transport([quantize(cloud, 16) for cloud in clouds])
    equal = np.full(400, 1 / 400)
    for i in range(5):
        for j in range(i):
            cost = ((clouds[i][:, None] - clouds[j][None]) ** 2).sum(axis=2)
            truth = np.sqrt(ot.emd2(equal, equal, cost))
            assert found.lower[i, j] <= truth + 1e-9
            assert truth <= found.upper[i, j] + 1e-9
    assert (found.w2 == found.w2.T).all()
