"""The path: chosen on held-out prediction, taken over by learn_atoms, the same bytes after a stop."""

from pathlib import Path
from typing import Any

import mne
import numpy as np
import pytest

from triptych.engine.run import run_step
from triptych.errors import InputError, UsageError
from triptych.steps import choose_atoms, import_signal, learn_atoms
from triptych.stores.dictionary import open_dictionary
from triptych.stores.table import read_table

RATE = 100.0
QUICK = {
    "n_atoms": [1, 2], "atom_durations_s": [0.3], "regularizations": [0.3, 0.1], "max_iterations": 5, "held_out_every": 3,
    "channel_folds": 2,
}  # fmt: skip


def run(
    step: Any, inputs: dict[str, Path], out: Path, settings: dict[str, Any] | None = None, **more: Any
) -> Any:
    return run_step(step.STEP, inputs, out, settings or {}, **more).manifest


def imported(folder: Path, channels: int = 6, seconds: float = 75) -> Path:
    """EEG with two waves."""
    generator = np.random.default_rng(0)
    n = int(seconds * RATE)
    data = 4e-6 * generator.standard_normal((channels, n))
    t = np.arange(30) / RATE
    for k, frequency in enumerate((6, 15)):
        spatial = generator.standard_normal((channels, 1))
        wave = np.hanning(30) * np.sin(2 * np.pi * frequency * t)
        for start in generator.integers(0, n - 40, int(seconds)):
            data[:, start : start + 30] += (3 - k) * 1e-5 * spatial * wave
    info = mne.create_info([f"E{i}" for i in range(channels)], RATE, "eeg")
    mne.io.RawArray(data, info, verbose="ERROR").save(folder / "made_raw.fif", fmt="double", verbose="ERROR")
    run(import_signal, {"raw": folder / "made_raw.fif"}, folder / "signal", {"montage": "none"})
    return folder / "signal"


@pytest.fixture(scope="module")
def signal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return imported(tmp_path_factory.mktemp("signal"))


def test_two_waves_take_two_atoms_and_learning_follows(signal: Path, tmp_path: Path) -> None:
    manifests = [run(choose_atoms, {"signal": signal}, tmp_path / f"w{w}", QUICK, workers=w) for w in (1, 2)]
    assert manifests[0] == manifests[1]
    columns = read_table(tmp_path / "w1" / "path.parquet").columns
    assert columns["n_atoms"].tolist() == [1, 1, 2, 2]
    assert columns["chosen"].sum() == 1
    assert columns["n_atoms"][columns["chosen"]] == 2
    assert columns["score"].max() > 0.3
    learned = run(
        learn_atoms, {"signal": signal, "choice": tmp_path / "w1"}, tmp_path / "atoms",
        {"n_atoms": 7, "max_iterations": 4, "exchanges": 0},
    )  # fmt: skip
    found = open_dictionary(tmp_path / "atoms" / "dictionary.zarr")
    assert len(found.spatial) == 2
    assert found.penalty == pytest.approx(float(columns["penalty"][columns["chosen"]][0]))
    assert "chosen by choose_atoms" in learned["notes"][0]


def test_stopped_and_resumed_gives_the_same_bytes(
    signal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from triptych.dictionary import learning

    whole = run(choose_atoms, {"signal": signal}, tmp_path / "whole", QUICK)
    advance, calls = learning.advance, []

    def failing(*given: Any) -> Any:
        calls.append(1)
        if len(calls) in (2, 6, 10):
            raise RuntimeError("the power went")
        return advance(*given)

    monkeypatch.setattr(learning, "advance", failing)
    for _ in range(3):
        with pytest.raises(Exception, match="the power went"):
            run(choose_atoms, {"signal": signal}, tmp_path / "cut", QUICK)
    assert run(choose_atoms, {"signal": signal}, tmp_path / "cut", QUICK) == whole


def test_what_cannot_be_scored_is_said(signal: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="it must last"):
        run(choose_atoms, {"signal": signal}, tmp_path / "a", {**QUICK, "held_out_every": 9})
    few = imported(tmp_path, channels=3)
    with pytest.raises(InputError, match="3 channels"):
        run(choose_atoms, {"signal": few}, tmp_path / "b", QUICK)
    with pytest.raises(UsageError, match="below 1"):
        run(choose_atoms, {"signal": signal}, tmp_path / "c", {**QUICK, "regularizations": [1.5]})
    with pytest.raises(UsageError, match="differ"):
        run(choose_atoms, {"signal": signal}, tmp_path / "d", {**QUICK, "n_atoms": [4, 4]})
