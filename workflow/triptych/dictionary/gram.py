"""Correlations of atoms with each other and with a signal.

An atom is the rank-1 pattern D_k = v_k u_k^T, v_k (P,) spatial, u_k (L,) temporal.
"""

from __future__ import annotations

import numpy as np
from scipy import fft

from triptych.dictionary.events import Floats


def waveform_correlations(temporal: Floats) -> Floats:
    """Correlations of waveforms, C_kl(d) = sum_j u_k(j) u_l(j - d), for d = -(L-1) .. L-1.

    Parameters
    ----------
    temporal : (K, L) float64.

    Returns
    -------
    (K, K, 2L - 1) float64; lag d lies at index d + L - 1.
    """
    n_atoms, length = temporal.shape
    size = fft.next_fast_len(2 * length - 1, real=True)
    spectrum = fft.rfft(temporal, size, axis=1)
    correlations = np.empty((n_atoms, n_atoms, 2 * length - 1))
    for k in range(n_atoms):
        # sum_j u_k(j) u_l(j - d) is the inverse transform of U_k conj(U_l), lags d modulo the size.
        lags = fft.irfft(spectrum[k] * spectrum.conj(), size, axis=1)
        correlations[k, :, : length - 1] = lags[:, size - length + 1 :]
        correlations[k, :, length - 1 :] = lags[:, :length]
    return correlations


def gram(spatial: Floats, temporal: Floats) -> Floats:
    """Scalar products of shifted atoms, G_kl(d) = (v_k . v_l) C_kl(d).

    ``G_kl(d)`` is the product of atom k at sample 0 with atom l at sample d.

    Parameters
    ----------
    spatial : (K, P) float64.
    temporal : (K, L) float64.

    Returns
    -------
    (K, K, 2L - 1) float64.

    References
    ----------
    Moreau, Oudre, Vayatis: DICOD, ICML 2018, equation 7.
    """
    products: Floats = (spatial @ spatial.T)[:, :, None] * waveform_correlations(temporal)
    return products


def correlate(signal: Floats, spatial: Floats, temporal: Floats) -> Floats:
    """Correlation of every atom with a signal, c_k(t) = sum_p v_kp sum_j u_k(j) x_p(t + j).

    Parameters
    ----------
    signal : (P, W + L - 1) float64.
    spatial, temporal : (K, P) and (K, L) float64.

    Returns
    -------
    (K, W) float64.
    """
    length = temporal.shape[1]
    positions = signal.shape[1] - length + 1
    if positions < 1:
        raise ValueError(f"the signal has {signal.shape[1]} samples, fewer than an atom's {length}")
    projected = spatial @ signal
    size = fft.next_fast_len(signal.shape[1], real=True)
    product = fft.rfft(projected, size, axis=1) * fft.rfft(temporal, size, axis=1).conj()
    correlation: Floats = fft.irfft(product, size, axis=1)[:, :positions]
    return np.ascontiguousarray(correlation)
