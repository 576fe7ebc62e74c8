"""The signal chain on real EEG: atoms locked to stimuli, blinks against mne's detector."""

import importlib
from pathlib import Path
from typing import Any

import mne
import numpy as np
import pytest

from triptych.dictionary import linking
from triptych.dictionary.events import Events
from triptych.dictionary.occurrences import occurrences
from triptych.engine.run import run_step
from triptych.stores.dictionary import open_dictionary, read_activations
from triptych.stores.signal import open_signal, read_events
from triptych.stores.table import read_table

FRONTAL = ("Fp1.", "Fpz.", "Fp2.", "Af7.", "Af3.", "Afz.", "Af4.", "Af8.")


def run(step: str, inputs: dict[str, Path], out: Path) -> dict[str, Any]:
    declared = importlib.import_module(f"triptych.steps.{step}").STEP
    return dict(run_step(declared, inputs, out / step).manifest)


def code(raw: Path, out: Path) -> tuple[Path, list[np.ndarray]]:
    """Folder of the import, and the occurrences of every atom."""
    run("import_signal", {"raw": raw}, out)
    signal = out / "import_signal"
    run("learn_atoms", {"signal": signal}, out)
    run("encode_signal", {"signal": signal, "dictionary": out / "learn_atoms"}, out)
    table = read_activations(out / "encode_signal" / "activations.parquet")
    events = Events(table.columns["atom"], table.columns["sample"], table.columns["amplitude"])
    rate = open_signal(signal / "signal.zarr").info.sampling_rate_hz
    found = occurrences(events, np.array(table.attributes["peaks"]), 0.25 * rate, 0.2)
    return signal, [samples for samples, _ in found]


@pytest.mark.slow
def test_an_atom_is_locked_to_the_stimulus_and_none_to_chance(shared_data: Path, tmp_path: Path) -> None:
    signal, found = code(shared_data / "signal" / "eeglab" / "eeglab_data.set", tmp_path)
    inputs = {"activations": tmp_path / "encode_signal", "events": signal, "signal": signal}
    assert run("link_events", inputs, tmp_path)["counts"]["kinds"] == 2
    links = read_table(tmp_path / "link_events" / "links.parquet").columns
    assert links["p"][links["kind"] == "square"].min() < 1e-3
    events = read_events(signal / "events.parquet").columns
    onsets = events["sample"][events["kind"] == "square"]
    samples = open_signal(signal / "signal.zarr").info.samples
    generator = np.random.default_rng(0)
    for _ in range(5):
        moved = np.sort(onsets + generator.integers(-190, 190, len(onsets))) % samples
        p = np.array([linking.link(own, np.sort(moved), samples, (0, 77)).p for own in found])
        assert linking.false_discovery_rate(p).min() > 0.01


@pytest.mark.slow
def test_blinks_are_those_of_the_detector(shared_data: Path, tmp_path: Path) -> None:
    path = shared_data / "signal" / "eegmmidb" / "S001R03.edf"
    _, found = code(path, tmp_path)
    atoms = open_dictionary(tmp_path / "learn_atoms" / "dictionary.zarr")
    frontal = [
        k for k in np.argsort(-atoms.explained) if atoms.names[np.abs(atoms.spatial[k]).argmax()] in FRONTAL
    ][:5]
    times = np.sort(np.concatenate([found[k] for k in frontal])) / atoms.sampling_rate_hz
    raw = mne.io.read_raw_edf(path, preload=True, verbose="ERROR")
    blinks = mne.preprocessing.find_eog_events(raw, ch_name="Fp1.", verbose="ERROR")[:, 0] / raw.info["sfreq"]
    near = np.array([np.abs(times - blink).min() for blink in blinks])
    # As many times drawn anywhere would meet about a fifth of the blinks.
    assert (near <= 0.15).mean() >= 0.85
