"""What labels are decided by, on maps and waveforms whose values are known."""

import numpy as np
import pytest

from triptych.dictionary import description, evidence


def test_width_is_taken_at_half_the_height_between_samples() -> None:
    t = np.arange(200) / 200.0
    sigma = 0.02
    humps = np.stack(
        [np.exp(-0.5 * ((t - 0.5) / sigma) ** 2), -np.exp(-0.5 * ((t - 0.5) / (2 * sigma)) ** 2)]
    )
    np.testing.assert_allclose(evidence.width(humps, 200.0), [0.0471, 0.0942], rtol=0.01)
    assert evidence.width(np.ones((1, 50)), 100.0)[0] == pytest.approx(0.49)


def test_high_frequencies_are_those_above_twenty_hertz() -> None:
    t = np.arange(150) / 150.0
    waves = np.stack([np.sin(2 * np.pi * f * t) * np.hanning(150) for f in (10, 32)])
    share = evidence.high_frequency_share(*description.spectra(waves, 150.0))
    assert share[0] < 0.01
    assert share[1] > 0.99


def test_shares_of_the_map() -> None:
    spatial = np.array([[3.0, 0.0, 4.0, 0.0], [1.0, 1.0, 1.0, 1.0]])
    np.testing.assert_allclose(evidence.largest_channel_share(spatial), [0.64, 0.25])
    positions = np.array([[-0.03, 0.1, 0.0], [0.0, 0.0, 0.14], [0.03, 0.1, 0.0], [np.nan] * 3])
    center, angles = np.array([0.0, 0.0, 0.04]), np.full(4, 40.0)
    np.testing.assert_allclose(evidence.eye_share(spatial, positions, center, angles), [1.0, 2 / 3])
    assert np.isnan(evidence.eye_share(spatial, np.full((4, 3), np.nan), center, angles)).all()


def test_deflection_is_in_the_unit_of_the_channels() -> None:
    spatial, temporal = np.array([[0.6, -0.8]]), np.array([[0.1, -0.5, 0.2]])
    assert evidence.deflection(spatial, temporal, np.array([10.0]))[0] == pytest.approx(4.0)
