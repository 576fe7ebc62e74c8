"""Rearrangements: each distinct one once, and subjects that stay whole."""

from collections import Counter

import numpy as np
import pytest

from triptych.quantization.arrangements import arrange


def test_all_distinct_arrangements_once():
    found = arrange(np.array([0, 0, 1, 1, 1]), list("abcde"), 999, 0)
    assert found.exact
    assert found.count == 10 == len({tuple(row) for row in found.labels.tolist()}) == len(found.labels)
    assert found.least_p == 0.1


def test_samples_of_a_subject_move_together():
    found = arrange(np.array([0, 0, 1, 1, 1]), list("ppqrr"), 999, 0)
    assert sorted(map(tuple, found.labels.tolist())) == [(0, 0, 1, 1, 1), (1, 1, 0, 1, 1), (1, 1, 1, 0, 0)]


def test_a_factor_within_subjects_stays_within_them():
    found = arrange(np.array([0, 1, 0, 1]), list("ppqq"), 999, 0)
    assert found.count == 4
    assert all(sorted(row[:2]) == sorted(row[2:]) == [0, 1] for row in found.labels.tolist())


def test_strata_are_kept():
    found = arrange(np.array([0, 1, 0, 1, 1]), list("abcde"), 999, 0, strata=np.array([0, 0, 1, 1, 1]))
    assert found.count == 2 * 3
    assert all(sum(row[:2]) == 1 for row in found.labels.tolist())


@pytest.mark.parametrize("strata", [None, np.arange(30) % 2])
def test_random_arrangements_keep_the_counts(strata):
    labels = np.arange(30) % 3
    found = arrange(labels, [str(i) for i in range(30)], 200, 5, strata)
    assert not found.exact
    assert found.labels.shape == (200, 30)
    assert found.least_p == 1 / 201
    for row in found.labels:
        assert Counter(row.tolist()) == Counter(labels.tolist())
    assert np.array_equal(found.labels, arrange(labels, [str(i) for i in range(30)], 200, 5, strata).labels)


def test_p_counts_the_observed_one():
    exact = arrange(np.array([0, 0, 1, 1]), list("abcd"), 999, 0)
    assert exact.p_value(np.array([1.0, 2, 3, 4, 5, 6]), 5.0) == pytest.approx(2 / 6)
    drawn = arrange(np.arange(30) % 3, [str(i) for i in range(30)], 99, 0)
    assert drawn.p_value(np.zeros(99), 1.0) == pytest.approx(1 / 100)


@pytest.mark.parametrize(
    ("labels", "subjects", "least"),
    [
        ([0, 0, 0, 1, 1, 1], "abcdef", 2 / 20),  # the names of equal groups change places
        ([0, 0, 1, 1, 1, 1], "abcdef", 1 / 15),
        ([0, 1, 0, 1, 0, 1], "ppqqrr", 2 / 8),
        ([0, 0, 1, 1, 2, 2], "ppqqrr", 1.0),  # every subject has its own level
        (range(9), "abcdefghi", 1.0),
    ],
)
def test_arrangements_that_only_rename_levels_are_no_evidence(labels, subjects, least):
    found = arrange(np.array(labels), list(subjects), 999, 0)
    assert found.least_p == pytest.approx(least)
