"""Filters in blocks equal filters of the whole, and pass what they should."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings, strategies

from triptych.dictionary import fir


def whole(filtering: fir.Filtering, signal, start: int, stop: int):
    return fir.apply(filtering, lambda a, b: signal[:, a:b], signal.shape[1], start, stop)


@settings(max_examples=25, deadline=None)
@given(
    seed=strategies.integers(0, 1000),
    rates=strategies.sampled_from(
        [(300.0, 150.0), (250.0, 150.0), (160.0, 150.0), (128.0, 150.0), (512.0, 150.0)]
    ),
    cut=strategies.integers(1, 700),
)
def test_blocks_equal_the_whole(seed: int, rates: tuple[float, float], cut: int) -> None:
    signal = np.random.default_rng(seed).standard_normal((2, 2000)) + 50
    filtering = fir.design(rates[0], fir.rational(*rates), 1.0, 40.0, None)
    n = filtering.samples(2000)
    cut = min(cut, n - 1)
    joined = np.concatenate([whole(filtering, signal, 0, cut), whole(filtering, signal, cut, n)], axis=1)
    np.testing.assert_allclose(joined, whole(filtering, signal, 0, n), atol=1e-11)


@pytest.mark.parametrize(
    ("raw", "wanted"), [(1000.0, 150.0), (250.0, 150.0), (600.614990234375, 150.0), (200.0, 200.0)]
)
def test_a_wave_in_the_band_keeps_its_phase_and_one_outside_goes(raw: float, wanted: float) -> None:
    ratio = fir.rational(raw, wanted)
    filtering = fir.design(raw, ratio, 1.0, 40.0, 50.0)
    t = np.arange(int(12 * raw)) / raw
    signal = np.stack([np.sin(2 * np.pi * 10 * t), np.sin(2 * np.pi * 70 * t)])
    n = filtering.samples(len(t))
    found = whole(filtering, signal, 0, n)
    new = np.arange(n) / (raw * float(ratio))
    middle = slice(n // 4, -n // 4)
    np.testing.assert_allclose(found[0, middle], np.sin(2 * np.pi * 10 * new)[middle], atol=5e-3)
    assert np.abs(found[1, middle]).max() < 3e-3


def test_rates_that_are_not_rational_are_divided_by_a_whole_number() -> None:
    assert fir.rational(600.614990234375, 150.0) == Fraction(1, 4)
    assert fir.rational(1000.0, 150.0) == Fraction(3, 20)
    assert fir.rational(128.0, 150.0) == 1


def test_bands_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        fir.design(1000.0, Fraction(1, 20), 1.0, 40.0, None)
    with pytest.raises(ValueError, match="leaves no band"):
        fir.design(1000.0, Fraction(1, 5), 50.0, 40.0, None)


def test_no_pulse_is_lost_in_resampling() -> None:
    filtering = fir.design(1000.0, Fraction(3, 20), None, 40.0, None)
    pulses = np.zeros((1, 5000))
    pulses[0, [0, 17, 1203, 4999]] = [1, 2, 4, 8]
    n = filtering.samples(5000)
    held = fir.strongest(filtering, lambda a, b: pulses[:, a:b], 5000, 0, n)
    parts = [
        fir.strongest(filtering, lambda a, b: pulses[:, a:b], 5000, a, min(a + 111, n))
        for a in range(0, n, 111)
    ]
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), held)
    assert {1.0, 2.0, 4.0} <= set(held.ravel().tolist())
