"""The front door: a cloud in memory or on disk gives the same measure, whatever the chunk."""

import numpy as np
import pytest
import zarr
from sklearn.cluster import KMeans, MiniBatchKMeans

from triptych.quantization import quantize


def blobs(n: int = 30_000, d: int = 5) -> np.ndarray:
    rng = np.random.default_rng(4)
    places = rng.normal(size=(12, d)) * 4
    return (places[rng.integers(0, 12, n)] + rng.normal(size=(n, d)) * rng.random(d)).astype(np.float32)


def test_a_measure_is_no_worse_than_scikit_learn_gives():
    events = blobs()
    found = quantize(events, 32)
    peers = [
        KMeans(32, n_init=1, random_state=0).fit(events).inertia_,
        MiniBatchKMeans(32, n_init=1, random_state=0, batch_size=4096).fit(events).inertia_,
    ]
    assert found.epsilon**2 * len(events) <= min(peers) * 1.02


def test_the_source_and_the_seed_decide_and_the_chunk_hardly():
    events = blobs(20_000)
    stored = zarr.array(events, chunks=(4096, 5))
    first, second = quantize(events, 16, seed=2), quantize(stored, 16, seed=2)
    assert (first.centers == second.centers).all()
    assert first.epsilon == second.epsilon
    other = quantize(events, 16, seed=2, chunk=1234)
    assert other.centers == pytest.approx(first.centers, rel=1e-9, abs=1e-9)
    assert first.mean == pytest.approx(events.mean(axis=0, dtype=np.float64))


def test_few_events_are_their_own_measure():
    events = np.arange(12.0).reshape(4, 3)
    found = quantize(events, 4)
    assert (found.centers == events).all()
    assert found.epsilon == 0
    assert (found.weights == 0.25).all()


def test_copies_of_one_event_are_one_center():
    found = quantize(np.full((50, 2), 7.0), 8)
    assert found.centers.tolist() == [[7.0, 7.0]]
    assert found.epsilon == 0


def test_nothing_and_what_is_not_finite_is_refused():
    with pytest.raises(ValueError, match="at least 1"):
        quantize(np.empty((0, 3)), 4)
    with pytest.raises(ValueError, match="not finite"):
        quantize(np.array([[1.0, np.nan]]), 4)
