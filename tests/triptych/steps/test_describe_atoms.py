"""Labels and families on real recordings: blinks against mne's detector, heartbeats against those of experts."""

import importlib
from pathlib import Path
from typing import Any

import mne
import numpy as np
import pytest

from triptych.dictionary.occurrences import match
from triptych.engine.run import run_step
from triptych.stores.occurrences import read_occurrences
from triptych.stores.table import Table, read_table

# Codes of the MIT format that mark a beat, and those that move the time or carry more (PhysioNet, annot(5)).
BEATS = (*range(1, 14), 25, 30, 31, 34, 35, 38, 41)
SKIP, NUMBER, SUBTYPE, CHANNEL, TEXT = 59, 60, 61, 62, 63


def run(
    step: str, inputs: dict[str, Path], out: Path, settings: dict[str, Any] | None = None
) -> dict[str, Any]:
    declared = importlib.import_module(f"triptych.steps.{step}").STEP
    return dict(run_step(declared, inputs, out / step, settings or {}, workers=2).manifest)


def describe(raw: Path, out: Path, **settings: dict[str, Any]) -> tuple[dict[str, Any], Table, Table]:
    """Manifest, atoms and occurrences."""
    signal, atoms, code = out / "import_signal", out / "learn_atoms", out / "encode_signal"
    run("import_signal", {"raw": raw}, out, settings.get("import_signal"))
    run("learn_atoms", {"signal": signal}, out, settings.get("learn_atoms"))
    run("encode_signal", {"signal": signal, "dictionary": atoms}, out)
    manifest = run("describe_atoms", {"dictionary": atoms, "activations": code, "signal": signal}, out)
    folder = out / "describe_atoms"
    return manifest, read_table(folder / "atoms.parquet"), read_occurrences(folder / "occurrences.parquet")


def best(found: Table, wanted: np.ndarray, tolerance_s: float) -> tuple[float, int, float, float]:
    """F1, family, recall and precision of the family that meets events best; ``wanted`` in samples."""
    rate = float(found.attributes["sampling_rate_hz"])
    scores = []
    for family in np.unique(found.columns["family"]):
        own = np.sort(found.columns["sample"][found.columns["family"] == family])
        recall, precision, _ = match(own, wanted, tolerance_s * rate, round(0.6 * rate))
        mean = 2 * recall * precision / (recall + precision) if recall + precision else 0.0
        scores.append((mean, int(family), recall, precision))
    return max(scores)


@pytest.mark.slow
def test_a_family_is_the_blinks_of_the_detector(shared_data: Path, tmp_path: Path) -> None:
    path = shared_data / "signal" / "eegmmidb" / "S001R03.edf"
    manifest, atoms, found = describe(path, tmp_path)
    raw = mne.io.read_raw_edf(path, preload=True, verbose="ERROR")
    rate = float(found.attributes["sampling_rate_hz"])
    named = set()
    for channel in ("Fp1.", "Fp2."):
        events = mne.preprocessing.find_eog_events(raw, ch_name=channel, verbose="ERROR")[:, 0]
        wanted = np.rint(events / raw.info["sfreq"] * rate).astype(np.int64)
        score, family, _, precision = best(found, wanted, 0.1)
        assert score >= 0.85, channel
        assert precision >= 0.95, channel
        named.add(family)
    assert len(named) == 1
    family = named.pop()
    labels = atoms.columns["label"][atoms.columns["family"] == family]
    assert set(labels.tolist()) == {"ocular"}
    assert manifest["counts"]["labels"]["ocular"] >= len(labels)
    assert atoms.columns["dipole_y_m"][family] > 0.05


@pytest.mark.slow
def test_a_family_is_the_heartbeats_of_the_experts(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "signal" / "mitdb100"
    data, beats = read_mit(folder / "100")
    assert len(beats) == 2273
    info = mne.create_info(["MLII", "V5"], 360.0, "eeg", verbose="ERROR")
    mne.io.RawArray(data, info, verbose="ERROR").save(tmp_path / "ecg_raw.fif", fmt="double", verbose="ERROR")
    # Two leads hold few patterns: three atoms; there is no head, so no positions.
    settings = {"import_signal": {"montage": "none"}, "learn_atoms": {"n_atoms": 3}}
    manifest, atoms, found = describe(tmp_path / "ecg_raw.fif", tmp_path, **settings)
    rate = float(found.attributes["sampling_rate_hz"])
    _, family, recall, precision = best(found, np.rint(beats / 360 * rate).astype(np.int64), 0.05)
    assert recall >= 0.99
    assert precision >= 0.99
    assert atoms.columns["label"][family] == "cardiac"
    assert any("no dipoles" in note for note in manifest["notes"])


def read_mit(stem: Path) -> tuple[np.ndarray, np.ndarray]:
    """Both leads of a record in format 212 (V), and the samples of its beats."""
    packed = np.fromfile(stem.with_suffix(".dat"), np.uint8).reshape(-1, 3).astype(np.int64)
    leads = np.stack([packed[:, 0] | (packed[:, 1] & 15) << 8, packed[:, 2] | (packed[:, 1] >> 4) << 8])
    leads = np.where(leads > 2047, leads - 4096, leads)
    words = np.fromfile(stem.with_suffix(".atr"), "<u2").astype(np.int64)
    beats, time, i = [], 0, 0
    while words[i]:
        code, number = words[i] >> 10, words[i] & 1023
        i += 1
        if code == SKIP:
            time += (words[i] << 16) + words[i + 1]
            i += 2
        elif code == TEXT:
            i += (number + 1) // 2
        elif code not in (NUMBER, SUBTYPE, CHANNEL):
            time += number
            if code in BEATS:
                beats.append(time)
    return (leads - 1024) / 200 * 1e-3, np.array(beats)
