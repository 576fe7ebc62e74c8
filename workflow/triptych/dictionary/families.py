"""Families of atoms: a pattern of variable length, a blink for one, takes several atoms that share a map.

An atom belongs to the strongest atom with which its map agrees and whose waveform is like its own after a shift; both are compared
in canonical polarity (largest excursion positive). What the atoms of a family make together, seen through the map of the
strongest, is one course of time; an occurrence of the family is a peak of that course near the peak of an activation. So a
pattern that is laid out of several activations counts once, and where it is largest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from triptych.dictionary.events import Events, Floats
from triptych.dictionary.occurrences import STRONG_PERCENTILE, peak_offsets, strongest


@dataclass(frozen=True)
class Occurrences:
    """Occurrences of one family, sorted by sample.

    Attributes
    ----------
    sample : (n,) peaks of the family's course.
    amplitude : (n,) heights there, as amplitudes at which the strongest atom alone would reach them.
    atom : (n,) int32, the atom that makes most of the height.
    """

    sample: NDArray[np.int64]
    amplitude: Floats
    atom: NDArray[np.int32]


def upright(spatial: Floats, temporal: Floats) -> tuple[Floats, Floats]:
    """Maps (K, P) and waveforms (K, L) with the largest excursion of each waveform positive."""
    peaks = peak_offsets(temporal)
    sign = np.where(temporal[np.arange(len(temporal)), peaks] < 0, -1.0, 1.0)[:, None]
    return spatial * sign, temporal * sign


def likeness(temporal: Floats) -> Floats:
    """Largest correlation of every two waveforms over all shifts, (K, K)."""
    length = temporal.shape[1]
    spectra = fft.rfft(temporal, 2 * length, axis=1)
    products = fft.irfft(spectra[:, None] * np.conj(spectra[None]), 2 * length, axis=2)
    norms = np.maximum(np.linalg.norm(temporal, axis=1), 1e-300)
    alike: Floats = products.max(axis=2) / np.outer(norms, norms)
    return alike


def group(
    spatial: Floats, temporal: Floats, strength: Floats, map_agreement: float, waveform_agreement: float
) -> NDArray[np.int32]:
    """The family of every atom: the number of its strongest atom, (K,).

    Parameters
    ----------
    spatial, temporal : (K, P) maps and (K, L) waveforms.
    strength : (K,) the strongest atom that is free founds a family, and takes all free atoms that agree with it.
    map_agreement : least cosine between two maps of a family.
    waveform_agreement : least correlation between two waveforms after the shift that suits them best.
    """
    maps, waves = upright(spatial, temporal)
    norms = np.maximum(np.linalg.norm(maps, axis=1), 1e-300)
    agree = (maps @ maps.T / np.outer(norms, norms) >= map_agreement) & (
        likeness(waves) >= waveform_agreement
    )
    family = np.full(len(maps), -1, dtype=np.int32)
    for k in np.argsort(-strength, kind="stable"):
        if family[k] < 0:
            family[agree[k] & (family < 0)] = k
            family[k] = k
    return family


def by_family(
    events: Events,
    family: NDArray[np.int32],
    spatial: Floats,
    temporal: Floats,
    samples: int,
    merge_samples: float,
    least_amplitude: float,
) -> dict[int, Occurrences]:
    """Occurrences of every family, by its strongest atom; ``family`` (K,) as of ``group``, the rest as in ``occurrences_of``."""
    return {
        int(k): occurrences_of(
            events, members_of(family, int(k)), spatial, temporal, samples, merge_samples, least_amplitude
        )
        for k in np.unique(family)
    }


def members_of(family: NDArray[np.int32], founder: int) -> list[int]:
    """Atoms of a family, its strongest first."""
    return [founder, *(int(k) for k in np.flatnonzero(family == founder) if k != founder)]


def occurrences_of(
    events: Events,
    members: Sequence[int],
    spatial: Floats,
    temporal: Floats,
    samples: int,
    merge_samples: float,
    least_amplitude: float,
) -> Occurrences:
    """Occurrences of one family.

    Parameters
    ----------
    events : activations of all atoms.
    members : atoms of the family, its strongest first.
    samples : length T of the recording.
    merge_samples : occurrences are at least this far apart, and lie within half of it of an activation's peak.
    least_amplitude : peaks below this share of the 95th percentile of the family's peaks are no occurrence.
    """
    maps, waves = upright(spatial, temporal)
    weights = maps[members] @ maps[members[0]]
    offsets = peak_offsets(waves)
    course = np.zeros(samples)
    active: list[NDArray[np.int64]] = []
    for k, weight in zip(members, weights, strict=True):
        course += weight * _laid_out(events, k, waves[k], samples)
        active.append(events.sample[events.atom == k] + offsets[k])
    sample = _peaks_near(course, np.unique(np.concatenate(active)), merge_samples / 2)
    sample = sample[strongest(sample, course[sample], merge_samples)]
    if len(sample):
        sample = sample[course[sample] >= least_amplitude * np.percentile(course[sample], STRONG_PERCENTILE)]
    most, atom = np.full(len(sample), -np.inf), np.full(len(sample), members[0], dtype=np.int32)
    for k, weight in zip(members, weights, strict=True):
        part = weight * _laid_out(events, k, waves[k], samples)[sample]
        atom[part > most] = k
        most = np.maximum(most, part)
    return Occurrences(sample, course[sample] / max(float(waves[members[0]].max()), 1e-300), atom)


def _laid_out(events: Events, k: int, wave: Floats, samples: int) -> Floats:
    """An atom's waveform at each of its activations, added up, (T,)."""
    course = np.zeros(samples)
    own = events.atom == k
    start, amplitude = events.sample[own], events.amplitude[own]
    for j, value in enumerate(wave):
        course[start + j] += (
            amplitude * value
        )  # an atom is active once at a sample, so no place is named twice
    return course


def _peaks_near(course: Floats, wanted: NDArray[np.int64], reach: float) -> NDArray[np.int64]:
    """The largest positive peak of the course within reach of each wanted sample, each once, sorted."""
    middle = course[1:-1]
    peaks = np.flatnonzero((middle > course[:-2]) & (middle >= course[2:]) & (middle > 0)) + 1
    first = np.searchsorted(peaks, wanted - reach, side="left")
    last = np.searchsorted(peaks, wanted + reach, side="right")
    found = [peaks[a + course[peaks[a:b]].argmax()] for a, b in zip(first, last, strict=True) if b > a]
    return np.unique(np.array(found, dtype=np.int64))
