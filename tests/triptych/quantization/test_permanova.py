"""What factors explain: textbook values, uniform p under the null, planted effects, and ties between factors."""

import numpy as np
import pytest
from scipy import stats

from triptych.quantization.permanova import cramers_v, effect, tied


def apart(points):
    return np.linalg.norm(points[:, None] - points[None], axis=2)


def names(codes):
    return [str(c) for c in codes]


def test_one_dimension_is_the_analysis_of_variance():
    rng = np.random.default_rng(0)
    values, group = rng.normal(size=(15, 1)), np.arange(15) % 3
    found = effect(apart(values), names(group), names(range(15)), 999, 0)
    f, p = stats.f_oneway(*(values[group == g, 0] for g in range(3)))
    assert found.pseudo_f == pytest.approx(f)
    assert found.p == pytest.approx(p, abs=0.06)
    assert (found.df, found.df_residual) == (2, 12)
    square = (1 - found.r2) / 12
    assert found.omega2 == pytest.approx((found.r2 - 2 * square) / (1 + square))
    assert found.null_r2[0] == pytest.approx(2 / 14, abs=0.02)


def test_dispersion_is_the_test_of_distances_to_centroids():
    rng = np.random.default_rng(1)
    group = np.arange(24) % 2
    points = rng.normal(size=(24, 3)) * np.where(group, 4.0, 1.0)[:, None]
    found = effect(apart(points), names(group), names(range(24)), 499, 0)
    away = [np.linalg.norm(points[group == g] - points[group == g].mean(axis=0), axis=1) for g in range(2)]
    assert found.dispersion_f == pytest.approx(stats.f_oneway(*away)[0])
    assert found.dispersion_p < 0.01


def test_p_is_uniform_without_an_effect():
    rng = np.random.default_rng(2)
    found = [
        effect(apart(rng.normal(size=(12, 4))), names(np.arange(12) % 2), names(range(12)), 199, i).p
        for i in range(150)
    ]
    assert stats.kstest(found, "uniform").pvalue > 0.001
    assert 0.005 < np.mean(np.array(found) <= 0.05) < 0.12


def test_p_is_uniform_for_repeated_samples_of_subjects_but_not_when_they_move_freely():
    rng = np.random.default_rng(3)
    subject, group = np.repeat(np.arange(12), 3), np.repeat(np.arange(12) % 2, 3)
    restricted, free = [], []
    for i in range(60):
        points = rng.normal(size=(12, 2))[subject] + 0.1 * rng.normal(size=(36, 2))
        restricted.append(effect(apart(points), names(group), names(subject), 99, i).p)
        free.append(effect(apart(points), names(group), names(range(36)), 99, i).p)
    assert np.mean(np.array(restricted) <= 0.05) < 0.15
    assert np.mean(np.array(free) <= 0.05) > 0.25


def test_a_planted_batch_is_found_beyond_the_group():
    rng = np.random.default_rng(4)
    group, batch = np.arange(24) % 2, np.arange(24) // 8
    points = rng.normal(size=(24, 4)) + 3.0 * batch[:, None] * [1, 0, 0, 0]
    distances, subjects = apart(points), names(range(24))
    of_batch = effect(distances, names(batch), subjects, 499, 0, names(group))
    of_group = effect(distances, names(group), subjects, 499, 0, names(batch))
    assert of_batch.p == pytest.approx(1 / 500)
    assert of_batch.r2 > 0.4 > of_group.r2
    assert of_group.p > 0.05
    alone = effect(distances, names(batch), subjects, 499, 0)
    assert alone.r2 == pytest.approx(of_batch.r2)  # a balanced design: nothing is shared


def test_a_tied_factor_adds_nothing():
    rng = np.random.default_rng(5)
    group = names(np.arange(12) // 6)
    batch = names(np.arange(12) // 3)
    found = effect(apart(rng.normal(size=(12, 2))), group, names(range(12)), 99, 0, batch)
    assert tied(group, batch)
    assert not tied(batch, group)
    assert found.df == 0
    assert np.isnan(found.p)


def test_few_subjects_are_enumerated():
    points = np.array([[0.0], [0.1], [0.2], [5.0], [5.1], [5.2]])
    found = effect(apart(points), list("aaabbb"), list("pqrstu"), 999, 0)
    assert found.exact
    assert found.arrangements == 20
    assert found.p == pytest.approx(2 / 20)
    assert found.least_p == found.p


def test_a_factor_that_is_the_subject_cannot_be_tested():
    points = np.random.default_rng(6).normal(size=(8, 2))
    found = effect(apart(points), list("aabbccdd"), list("ppqqrrss"), 999, 0)
    assert found.r2 > 0
    assert np.isnan([found.p, found.dispersion_p]).all()
    assert found.least_p == 1


@pytest.mark.parametrize("place", [0.0, 3.0])
def test_unequal_groups_of_equal_spread_are_not_said_to_spread(place):
    """Distances to the centroids of the observed groups, rearranged, reject three times too often here."""
    rng, group = np.random.default_rng(7), np.repeat([0, 1, 2], [2, 5, 13])
    found = [
        effect(
            apart(rng.normal(size=(20, 3)) + place * group[:, None]), names(group), names(range(20)), 99, i
        )
        for i in range(200)
    ]
    assert np.mean([f.dispersion_p <= 0.05 for f in found]) < 0.1


def test_a_level_that_one_sample_may_fill_is_no_error():
    subjects = list("pppqqqrst")
    found = effect(apart(np.random.default_rng(8).normal(size=(9, 2))), list("xxxyyyxyy"), subjects, 999, 0)
    assert 0 < found.dispersion_p <= 1
    small = effect(apart(np.random.default_rng(8).normal(size=(5, 2))), list("xxyyy"), list("ppqrs"), 999, 0)
    assert 0 < small.dispersion_p <= 1


def test_one_level_is_refused():
    with pytest.raises(ValueError, match="two levels"):
        effect(np.zeros((3, 3)), list("aaa"), list("pqr"), 99, 0)


def test_association_of_factors():
    assert cramers_v(list("aabb"), list("xxyy")) == pytest.approx(1)
    assert cramers_v(list("aabb"), list("xyxy")) == pytest.approx(0)
    assert np.isnan(cramers_v(list("aabb"), list("xxxx")))
