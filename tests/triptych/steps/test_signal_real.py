"""The signal chain on real EEG: atoms locked to stimuli, and none to chance."""

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from triptych.dictionary import rotations
from triptych.dictionary.events import Events
from triptych.dictionary.occurrences import occurrences
from triptych.engine.run import run_step
from triptych.stores.dictionary import read_activations
from triptych.stores.signal import open_signal, read_events
from triptych.stores.table import read_table


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
    assert links["p_corrected"][links["kind"] == "square"].min() < 1e-3
    events = read_events(signal / "events.parquet").columns
    onsets = events["sample"][events["kind"] == "square"]
    samples = open_signal(signal / "signal.zarr").info.samples
    generator = np.random.default_rng(0)
    for _ in range(5):
        moved = np.sort(onsets + generator.integers(-190, 190, len(onsets))) % samples
        scan = rotations.scan(found, [np.sort(moved)], samples, (0, 77), 1000, 0)
        assert scan.corrected.min() > 0.01
