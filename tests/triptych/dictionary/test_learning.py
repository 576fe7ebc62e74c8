"""Learning: F never rises without an edit, planted atoms are found, lambda does not compound."""

from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from triptych import dictionary
from triptych.dictionary import lgcd, statistics, update
from triptych.dictionary.coding import Chunks
from triptych.dictionary.learning import polarity
from triptych.dictionary.passes import ArrayRecording, Passes


def planted(seed: int, channels: int = 8, samples: int = 6000, atoms: int = 3, length: int = 40):
    """Atoms of different frequency at random times, with noise of the same power."""
    generator = np.random.default_rng(seed)
    t = np.arange(length) / length
    temporal = np.stack([np.hanning(length) * np.sin(2 * np.pi * (2 + 2 * k) * t + k) for k in range(atoms)])
    spatial = generator.standard_normal((atoms, channels))
    temporal /= np.linalg.norm(temporal, axis=1, keepdims=True)
    spatial /= np.linalg.norm(spatial, axis=1, keepdims=True)
    signal = np.zeros((channels, samples))
    for k in range(atoms):
        for start in generator.integers(0, samples - length, 40):
            signal[:, start : start + length] += generator.uniform(1, 2) * np.outer(spatial[k], temporal[k])
    noise = generator.standard_normal(signal.shape)
    return signal + noise * signal.std() / noise.std(), spatial, temporal


def recovery(learned: dictionary.Learned, spatial, temporal):
    products = np.abs(learned.spatial @ spatial.T)
    for i, waveform in enumerate(learned.temporal):
        for j, other in enumerate(temporal):
            products[i, j] *= np.abs(np.correlate(waveform, other, "full")).max()
    return products[linear_sum_assignment(-products)]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_planted_atoms_are_found(seed: int) -> None:
    signal, spatial, temporal = planted(seed)
    learned = dictionary.learn(signal, 3, 40, 0.2, max_iterations=30, seed=seed)
    assert recovery(learned, spatial, temporal).min() > 0.95


def test_the_fixed_fit_reaches_the_known_objective(shared_data: Path) -> None:
    stored = np.load(shared_data / "signal" / "alphacsc_baseline" / "meg_baseline_lgcd.npz")
    atoms = tuple(np.hsplit(stored["D_init"], [20]))
    learned = dictionary.learn(
        stored["X"], 10, 105, 0.1, 2e-3, max_iterations=20, least_decrease=0, atoms=atoms, edits=False
    )
    values = learned.history[:, :2].ravel()
    assert (np.diff(values) <= 1e-6 * values[:-1]).all()
    assert values[-1] <= 60297.95 * 1.001
    assert learned.penalty == pytest.approx(float(stored["reg"]), rel=1e-12)


def test_objective_never_rises_without_edits() -> None:
    signal, _, _ = planted(4)
    learned = dictionary.learn(signal, 4, 30, max_iterations=16)
    rising = np.diff(learned.history[:, 1]) > 1e-4 * learned.history[:-1, 1]
    assert not (rising & (learned.history[:-1, 2] == 0)).any()
    assert (learned.history[:, 1] <= learned.history[:, 0] * (1 + 1e-12)).all()


def test_the_unit_of_the_signal_does_not_matter() -> None:
    signal, _, _ = planted(5)
    volts, units = (dictionary.learn(signal * scale, 3, 40, max_iterations=4) for scale in (1e-13, 1.0))
    np.testing.assert_allclose(volts.temporal, units.temporal, atol=1e-6)
    assert volts.penalty == pytest.approx(1e-13 * units.penalty)


def test_update_lowers_the_objective_and_gives_unit_atoms() -> None:
    signal, _, _ = planted(6)
    generator = np.random.default_rng(0)
    spatial, temporal = generator.standard_normal((3, 8)), generator.standard_normal((3, 40))
    spatial /= np.linalg.norm(spatial, axis=1, keepdims=True)
    temporal /= np.linalg.norm(temporal, axis=1, keepdims=True)
    passes = Passes(ArrayRecording(signal, np.ones(6000, bool)), Chunks(6000, 40, 6000))
    penalty = 0.1 * passes.largest_correlation(spatial, temporal)
    events, _ = passes.code(lgcd.model(spatial, temporal, penalty, 1e-2 * penalty))
    summed, (energy, _) = passes.statistics(events, 3), passes.survey()
    before = statistics.objective(summed, spatial, temporal, energy, penalty)
    renewed = update.update(summed, spatial, temporal, energy, penalty)
    after = statistics.objective(renewed.statistics, renewed.spatial, renewed.temporal, energy, penalty)
    assert after < before
    np.testing.assert_allclose(np.linalg.norm(renewed.spatial, axis=1), 1.0)
    np.testing.assert_allclose(np.linalg.norm(renewed.temporal, axis=1), 1.0)


def test_polarity_leaves_the_atom_and_makes_the_peak_positive() -> None:
    generator = np.random.default_rng(1)
    spatial, temporal = generator.standard_normal((5, 4)), generator.standard_normal((5, 9))
    flipped = polarity(spatial, temporal)
    np.testing.assert_allclose(np.einsum("kp,kl->kpl", *flipped), np.einsum("kp,kl->kpl", spatial, temporal))
    peaks = flipped[1][np.arange(5), np.abs(flipped[1]).argmax(axis=1)]
    assert (peaks > 0).all()


@pytest.mark.parametrize(
    ("signal", "words"),
    [
        (np.zeros((2, 500)), "constant"),
        (np.full((2, 500), np.nan), "not finite"),
        (np.ones(500), "channels, samples"),
        (np.random.default_rng(0).standard_normal((2, 30)), "fewer than"),
    ],
)
def test_signals_that_cannot_be_learned_are_refused(signal, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        dictionary.learn(signal, 2, 40)
