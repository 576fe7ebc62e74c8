"""Shared atoms: one dictionary for a cohort or for each subject, found again by the signal it is for."""

from pathlib import Path
from typing import Any

import mne
import numpy as np
import pytest

from triptych.engine.run import run_step
from triptych.engine.step import Settings
from triptych.errors import InputError
from triptych.steps import encode_signal, import_signal, learn_cohort_atoms
from triptych.stores.dictionary import open_dictionaries, open_dictionary, read_activations

RATE = 200.0
QUICK = {"n_atoms": 3, "atom_duration_s": 0.3, "max_iterations": 6, "exchanges": 2, "chunk_s": 6}
SHEET = {"one": {"subject": "S1"}, "two": {"subject": "S1"}, "three": {"subject": "S2"}}


def run(
    step: Any, inputs: Any, out: Path, settings: dict[str, Any] | Settings | None = None, **more: Any
) -> Any:
    return run_step(step.STEP, inputs, out, settings or {}, **more).manifest


def write(
    path: Path, seed: int, names: tuple[str, ...] = ("Fp1", "Fp2", "C3", "O1"), rate: float = RATE
) -> Path:
    """EEG of 15 s in which one wave recurs."""
    generator = np.random.default_rng(seed)
    n = int(15 * rate)
    data = 5e-6 * generator.standard_normal((len(names), n))
    wave = np.hanning(50) * np.sin(2 * np.pi * 12 * np.arange(50) / rate)
    weights = {"Fp1": 1.0, "Fp2": 0.8, "C3": 0.3, "O1": 0.1, "Cz": 0.2}
    for start in generator.integers(0, n - 60, 20):
        data[:, start : start + 50] += 4e-5 * np.array([[weights[name]] for name in names]) * wave
    raw = mne.io.RawArray(data, mne.create_info(list(names), rate, "eeg"), verbose="ERROR")
    raw.save(path, fmt="double", verbose="ERROR")
    return path


@pytest.fixture(scope="module")
def signals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("signals")
    orders = {
        "one": ("Fp1", "Fp2", "C3", "O1"),
        "two": ("O1", "Fp2", "Fp1", "C3"),
        "three": ("Fp1", "Fp2", "C3", "O1", "Cz"),
    }
    for seed, (name, channels) in enumerate(orders.items()):
        raw = write(folder / f"{name}_raw.fif", seed, channels)
        run(import_signal, {"raw": raw}, folder / name, {"chunk_s": 5})
    return {name: folder / name for name in orders}


def test_one_dictionary_for_all_is_found_by_every_signal(signals: dict[str, Path], tmp_path: Path) -> None:
    settings = {**QUICK, "shared_by": "cohort"}
    made = [
        run(learn_cohort_atoms, {"signals": signals}, tmp_path / f"w{w}", settings, sheet=SHEET, workers=w)
        for w in (1, 2)
    ]
    assert made[0] == made[1]
    assert made[0]["counts"]["recordings"] == 3
    assert made[0]["counts"]["channels"] == 4
    (member,) = open_dictionaries(tmp_path / "w1" / "dictionary.zarr")
    assert member.name == "cohort"
    assert set(member.dictionary.names) == {"Fp1", "Fp2", "C3", "O1"}
    for name, folder in signals.items():
        run(encode_signal, {"signal": folder, "dictionary": tmp_path / "w1"}, tmp_path / name)
        columns = read_activations(tmp_path / name / "activations.parquet").columns
        assert len(columns["atom"])
    # The wave lies on Fp1 and Fp2 whatever the order of the channels in the file.
    best = member.dictionary.spatial[0]
    assert member.dictionary.names[int(np.abs(best).argmax())] == "Fp1"


def test_subjects_have_dictionaries_of_their_own(signals: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "learned"
    run(learn_cohort_atoms, {"signals": signals}, out, {**QUICK, "shared_by": "subject"}, sheet=SHEET)
    members = open_dictionaries(out / "dictionary.zarr")
    assert {member.name: set(member.signals) for member in members} == {"S1": {"one", "two"}, "S2": {"three"}}
    assert len(members[1].dictionary.names) == 5
    digest = members[1].signals["three"]
    found = open_dictionary(out / "dictionary.zarr", digest)
    np.testing.assert_array_equal(found.spatial, members[1].dictionary.spatial)
    raw = write(tmp_path / "other_raw.fif", 9)
    run(import_signal, {"raw": raw}, tmp_path / "other")
    with pytest.raises(InputError, match="the signal is of none of them"):
        run(encode_signal, {"signal": tmp_path / "other", "dictionary": out}, tmp_path / "code")


def test_stopped_and_resumed_gives_the_same_bytes(
    signals: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from triptych.dictionary import learning

    settings = {**QUICK, "shared_by": "subject"}
    whole = run(learn_cohort_atoms, {"signals": signals}, tmp_path / "whole", settings, sheet=SHEET)
    advance, calls = learning.advance, []

    def failing(*given: Any) -> Any:
        calls.append(1)
        if len(calls) in (3, 9, 14):
            raise RuntimeError("the power went")
        return advance(*given)

    monkeypatch.setattr(learning, "advance", failing)
    for _ in range(3):
        with pytest.raises(Exception, match="the power went"):
            run(learn_cohort_atoms, {"signals": signals}, tmp_path / "cut", settings, sheet=SHEET)
    assert run(learn_cohort_atoms, {"signals": signals}, tmp_path / "cut", settings, sheet=SHEET) == whole


def test_recordings_that_cannot_share_atoms_are_named(signals: dict[str, Path], tmp_path: Path) -> None:
    slow = write(tmp_path / "slow_raw.fif", 3, rate=100.0)
    run(import_signal, {"raw": slow}, tmp_path / "slow")
    given = {**signals, "slow": tmp_path / "slow"}
    with pytest.raises(InputError, match="sampled at"):
        run(learn_cohort_atoms, {"signals": given}, tmp_path / "a", {**QUICK, "shared_by": "cohort"})
    other = write(tmp_path / "other_raw.fif", 3, ("Cz",))
    run(import_signal, {"raw": other}, tmp_path / "other")
    given = {"one": signals["one"], "other": tmp_path / "other"}
    with pytest.raises(InputError, match="no channel in common"):
        run(learn_cohort_atoms, {"signals": given}, tmp_path / "b", {**QUICK, "shared_by": "cohort"})
