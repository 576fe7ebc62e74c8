"""Recordings joined: reads are theirs, no atom crosses a gap, and sums are sums over the recordings."""

import numpy as np
import pytest

from triptych.dictionary import lgcd, statistics
from triptych.dictionary.coding import Chunks
from triptych.dictionary.joined import Joined
from triptych.dictionary.passes import ArrayRecording, Passes

LENGTH = 20


def recordings(lengths: tuple[int, ...] = (500, 320, 431)):
    generator = np.random.default_rng(0)
    found = []
    for n in lengths:
        good = np.ones(n, bool)
        good[50:60] = False
        found.append(ArrayRecording(generator.standard_normal((4, n)), good))
    return found


def test_every_range_reads_what_lies_there() -> None:
    parts = recordings((7, 5, 6))
    joined = Joined(tuple(parts))
    gap = np.zeros((4, 1))
    signal = np.concatenate([parts[0].signal, gap, parts[1].signal, gap, parts[2].signal], axis=1)
    mask = np.concatenate([parts[0].mask, [False], parts[1].mask, [False], parts[2].mask])
    assert joined.samples == signal.shape[1]
    for start in range(joined.samples):
        for stop in range(start + 1, joined.samples + 1):
            np.testing.assert_array_equal(joined.read(start, stop), signal[:, start:stop])
            np.testing.assert_array_equal(joined.good(start, stop), mask[start:stop])


@pytest.mark.parametrize("size", [2000, 200])
def test_the_code_is_that_of_the_recordings(size: int) -> None:
    parts = recordings()
    joined = Joined(tuple(parts))
    generator = np.random.default_rng(1)
    spatial, temporal = generator.standard_normal((3, 4)), generator.standard_normal((3, LENGTH))
    spatial /= np.linalg.norm(spatial, axis=1, keepdims=True)
    temporal /= np.linalg.norm(temporal, axis=1, keepdims=True)
    model = lgcd.model(spatial, temporal, 2.0, 1e-9)
    whole = Passes(joined, Chunks(joined.samples, LENGTH, size))
    events, _ = whole.code(model)
    assert len(events)
    summed = whole.statistics(events, 3)
    alone = [Passes(part, Chunks(part.samples, LENGTH, part.samples)) for part in parts]
    codes = [one.code(model)[0] for one in alone]
    for found, code in zip(joined.split(events), codes, strict=True):
        np.testing.assert_array_equal(found.sample, code.sample)
        np.testing.assert_allclose(found.amplitude, code.amplitude, atol=1e-7)
    sums = [one.statistics(code, 3) for one, code in zip(alone, codes, strict=True)]
    total = statistics.merge(statistics.merge(sums[0], sums[1]), sums[2])
    np.testing.assert_allclose(summed.phi, total.phi, atol=1e-6)
    np.testing.assert_allclose(summed.psi, total.psi, atol=1e-6)
