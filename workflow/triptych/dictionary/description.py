"""What an atom is like: spectrum, duration, extent over the sensors.

References
----------
Hoyer: Non-negative matrix factorization with sparseness constraints, JMLR 2004 (focality).
Cole, Voytek: Brain oscillations and the importance of waveform shape, Trends Cogn. Sci. 2017 (asymmetry of peaks).
"""

from __future__ import annotations

import numpy as np
from scipy import fft

from triptych.dictionary.events import Floats

PADDING = 8
TAIL = 0.05


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
