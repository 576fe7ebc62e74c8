"""What a code leaves of a signal."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

from triptych.dictionary.events import Events, Floats


@numba.njit(nogil=True, cache=True)
def _lay(explained, temporal, atom, position, amplitude):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add the waveform of every event; positions may lie up to L - 1 samples before the window."""
    width, length = explained.shape[1], temporal.shape[1]
    for e in range(atom.size):
        row, wave, t, z = explained[atom[e]], temporal[atom[e]], position[e], amplitude[e]
        for j in range(max(0, -t), min(length, width - t)):
            row[t + j] += z * wave[j]


def residual(signal: Floats, start: int, events: Events, spatial: Floats, temporal: Floats) -> Floats:
    """The signal from sample ``start`` on less what the events explain, (P, W)."""
    width = signal.shape[1]
    near = events.between(start - temporal.shape[1] + 1, start + width)
    explained = np.zeros((len(spatial), width))
    _lay(explained, np.ascontiguousarray(temporal), near.atom, near.sample - start, near.amplitude)
    left: Floats = signal - spatial.T @ explained
    return left


@dataclass(frozen=True)
class Energies:
    """Sums over the samples of one or more chunks.

    Attributes
    ----------
    signal : ||X||^2.
    residual : ||r||^2, r = X - sum_k D_k * z_k.
    product : <X, r>.
    mass : |z|_1.
    """

    signal: float
    residual: float
    product: float
    mass: float

    def __add__(self, other: Energies) -> Energies:
        return Energies(
            self.signal + other.signal,
            self.residual + other.residual,
            self.product + other.product,
            self.mass + other.mass,
        )

    def objective(self, penalty: float) -> float:
        """F = 1/2 ||r||^2 + lambda |z|_1."""
        return 0.5 * self.residual + penalty * self.mass

    @property
    def explained(self) -> float:
        """Share of the variance that the code explains."""
        return 1.0 - self.residual / self.signal if self.signal > 0 else 0.0


def energies(
    signal: Floats, start: int, stop: int, events: Events, spatial: Floats, temporal: Floats, *, last: bool
) -> Energies:
    """Energies of the samples of a chunk, ``start`` to ``stop``, to the end of the recording for the last chunk.

    Parameters
    ----------
    signal : (P, W) from sample ``start`` on, zero where samples are left out.
    events : activations of the chunk and those within L - 1 samples of it.
    """
    own = signal if last else signal[:, : stop - start]
    left = residual(own, start, events, spatial, temporal)
    mass = float(events.between(start, stop).amplitude.sum())
    return Energies(float(np.vdot(own, own)), float(np.vdot(left, left)), float(np.vdot(own, left)), mass)
