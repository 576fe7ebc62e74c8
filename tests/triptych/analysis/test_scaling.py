"""Exact weighted quantiles: equal to sorting, in whatever pieces the values come."""

import functools
import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from triptych.analysis import scaling
from triptych.analysis.scaling import GAUSSIAN_IQR, Pass, merge, ordered_keys, partial, passes, scale, start


def by_sorting(samples: list[np.ndarray], level: float) -> float:
    """The quantile of type 2 of the weighted distribution, from sorted values."""
    kept = [s[np.isfinite(s)] for s in samples]
    kept = [s for s in kept if len(s)]
    values = np.concatenate(kept).astype(np.float64)
    weights = np.concatenate([np.full(len(s), 1 / len(s) / len(kept)) for s in kept])
    order = np.argsort(values, kind="stable")
    values, reached = values[order], np.cumsum(weights[order])
    ends = [
        values[min(np.searchsorted(reached, level + shift), len(values) - 1)] for shift in (-1e-12, 1e-12)
    ]
    return ends[0] / 2 + ends[1] / 2


FLOATS = {np.float32: st.floats(width=32), np.float64: st.floats(width=64)}


@settings(max_examples=25, deadline=None)
@given(data=st.data(), dtype=st.sampled_from([np.float32, np.float64]))
def test_equal_to_sorting(data: st.DataObject, dtype: Any) -> None:
    array = hnp.arrays(dtype, st.integers(0, 40), elements=FLOATS[dtype])
    samples = data.draw(st.lists(array, min_size=1, max_size=4))
    found = scale([s[:, None] for s in samples])
    assert found.n[0] == sum(np.isfinite(s).sum() for s in samples)
    assert found.n_nonfinite[0] == sum((~np.isfinite(s)).sum() for s in samples)
    if found.n[0] == 0:
        assert np.isnan(found.center[0])
        assert not found.included[0]
        return
    for level, value in zip((0.25, 0.5, 0.75), (found.lower, found.center, found.upper), strict=True):
        assert value[0] == by_sorting(samples, level)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_sample_is_numpy(dtype: type) -> None:
    values = np.random.default_rng(0).normal(3, 2, (10_001, 3)).astype(dtype)
    found = scale([values])
    wanted = np.quantile(values.astype(np.float64), [0.25, 0.5, 0.75], axis=0, method="averaged_inverted_cdf")
    np.testing.assert_array_equal([found.lower, found.center, found.upper], wanted)
    np.testing.assert_array_equal(found.scale, (wanted[2] - wanted[0]) / GAUSSIAN_IQR)
    np.testing.assert_allclose(found.scale, 2, rtol=0.05)


def test_samples_weigh_the_same() -> None:
    large, small = np.zeros((1000, 1)), np.ones((3, 1))
    found = scale([large, small])
    assert found.center[0] == 0.5
    assert (found.lower[0], found.upper[0]) == (0, 1)


@settings(max_examples=15, deadline=None)
@given(cuts=st.lists(st.integers(0, 500), max_size=4), seed=st.integers(0, 9))
def test_pieces_in_any_order_give_the_same_bits(cuts: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.standard_t(1.5, (500, 2)).astype(np.float32)
    values[rng.random(values.shape) < 0.05] = np.nan
    edges = [0, *sorted(cuts), 500]
    search = start(2)
    while True:
        pieces = [partial(values[a:b], search) for a, b in itertools.pairwise(edges)]
        whole = functools.reduce(merge, [pieces[i] for i in rng.permutation(len(pieces))])
        current = Pass(search)
        current.add(whole)
        if search.passed + 1 == passes(values.dtype):
            break
        search = current.narrow()
    found, wanted = current.finish(values.dtype), scale([values])
    for name in ("center", "scale", "minimum", "maximum", "n", "n_nonfinite", "n_samples"):
        np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name))


@given(hnp.arrays(np.float32, 30, elements=st.floats(width=32, allow_nan=False)))
def test_keys_keep_the_order(values: np.ndarray) -> None:
    keys = ordered_keys(values)
    np.testing.assert_array_equal(values[np.argsort(keys, kind="stable")], np.sort(values))
    np.testing.assert_array_equal(scaling.values_of_keys(keys), values)


def test_constant_and_empty_features_are_not_included() -> None:
    values = np.stack([np.ones(20), np.full(20, np.nan), np.arange(20.0), [0.0] * 18 + [1, 2]], axis=1)
    found = scale([values])
    np.testing.assert_array_equal(found.constant, [True, True, False, False])
    np.testing.assert_array_equal(found.included, [False, False, True, False])


def test_wrong_input_is_refused() -> None:
    with pytest.raises(ValueError, match="no samples"):
        scale([])
    with pytest.raises(ValueError, match="differ"):
        scale([np.zeros((2, 2)), np.zeros((2, 3))])
    with pytest.raises(ValueError, match="float32 or float64"):
        scale([np.zeros((2, 2), int)])
