"""Features of atoms whose values are known."""

import numpy as np
import pytest

from triptych.dictionary import description


def test_a_burst_has_its_frequency_and_duration() -> None:
    t = np.arange(150) / 150.0
    wave = np.where((t > 0.3) & (t < 0.7), np.sin(2 * np.pi * 10 * t), 0.0)[None]
    frequency, power = description.spectra(wave, 150.0)
    assert description.peak_frequency(frequency, power)[0] == pytest.approx(10.0, abs=0.3)
    assert description.duration(wave, 150.0)[0] == pytest.approx(0.36, abs=0.03)
    assert 0 < description.bandwidth(frequency, power)[0] < 10


def test_focality_runs_from_uniform_to_one_sensor() -> None:
    maps = np.stack([np.full(16, 0.25), np.eye(16)[3]])
    np.testing.assert_allclose(description.focality(maps), [0.0, 1.0], atol=1e-12)


def test_intervals_of_a_rhythm_do_not_vary() -> None:
    generator = np.random.default_rng(0)
    rhythm, chance = np.arange(0, 10_000, 100), np.sort(generator.choice(10**6, 3000))
    found = description.interval_variation([rhythm, chance, np.array([5])])
    assert found[0] == 0.0
    assert found[1] == pytest.approx(np.log(3) / np.log(2), rel=0.1)
    assert found[2] == 1.0


def _triangle(rise: int, decay: int, ripple: float = 0.0) -> np.ndarray:
    """A sawtooth wave: a peak at 1 between troughs at -0.5 that takes so many samples to rise and to decay."""
    flanks = np.linspace(-0.5, 1, rise + 1), np.linspace(1, -0.5, decay + 1)[1:]
    wave = np.concatenate([[-0.3, -0.4], *flanks, [-0.4, -0.3]])
    wave[rise + 4] -= ripple
    return wave


def test_rise_and_decay_run_from_trough_to_peak_to_trough() -> None:
    found = description.rise_decay_asymmetry(
        np.stack([_triangle(20, 40), _triangle(40, 20), _triangle(30, 30)])
    )
    np.testing.assert_allclose(found, [1 / 3, -1 / 3, 0.0], atol=0.02)


def test_a_ripple_near_the_top_is_no_trough_and_polarity_does_not_matter() -> None:
    rippled = _triangle(20, 40, ripple=0.1)
    found = description.rise_decay_asymmetry(np.stack([rippled, -rippled]))
    np.testing.assert_allclose(found, 1 / 3, atol=0.02)


def test_rise_and_decay_of_a_peak_at_the_end_and_of_nothing() -> None:
    found = description.rise_decay_asymmetry(np.stack([np.linspace(0, 1, 50), np.zeros(50)]))
    assert found[0] == pytest.approx((1 - 49) / 50)
    assert found[1] == 0


def test_sharpness_is_what_the_peak_rises_above_the_samples_beside_it() -> None:
    wave = np.zeros((2, 30))
    wave[0, 13:18] = [0.2, 0.5, 1.0, 0.7, 0.1]
    wave[1] = -2 * wave[0]
    np.testing.assert_allclose(description.sharpness(wave, 150.0), 0.4)  # 5 ms are nearest to one sample
    np.testing.assert_allclose(description.sharpness(wave, 400.0), 0.85)  # and here to two
    assert description.sharpness(np.zeros((1, 5)), 150.0)[0] == 0
