"""Group tests against scipy and against their own null; samples are the units."""

import numpy as np
import pytest
from scipy import stats

from triptych.analysis.discrimination import (
    cliffs_delta,
    cluster_shares,
    compare_groups,
    rank_clusters,
    sample_medians,
    weighted_median,
)


def test_two_groups_are_the_exact_mann_whitney_test() -> None:
    rng = np.random.default_rng(0)
    medians = rng.normal(size=(11, 6))
    medians[5:, 0] += 3
    groups = ["a"] * 5 + ["b"] * 6
    found = compare_groups(medians, groups)
    for j in range(6):
        wanted = stats.mannwhitneyu(medians[:5, j], medians[5:, j], method="exact")
        assert found.p[j] == pytest.approx(wanted.pvalue)
        assert found.delta[j] == pytest.approx(1 - 2 * wanted.statistic / 30)
    assert found.least_p == pytest.approx(2 / 462)
    assert (found.first[0], found.second[0]) == ("a", "b")
    assert found.delta[0] > 0.8


def test_many_samples_are_the_kruskal_wallis_test() -> None:
    rng = np.random.default_rng(1)
    values = np.round(rng.normal(size=(40, 3)), 1)  # ties
    groups = [["x", "y", "z"][i % 3] for i in range(40)]
    found = compare_groups(values, groups)
    for j in range(3):
        parts = [values[[g == name for g in groups], j] for name in "xyz"]
        wanted = stats.kruskal(*parts)
        assert found.statistic[j] == pytest.approx(wanted.statistic)
        assert found.p[j] == pytest.approx(wanted.pvalue)


def test_false_discoveries_under_the_null() -> None:
    rng = np.random.default_rng(2)
    groups = ["a"] * 6 + ["b"] * 6
    calls = [(compare_groups(rng.normal(size=(12, 10)), groups).q < 0.05).any() for _ in range(200)]
    assert np.mean(calls) <= 0.08


def test_missing_and_constant_features() -> None:
    medians = np.array([[1.0, np.nan, 2], [1, 5, 3], [1, np.nan, 4], [1, np.nan, 5]])
    found = compare_groups(medians, ["a", "a", "b", "b"])
    assert found.p[0] == 1
    assert found.delta[0] == 0
    assert np.isnan(found.p[1])
    assert found.p[2] == pytest.approx(1 / 3)
    with pytest.raises(ValueError, match="two groups"):
        compare_groups(medians, ["a"] * 4)


def test_medians_and_shares_of_samples() -> None:
    matrix = np.array([[1.0, np.nan], [3, np.nan], [10, 5], [20, 6], [30, 7]])
    samples = np.array(["s2", "s2", "s1", "s1", "s1"])
    names, medians = sample_medians(matrix, samples)
    assert names == ["s1", "s2"]
    np.testing.assert_array_equal(medians, [[20, 6], [2, np.nan]])
    weighted = sample_medians(matrix, samples, np.array([1.0, 1, 1, 1, 9]))[1]
    assert weighted[0, 0] == 30
    names, shares = cluster_shares(np.array([0, 1, 0, 0, 1]), 2, samples)
    np.testing.assert_allclose(shares, [[2 / 3, 1 / 3], [0.5, 0.5]])
    assert weighted_median(np.array([4.0, 1, 2]), np.array([1.0, 1, 2])) == 2


def test_clusters_are_ranked_by_cliffs_delta() -> None:
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 3, 90)
    matrix = np.round(rng.normal(size=(90, 2)), 1)
    matrix[labels == 1, 0] += 9
    matrix[::7, 1] = np.nan
    found = rank_clusters(matrix, labels)
    for k in range(3):
        for j in range(2):
            finite = np.isfinite(matrix[:, j])
            wanted = cliffs_delta(matrix[finite & (labels != k), j], matrix[finite & (labels == k), j])
            assert found[k, j] == pytest.approx(wanted)
    times = rng.integers(1, 4, 90)
    repeated = rank_clusters(np.repeat(matrix, times, axis=0), np.repeat(labels, times))
    np.testing.assert_allclose(rank_clusters(matrix, labels, times.astype(float)), repeated)
