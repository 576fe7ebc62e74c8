"""A warm start changes where the descent begins and not where it ends."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings, strategies

from triptych import dictionary
from triptych.dictionary import lgcd, warm_start
from triptych.dictionary.coding import Chunks, Window, allowed_positions
from triptych.dictionary.events import Events, no_events
from triptych.dictionary.passes import ArrayRecording, Passes
from triptych.dictionary.warm_start import WarmStart

torch = pytest.importorskip("torch")

from triptych.dictionary import torch_warm_start  # noqa: E402

LENGTH = 15


def planted(seed: int, samples: int = 3000, channels: int = 5, atoms: int = 4):
    """Sparse activations of smooth atoms in noise, a bad span, and a model of the atoms."""
    generator = np.random.default_rng(seed)
    spatial = generator.standard_normal((atoms, channels))
    temporal = np.hanning(LENGTH + 2)[1:-1] * generator.standard_normal((atoms, LENGTH)).cumsum(axis=1)
    spatial /= np.linalg.norm(spatial, axis=1, keepdims=True)
    temporal /= np.linalg.norm(temporal, axis=1, keepdims=True)
    signal = 0.3 * generator.standard_normal((channels, samples))
    for k in range(atoms):
        for start in generator.integers(0, samples - LENGTH, samples // 60):
            signal[:, start : start + LENGTH] += generator.uniform(1, 3) * np.outer(spatial[k], temporal[k])
    good = np.ones(samples, dtype=bool)
    first = int(generator.integers(0, samples - 90))
    good[first : first + 80] = False
    found = ArrayRecording(signal, good)
    whole = Passes(found, Chunks(samples, LENGTH, samples))
    penalty = 0.1 * whole.largest_correlation(spatial, temporal)
    return found, lgcd.model(spatial, temporal, penalty, 1e-5 * penalty)


def held(found: ArrayRecording, model: lgcd.Model, *spans: tuple[int, int]):
    """Spans of a recording as a batch."""
    windows = [Window(start, stop, no_events()) for start, stop in spans]
    stacked = warm_start._stacked(found, model, windows, map)
    return torch_warm_start.batch(*stacked, model.gram, model.penalty, "cpu")


def value(windows, code) -> np.ndarray:
    """F(z) - F(0) of every window."""
    return torch_warm_start.objective(windows, code).numpy()


def test_products_are_those_of_the_gram() -> None:
    found, model = planted(0, samples=600)
    windows = held(found, model, (0, 500), (100, 330))
    code = np.random.default_rng(1).random((2, 4, 500))
    direct = np.zeros_like(code)
    for b, k, other in np.ndindex(2, 4, 4):
        direct[b, other] += np.convolve(code[b, k], model.gram[k, other])[LENGTH - 1 : LENGTH - 1 + 500]
    products = torch_warm_start.products(windows, torch.as_tensor(code, dtype=torch.float32))
    np.testing.assert_allclose(products, direct, atol=2e-5 * np.abs(direct).max())


@settings(max_examples=10, deadline=None)
@given(seed=strategies.integers(0, 2**31), channels=strategies.integers(1, 5))
def test_the_safe_step_bounds_every_eigenvalue(seed: int, channels: int) -> None:
    _, model = planted(seed, channels=channels)
    step = torch_warm_start.safe_step(model.gram)
    finer = torch_warm_start.around_zero(model.gram, 4099)
    largest = np.linalg.eigvalsh(np.moveaxis(finer, 2, 0)).max()
    assert 0.98 <= step * largest <= 1 + 1e-12


@settings(max_examples=10, deadline=None)
@given(seed=strategies.integers(0, 2**31))
def test_steps_of_the_safe_size_never_raise_the_objective(seed: int) -> None:
    found, model = planted(seed)
    windows = held(found, model, (0, 1000), (1000, 2500))
    step = torch_warm_start.safe_step(model.gram)
    values = np.array([value(windows, torch_warm_start.unfold(windows, [step] * n)) for n in range(25)])
    rounding = 1e-6 * np.abs(values[-1])
    assert (np.diff(values, axis=0) <= rounding).all()
    assert (values[-1] < 0).all()


@pytest.mark.parametrize("sizes", [np.full(20, 1e3), np.geomspace(1e-2, 10.0, 20), np.full(20, np.nan)])
def test_steps_of_any_size_are_undone_where_they_raise_the_objective(sizes: np.ndarray) -> None:
    found, model = planted(2)
    windows = held(found, model, (0, 1000), (1000, 2500))
    step = torch_warm_start.safe_step(model.gram)
    codes = [torch_warm_start.descend(windows, sizes[:n], step) for n in range(21)]
    values = np.array([value(windows, code) for code in codes])
    assert (np.diff(values, axis=0) <= 1e-6 * np.abs(values[-1])).all()
    assert (values[-1] < 0).all()


@pytest.mark.parametrize("seed", range(5))
def test_learned_steps_lower_the_objective_more_on_windows_not_seen(seed: int) -> None:
    found, model = planted(seed)
    step = torch_warm_start.safe_step(model.gram)
    seen = held(found, model, (0, 200), (200, 400))
    others = held(found, model, *[(start, start + 200) for start in range(400, 1600, 200)])
    learned = torch_warm_start.learn_steps(seen, others, step, 10)
    for windows in (seen, others, held(found, model, (1700, 2300), (2300, 2900))):
        safe, shorter = (
            value(windows, torch_warm_start.descend(windows, sizes, step)).sum()
            for sizes in (np.full(10, step), learned)
        )
        assert shorter < safe
    assert learned.tobytes() == torch_warm_start.learn_steps(seen, others, step, 10).tobytes()


@pytest.mark.parametrize("kind", ["safe", "learned"])
@pytest.mark.parametrize("size", [3000, 400])
def test_the_code_is_that_of_a_cold_start(size: int, kind: str) -> None:
    found, model = planted(3)
    passes = Passes(found, Chunks(3000, LENGTH, size))
    how = WarmStart()
    if kind == "learned":
        how = WarmStart(steps=warm_start.learned_steps(found, model))
    cold, many = passes.code(model)
    warm, few = passes.code(model, warm=lambda windows: warm_start.begin(found, model, how, windows))
    if kind == "safe":
        assert few < 0.8 * many
    values = []
    for events in (cold, warm):
        violation, energies = passes.certify(model, events)
        assert violation.change <= model.tolerance * (1 + 1e-6)
        values.append((energies.objective(model.penalty), violation.kkt / energies.objective(model.penalty)))
    assert values[1][0] == pytest.approx(values[0][0], rel=1e-7)
    assert values[1][1] == pytest.approx(values[0][1], abs=1e-7)


def test_nothing_begins_in_bad_spans_or_beyond_the_end_of_a_window() -> None:
    found, model = planted(4)
    windows = [Window(0, 1500, no_events()), Window(1500, 2000, no_events())]
    allowed = allowed_positions(found.mask, LENGTH)
    for how in (WarmStart(), WarmStart(steps=warm_start.learned_steps(found, model, 5))):
        for window in warm_start.begin(found, model, how, windows):
            assert len(window.events) > 0
            assert allowed[window.events.sample].all()
            assert window.events.between(window.start, window.stop).sample.tolist() == (
                window.events.sample.tolist()
            )


def test_bytes_are_the_same_twice_and_for_any_mapper(monkeypatch: pytest.MonkeyPatch) -> None:
    from concurrent.futures import ThreadPoolExecutor

    found, model = planted(5)
    windows = [Window(start, start + 400, no_events()) for start in range(0, 2400, 800)]

    def flat(begun: list[Window]) -> list[bytes]:
        return [w.events.amplitude.tobytes() + w.events.sample.tobytes() for w in begun]

    once = flat(warm_start.begin(found, model, WarmStart(), windows))
    assert flat(warm_start.begin(found, model, WarmStart(), windows)) == once
    with ThreadPoolExecutor(2) as pool:
        assert flat(warm_start.begin(found, model, WarmStart(), windows, pool.map)) == once
    monkeypatch.setattr(warm_start, "VALUES_PER_BATCH", 4 * 800)
    few_at_a_time = warm_start.begin(found, model, WarmStart(), windows)
    assert [(w.start, len(w.events) > 0) for w in few_at_a_time] == [(w.start, True) for w in windows]
    assert [len(some) for some in warm_start._batches(windows, 4)] == [2, 1]


def test_no_windows_and_windows_without_signal_begin_with_nothing() -> None:
    found, model = planted(6)
    assert warm_start.begin(found, model, WarmStart(), []) == []
    silent = ArrayRecording(found.signal, np.zeros(3000, dtype=bool))
    (window,) = warm_start.begin(silent, model, WarmStart(), [Window(0, 500, no_events())])
    assert len(window.events) == 0
    steps = warm_start.learned_steps(silent, model, 3)
    assert steps == pytest.approx([torch_warm_start.safe_step(model.gram)] * 3)


def test_activations_beside_a_window_are_accounted_for() -> None:
    found, model = planted(7)
    beside = Events(np.array([0], np.int32), np.array([795], np.int64), np.array([50.0]))
    alone, next_to = (
        warm_start.begin(found, model, WarmStart(), [Window(800, 1200, events)])[0].events
        for events in (no_events(), beside)
    )
    assert next_to.between(0, 800).amplitude.tolist() == [50.0]
    near = [events.between(800, 800 + LENGTH).amplitude.sum() for events in (alone, next_to)]
    assert near[0] != near[1]
    dense = np.zeros((2, 4, 400))
    for row, events in zip(dense, (alone, next_to), strict=True):
        own = events.between(800, 1200)
        row[own.atom, own.sample - 800] = own.amplitude
    assert np.abs(np.diff(dense, axis=0)[..., 200:]).max() < 0.1 * np.abs(np.diff(dense, axis=0)).max()


def test_front_door_gives_the_same_code() -> None:
    found, model = planted(9)
    codes = [
        dictionary.encode(
            found.signal,
            model.spatial,
            model.temporal,
            tolerance=1e-6,
            good=found.mask,
            chunk_size=400,
            **more,
        )
        for more in ({}, {"warm_start": True, "device": "cpu"})
    ]
    dense = np.zeros((2, 4, 3000))
    for row, (atom, sample, amplitude) in zip(dense, codes, strict=True):
        row[atom, sample] = amplitude
    np.testing.assert_allclose(dense[1], dense[0], atol=1e-4 * dense.max())


def test_a_device_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    found, model = planted(10)
    windows = [Window(0, 500, no_events())]
    for device in ("cuda:99", "abacus"):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        with pytest.raises(ValueError, match=f"no device {device}"):
            warm_start.begin(found, model, WarmStart(device), windows)
    monkeypatch.setitem(sys.modules, "triptych.dictionary.torch_warm_start", None)
    monkeypatch.delattr(dictionary, "torch_warm_start")
    with pytest.raises(ValueError, match="needs torch"):
        warm_start.begin(found, model, WarmStart(), windows)
