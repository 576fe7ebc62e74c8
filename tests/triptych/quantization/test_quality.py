"""Planted faults are found, and clean recordings keep nearly all of their events."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triptych.quantization import quality


def cells(n, rng):
    """Forward scatter by area and height, side scatter: lymphocytes and monocytes."""
    big = rng.random(n) < 0.2
    height = np.where(big, 90_000, 55_000) * np.exp(rng.normal(0, 0.1, n))
    area = height * np.where(big, 1.25, 1.1) * np.exp(rng.normal(0, 0.03, n))
    side = np.where(big, 60_000, 22_000) * np.exp(rng.normal(0, 0.2, n))
    return area, height, side


def scores(flagged, truth):
    """Recall and precision."""
    return (flagged & truth).sum() / truth.sum(), (flagged & truth).sum() / max(flagged.sum(), 1)


def test_margins_are_the_end_of_the_range_and_piles_at_either_end():
    rng = np.random.default_rng(0)
    values = rng.gamma(2, 20_000, (20_000, 3))
    truth = rng.random(20_000) < 0.02
    values[truth, 0] = 262_143
    low = rng.random(20_000) < 0.01
    values[low, 1] = -111.0
    rule = quality.judge_margins(values, list("abc"), [262_143.0] * 3, [False] * 3)
    assert "1.0% of b pile up at -111" in rule.text
    flagged = quality.flag_margins(values, rule.thresholds)
    assert scores(flagged, truth | low | (values >= 262_143).any(axis=1)) == (1.0, 1.0)


def test_a_pile_at_an_unknown_end_is_found_and_a_large_low_one_stays():
    rng = np.random.default_rng(0)
    values = np.clip(rng.normal(2, 1, (20_000, 2)), [0.0, 1.9], [3.9, 9.0])
    rule = quality.judge_margins(values, ["a", "b"], [None, None], [False, False])
    flagged = quality.flag_margins(values, rule.thresholds)
    assert (flagged == ((values[:, 0] == 0) | (values[:, 0] == 3.9))).all()
    assert "of b pile up at 1.9, kept" in rule.text


def test_the_floor_of_a_logarithmic_amplifier_is_no_margin():
    rng = np.random.default_rng(0)
    values = np.where(rng.random((20_000, 1)) < 0.02, 1.0, 1 + rng.gamma(2, 100, (20_000, 1)))
    assert quality.judge_margins(values, ["a"], [None], [False]).thresholds is not None
    assert quality.judge_margins(values, ["a"], [None], [True]).thresholds is None


def test_a_continuous_recording_without_a_range_has_no_margins():
    values = np.random.default_rng(0).normal(size=(10_000, 4))
    assert quality.judge_margins(values, list("abcd"), [None] * 4, [False] * 4).thresholds is None


def test_doublets_are_found_by_their_area():
    rng = np.random.default_rng(1)
    area, height, _ = cells(30_000, rng)
    truth = rng.random(30_000) < 0.05
    area[truth] += rng.permutation(area)[truth]
    height[truth] *= rng.uniform(1.0, 1.25, truth.sum())
    rule = quality.judge_doublets(area, height, 5.0)
    recall, precision = scores(quality.flag_doublets(area, height, rule.thresholds), truth)
    assert recall > 0.95
    assert precision > 0.98


def test_debris_lies_below_a_clear_valley():
    rng = np.random.default_rng(2)
    area, _, side = cells(30_000, rng)
    truth = rng.random(30_000) < 0.1
    area[truth] = 6_000 * np.exp(rng.normal(0, 0.4, truth.sum()))
    side[truth] = 3_000 * np.exp(rng.normal(0, 0.5, truth.sum()))
    rule = quality.judge_debris(area, side)
    recall, precision = scores(quality.flag_debris(area, side, rule.thresholds), truth)
    assert recall > 0.97
    assert precision > 0.97


def test_small_cells_are_no_debris():
    rng = np.random.default_rng(2)
    area = np.where(rng.random(30_000) < 0.3, 45_000, 100_000) * np.exp(rng.normal(0, 0.1, 30_000))
    assert quality.find_valley(np.log10(area)) is not None
    assert quality.judge_debris(area, None).thresholds is None


def test_dead_cells_are_above_the_valley():
    rng = np.random.default_rng(3)
    truth = rng.random(20_000) < 0.08
    values = np.where(truth, rng.normal(0.7, 0.05, 20_000), rng.normal(0.25, 0.06, 20_000))
    rule = quality.judge_dead(values)
    assert scores(values > rule.thresholds["above"], truth) == pytest.approx((1.0, 1.0), abs=0.01)
    assert "dead_above" in quality.judge_dead(values[~truth]).text
    assert "too many" in quality.judge_dead(-values).text


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.sampled_from([1500, 8000, 30_000]), st.booleans())
def test_one_mode_has_no_valley(seed, n, skewed):
    rng = np.random.default_rng(seed)
    values = rng.gamma(3, 1, n) if skewed else rng.normal(size=n)
    assert quality.find_valley(values) is None


def test_a_clog_is_found_and_marks_nothing_else():
    rng = np.random.default_rng(4)
    n = 50_000
    markers = np.where(rng.random((n, 8)) < 0.4, 0.7, 0.25) + rng.normal(0, 0.06, (n, 8))
    truth = np.zeros(n, bool)
    truth[20_300:23_100] = True
    markers[truth] -= 0.15
    rule, stretches = quality.judge_drift(markers, 6.0)
    flagged = quality.flag_stretches(np.arange(n, dtype=float), stretches)
    recall, precision = scores(flagged, truth)
    assert recall > 0.85
    assert precision > 0.85
    assert "windows in time" in rule.text
    assert quality.flag_stretches(np.arange(5.0), [(1, 3)]).tolist() == [False, True, True, False, False]


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000))
def test_clean_recordings_keep_nearly_all_events(seed):
    rng = np.random.default_rng(seed)
    n = 20_000
    area, height, side = cells(n, rng)
    markers = np.where(rng.random((n, 8)) < rng.uniform(0.02, 0.6, 8), 0.7, 0.25) + rng.normal(
        0, 0.06, (n, 8)
    )
    flags = []
    margin = quality.judge_margins(
        np.stack([area, height, side], 1), list("abc"), [262_143.0] * 3, [False] * 3
    )
    flags.append(quality.flag_margins(np.stack([area, height, side], 1), margin.thresholds))
    doublet = quality.judge_doublets(area, height, 5.0)
    flags.append(quality.flag_doublets(area, height, doublet.thresholds))
    assert quality.judge_debris(area, side).thresholds is None
    rows = np.arange(n, dtype=float)
    flags.append(quality.flag_stretches(rows, quality.judge_drift(markers, 6.0)[1]))
    assert np.mean(np.any(flags, axis=0)) < 0.01


def test_windows_of_which_many_differ_are_no_faults():
    rng = np.random.default_rng(5)
    markers = rng.normal(size=(20_000, 3)) + 3 * (np.arange(20_000)[:, None] < 7_000)
    rule, stretches = quality.judge_drift(markers, 6.0)
    assert (rule.thresholds, stretches) == (None, [])
    assert "too many" in rule.text


@pytest.mark.parametrize("n", [0, 1, 10])
def test_few_events_are_not_judged(n):
    rng = np.random.default_rng(0)
    x = rng.gamma(2, 1000, n)
    assert quality.judge_doublets(x, x, 5.0).thresholds is None
    assert quality.judge_debris(x, x).thresholds is None
    assert quality.judge_dead(x).thresholds is None
    assert quality.judge_drift(x[:, None], 6.0)[0].thresholds is None
