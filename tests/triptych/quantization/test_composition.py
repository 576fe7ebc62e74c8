"""Compositions: what log-ratios must not depend on, and what a replaced zero leaves alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triptych.quantization import composition


def shares(seed: int, n: int = 5, k: int = 7, zeros: bool = False):
    rng = np.random.default_rng(seed)
    found = rng.dirichlet(np.ones(k), n)
    if zeros:
        found[rng.random((n, k)) < 0.3] = 0
        found[:, 0] += 0.1
    return found / found.sum(axis=1, keepdims=True)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 100_000))
def test_replacement_keeps_ratios_and_order(seed, events):
    given_shares = shares(seed, zeros=True)
    found = composition.replace_zeros(given_shares, np.full(5, events))
    assert found.sum(axis=1) == pytest.approx(np.ones(5))
    assert (found > 0).all()
    for before, after in zip(given_shares, found, strict=True):
        kept = before > 0
        assert after[kept] / after[0] == pytest.approx(before[kept] / before[0])
        assert after[~kept] == pytest.approx(np.full((~kept).sum(), 0.65 / max(events, 7)))


def test_without_zeros_nothing_changes():
    assert composition.replace_zeros(shares(1), np.full(5, 1000)) == pytest.approx(shares(1))


def test_a_row_without_weight_is_refused():
    with pytest.raises(ValueError, match="at least one that is positive"):
        composition.replace_zeros(np.zeros((1, 3)), np.array([10]))


def test_distance_does_not_change_when_all_are_perturbed_alike():
    first, factor = shares(2), np.random.default_rng(3).random(7) + 0.1
    moved = first * factor / (first * factor).sum(axis=1, keepdims=True)
    one, two = (composition.aitchison(composition.centred_log_ratios(x)) for x in (first, moved))
    assert one == pytest.approx(two)
    assert one == pytest.approx(one.T)


def test_log_ratios_sum_to_zero_and_axes_keep_distances():
    ratios = composition.centred_log_ratios(shares(4))
    assert ratios.sum(axis=1) == pytest.approx(np.zeros(5))
    found = composition.principal_ratios(ratios, 4)
    apart = np.linalg.norm(found.coordinates[:, None] - found.coordinates[None], axis=2)
    assert apart == pytest.approx(composition.aitchison(ratios))
    assert found.explained.sum() == pytest.approx(1)


def test_mass_goes_to_the_nearest_center():
    found = composition.nearest_center_weights(
        np.array([[0.0], [0.9], [6.0]]), np.array([1.0, 2.0, 1.0]), np.array([[0.0], [1.0], [9.0]])
    )
    assert found == pytest.approx([0.25, 0.5, 0.25])
