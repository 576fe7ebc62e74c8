"""The score on what was held out: planted atoms beat fewer, noise predicts nothing, a refit undoes the shrinkage."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from triptych.dictionary import lgcd, selection
from triptych.dictionary.coding import Chunks
from triptych.dictionary.passes import ArrayRecording, Passes

LENGTH, SIZE = 30, 300


def planted(seed: int = 0, channels: int = 12, samples: int = 9000):
    generator = np.random.default_rng(seed)
    t = np.arange(LENGTH) / LENGTH
    temporal = np.stack([np.hanning(LENGTH) * np.sin(2 * np.pi * (2 + 2 * k) * t) for k in range(3)])
    spatial = generator.standard_normal((3, channels))
    temporal /= np.linalg.norm(temporal, axis=1, keepdims=True)
    spatial /= np.linalg.norm(spatial, axis=1, keepdims=True)
    signal = 0.3 * generator.standard_normal((channels, samples))
    for k in range(3):
        for start in generator.integers(0, samples - LENGTH, 150):
            signal[:, start : start + LENGTH] += generator.uniform(4, 8) * np.outer(spatial[k], temporal[k])
    return ArrayRecording(signal, np.ones(samples, bool)), spatial, temporal


def scored(recording, spatial, temporal, penalty: float) -> float:
    held_out = selection.Stretches(recording, SIZE, 5, True)
    folds = selection.channel_folds(spatial.shape[1], 4, 0)
    model = lgcd.model(spatial, temporal, penalty, 1e-2 * penalty)
    return selection.score(selection.predict(held_out, SIZE, model, folds))


def test_stretches_part_the_recording() -> None:
    recording, *_ = planted()
    kept = selection.Stretches(recording, SIZE, 5, False).good(0, 9000)
    held_out = selection.Stretches(recording, SIZE, 5, True).good(0, 9000)
    assert (kept ^ held_out).all()
    assert held_out.mean() == pytest.approx(0.2)
    np.testing.assert_array_equal(
        held_out[700:900], selection.Stretches(recording, SIZE, 5, True).good(700, 900)
    )


def test_planted_atoms_predict_more_than_fewer_or_wrong_ones() -> None:
    recording, spatial, temporal = planted()
    whole = scored(recording, spatial, temporal, 1.0)
    assert whole > 0.5
    assert scored(recording, spatial[:2], temporal[:2], 1.0) < whole - 0.1
    wrong = np.random.default_rng(1).standard_normal(spatial.shape)
    wrong /= np.linalg.norm(wrong, axis=1, keepdims=True)
    assert scored(recording, wrong, temporal, 1.0) < 0.2


def test_coding_noise_does_not_pay() -> None:
    recording, spatial, temporal = planted()
    scores = [scored(recording, spatial, temporal, penalty) for penalty in (4.0, 1.0, 0.05)]
    assert scores[1] > scores[0]
    assert scores[1] > scores[2]


def test_workers_change_no_bit_of_the_score() -> None:
    recording, spatial, temporal = planted()
    held_out = selection.Stretches(recording, SIZE, 5, True)
    model = lgcd.model(spatial, temporal, 1.0, 1e-3)
    folds = selection.channel_folds(12, 4, 0)
    once = selection.predict(held_out, SIZE, model, folds)
    with ThreadPoolExecutor(3) as pool:
        again = selection.predict(held_out, SIZE, model, folds, pool.map)
    np.testing.assert_array_equal(once, again)
    assert (once[:, 0] > 0).sum() == 6


def test_a_refit_undoes_the_shrinkage_on_the_same_support() -> None:
    recording, spatial, temporal = planted()
    passes = Passes(recording, Chunks(9000, LENGTH, 900))
    model = lgcd.model(spatial, temporal, 1.0, 1e-6)
    events, _ = passes.code(model)
    fitted, _ = passes.code(model, events, refit=True)
    support = set(zip(events.atom.tolist(), events.sample.tolist(), strict=True))
    assert set(zip(fitted.atom.tolist(), fitted.sample.tolist(), strict=True)) <= support
    assert fitted.amplitude.sum() > events.amplitude.sum()
    # The residual no longer correlates with any atom of the support: least squares.
    _, energies = passes.certify(lgcd.model(spatial, temporal, 0.0, 1e-6), fitted)
    _, before = passes.certify(model, events)
    assert energies.residual < before.residual
    beta, activation = lgcd.gradient(
        recording.read(0, 9000), np.ones(9000 - LENGTH + 1, bool), 0, fitted, model
    )
    slope = beta + activation * model.norms[:, None]
    assert np.abs(slope[activation > 0]).max() < 1e-4


def test_the_simplest_within_the_error_is_chosen() -> None:
    scores, errors = np.array([0.30, 0.47, 0.478]), np.array([0.01, 0.002, 0.0])
    assert selection.choose(scores, errors, [(5,), (10,), (20,)]) == 2
    assert selection.choose(scores, errors, [(5,), (10,), (20,)], 0.02) == 1
    assert selection.choose(scores, np.array([0.01, 0.009, 0.0]), [(5,), (10,), (20,)]) == 1


def test_too_few_channels_are_an_error() -> None:
    with pytest.raises(ValueError, match="3 channels"):
        selection.channel_folds(3, 5, 0)
