"""The code of a window: a fixed problem with a known objective, and optimality."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies

from triptych.dictionary import certificate, lgcd, residual, statistics
from triptych.dictionary.events import no_events
from triptych.dictionary.gram import correlate, gram

from_seed = strategies.integers(0, 2**31)


def problem(seed: int, channels: int = 4, samples: int = 400, atoms: int = 3, length: int = 12):
    generator = np.random.default_rng(seed)
    spatial, temporal = (
        generator.standard_normal((atoms, channels)),
        generator.standard_normal((atoms, length)),
    )
    spatial /= np.linalg.norm(spatial, axis=1, keepdims=True)
    temporal /= np.linalg.norm(temporal, axis=1, keepdims=True)
    signal = generator.standard_normal((channels, samples))
    penalty = 0.2 * float(correlate(signal, spatial, temporal).max())
    return signal, spatial, temporal, penalty


def test_fixed_problem_has_the_known_objective(shared_data: Path) -> None:
    stored = np.load(shared_data / "signal" / "alphacsc_baseline" / "meg_baseline_lgcd.npz")
    signal = stored["X"] / stored["X"].std()
    spatial, temporal = np.hsplit(stored["D_init"], [20])
    largest = float(correlate(signal, spatial, temporal).max())
    assert 0.1 * largest == pytest.approx(float(stored["reg"]) / stored["X"].std(), rel=1e-12)
    model = lgcd.model(spatial, temporal, 0.1 * largest, tolerance=1e-2)
    allowed = np.ones(signal.shape[1] - 104, dtype=bool)
    coded = lgcd.code_window(signal, allowed, 0, no_events(), model)
    summed = statistics.partial(signal, 0, len(allowed), coded.events, 10, 105)
    energy = float(np.vdot(signal, signal))
    value = statistics.objective(summed, spatial, temporal, energy, model.penalty)
    assert len(coded.events) == 1522
    assert value == pytest.approx(72595.429, abs=5e-4)
    energies = residual.energies(signal, 0, len(allowed), coded.events, spatial, temporal, last=True)
    assert energies.objective(model.penalty) == pytest.approx(value, rel=1e-10)


@settings(max_examples=20, deadline=None)
@given(from_seed)
def test_a_code_is_optimal_to_its_tolerance(seed: int) -> None:
    signal, spatial, temporal, penalty = problem(seed)
    model = lgcd.model(spatial, temporal, penalty, tolerance=1e-6)
    allowed = np.ones(signal.shape[1] - 11, dtype=bool)
    coded = lgcd.code_window(signal, allowed, 0, no_events(), model)
    violation = certificate.partial(signal, allowed, 0, coded.events, model)
    energies = residual.energies(signal, 0, len(allowed), coded.events, spatial, temporal, last=True)
    assert violation.change <= 1e-6 * (1 + 1e-6)
    gap = certificate.duality_gap(violation, energies, penalty)
    assert -1e-9 <= gap <= 1e-4 * energies.objective(penalty)


@settings(max_examples=20, deadline=None)
@given(from_seed)
def test_the_gap_bounds_the_distance_to_the_minimum(seed: int) -> None:
    signal, spatial, temporal, penalty = problem(seed)
    allowed = np.ones(signal.shape[1] - 11, dtype=bool)
    values = []
    for tolerance in (0.5, 1e-8):
        model = lgcd.model(spatial, temporal, penalty, tolerance)
        coded = lgcd.code_window(signal, allowed, 0, no_events(), model)
        energies = residual.energies(signal, 0, len(allowed), coded.events, spatial, temporal, last=True)
        violation = certificate.partial(signal, allowed, 0, coded.events, model)
        values.append((energies.objective(penalty), certificate.duality_gap(violation, energies, penalty)))
    (coarse, gap), (fine, _) = values
    assert fine <= coarse + 1e-9
    assert coarse - gap <= fine + 1e-9


def test_nothing_starts_where_it_is_not_allowed() -> None:
    signal, spatial, temporal, penalty = problem(3)
    allowed = np.ones(signal.shape[1] - 11, dtype=bool)
    allowed[100:200] = False
    model = lgcd.model(spatial, temporal, penalty, 1e-4)
    events = lgcd.code_window(signal, allowed, 0, no_events(), model).events
    assert len(events) > 0
    assert allowed[events.sample].all()


def test_correlations_are_those_of_the_definition() -> None:
    signal, spatial, temporal, _ = problem(5, samples=60)
    found = correlate(signal, spatial, temporal)
    direct = [
        [np.vdot(np.outer(spatial[k], temporal[k]), signal[:, t : t + 12]) for t in range(49)]
        for k in range(3)
    ]
    np.testing.assert_allclose(found, direct, atol=1e-12)
    products = gram(spatial, temporal)
    shifted = np.zeros((4, 60))
    shifted[:, 20:32] = np.outer(spatial[1], temporal[1])
    for lag in (-11, -3, 0, 7, 11):
        other = np.zeros((4, 60))
        other[:, 20 + lag : 32 + lag] = np.outer(spatial[2], temporal[2])
        assert products[1, 2, lag + 11] == pytest.approx(np.vdot(shifted, other), abs=1e-12)


@pytest.mark.parametrize(
    ("penalty", "tolerance", "words"),
    [(-1.0, 1e-2, "negative"), (1.0, 0.0, "positive"), (np.nan, 1e-2, "negative")],
)
def test_wrong_numbers_are_refused(penalty: float, tolerance: float, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        lgcd.model(np.ones((1, 2)), np.ones((1, 3)), penalty, tolerance)
