"""Panels of a signal are drawn from finished steps, with and without sensor positions."""

import importlib
import io
from pathlib import Path

import mne
import numpy as np
import pytest

from triptych.engine.run import run_step
from triptych.report.signal import panels, sensor_plane
from triptych.report.style import style


@pytest.mark.parametrize("placed", [True, False])
def test_panels_are_drawn(placed: bool, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    names = ["Fp1", "Fp2", "C3", "C4", "O1", "O2", "F3", "F4"] if placed else [f"X{i}" for i in range(8)]
    data = 1e-5 * generator.standard_normal((8, 3000))
    wave = np.hanning(40) * np.sin(np.arange(40) / 2.5)
    onsets = np.arange(100, 2900, 130)
    for start in onsets:
        data[:4, start : start + 40] += 6e-5 * wave
    raw = mne.io.RawArray(data, mne.create_info(names, 150.0, "eeg"), verbose="ERROR")
    raw.set_annotations(mne.Annotations(onsets / 150.0 - 0.1, 0.0, "tone"))
    raw.save(tmp_path / "made_raw.fif", verbose="ERROR")
    (tmp_path / "truth.tsv").write_text("onset_s\tkind\n" + "".join(f"{t / 150:.3f}\twave\n" for t in onsets))
    folder = {step: tmp_path / step for step in (
        "import_signal", "learn_atoms", "encode_signal", "link_events", "describe_atoms"
    )}  # fmt: skip
    signal, atoms, code = folder["import_signal"], folder["learn_atoms"], folder["encode_signal"]
    inputs = {
        "import_signal": {"raw": tmp_path / "made_raw.fif", "truth": tmp_path / "truth.tsv"},
        "learn_atoms": {"signal": signal},
        "encode_signal": {"signal": signal, "dictionary": atoms},
        "link_events": {"activations": code, "events": signal, "signal": signal},
        "describe_atoms": {"dictionary": atoms, "activations": code, "signal": signal, "truth": signal},
    }
    settings = {"learn_atoms": {"n_atoms": 4, "atom_duration_s": 0.4, "max_iterations": 5}}
    manifests = {}
    for step, given in inputs.items():
        declared = importlib.import_module(f"triptych.steps.{step}").STEP
        manifests[step] = run_step(declared, given, folder[step], settings.get(step, {})).manifest
    with style():
        found = panels("made", folder, manifests)
        for panel in found:
            assert panel.figure is not None or panel.table is not None
            if panel.figure is not None:
                panel.figure.savefig(io.BytesIO(), format="png")
    titles = [panel.title.split(" of ")[0] for panel in found]
    assert titles == ["Atoms", "What the atoms", "Activations", "Learning", "Atoms around events"]
    assert ("maps are left out" in found[0].caption) is not placed
    assert "Wave: atom" in found[2].caption
    assert len(panels("made", {"import_signal": signal, "learn_atoms": atoms}, manifests)) == 2
    assert panels("made", {"import_signal": signal}, manifests) == []


def test_the_vertex_lies_in_the_middle_and_the_equator_on_the_head() -> None:
    positions = np.array([[0, 0, 1], [1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [np.nan] * 3]) * 0.1
    plane = sensor_plane(positions)
    np.testing.assert_allclose(plane[0], 0, atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(plane[1:5], axis=1), 0.095)
    assert np.isnan(plane[5]).all()
