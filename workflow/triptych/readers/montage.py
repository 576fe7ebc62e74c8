"""Standard positions for EEG channels whose names follow the 10-05 system.

References
----------
Oostenveld, Praamstra: The five percent electrode system, Clin. Neurophysiol. 2001.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from triptych.errors import InputError, UsageError

# The 10-05 positions on the Colin27 head; mne renamed them in 1.13.
EEG_MONTAGES = ("colin27_1005", "standard_1005")


def clean_name(name: str) -> str:
    """The electrode in a channel name: ``"Fc5."``, ``"EEG Fp1-REF"`` and ``"EEG FP1-LE"`` give ``fc5``, ``fp1``, ``fp1``."""
    name = re.sub(r"^EEG[\s_-]+", "", name.strip(), flags=re.IGNORECASE)
    name = re.sub(r"[\s_-]+(REF|LE|AR|AVG|M1|M2|A1|A2)$", "", name, flags=re.IGNORECASE)
    return name.strip(" .").lower()


def montage_positions(
    path: Path, names: Sequence[str], types: Sequence[str], positions: NDArray[np.float64], montage: str
) -> tuple[NDArray[np.float64], str]:
    """Positions with those of the montage where the file has none, and a note that says so.

    Parameters
    ----------
    positions : (channels, 3) metres, as the file gives them.
    montage : see ``read_header``.

    Raises
    ------
    UsageError
        The montage is unknown.
    InputError
        A demanded montage fits no channel.
    """
    eeg = [i for i, kind in enumerate(types) if kind == "eeg"]
    missing = [i for i in eeg if not np.isfinite(positions[i]).all()]
    if montage == "none" or not eeg or (montage == "auto" and len(missing) < len(eeg)):
        lacking = len(missing)
        return positions, f"{lacking} EEG channels have no position" if lacking else ""
    import mne

    known = mne.channels.get_builtin_montages()
    wanted = next(name for name in EEG_MONTAGES if name in known) if montage == "auto" else montage
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            standard = mne.channels.make_standard_montage(wanted)
    except ValueError as error:
        raise UsageError(
            f"montage {wanted!r} is not one of mne's; see mne.channels.get_builtin_montages()"
        ) from error
    by_name = {name.lower(): name for name in standard.ch_names}
    matched = {i: by_name[clean_name(names[i])] for i in eeg if clean_name(names[i]) in by_name}
    if not matched:
        if montage != "auto":
            raise InputError(
                f"{path} has no channel of montage {wanted}: name another montage, or montage = auto"
            )
        return positions, "the file has no positions and its channel names are not those of the 10-05 system"
    electrodes = list(dict.fromkeys(matched.values()))
    info = mne.create_info(electrodes, 1.0, "eeg", verbose="ERROR")
    info.set_montage(standard, verbose="ERROR")
    located = {channel["ch_name"]: channel["loc"][:3] for channel in info["chs"]}
    placed = positions.copy()
    for i, electrode in matched.items():
        placed[i] = located[electrode]
    return placed, f"{len(matched)} of {len(eeg)} EEG channels take their positions from {wanted} by name"
