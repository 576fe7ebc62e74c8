"""Nearest neighbours of groups, and exact binomial intervals."""

import numpy as np
import pytest
from scipy.stats import binom

from triptych.quantization.neighbours import binomial_interval, leave_one_out


def line(*places):
    found = np.array(places)
    return np.abs(found[:, None] - found[None])


def test_two_pairs_and_one_alone():
    score = leave_one_out(line(0.0, 1.0, 10.0, 11.5, 13.0), ["a", "a", "b", "b", "c"])
    assert score.correct == (True, True, True, True, False)
    assert score.accuracy == 0.8
    assert score.majority == 0.4
    assert score.alone == ("c",)


def test_a_repeat_of_the_same_subject_is_no_neighbour():
    distances = line(0.0, 0.1, 1.0, 1.1, 1.9, 2.0)
    groups, subjects = ["a", "a", "b", "b", "a", "a"], ["p", "p", "q", "q", "r", "r"]
    assert leave_one_out(distances, groups).accuracy == 1.0
    score = leave_one_out(distances, groups, subjects)
    assert score.nearest == (2, 2, 4, 4, 3, 3)
    assert score.accuracy == 0.0
    assert score.units == 3


def test_one_subject_alone_has_no_neighbour():
    score = leave_one_out(line(0.0, 1.0), ["a", "a"], ["p", "p"])
    assert score.nearest == (-1, -1)
    assert score.accuracy == 0.0


@pytest.mark.parametrize(("right", "trials"), [(0, 5), (3, 9), (9, 9), (40, 57)])
def test_the_ends_of_an_interval_leave_a_fortieth_on_either_side(right, trials):
    low, high = binomial_interval(right, trials)
    assert low <= right / trials <= high
    assert binom.sf(right - 1, trials, low) == pytest.approx(0.025 if right else 1.0)
    assert binom.cdf(right, trials, high) == pytest.approx(0.025 if right < trials else 1.0)
