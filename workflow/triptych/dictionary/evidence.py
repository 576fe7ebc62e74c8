"""What tells artefacts from the brain: width of the wave, high frequencies, single channels, nearness to the eyes.

References
----------
Chaumon, Bishop, Busch: A practical guide to the selection of independent components of the EEG for artifact correction,
J. Neurosci. Methods 2015 (measures by kind of artefact).
"""

from __future__ import annotations

import numpy as np

from triptych.dictionary.events import Floats

HIGH_HZ = 20.0
# Head frame: x to the right ear, y to the nose, z up; origin between the ears.
EYES_M = np.array([[-0.032, 0.085, 0.0], [0.032, 0.085, 0.0]])


def width(temporal: Floats, sampling_rate_hz: float) -> Floats:
    """Time for which the largest excursion stays above half its height, (K,) s."""
    seconds = np.zeros(len(temporal))
    for k, wave in enumerate(temporal):
        peak = int(np.abs(wave).argmax())
        upright = wave * np.sign(wave[peak])
        below = upright <= 0.5 * upright[peak]
        left, right = np.flatnonzero(below[:peak]), np.flatnonzero(below[peak + 1 :])
        first = left[-1] if len(left) else -1
        last = peak + 1 + right[0] if len(right) else len(wave)
        seconds[k] = (
            _crossing(upright, last - 1, last) - _crossing(upright, first + 1, first)
        ) / sampling_rate_hz
    return seconds


def _crossing(wave: Floats, above: int, below: int) -> float:
    """Where a flank passes half the largest value, between two neighbouring samples."""
    half = 0.5 * wave.max()
    if not 0 <= below < len(wave) or wave[above] == wave[below]:
        return float(above)
    return float(above + (below - above) * (wave[above] - half) / (wave[above] - wave[below]))


def high_frequency_share(frequency: Floats, power: Floats) -> Floats:
    """Share of the power above 20 Hz, (K,); frequency (F,) Hz, power (K, F)."""
    share: Floats = power[:, frequency > HIGH_HZ].sum(axis=1) / np.maximum(power.sum(axis=1), 1e-300)
    return share


def largest_channel_share(spatial: Floats) -> Floats:
    """Share of a map's energy in its strongest channel, (K,)."""
    energy = spatial**2
    share: Floats = energy.max(axis=1) / np.maximum(energy.sum(axis=1), 1e-300)
    return share


def deflection(spatial: Floats, temporal: Floats, amplitude: Floats) -> Floats:
    """Largest deflection of a channel at an occurrence of this amplitude, (K,), in the unit of the channels."""
    largest: Floats = amplitude * np.abs(spatial).max(axis=1) * np.abs(temporal).max(axis=1)
    return largest


def eye_share(spatial: Floats, positions: Floats, center: Floats, angles_deg: Floats) -> Floats:
    """Share of a map's energy at sensors that stand, seen from the centre of the head, near the direction of an eye, (K,).

    Parameters
    ----------
    spatial : (K, P).
    positions : (P, 3) m, head frame; sensors without a position (NaN) take no part.
    center : (3,) m.
    angles_deg : (P,) largest angle between sensor and eye that is near: the field of the eyes is wider than their potential.

    Returns
    -------
    NaN where no sensor has a position.
    """
    known = np.isfinite(positions).all(axis=1)
    if not known.any():
        return np.full(len(spatial), np.nan)
    away, eyes = positions[known] - center, EYES_M - center
    away /= np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-12)
    eyes /= np.linalg.norm(eyes, axis=1, keepdims=True)
    near = (away @ eyes.T).max(axis=1) >= np.cos(np.radians(angles_deg[known]))
    energy = spatial[:, known] ** 2
    share: Floats = energy[:, near].sum(axis=1) / np.maximum(energy.sum(axis=1), 1e-300)
    return share
