"""Artefact or brain: rules on what is known of an atom, each with the numbers that decided; where none holds, unclear.

The rules are asked in this order, the first that holds decides: line noise, channel noise, a reference channel of the eyes or the
heart, a map near the eyes, a heart's rhythm, muscle, brain. An atom that no rule knows takes the label of an artefact from the
strongest atom of its family. A number that is not known (NaN) fulfils no rule.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from triptych.dictionary.events import Floats

LABELS = ("brain", "ocular", "cardiac", "muscle", "line noise", "channel noise", "unclear")
MAINS_HZ = (50.0, 60.0)
MAINS_APART_HZ = 1.0
MAINS_BANDWIDTH_HZ = 6.0
SLOW_HZ = 4.0
HEART_INTERVALS_S = (0.5, 1.5)
HEART_VARIATION = 0.15
HEART_WIDTH_S = 0.035
HEART_COMPLETE = 0.8
HEART_LEAST = 20
MUSCLE_BANDWIDTH_HZ = 10.0
BRAIN_HZ = (3.0, 40.0)
BRAIN_CHANNEL_SHARE = 0.4
BRAIN_LEAST = 5
LEAST_CHANNELS = 8


@dataclass(frozen=True)
class Evidence:
    """What is known of each atom; all (K,) but ``channels``.

    Attributes
    ----------
    channels : number of channels of the maps.
    eog_correlation, ecg_correlation : with reference channels; NaN without one.
    peak_frequency, bandwidth : Hz.
    width : s, of the largest excursion at half its height.
    high_share : share of the power above 20 Hz.
    channel_share : share of the map's energy in its strongest channel.
    eye_share : share of the map's energy at sensors near the eyes; NaN without positions.
    deflection : largest deflection at a median occurrence, robust standard deviations of the sensors.
    dipole_fit : goodness of fit of a dipole; NaN without positions.
    occurrences : of the atom.
    family : number of the strongest atom of its family.
    family_occurrences, family_interval, family_variation, family_rate : number, median interval (s), robust coefficient of
        variation of the intervals, and occurrences per second of good recording, of the family.
    """

    channels: int
    eog_correlation: Floats
    ecg_correlation: Floats
    peak_frequency: Floats
    bandwidth: Floats
    width: Floats
    high_share: Floats
    channel_share: Floats
    eye_share: Floats
    deflection: Floats
    dipole_fit: Floats
    occurrences: Floats
    family: Floats
    family_occurrences: Floats
    family_interval: Floats
    family_variation: Floats
    family_rate: Floats


@dataclass(frozen=True)
class Thresholds:
    """What it takes to be an artefact or brain.

    Attributes
    ----------
    reference_correlation : least correlation with an EOG or ECG channel.
    eye_share : least share of the map's energy near the eyes.
    eye_deflection : least deflection of an eye artefact that only its map tells, robust standard deviations.
    channel_share : least share of the map's energy in one channel for channel noise.
    muscle_share : least share of the power above 20 Hz for muscle.
    brain_fit : least goodness of fit of a dipole for brain.
    """

    reference_correlation: float
    eye_share: float
    eye_deflection: float
    channel_share: float
    muscle_share: float
    brain_fit: float


def decide(evidence: Evidence, thresholds: Thresholds) -> list[tuple[str, str]]:
    """Label and reason of every atom."""
    own = [_artefact(evidence, thresholds, k) for k in range(len(evidence.peak_frequency))]
    decided = []
    for k, found in enumerate(own):
        head = int(evidence.family[k])
        above = own[head]
        inherited = (above[0], f"of the family of atom {head}, which is {above[0]}") if above else None
        decided.append(found or inherited or _brain_or_unclear(evidence, thresholds, k))
    return decided


def columns(decided: list[tuple[str, str]]) -> dict[str, NDArray[np.str_]]:
    """Labels and reasons as columns of text."""
    labels, reasons = zip(*decided, strict=True)
    return {"label": np.array(labels, dtype=np.str_), "reason": np.array(reasons, dtype=np.str_)}


def _artefact(e: Evidence, limits: Thresholds, k: int) -> tuple[str, str] | None:
    """The first rule for an artefact that holds."""
    for mains in MAINS_HZ:
        near = abs(e.peak_frequency[k] - mains) <= MAINS_APART_HZ
        if near and e.bandwidth[k] <= MAINS_BANDWIDTH_HZ:
            return (
                "line noise",
                f"a narrow line at {e.peak_frequency[k]:.1f} Hz, bandwidth {e.bandwidth[k]:.1f} Hz",
            )
    if (
        e.channels >= LEAST_CHANNELS
        and e.channel_share[k] >= limits.channel_share
        and not _eye_map(e, limits, k)
    ):
        return "channel noise", f"{e.channel_share[k]:.0%} of the map's energy is in one channel"
    return _by_reference(e, limits, k) or _by_form(e, limits, k)


def _by_reference(e: Evidence, limits: Thresholds, k: int) -> tuple[str, str] | None:
    eye, heart = np.nan_to_num(e.eog_correlation[k]), np.nan_to_num(e.ecg_correlation[k])
    if max(eye, heart) < limits.reference_correlation:
        return None
    if eye >= heart:
        return "ocular", f"correlation {eye:.2f} with an EOG channel"
    return "cardiac", f"correlation {heart:.2f} with an ECG channel"


def _eye_map(e: Evidence, limits: Thresholds, k: int) -> bool:
    return bool(
        e.eye_share[k] >= limits.eye_share
        and e.peak_frequency[k] <= SLOW_HZ
        and e.deflection[k] >= limits.eye_deflection
    )


def _by_form(e: Evidence, limits: Thresholds, k: int) -> tuple[str, str] | None:
    if _eye_map(e, limits, k):
        return "ocular", (
            f"{e.eye_share[k]:.0%} of the map's energy near the eyes, slow ({e.peak_frequency[k]:.1f} Hz) and large "
            f"({e.deflection[k]:.1f} standard deviations)"
        )
    complete = e.family_rate[k] * e.family_interval[k] >= HEART_COMPLETE
    if (
        e.family_occurrences[k] >= HEART_LEAST
        and HEART_INTERVALS_S[0] <= e.family_interval[k] <= HEART_INTERVALS_S[1]
        and e.family_variation[k] <= HEART_VARIATION
        and e.width[k] <= HEART_WIDTH_S
        and complete
    ):
        return "cardiac", (
            f"a beat every {e.family_interval[k]:.2f} s (variation {e.family_variation[k]:.2f}), {1000 * e.width[k]:.0f} ms wide"
        )
    if e.high_share[k] >= limits.muscle_share and e.bandwidth[k] >= MUSCLE_BANDWIDTH_HZ:
        return "muscle", f"{e.high_share[k]:.0%} of the power above 20 Hz, bandwidth {e.bandwidth[k]:.0f} Hz"
    return None


def _brain_or_unclear(e: Evidence, limits: Thresholds, k: int) -> tuple[str, str]:
    """Brain where nothing speaks against it."""
    if np.isnan(e.dipole_fit[k]):
        return (
            "unclear",
            "no rule for an artefact holds, and without positions of sensors none can for the brain",
        )
    slow, fast = BRAIN_HZ
    doubts = (
        (e.dipole_fit[k] < limits.brain_fit, f"a dipole explains {e.dipole_fit[k]:.1%} of the map"),
        (e.peak_frequency[k] < slow, f"its peak at {e.peak_frequency[k]:.1f} Hz lies below {slow:g} Hz"),
        (e.peak_frequency[k] > fast, f"its peak at {e.peak_frequency[k]:.1f} Hz lies above {fast:g} Hz"),
        (e.eye_share[k] >= limits.eye_share, f"{e.eye_share[k]:.0%} of the map's energy is near the eyes"),
        (
            e.channel_share[k] >= BRAIN_CHANNEL_SHARE,
            f"{e.channel_share[k]:.0%} of the map's energy is in one channel",
        ),
        (e.occurrences[k] < BRAIN_LEAST, f"it occurs {e.occurrences[k]:.0f} times"),
        (
            _half(e.eog_correlation[k], limits),
            f"its correlation with an EOG channel is {e.eog_correlation[k]:.2f}",
        ),
        (
            _half(e.ecg_correlation[k], limits),
            f"its correlation with an ECG channel is {e.ecg_correlation[k]:.2f}",
        ),
    )
    if against := [text for holds, text in doubts if holds]:
        return "unclear", f"no rule for an artefact holds, but {', '.join(against)}"
    return "brain", (
        f"a dipole explains {e.dipole_fit[k]:.1%} of the map, its peak is at {e.peak_frequency[k]:.1f} Hz, and no rule for an "
        "artefact holds"
    )


def _half(correlation: float, limits: Thresholds) -> bool:
    """Whether a correlation is large enough to doubt the brain."""
    return bool(np.nan_to_num(correlation) >= 0.5 * limits.reference_correlation)
