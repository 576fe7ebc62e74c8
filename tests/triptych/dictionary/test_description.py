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
