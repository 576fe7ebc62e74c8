"""Spearman against scipy, weights against repeated rows, and rates against their definition."""

import numpy as np
import pytest
from scipy import stats

from triptych.analysis.correlation import benjamini_hochberg, clustered_order, effective_number, spearman


def rows(n: int = 60, d: int = 5, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n, d))
    values[:, 1] += values[:, 0] ** 3
    values[:, 2] = np.round(values[:, 2])  # ties
    return values


def test_equal_to_scipy() -> None:
    values = rows()
    wanted = stats.spearmanr(values)
    found = spearman(values)
    np.testing.assert_allclose(found.rho, wanted.statistic, atol=1e-12)
    np.testing.assert_allclose(found.p, wanted.pvalue, atol=1e-10)
    pairs = np.triu_indices(5, 1)
    np.testing.assert_allclose(
        found.q[pairs], stats.false_discovery_control(wanted.pvalue[pairs]), atol=1e-10
    )
    assert (found.n == 60).all()


def test_missing_values_are_left_out_pair_by_pair() -> None:
    values = rows()
    values[:10, 0] = np.nan
    values[5:20, 3] = np.nan
    found = spearman(values)
    for i, j in [(0, 3), (0, 1), (1, 2)]:
        both = np.isfinite(values[:, i]) & np.isfinite(values[:, j])
        assert found.rho[i, j] == pytest.approx(stats.spearmanr(values[both, i], values[both, j]).statistic)
        assert found.n[i, j] == both.sum()
    np.testing.assert_array_equal(found.rho, found.rho.T)


def test_weights_count_rows() -> None:
    values = rows(40, 4)
    times = np.random.default_rng(1).integers(1, 5, 40)
    weighted, repeated = spearman(values, times.astype(float)), spearman(np.repeat(values, times, axis=0))
    np.testing.assert_allclose(weighted.rho, repeated.rho, atol=1e-12)
    assert weighted.n[0, 1] == pytest.approx(times.sum() ** 2 / (times**2).sum())
    np.testing.assert_allclose(spearman(values, np.full(40, 0.025)).rho, spearman(values).rho)


def test_constant_columns_and_few_rows_have_no_correlation() -> None:
    values = rows()
    values[:, 4] = 7.0
    found = spearman(values)
    assert np.isnan(found.rho[4]).all()
    assert np.isnan(found.q[4, :4]).all()
    assert np.isfinite(found.rho[:4, :4]).all()
    assert np.isnan(spearman(values[:3]).rho).all()


def test_rates_hold_under_the_null() -> None:
    rng = np.random.default_rng(2)
    assert not benjamini_hochberg(np.array([])).size
    found = np.mean([(benjamini_hochberg(rng.random(100)) < 0.05).any() for _ in range(2000)])
    assert found == pytest.approx(0.05, abs=0.015)
    np.testing.assert_allclose(benjamini_hochberg(np.array([0.01, np.nan, 0.5])), [0.02, np.nan, 0.5])
    np.testing.assert_allclose(benjamini_hochberg(np.array([0.01, 0.02, 0.03, 0.5])), [0.04, 0.04, 0.04, 0.5])


def test_heat_map_order_keeps_categories_together() -> None:
    rng = np.random.default_rng(3)
    base = rng.normal(size=(200, 2))
    values = np.stack([base[:, k % 2] + 0.1 * rng.normal(size=200) for k in range(6)], axis=1)
    order = clustered_order(spearman(values).rho, ["a", "a", "a", "a", "b", "b"])
    assert sorted(order[:4].tolist()) == [0, 1, 2, 3]
    alike = [k % 2 for k in order[:4].tolist()]
    assert alike in ([0, 0, 1, 1], [1, 1, 0, 0])


def test_effective_number() -> None:
    assert effective_number(np.array([2.0, 2.0, 2.0])) == pytest.approx(3)
    assert effective_number(np.array([1.0, 1e-9])) == pytest.approx(1)
    assert effective_number(np.array([])) == 0
