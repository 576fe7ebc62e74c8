"""Moments of chunks are those of the whole, also far from zero."""

from functools import reduce

import numpy as np
import pytest

from triptych.quantization import moments


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_merged_moments_equal_numpy(offset):
    points = (
        np.random.default_rng(0).normal(size=(1000, 4)) @ np.random.default_rng(1).normal(size=(4, 4))
        + offset
    )
    parts = [moments.partial(points[a : a + 130]) for a in range(0, 1000, 130)]
    total = reduce(moments.merge, parts)
    assert total.count == 1000
    assert total.mean == pytest.approx(points.mean(axis=0))
    assert total.covariance == pytest.approx(np.cov(points.T, bias=True), rel=1e-6)


def test_one_event_has_no_spread():
    assert (moments.partial(np.ones((1, 3), np.float32)).covariance == 0).all()
