"""What an atom is like: spectrum, duration, shape of its waveform, extent over the sensors.

References
----------
Hoyer: Non-negative matrix factorization with sparseness constraints, JMLR 2004 (focality).
Cole, Voytek: Brain oscillations and the importance of waveform shape, Trends Cogn. Sci. 2017 (asymmetries, sharpness).
"""

from __future__ import annotations

import numpy as np
from scipy import fft

from triptych.dictionary.events import Floats

PADDING = 8
TAIL = 0.05
SHARPNESS_S = 0.005


def spectra(temporal: Floats, sampling_rate_hz: float) -> tuple[Floats, Floats]:
    """Power spectra of the waveforms, zero-padded eightfold.

    Returns
    -------
    frequency : (F,) Hz.
    power : (K, F).
    """
    size = PADDING * temporal.shape[1]
    power = np.abs(fft.rfft(temporal, size, axis=1)) ** 2
    frequency: Floats = np.asarray(np.fft.rfftfreq(size, 1 / sampling_rate_hz), dtype=np.float64)
    return frequency, power


def peak_frequency(frequency: Floats, power: Floats) -> Floats:
    """Frequency of the largest power, (K,) Hz."""
    peak: Floats = frequency[power.argmax(axis=1)]
    return peak


def bandwidth(frequency: Floats, power: Floats) -> Floats:
    """Twice the standard deviation of frequency weighted by power, (K,) Hz."""
    mass = np.maximum(power.sum(axis=1), 1e-300)
    mean = power @ frequency / mass
    spread = power @ frequency**2 / mass - mean**2
    width: Floats = 2 * np.sqrt(np.maximum(spread, 0.0))
    return width


def duration(temporal: Floats, sampling_rate_hz: float) -> Floats:
    """Time that holds the middle 90 % of a waveform's energy, (K,) s."""
    energy = np.cumsum(temporal**2, axis=1)
    energy /= np.maximum(energy[:, -1:], 1e-300)
    first = (energy < TAIL).sum(axis=1)
    last = (energy < 1 - TAIL).sum(axis=1)
    seconds: Floats = (last - first + 1) / sampling_rate_hz
    return seconds


def focality(spatial: Floats) -> Floats:
    """Hoyer's sparseness of a map, 0 (all sensors alike) to 1 (one sensor), (K,)."""
    root = np.sqrt(spatial.shape[1])
    norms = np.maximum(np.linalg.norm(spatial, axis=1), 1e-300)
    if spatial.shape[1] == 1:
        return np.ones(len(spatial))
    sparse: Floats = (root - np.abs(spatial).sum(axis=1) / norms) / (root - 1)
    return sparse


def peak_asymmetry(temporal: Floats) -> Floats:
    """(p - q) / (p + q) of the largest positive excursion p and negative excursion q, 0 to 1 in canonical polarity, (K,)."""
    high, low = np.maximum(temporal.max(axis=1), 0), np.maximum(-temporal.min(axis=1), 0)
    asymmetry: Floats = (high - low) / np.maximum(high + low, 1e-300)
    return asymmetry


def rise_decay_asymmetry(temporal: Floats) -> Floats:
    """(decay - rise) / (decay + rise) of the largest excursion, in [-1, 1], (K,): positive where it rises faster than it decays.

    Rise and decay are the times from the trough before the peak and to the one after it. A trough is the first minimum on
    its side that lies below half the peak, so ripples near the top are none; without one, the waveform's end. Peaks and
    troughs are placed between samples by parabolas. Polarity does not matter: the excursion is taken as positive.
    """
    asymmetry = np.zeros(len(temporal))
    for k, wave in enumerate(temporal):
        peak = int(np.abs(wave).argmax())
        upright = wave * np.sign(wave[peak])
        if upright[peak] > 0:
            top = _vertex(upright, peak)
            rise = top + _trough(upright[: peak + 1][::-1]) - peak
            decay = _trough(upright[peak:]) + peak - top
            asymmetry[k] = (decay - rise) / (decay + rise)
    return asymmetry


def _trough(falling: Floats) -> float:
    """Samples from the peak at the start of a flank to its trough."""
    for i in range(1, len(falling) - 1):
        if falling[i] < 0.5 * falling[0] and falling[i] <= falling[i + 1] and falling[i] < falling[i - 1]:
            return _vertex(falling, i)
    return float(max(1, len(falling) - 1))


def _vertex(wave: Floats, at: int) -> float:
    """Where the parabola through an extremum and its neighbours has its vertex."""
    if not 0 < at < len(wave) - 1:
        return float(at)
    left, middle, right = wave[at - 1 : at + 2]
    bend = left - 2 * middle + right
    return at + (float(np.clip(0.5 * (left - right) / bend, -0.5, 0.5)) if bend else 0.0)


def sharpness(temporal: Floats, sampling_rate_hz: float) -> Floats:
    """Mean |difference| between the largest excursion and the samples 5 ms on either side, relative to the excursion, (K,).

    The samples are those nearest to 5 ms and at least one away; beyond the waveform's end there is nothing to compare with.
    """
    away = max(1, round(SHARPNESS_S * sampling_rate_hz))
    found = np.zeros(len(temporal))
    for k, wave in enumerate(temporal):
        peak = int(np.abs(wave).argmax())
        beside = [wave[i] for i in (peak - away, peak + away) if 0 <= i < len(wave)]
        if wave[peak] != 0 and beside:
            found[k] = np.abs(wave[peak] - np.array(beside)).mean() / abs(wave[peak])
    return found


def interval_variation(samples: list[np.ndarray]) -> Floats:
    """Robust coefficient of variation of the intervals between occurrences: interquartile range over median, (K,).

    One for atoms with fewer than three occurrences, near ln 3 / ln 2 for a Poisson process, near zero for a rhythm.
    """
    variation = np.ones(len(samples))
    for k, own in enumerate(samples):
        if len(own) >= 3:
            low, middle, high = np.percentile(np.diff(own), (25, 50, 75))
            variation[k] = (high - low) / middle if middle > 0 else 0.0
    return variation


def coupling(patches: Floats, temporal: Floats, own_energy: Floats, reference_energy: Floats) -> Floats:
    """Largest correlation, over lags, of what each atom explains with reference channels.

    Parameters
    ----------
    patches : (K, R, L + 2 lag) sums of the reference under each atom's activations, weighted by amplitude.
    temporal : (K, L).
    own_energy : (K,) energy of each atom's convolved activations.
    reference_energy : (R,) energy of the reference channels.

    Returns
    -------
    (K, R) |correlation|, 0 where either is zero.
    """
    lags = patches.shape[2] - temporal.shape[1] + 1
    products = np.stack(
        [
            np.einsum("krl,kl->kr", patches[:, :, lag : lag + temporal.shape[1]], temporal)
            for lag in range(lags)
        ]
    )
    scale = np.sqrt(own_energy[:, None] * reference_energy[None])
    largest = np.abs(products).max(axis=0)
    return np.divide(largest, scale, out=np.zeros_like(largest), where=scale > 0)
