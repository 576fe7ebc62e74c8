"""Fixtures that every test may use."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

CHECKOUT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real recordings beside the checkout (or where TRIPTYCH_SHARED_DATA says); tests skip where they are absent."""
    folder = Path(os.environ.get("TRIPTYCH_SHARED_DATA", CHECKOUT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"real recordings are not at {folder}")
    return folder


@pytest.fixture(scope="session")
def write_bids() -> Callable[..., Path]:
    """Writes a recording into a BIDS dataset: root, subject, then what differs; returns the recording's path.

    20 s at 200 Hz: six EEG channels (C4 is bad), ``horiz`` and ``heart`` that only channels.tsv knows as EOG and ECG, a trigger
    line whose pulses come 50 ms before the 20 events ``tone`` of 0.1 s, and a span ``BAD_move`` from 10 to 10.6 s.
    """
    import mne
    import mne_bids

    def write(root: Path, subject: str, *, session: str | None = None, form: str = "BrainVision") -> Path:
        rate, n = 200.0, 4000
        kind = "meg" if form == "FIF" else "eeg"
        data = 5e-6 * np.random.default_rng(int(subject)).standard_normal((9, n))
        data *= 1e-7 if kind == "meg" else 1
        wave = np.hanning(50) * np.sin(2 * np.pi * 12 * np.arange(50) / rate)
        starts = np.arange(150, n - 100, 190)
        data[8] = 0
        for start in starts:
            data[:4, start : start + 50] += data.std() * np.array([[8.0], [6.0], [3.0], [1.0]]) * wave
            data[8, start - 20 : start - 10] = 1
        names = ["Fp1", "Fp2", "C3", "C4", "O1", "O2", "horiz", "heart", "STI 1"]
        types = [{"meg": "mag", "eeg": "eeg"}[kind]] * 6 + ["eog", "ecg", "stim"]
        raw = mne.io.RawArray(data, mne.create_info(names, rate, types), verbose="ERROR")
        if kind == "eeg":
            raw.set_montage("standard_1020", on_missing="ignore", verbose="ERROR")
        onsets = (starts - 10) / rate
        raw.set_annotations(
            mne.Annotations(
                [*onsets, 10.0], [0.1] * len(starts) + [0.6], ["tone"] * len(starts) + ["BAD_move"]
            )
        )
        raw.info["line_freq"] = 50
        raw.info["bads"] = ["C4"]
        path = mne_bids.BIDSPath(
            subject=subject, session=session, task="tones", run="1", root=root, datatype=kind
        )
        written = mne_bids.write_raw_bids(
            raw, path, format=form, allow_preload=True, overwrite=True, verbose="ERROR"
        )
        return Path(written.fpath)

    return write
