"""Exact transport against closed forms."""

import numpy as np
import pytest

from triptych.quantization import exact_transport
from triptych.quantization.exact_transport import PIVOTS, plan, wasserstein


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


def test_a_plan_has_the_marginals():
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


def test_a_pair_has_one_distance_whichever_is_named_first():
    rng = np.random.default_rng(5)
    for _ in range(20):
        a, b = rng.normal(size=(30, 3)) * 1e3, rng.normal(size=(25, 3))
        w, v = rng.random(30), rng.random(25)
        assert wasserstein(a, w, b, v) == wasserstein(b, v, a, w)


def test_pot_finds_the_same_where_the_compiled_solver_proves_nothing(monkeypatch):
    rng = np.random.default_rng(6)
    a, b, w, v = rng.normal(size=(40, 3)) + 5, rng.normal(size=(50, 3)), rng.random(40), rng.random(50)
    coupling, cost = plan(a, w, b, v)
    real = exact_transport.transport
    monkeypatch.setattr(
        exact_transport, "transport", lambda *given: (real(*given)[0], 1.0, *real(*given)[2:])
    )
    again, same = plan(a, w, b, v)
    assert same == pytest.approx(cost, rel=1e-12)
    assert again == pytest.approx(coupling, abs=1e-12)
    assert ((a[:, None] - b[None]) ** 2 * coupling[:, :, None]).sum() == pytest.approx(cost, rel=1e-9)
