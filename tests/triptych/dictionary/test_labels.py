"""Every rule decides where it should, says by which numbers, and leaves the rest unclear."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from triptych.dictionary.labels import LABELS, Evidence, Thresholds, columns, decide

LIMITS = Thresholds(0.4, 0.5, 1.5, 0.7, 0.5, 0.9)
RHYTHM = {
    "eog_correlation": 0.05,
    "ecg_correlation": 0.02,
    "peak_frequency": 10.0,
    "bandwidth": 5.0,
    "width": 0.05,
    "high_share": 0.02,
    "channel_share": 0.1,
    "eye_share": 0.1,
    "deflection": 1.0,
    "dipole_fit": 0.97,
    "occurrences": 40.0,
    "family": 0.0,
    "family_occurrences": 40.0,
    "family_interval": 2.0,
    "family_variation": 1.2,
    "family_rate": 0.4,
}
MISSING = dict.fromkeys(("eog_correlation", "ecg_correlation", "eye_share", "dipole_fit"), np.nan)
HEART = {"family_interval": 0.85, "family_variation": 0.07, "family_rate": 1.15, "width": 0.02}
EYES = {"eye_share": 0.7, "peak_frequency": 1.4, "deflection": 3.0}


def evidence(*atoms: dict[str, float], channels: int = 32) -> Evidence:
    values: dict[str, Any] = {name: np.array([{**RHYTHM, **atom}[name] for atom in atoms]) for name in RHYTHM}
    return Evidence(channels=channels, **values)


@pytest.mark.parametrize(
    ("changes", "label", "words"),
    [
        ({}, "brain", "a dipole explains 97.0% of the map, its peak is at 10.0 Hz"),
        ({"eog_correlation": 0.6}, "ocular", "correlation 0.60 with an EOG"),
        ({"ecg_correlation": 0.6, "eog_correlation": 0.5}, "cardiac", "correlation 0.60 with an ECG"),
        (EYES, "ocular", "70% of the map's energy near the eyes, slow (1.4 Hz) and large (3.0"),
        ({**EYES, **MISSING, "eye_share": 0.7}, "ocular", "near the eyes"),
        (HEART, "cardiac", "a beat every 0.85 s (variation 0.07), 20 ms wide"),
        ({**HEART, **MISSING}, "cardiac", "a beat every"),
        (
            {"high_share": 0.9, "bandwidth": 14.0, "peak_frequency": 30.0},
            "muscle",
            "90% of the power above 20 Hz",
        ),
        ({"peak_frequency": 50.3, "bandwidth": 3.0, "high_share": 1.0}, "line noise", "50.3 Hz"),
        ({"peak_frequency": 59.8, "bandwidth": 3.0}, "line noise", "59.8 Hz"),
        ({"channel_share": 0.9}, "channel noise", "90% of the map's energy is in one channel"),
        ({**EYES, "channel_share": 0.75}, "ocular", "near the eyes"),
        ({"dipole_fit": 0.8}, "unclear", "a dipole explains 80.0% of the map"),
        ({"peak_frequency": 1.2}, "unclear", "peak at 1.2 Hz lies below 3 Hz"),
        ({"peak_frequency": 45.0}, "unclear", "peak at 45.0 Hz lies above 40 Hz"),
        ({"occurrences": 2.0}, "unclear", "occurs 2 times"),
        ({"eog_correlation": 0.3}, "unclear", "correlation with an EOG channel is 0.30"),
        ({"eye_share": 0.7}, "unclear", "70% of the map's energy is near the eyes"),
        (MISSING, "unclear", "without positions of sensors none can for the brain"),
        ({**HEART, "family_variation": 0.4}, "brain", "no rule for an artefact holds"),
        ({**HEART, "family_rate": 0.5}, "brain", "no rule for an artefact holds"),
        ({**HEART, "width": 0.05}, "brain", "no rule for an artefact holds"),
        ({"high_share": 0.9, "bandwidth": 5.0, "peak_frequency": 22.0}, "brain", "22.0 Hz"),
        ({**EYES, "deflection": 0.5}, "unclear", "below 3 Hz"),
    ],
)
def test_each_rule(changes: dict[str, float], label: str, words: str) -> None:
    ((found, reason),) = decide(evidence(changes), LIMITS)
    assert found == label
    assert words in reason
    assert found in LABELS


def test_few_channels_are_no_channel_noise() -> None:
    ((found, _),) = decide(evidence({"channel_share": 0.9}, channels=2), LIMITS)
    assert found == "unclear"


def test_an_artefact_passes_to_what_is_unclear_in_its_family() -> None:
    faint = {**EYES, "deflection": 0.5, "family": 0.0}
    brain = {"family": 2.0}
    found = decide(evidence(EYES, faint, brain), LIMITS)
    assert [label for label, _ in found] == ["ocular", "ocular", "brain"]
    assert found[1][1] == "of the family of atom 0, which is ocular"
    table = columns(found)
    assert table["label"].tolist() == ["ocular", "ocular", "brain"]
    assert table["reason"].dtype.kind == "U"


def test_thresholds_decide() -> None:
    ((found, _),) = decide(evidence({"eog_correlation": 0.3}), replace(LIMITS, reference_correlation=0.25))
    assert found == "ocular"
