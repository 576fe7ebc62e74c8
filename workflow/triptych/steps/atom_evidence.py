"""What the labels of atoms are decided by, gathered from maps, waveforms, occurrences and the columns of the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from triptych.dictionary.dipole import Sphere
    from triptych.dictionary.families import Occurrences
    from triptych.dictionary.labels import Evidence, Thresholds
    from triptych.stores.dictionary import Dictionary
    from triptych.stores.signal import SignalInfo

# Near an eye: the field of the eyes reaches further over a helmet than their potential over the scalp.
EEG_ANGLE_DEG = 40.0
MEG_ANGLE_DEG = 60.0


def thresholds(settings: Any) -> Thresholds:
    """The thresholds among the settings of the step."""
    from triptych.dictionary.labels import Thresholds

    return Thresholds(
        reference_correlation=settings.reference_correlation,
        eye_share=settings.eye_share,
        eye_deflection=settings.eye_deflection,
        channel_share=settings.channel_share,
        muscle_share=settings.muscle_share,
        brain_fit=settings.brain_fit,
    )


def gather(
    columns: Mapping[str, NDArray[Any]],
    atoms: Dictionary,
    info: SignalInfo,
    rows: Sequence[int],
    sphere: Sphere,
    families: Mapping[int, Occurrences],
    good_s: float,
) -> Evidence:
    """Evidence for every atom.

    Parameters
    ----------
    columns : of ``atoms.parquet``, but for the labels.
    rows : the channels of the atoms in the signal.
    families : occurrences of each family, by its strongest atom.
    good_s : length of the good recording.
    """
    import numpy as np

    from triptych.dictionary import description, evidence
    from triptych.dictionary.labels import Evidence
    from triptych.steps.atom_dipoles import MAGNETIC, head_positions

    rate = info.sampling_rate_hz
    frequency, power = description.spectra(atoms.temporal, rate)
    angles = np.array([MEG_ANGLE_DEG if info.types[row] in MAGNETIC else EEG_ANGLE_DEG for row in rows])
    own = [families[int(k)].sample for k in columns["family"]]
    return Evidence(
        channels=len(rows),
        eog_correlation=columns["eog_correlation"],
        ecg_correlation=columns["ecg_correlation"],
        peak_frequency=columns["peak_frequency"],
        bandwidth=columns["bandwidth"],
        width=evidence.width(atoms.temporal, rate),
        high_share=evidence.high_frequency_share(frequency, power),
        channel_share=evidence.largest_channel_share(atoms.spatial),
        eye_share=evidence.eye_share(atoms.spatial, head_positions(info, rows), sphere.center, angles),
        deflection=evidence.deflection(atoms.spatial, atoms.temporal, columns["amplitude"]),
        dipole_fit=columns["dipole_fit"],
        occurrences=columns["occurrences"],
        family=columns["family"],
        family_occurrences=np.array([len(sample) for sample in own]),
        family_interval=np.array(
            [np.median(np.diff(sample)) / rate if len(sample) > 1 else np.nan for sample in own]
        ),
        family_variation=description.interval_variation(own),
        family_rate=np.array([len(sample) for sample in own]) / good_s,
    )
