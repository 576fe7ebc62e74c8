"""The signal chain on small recordings: known events, same bytes for any workers, wrong input."""

import importlib
from pathlib import Path
from typing import Any

import mne
import numpy as np
import pytest

from triptych.demo import signal as demo
from triptych.dictionary import labels
from triptych.dictionary.occurrences import match
from triptych.engine.run import run_step
from triptych.errors import InputError, TriptychError, UsageError
from triptych.stores.dictionary import open_dictionary, read_activations
from triptych.stores.occurrences import read_occurrences
from triptych.stores.signal import open_signal, read_events
from triptych.stores.table import features, read_table

RATE = 200.0
QUICK = {"n_atoms": 5, "atom_duration_s": 0.3, "max_iterations": 6, "chunk_s": 6}


def run(
    step: str, inputs: dict[str, Path], out: Path, settings: dict[str, Any] | None = None, **execution: Any
):
    module = importlib.import_module(f"triptych.steps.{step}")
    return run_step(module.STEP, inputs, out / step, settings or {}, **execution).manifest


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """EEG of 20 s with a repeated wave, an EOG, a trigger channel and a bad span."""
    generator = np.random.default_rng(0)
    n = 4000
    data = 5e-6 * generator.standard_normal((6, n))
    wave = np.hanning(50) * np.sin(2 * np.pi * 12 * np.arange(50) / RATE)
    for start in range(150, n - 100, 190):
        data[:4, start : start + 50] += 4e-5 * np.array([[1.0], [0.8], [0.3], [0.1]]) * wave
        data[5, start] = 0
        data[5, start - 10 : start - 5] = 1
    data[5] = np.where(data[5] == 1, 1.0, 0.0)
    info = mne.create_info(["Fp1", "Fp2", "C3", "O1", "EOG", "STI"], RATE, ["eeg"] * 4 + ["eog", "stim"])
    raw = mne.io.RawArray(data, info, verbose="ERROR")
    raw.set_annotations(mne.Annotations([10.0], [0.6], ["BAD_jump"]))
    path = tmp_path_factory.mktemp("raw") / "made_raw.fif"
    raw.save(path, fmt="double", verbose="ERROR")
    return path


def chain(raw: Path, out: Path, **execution: Any) -> list[str]:
    signal = out / "import_signal"
    made = [run("import_signal", {"raw": raw}, out, {"chunk_s": 5}, **execution)]
    made.append(run("learn_atoms", {"signal": signal}, out, QUICK, **execution))
    atoms, code = out / "learn_atoms", out / "encode_signal"
    made.append(
        run("encode_signal", {"signal": signal, "dictionary": atoms}, out, {"chunk_s": 6}, **execution)
    )
    linked = {"activations": code, "events": signal, "signal": signal}
    made.append(run("link_events", linked, out, {"window_stop_s": 0.2}, **execution))
    made.append(
        run("describe_atoms", {"dictionary": atoms, "activations": code, "signal": signal}, out, **execution)
    )
    return [manifest["output_digest"] for manifest in made]


@pytest.fixture(scope="module")
def results(recording: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    out = tmp_path_factory.mktemp("results")
    return out, chain(recording, out)


def test_workers_change_no_byte(results: tuple[Path, list[str]], recording: Path, tmp_path: Path) -> None:
    assert chain(recording, tmp_path, workers=3) == results[1]


def test_the_import_keeps_what_the_recording_says(results: tuple[Path, list[str]]) -> None:
    folder = results[0] / "import_signal"
    signal = open_signal(folder / "signal.zarr")
    assert signal.info.names == ("Fp1", "Fp2", "C3", "O1")
    assert signal.info.reference_names == ("EOG", "STI")
    assert signal.info.sampling_rate_hz == 150.0
    assert signal.data.shape == (4, 3000)
    np.testing.assert_allclose(signal.info.bad_spans, [[10.0, 10.6]], atol=1e-5)
    assert np.isfinite(signal.data[:]).all()
    events = read_events(folder / "events.parquet").columns
    assert len(events["kind"]) == 20
    assert events["sample"].tolist() == np.rint(events["onset_s"] * 150).astype(int).tolist()
    held = signal.reference[1]
    assert all(held[s - 1 : s + 2].max() == 1 for s in events["sample"])


def test_the_wave_is_found_and_linked(results: tuple[Path, list[str]]) -> None:
    links = read_table(results[0] / "link_events" / "links.parquet").columns
    assert links["window_p"].min() < 1e-6
    assert links["p_corrected"].min() == pytest.approx(1e-4)
    atoms = read_table(results[0] / "describe_atoms" / "atoms.parquet")
    assert atoms.columns["peak_frequency"][0] == pytest.approx(12, abs=1.5)
    names, units, matrix = features(atoms)
    assert "eog_correlation" not in names
    assert units[names.index("peak_frequency")] == "Hz"
    assert np.isfinite(matrix).all()


def test_atoms_have_families_labels_and_occurrences(results: tuple[Path, list[str]]) -> None:
    folder = results[0] / "describe_atoms"
    atoms = read_table(folder / "atoms.parquet")
    names, _, matrix = features(atoms)
    assert {"rise_decay_asymmetry", "sharpness"} <= set(names)
    assert not {"family", "label", "dipole_fit", "dipole_x_m"} & set(names)
    assert (np.abs(matrix[:, names.index("rise_decay_asymmetry")]) <= 1).all()
    assert np.isnan(atoms.columns["dipole_fit"]).all()  # four electrodes are too few
    assert all(reason for reason in atoms.columns["reason"])
    assert set(atoms.columns["label"].tolist()) <= set(labels.LABELS)
    found = read_occurrences(folder / "occurrences.parquet").columns
    family = atoms.columns["family"]
    assert set(found["family"].tolist()) <= set(family.tolist())
    assert (family[found["atom"]] == found["family"]).all()
    best = found["sample"][found["family"] == family[0]]
    marks = read_events(results[0] / "import_signal" / "events.parquet").columns["sample"]
    recall, precision, _ = match(best, marks[(marks < 1450) | (marks > 1590)], 15, 90)
    assert recall >= 0.9
    assert precision >= 0.9


def test_nothing_is_coded_in_bad_spans(results: tuple[Path, list[str]]) -> None:
    columns = read_activations(results[0] / "encode_signal" / "activations.parquet").columns
    length = open_dictionary(results[0] / "learn_atoms" / "dictionary.zarr").temporal.shape[1]
    assert len(columns["sample"]) > 10
    assert not ((columns["sample"] > 1500 - length) & (columns["sample"] < 1590)).any()
    order = np.lexsort((columns["atom"], columns["sample"]))
    assert (order == np.arange(len(order))).all()


def test_the_shrinkage_of_amplitudes_is_undone(results: tuple[Path, list[str]]) -> None:
    columns = read_activations(results[0] / "encode_signal" / "activations.parquet").columns
    penalty = open_dictionary(results[0] / "learn_atoms" / "dictionary.zarr").penalty
    gain = columns["amplitude_unbiased"] - columns["amplitude"]
    # One pattern that takes several activations shares what the penalty took among them.
    assert 0.2 * penalty < np.median(gain[columns["amplitude"] > penalty]) < 1.2 * penalty


def test_activations_are_annotations_and_events_too(results: tuple[Path, list[str]]) -> None:
    folder = results[0] / "encode_signal"
    columns = read_activations(folder / "activations.parquet").columns
    annotations = mne.read_annotations(folder / "annotations.txt")
    np.testing.assert_array_equal(annotations.onset, columns["time_s"])
    assert annotations.description.tolist() == [f"atom-{k:02d}" for k in columns["atom"]]
    rows = [line.split("\t") for line in (folder / "events.tsv").read_text().splitlines()]
    assert rows[0] == ["onset", "duration", "trial_type", "sample", "amplitude", "peak"]
    assert [float(row[4]) for row in rows[1:]] == columns["amplitude"].tolist()
    assert all(float(row[0]) <= float(row[5]) < float(row[0]) + float(row[1]) for row in rows[1:])


def test_dictionary_and_signal_must_fit(
    results: tuple[Path, list[str]], recording: Path, tmp_path: Path
) -> None:
    atoms = results[0] / "learn_atoms"
    run("import_signal", {"raw": recording}, tmp_path, {"sampling_rate_hz": 100})
    with pytest.raises(InputError, match="sampled at 100 Hz"):
        run("encode_signal", {"signal": tmp_path / "import_signal", "dictionary": atoms}, tmp_path)
    other = tmp_path / "other"
    manifest = run("import_signal", {"raw": recording}, other, {"bad_channels": "Fp2"})
    assert manifest["counts"]["bad_channels"] == 1
    with pytest.raises(InputError, match="lacks channel Fp2"):
        run("encode_signal", {"signal": other / "import_signal", "dictionary": atoms}, other)


def test_values_that_are_not_finite_are_named_or_excluded(recording: Path, tmp_path: Path) -> None:
    raw = mne.io.read_raw_fif(recording, preload=True, verbose="ERROR")
    raw._data[2, 2500] = np.nan
    broken = tmp_path / "broken_raw.fif"
    raw.save(broken, fmt="double", verbose="ERROR")
    with pytest.raises(InputError, match=r"channel C3 at 12\.500 s"):
        run("import_signal", {"raw": broken}, tmp_path / "a")
    manifest = run("import_signal", {"raw": broken}, tmp_path / "b", {"nonfinite": "exclude", "chunk_s": 4})
    signal = open_signal(tmp_path / "b" / "import_signal" / "signal.zarr")
    assert np.isfinite(signal.data[:]).all()
    begin, end = signal.info.bad_spans[1]
    assert begin < 12.5 < end
    assert manifest["scores"]["bad_s"] > 3


def test_a_constant_recording_is_no_signal(recording: Path, tmp_path: Path) -> None:
    raw = mne.io.read_raw_fif(recording, preload=True, verbose="ERROR")
    raw._data[:] = 3e-6
    constant = tmp_path / "constant_raw.fif"
    raw.save(constant, fmt="double", verbose="ERROR")
    with pytest.raises(InputError, match="eeg channels are flat"):
        run("import_signal", {"raw": constant}, tmp_path)


def test_nothing_is_learned_where_all_is_excluded(recording: Path, tmp_path: Path) -> None:
    run("import_signal", {"raw": recording}, tmp_path, {"excluded_spans_s": [[0, 1000]]})
    with pytest.raises(InputError, match="exclude less"):
        run("learn_atoms", {"signal": tmp_path / "import_signal"}, tmp_path, QUICK)


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"bad_channels": "Fp1, Cz"}, InputError, "'Cz'"),
        ({"bad_channels": "Fp1,Fp2,C3,O1"}, InputError, "no MEG or EEG channel"),
        ({"low_pass_hz": 80}, UsageError, "does not fit"),
        ({"high_pass_hz": 0.05}, InputError, "shorter than the filter"),
        ({"low_pass": 30}, UsageError, "did you mean low_pass_hz"),
        ({"excluded_spans_s": [[3, 1]]}, UsageError, "later stop"),
    ],
)
def test_wrong_settings_are_refused(
    settings: dict[str, Any], error: type[TriptychError], words: str, recording: Path, tmp_path: Path
) -> None:
    with pytest.raises(error, match=words):
        run("import_signal", {"raw": recording}, tmp_path, settings)


def test_a_recording_without_events_has_an_empty_table(recording: Path, tmp_path: Path) -> None:
    raw = mne.io.read_raw_fif(recording, preload=True, verbose="ERROR").pick("eeg")
    path = tmp_path / "quiet_raw.fif"
    raw.save(path, fmt="double", verbose="ERROR")
    run("import_signal", {"raw": path}, tmp_path)
    signal, atoms = tmp_path / "import_signal", tmp_path / "learn_atoms"
    run("learn_atoms", {"signal": signal}, tmp_path, {**QUICK, "max_iterations": 2})
    run("encode_signal", {"signal": signal, "dictionary": atoms}, tmp_path)
    code = tmp_path / "encode_signal"
    manifest = run("link_events", {"activations": code, "events": signal, "signal": signal}, tmp_path)
    assert manifest["counts"]["pairs"] == 0
    assert any("no events" in note for note in manifest["notes"])
    assert len(read_table(tmp_path / "link_events" / "links.parquet")) == 0


def test_atoms_longer_than_the_recording_are_refused(results: tuple[Path, list[str]], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="atom_duration_s lower"):
        run("learn_atoms", {"signal": results[0] / "import_signal"}, tmp_path, {"atom_duration_s": 15})


@pytest.mark.slow
def test_the_demo_finds_its_known_events(tmp_path: Path) -> None:
    for row in demo.make(tmp_path):
        out = tmp_path / row["sample"]
        inputs = {"raw": tmp_path / row["path"], "truth": tmp_path / row["labels_events"]}
        run("import_signal", inputs, out)
        signal, atoms, code = out / "import_signal", out / "learn_atoms", out / "encode_signal"
        run("learn_atoms", {"signal": signal}, out)
        run("encode_signal", {"signal": signal, "dictionary": atoms}, out)
        links = run("link_events", {"activations": code, "events": signal, "signal": signal}, out)
        found = run(
            "describe_atoms",
            {"dictionary": atoms, "activations": code, "signal": signal, "truth": signal},
            out,
        )["scores"]
        for kind in demo.KINDS:
            assert found[f"{kind}_recall"] >= 0.75, (row["sample"], kind)
            assert found[f"{kind}_precision"] >= 0.9, (row["sample"], kind)
        assert links["scores"]["1_p_corrected"] < 1e-3
        assert links["scores"]["1_atom"] == found["evoked_atom"]
