"""Names of populations: bimodal markers are cut, others stay silent, names differ."""

import numpy as np
import pytest

from triptych.analysis.naming import names, separation, signs, thresholds, two_means


def test_a_cut_lies_between_two_modes_also_of_a_rare_one():
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(0, 0.3, 95), rng.normal(5, 0.3, 5)])
    cut = two_means(values, np.ones(100))
    assert 2 < cut < 3
    assert separation(values, np.ones(100), cut) > 10


def test_one_mode_and_a_constant_are_not_cut():
    grid = np.linspace(-3, 3, 400)
    normal = np.exp(-(grid**2) / 2)
    cuts = thresholds(np.stack([np.sign(grid), np.zeros(400)], axis=1), np.ones(400))
    assert cuts[0] == pytest.approx(0)
    assert np.isnan(cuts[1])
    assert separation(grid, normal, 0.0) == pytest.approx(2.65, abs=0.05)


def test_names_hold_the_fewest_signs_that_part():
    points = np.array([[5.0, 5, 0], [5, 0, 5], [0, 0, 0]]).repeat(6, axis=0)
    points += np.random.default_rng(0).normal(size=points.shape) * 0.1
    labels, weights = np.repeat([0, 1, 2], 6), np.full(18, 1 / 18)
    profile = signs(points, weights, labels, thresholds(points, weights))
    assert profile.tolist() == [[1, 1, -1], [1, -1, 1], [-1, -1, -1]]
    assert names(profile, profile.astype(float), ["CD3", "CD4", "CD8"]) == ["CD4+", "CD8+", "CD3-"]


def test_a_population_on_both_sides_says_nothing_and_equal_ones_are_numbered():
    labels, weights = np.array([0, 0, 1, 1]), np.full(4, 0.25)
    profile = signs(np.array([[0.0], [9], [0], [9]]), weights, labels, np.array([4.0]))
    assert profile.tolist() == [[0], [0]]
    assert names(profile, np.zeros((2, 1)), ["CD3"]) == ["population (1)", "population (2)"]


def test_a_sign_is_that_of_the_whole_marker():
    profile = np.array([[1, -1, 1], [-1, -1, 1], [-1, 1, 1], [-1, 1, -1]], np.int8)
    found = names(profile, profile.astype(float), ["HLA-DR", "CD4+CD20", "SSC-A Low"])
    assert found == ["HLA-DR+", "HLA-DR- (CD4+CD20)-", "(CD4+CD20)+ (SSC-A Low)+", "(SSC-A Low)-"]
