"""Shares of populations: intervals, log ratios that a single change does not move, tests by subject."""

import numpy as np
import pytest
from scipy import stats

from triptych.analysis.abundance import by_subject, compare_shares, delta_interval, log_ratios, wilson


def test_wilson_is_that_of_scipy_and_holds_the_share():
    count, total = np.array([0.0, 3, 50, 100]), np.full(4, 100.0)
    low, high = wilson(count, total)
    for k in range(4):
        expected = stats.binomtest(int(count[k]), 100).proportion_ci(method="wilson")
        assert (low[k], high[k]) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert (low <= count / total).all()
    assert (high >= count / total).all()


def test_one_population_that_grows_moves_no_other_ratio():
    share = np.full((2, 7), 1 / 7)
    share[1, 0] = 0.5
    share[1, 1:] = 0.5 / 6
    ratios = log_ratios(share, np.array([10**9, 10**9]))
    assert ratios[:, 1:] == pytest.approx(0, abs=1e-6)
    assert ratios[1, 0] - ratios[0, 0] == pytest.approx(np.log2(6), abs=1e-6)
    assert np.isfinite(log_ratios(np.array([[1.0, 0.0]]), np.array([10]))).all()


@pytest.mark.parametrize(("first", "second"), [(3, 3), (4, 9), (30, 25)])
def test_the_interval_of_delta_holds_it_and_narrows(first, second):
    for delta in (-1.0, -0.5, 0.0, 0.3, 1.0):
        low, high = delta_interval(delta, first, second)
        assert -1 <= low <= delta <= high <= 1
        assert low < high
        assert delta_interval(-delta, first, second) == pytest.approx((-high, -low), abs=1e-9)
        more = delta_interval(delta, 4 * first, 4 * second)
        assert more[1] - more[0] < high - low


def test_a_planted_difference_is_called_and_welch_is_that_of_scipy():
    rng = np.random.default_rng(0)
    counts = rng.poisson(1000, (12, 6)).astype(float)
    counts[6:, 2] *= 3
    shares = counts / counts.sum(axis=1, keepdims=True)
    ratios = log_ratios(shares, counts.sum(axis=1))
    groups = ["a"] * 6 + ["b"] * 6
    found = compare_shares(shares, ratios, groups)
    assert found.rank_ratios.q[2] < 0.05
    assert found.welch_q[2] < 1e-6
    assert (found.welch_q[[0, 1, 3, 4, 5]] > 0.05).all()
    assert found.welch_p[0] == pytest.approx(
        stats.ttest_ind(ratios[:6, 0], ratios[6:, 0], equal_var=False).pvalue
    )
    assert found.log_ratio[2] == pytest.approx(np.log2(3), abs=0.1)
    assert found.fold[2] == pytest.approx(shares[6:, 2].mean() / shares[:6, 2].mean())
    three = compare_shares(shares, ratios, ["a"] * 4 + ["b"] * 4 + ["c"] * 4)
    assert three.welch_p[2] < 0.01
    assert np.isnan(compare_shares(shares[:3], ratios[:3], ["a", "b", "b"]).welch_p).all()
    # Of two subjects the variance is hardly known: small p would come several times too often.
    assert np.isnan(compare_shares(shares, ratios, ["a"] * 2 + ["b"] * 10).welch_p).all()
    assert np.isfinite(compare_shares(shares, ratios, ["a"] * 3 + ["b"] * 9).welch_p).all()


def test_samples_of_one_subject_are_averaged_within_their_group():
    values = np.array([[1.0], [3.0], [10.0], [20.0]])
    rows, groups = by_subject(values, ["p", "p", "q", "p"], ["a", "a", "b", "b"])
    assert rows.ravel().tolist() == [2.0, 20.0, 10.0]
    assert groups == ["a", "b", "b"]
