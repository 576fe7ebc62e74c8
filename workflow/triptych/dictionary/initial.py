"""First atoms, and new ones where an atom died or repeats another.

Atoms begin as the leading singular pair of stretches of the signal. A stretch is drawn with a probability in proportion to what
the atoms drawn before leave of it, as in k-means++. An atom that dies is replaced by the stretch of the residual with the
largest leading singular value.

References
----------
Arthur, Vassilvitskii: k-means++, SODA 2007. Dupre la Tour, Moreau, Jas, Gramfort, NeurIPS 2018, section 3.3 (greedy seeding).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from triptych.dictionary.events import Events, Floats
from triptych.dictionary.residual import residual

CANDIDATES_PER_ATOM = 10
PEAKS_PER_CHUNK = 5


@dataclass(frozen=True)
class Patch:
    """A stretch of signal as a unit rank-1 pattern and its strength (leading singular value)."""

    sample: int
    strength: float
    spatial: Floats
    temporal: Floats


def rank_one(patch: Floats, sample: int) -> Patch:
    """Leading singular pair of a patch (P, L)."""
    left, values, right = np.linalg.svd(patch, full_matrices=False)
    return Patch(sample, float(values[0]), left[:, 0].copy(), right[0].copy())


def candidate_samples(allowed: NDArray[np.int64], n_atoms: int, seed: int) -> NDArray[np.int64]:
    """Starts of the stretches that atoms are drawn from, sorted.

    Parameters
    ----------
    allowed : all samples at which an atom may start.
    """
    generator = np.random.Generator(np.random.PCG64(seed))
    count = min(len(allowed), CANDIDATES_PER_ATOM * n_atoms)
    return np.sort(generator.choice(allowed, count, replace=False))


def draw(patches: list[Patch], n_atoms: int, seed: int) -> tuple[Floats, Floats]:
    """Atoms (K, P) and (K, L) from the candidates.

    Raises
    ------
    ValueError
        There are fewer candidates than atoms, or the signal is zero.
    """
    if len(patches) < n_atoms:
        raise ValueError(
            f"{n_atoms} atoms from {len(patches)} stretches of signal: ask for fewer or shorter atoms"
        )
    generator = np.random.Generator(np.random.PCG64([seed, 1]))
    spatial = np.stack([patch.spatial for patch in patches])
    temporal = np.stack([patch.temporal for patch in patches])
    left = np.array([patch.strength for patch in patches]) ** 2
    chosen: list[int] = []
    for _ in range(n_atoms):
        mass = float(left.sum())
        if not mass > 0:
            raise ValueError(f"the signal does not hold {n_atoms} different patterns: ask for fewer atoms")
        k = int(generator.choice(len(patches), p=left / mass))
        chosen.append(k)
        near = similarity((spatial, temporal), (spatial[k : k + 1], temporal[k : k + 1]))
        left *= np.maximum(0.0, 1.0 - near**2)
        left[k] = 0.0
    return spatial[chosen], temporal[chosen]


def similarity(atoms: tuple[Floats, Floats], one: tuple[Floats, Floats]) -> Floats:
    """Largest shifted scalar product of unit patterns with one of them, (M,).

    Opposite patterns are not alike: activations are positive.

    Parameters
    ----------
    atoms : spatial (M, P) and temporal (M, L).
    one : spatial (1, P) and temporal (1, L).
    """
    size = fft.next_fast_len(2 * one[1].shape[1] - 1, real=True)
    lags = fft.irfft(fft.rfft(atoms[1], size, axis=1) * fft.rfft(one[1], size, axis=1).conj(), size, axis=1)
    largest: Floats = ((atoms[0] @ one[0][0])[:, None] * lags).max(axis=1)
    return largest


def residual_peaks(
    signal: Floats, allowed: NDArray[np.bool_], start: int, events: Events, spatial: Floats, temporal: Floats
) -> list[Patch]:
    """The stretches of a chunk that hold the most energy the atoms leave, as rank-1 patterns.

    Parameters as in ``lgcd.code_window``.
    """
    length = temporal.shape[1]
    left = residual(signal, start, events, spatial, temporal)
    summed = np.concatenate([[0.0], np.cumsum((left**2).sum(axis=0))])
    energy = np.where(allowed, summed[length:] - summed[:-length], -1.0)
    peaks = []
    for _ in range(PEAKS_PER_CHUNK):
        t = int(np.argmax(energy))
        if energy[t] <= 0:
            break
        peaks.append(rank_one(left[:, t : t + length], start + t))
        energy[max(0, t - length + 1) : t + length] = -1.0
    return peaks
