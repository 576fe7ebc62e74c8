"""The columns of ``atoms.parquet``: what they mean, and those that shape and occurrences give.

Features are compared between recordings, descriptors are not: what depends on the device or on the channels beside it (dipoles,
correlations with references, labels) is a descriptor.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from triptych.stores.dictionary import Dictionary
    from triptych.stores.table import Field

SHAPE = "Cole & Voytek 2017"
SPHERE = "Sarvas 1987; Berg & Scherg 1994"

FEATURES = {
    "peak_frequency": ("Hz", "spectrum", "Frequency of the largest power of the waveform.", ""),
    "bandwidth": ("Hz", "spectrum", "Twice the power-weighted standard deviation of frequency.", ""),
    "duration": ("s", "shape", "Time that holds the middle 90 % of the waveform's energy.", ""),
    "peak_asymmetry": ("1", "shape", "(p - q) / (p + q) of the largest positive and negative excursions.", SHAPE),
    "rise_decay_asymmetry": (
        "1", "shape", "(decay - rise) / (decay + rise) of the times from trough to peak and from peak to trough.", SHAPE,
    ),
    "sharpness": (
        "1", "shape", "Mean |difference| between the peak and the samples nearest to 5 ms beside it, relative to the peak.",
        SHAPE,
    ),
    "focality": ("1", "topography", "Sparseness of the map, 0 uniform to 1 one sensor.", "Hoyer 2004"),
    "rate": ("1/min", "occurrence", "Occurrences per minute of good recording.", ""),
    "interval_variation": ("1", "occurrence", "Interquartile range over median of the intervals.", ""),
    "amplitude": ("1", "occurrence", "Median amplitude of the occurrences, in scaled units.", ""),
    "explained_variance": (
        "1", "occurrence", "Share of variance that the atom explains alone.", "1 - |X - D*z|^2 / |X|^2",
    ),
}  # fmt: skip
DESCRIPTORS = {
    "atom": ("", "id", "Number of the atom, most explained variance first.", ""),
    "family": ("", "id", "Number of the strongest atom of the family that the atom belongs to.", ""),
    "label": ("", "label", "brain, ocular, cardiac, muscle, line noise, channel noise or unclear.", ""),
    "reason": ("", "label", "What decided the label.", ""),
    "activations": ("1", "occurrence", "Activations before merging.", ""),
    "occurrences": ("1", "occurrence", "Occurrences after merging.", ""),
    "eog_correlation": ("1", "reference", "Largest |correlation| with an EOG channel; NaN without one.", ""),
    "ecg_correlation": ("1", "reference", "Largest |correlation| with an ECG channel; NaN without one.", ""),
    "dipole_fit": (
        "1", "dipole", "Share of the map's energy that one current dipole in a sphere explains; NaN without positions.", SPHERE,
    ),
    "dipole_x_m": ("m", "dipole", "Place of the dipole in the frame of the head, towards the right ear.", SPHERE),
    "dipole_y_m": ("m", "dipole", "The same, towards the nose.", SPHERE),
    "dipole_z_m": ("m", "dipole", "The same, upwards.", SPHERE),
    "dipole_depth_m": ("m", "dipole", "Depth of the dipole below the scalp's sphere.", SPHERE),
}  # fmt: skip
ORDER = ("atom", "family", "label", "reason", *FEATURES, *list(DESCRIPTORS)[4:])


def atom_fields() -> dict[str, Field]:
    """What each column means, in the order of the table."""
    from triptych.stores.table import Field

    return {
        name: Field(*FEATURES[name], role="feature")
        if name in FEATURES
        else Field(*DESCRIPTORS[name], role="descriptor")
        for name in ORDER
    }


def shape_columns(atoms: Dictionary) -> dict[str, Any]:
    """Columns that waveform and map alone give."""
    from triptych.dictionary import description

    temporal, rate = atoms.temporal, atoms.sampling_rate_hz
    frequency, power = description.spectra(temporal, rate)
    return {
        "peak_frequency": description.peak_frequency(frequency, power),
        "bandwidth": description.bandwidth(frequency, power),
        "duration": description.duration(temporal, rate),
        "peak_asymmetry": description.peak_asymmetry(temporal),
        "rise_decay_asymmetry": description.rise_decay_asymmetry(temporal),
        "sharpness": description.sharpness(temporal, rate),
        "focality": description.focality(atoms.spatial),
    }


def occurrence_columns(found: Sequence[tuple[Any, Any]], good_s: float) -> dict[str, Any]:
    """Columns that samples and amplitudes of each atom's occurrences give."""
    import numpy as np

    from triptych.dictionary import description

    counts = np.array([len(sample) for sample, _ in found], dtype=np.int64)
    return {
        "rate": counts / (good_s / 60),
        "interval_variation": description.interval_variation([sample for sample, _ in found]),
        "amplitude": np.array([np.median(own) if len(own) else 0.0 for _, own in found]),
        "occurrences": counts,
    }
