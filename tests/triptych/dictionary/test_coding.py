"""The code of chunks is the code of the whole."""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings, strategies

from triptych.dictionary import lgcd
from triptych.dictionary.coding import Chunks, allowed_positions
from triptych.dictionary.gram import correlate
from triptych.dictionary.passes import ArrayRecording, Passes


def recording(seed: int, samples: int = 1500, channels: int = 3, atoms: int = 3, length: int = 10):
    generator = np.random.default_rng(seed)
    spatial, temporal = (
        generator.standard_normal((atoms, channels)),
        generator.standard_normal((atoms, length)),
    )
    spatial /= np.linalg.norm(spatial, axis=1, keepdims=True)
    temporal /= np.linalg.norm(temporal, axis=1, keepdims=True)
    signal = generator.standard_normal((channels, samples))
    good = np.ones(samples, dtype=bool)
    first = int(generator.integers(0, samples - 60))
    good[first : first + 50] = False
    penalty = 0.15 * float(correlate(signal, spatial, temporal).max())
    return ArrayRecording(signal, good), spatial, temporal, penalty


@settings(max_examples=15, deadline=None)
@given(seed=strategies.integers(0, 2**31), size=strategies.integers(100, 700))
@pytest.mark.parametrize(("tolerance", "allowed_error"), [(1e-2, 1e-7), (1e-4, 1e-10)])
def test_chunked_equals_whole(tolerance: float, allowed_error: float, seed: int, size: int) -> None:
    found, spatial, temporal, penalty = recording(seed)
    model = lgcd.model(spatial, temporal, penalty, tolerance * penalty / 10)
    values = []
    for chunk in (1500, size):
        passes = Passes(found, Chunks(1500, 10, chunk))
        events, _ = passes.code(model)
        violation, energies = passes.certify(model, events)
        assert violation.change <= model.tolerance * (1 + 1e-6)
        values.append(energies.objective(penalty))
    assert values[1] == pytest.approx(values[0], rel=allowed_error)


def test_workers_change_no_bit() -> None:
    found, spatial, temporal, penalty = recording(1)
    model = lgcd.model(spatial, temporal, penalty, 1e-3)
    alone, _ = Passes(found, Chunks(1500, 10, 120)).code(model)
    with ThreadPoolExecutor(3) as pool:
        shared, _ = Passes(found, Chunks(1500, 10, 120), pool.map).code(model)
    assert alone.amplitude.tobytes() == shared.amplitude.tobytes()
    assert alone.sample.tobytes() == shared.sample.tobytes()


def test_statistics_of_chunks_add_up() -> None:
    found, spatial, temporal, penalty = recording(2)
    model = lgcd.model(spatial, temporal, penalty, 1e-3)
    whole, parts = (Passes(found, Chunks(1500, 10, size)) for size in (1500, 130))
    events, _ = whole.code(model)
    a, b = whole.statistics(events, 3), parts.statistics(events, 3)
    for one, other in ((a.phi, b.phi), (a.psi, b.psi), (a.mass, b.mass), (a.count, b.count)):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(a.phi, a.phi.transpose(1, 0, 2)[:, :, ::-1], atol=1e-12)


def test_chunks_cover_every_position_once() -> None:
    chunks = Chunks(1017, 10, 100)
    spans = [chunks.core(i) for i in range(len(chunks))]
    assert spans[0][0] == 0
    assert spans[-1][1] == 1008
    assert all(a[1] == b[0] for a, b in pairwise(spans))


def test_short_chunks_and_recordings_are_refused() -> None:
    with pytest.raises(ValueError, match="too short"):
        Chunks(1000, 10, 50)
    with pytest.raises(ValueError, match="fewer than"):
        Chunks(5, 10, 100)


@given(strategies.lists(strategies.booleans(), min_size=5, max_size=60))
def test_allowed_positions_hold_only_good_samples(good: list[bool]) -> None:
    mask = np.array(good)
    found = allowed_positions(mask, 4)
    assert found.tolist() == [bool(mask[t : t + 4].all()) for t in range(len(mask) - 3)]
