"""Linear-phase filters and resampling in blocks: a block with its halo gives what the whole recording gives.

Filters are windowed sinc with a Hamming window, 3.3 / width long for a transition of that width, and centred, so that nothing is
delayed. At its ends the recording is continued by odd reflection.

References
----------
Widmann, Schroeger, Maess: Digital filter design for electrophysiological data, J. Neurosci. Methods 2015.
Crochiere, Rabiner: Multirate Digital Signal Processing, 1983 (polyphase resampling).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from scipy import signal as signals

from triptych.dictionary.events import Floats

HAMMING_WIDTHS = 3.3
NOTCH_WIDTH_HZ = 1.0
MAX_UP = 400
IMAGE_REJECTION_DB = 80.0
CHANNELS_AT_ONCE = 32

Read = Callable[[int, int], Floats]


@dataclass(frozen=True)
class Filtering:
    """A filter at the raw rate, followed by resampling by ``up / down``.

    Attributes
    ----------
    kernel : (2h + 1,) float64, symmetric.
    up, down : the new rate is the raw rate times up / down.
    images : (2g + 1,) float64, symmetric, at up times the raw rate: removes the images that raising the rate makes.
    """

    kernel: Floats
    up: int
    down: int
    images: Floats

    @property
    def half(self) -> int:
        """Samples of halo that the filter needs on either side."""
        return (len(self.kernel) - 1) // 2

    def samples(self, raw_samples: int) -> int:
        """Samples after resampling."""
        return (raw_samples - 1) * self.up // self.down + 1


def transition(edge_hz: float, room_hz: float) -> float:
    """Width of a transition: a quarter of the edge, at least 2 Hz, at most the room there is."""
    return min(max(0.25 * edge_hz, 2.0), room_hz)


def rational(rate_hz: float, wanted_hz: float) -> Fraction:
    """Ratio of the new rate to the raw rate.

    The wanted rate where the two are in the ratio of whole numbers (the first up to ``MAX_UP``); else the raw rate divided by
    the whole number that comes closest from above. Never above the raw rate.
    """
    if wanted_hz >= rate_hz:
        return Fraction(1)
    ratio = Fraction(wanted_hz).limit_denominator(10**6) / Fraction(rate_hz).limit_denominator(10**6)
    if ratio.numerator <= MAX_UP and abs(float(ratio) * rate_hz - wanted_hz) <= 1e-9 * wanted_hz:
        return ratio
    return Fraction(1, int(rate_hz // wanted_hz))


def design(
    rate_hz: float,
    ratio: Fraction,
    high_pass_hz: float | None,
    low_pass_hz: float | None,
    notch_hz: float | None,
) -> Filtering:
    """The filter for a recording.

    Parameters
    ----------
    rate_hz : raw sampling rate.
    ratio : of ``rational``.
    high_pass_hz, low_pass_hz : edges of the pass band; None leaves that side open (but never open to aliases).
    notch_hz : mains frequency, taken out with its harmonics inside the band.

    Raises
    ------
    ValueError
        The band is empty or does not fit under half of the new rate.
    """
    half_new = float(ratio) * rate_hz / 2
    if low_pass_hz is None and ratio < 1:
        low_pass_hz = 0.8 * half_new
    if low_pass_hz is not None and low_pass_hz >= half_new:
        if ratio < 1:
            raise ValueError(
                f"low_pass_hz = {low_pass_hz:g} does not fit under half of the new rate, {half_new:g} Hz"
            )
        low_pass_hz = None
    top = half_new if low_pass_hz is None else low_pass_hz
    if high_pass_hz is not None and high_pass_hz >= top:
        raise ValueError(f"high_pass_hz = {high_pass_hz:g} leaves no band below {top:g} Hz")
    kernel = np.ones(1)
    stop = rate_hz / 2
    if high_pass_hz:
        width = transition(high_pass_hz, high_pass_hz)
        kernel = np.convolve(kernel, _sinc(rate_hz, width, high_pass_hz - width / 2, "highpass"))
    if low_pass_hz is not None:
        width = transition(low_pass_hz, half_new - low_pass_hz)
        stop = low_pass_hz + width
        kernel = np.convolve(kernel, _sinc(rate_hz, width, low_pass_hz + width / 2, "lowpass"))
    if notch_hz:
        for frequency in np.arange(notch_hz, min(stop, rate_hz / 2 - 2 * NOTCH_WIDTH_HZ), notch_hz):
            band = [frequency - NOTCH_WIDTH_HZ, frequency + NOTCH_WIDTH_HZ]
            kernel = np.convolve(kernel, _sinc(rate_hz, NOTCH_WIDTH_HZ, band, "bandstop"))
    return Filtering(kernel, ratio.numerator, ratio.denominator, _images(rate_hz, ratio.numerator, stop))


def _sinc(rate_hz: float, width: float, edges: float | list[float], kind: str) -> Floats:
    length = int(np.ceil(HAMMING_WIDTHS * rate_hz / width)) | 1
    kernel: Floats = signals.firwin(length, edges, window="hamming", pass_zero=kind, fs=rate_hz)
    return kernel


def _images(rate_hz: float, up: int, stop_hz: float) -> Floats:
    if up == 1:
        return np.ones(1)
    fine = up * rate_hz
    room = max(rate_hz - 2 * stop_hz, 0.02 * rate_hz)
    length, beta = signals.kaiserord(IMAGE_REJECTION_DB, 2 * room / fine)
    kernel: Floats = signals.firwin(length | 1, rate_hz / 2, window=("kaiser", beta), fs=fine)
    return up * kernel


def apply(filtering: Filtering, read: Read, raw_samples: int, start: int, stop: int) -> Floats:
    """Samples ``start`` to ``stop`` of the filtered, resampled recording.

    Parameters
    ----------
    read : gives raw samples of a range inside the recording, (P, n) float64.
    raw_samples : samples of the raw recording, more than the filter's half length.

    Returns
    -------
    (P, stop - start) float64, the same for any cut of the recording to about 1e-15 of its largest value.
    """
    up, down, reach = filtering.up, filtering.down, (len(filtering.images) - 1) // 2
    first = -((reach - start * down) // up)
    last = ((stop - 1) * down + reach) // up + 1
    raw = _continued(read, raw_samples, first - filtering.half, last + filtering.half)
    # Output n is sum_i images[n down + reach - i up] x[i]; zeros before the kernel bring the first output on the grid.
    offset = start * down + reach - first * up
    padding = -offset % down
    images = np.concatenate([np.zeros(padding), filtering.images])
    skipped = (offset + padding) // down
    out = np.empty((len(raw), stop - start))
    for g in range(0, len(raw), CHANNELS_AT_ONCE):
        part = raw[g : g + CHANNELS_AT_ONCE]
        if filtering.half:
            part = signals.oaconvolve(part, filtering.kernel[None], mode="valid", axes=1)
        if up == 1:
            out[g : g + CHANNELS_AT_ONCE] = part[:, ::down]
        else:
            resampled = signals.upfirdn(images, part, up, down, axis=1)
            out[g : g + CHANNELS_AT_ONCE] = resampled[:, skipped : skipped + stop - start]
    return out


def _continued(read: Read, samples: int, start: int, stop: int) -> Floats:
    """A range that may lie beyond the ends, continued by odd reflection about the first and last sample."""
    before, after = max(0, -start), max(0, stop - samples)
    inside = read(max(0, start), min(samples, stop))
    parts = [inside]
    if before:
        head = read(0, before + 1)
        parts.insert(0, 2 * head[:, :1] - head[:, :0:-1])
    if after:
        tail = read(samples - after - 1, samples)
        parts.append(2 * tail[:, -1:] - tail[:, -2::-1])
    return np.concatenate(parts, axis=1)


def strongest(filtering: Filtering, read: Read, raw_samples: int, start: int, stop: int) -> Floats:
    """Trigger lines at the new rate: the largest raw value nearest to each new sample, so that no pulse is lost."""
    up, down = filtering.up, filtering.down
    edges = [max(0, min(raw_samples, -(-(2 * n - 1) * down // (2 * up)))) for n in range(start, stop + 1)]
    raw = read(edges[0], max(edges[-1], edges[0] + 1))
    held: Floats = np.maximum.reduceat(raw, np.array(edges[:-1]) - edges[0], axis=1)
    return held
