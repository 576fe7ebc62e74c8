"""The certificate: epsilon is W2 between cloud and measure, centers are the means of their cells."""

import numpy as np
import ot
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triptych.quantization import certificate, lloyd


def exact_w2(points: np.ndarray, measure: certificate.Measure) -> float:
    cost = ((points[:, None] - measure.centers[None]) ** 2).sum(axis=2)
    return float(np.sqrt(ot.emd2(np.full(len(points), 1 / len(points)), measure.weights, cost)))


@given(seed=st.integers(0, 10_000), k=st.integers(1, 12), passes=st.integers(0, 30))
@settings(max_examples=25, deadline=None)
def test_epsilon_bounds_the_distance_and_is_exact_once_lloyd_has_converged(seed, k, passes):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(120, 2)) * rng.random(2) * 5
    centers, _ = lloyd.lloyd(points, rng.normal(size=(k, 2)), passes, 0.0) if passes else (points[:k], None)
    sums, labels = lloyd.certified(points, centers)
    measure = certificate.finish(sums, centers)
    assert measure.epsilon >= exact_w2(points, measure) - 1e-9
    assert measure.weights.sum() == pytest.approx(1)
    assert (measure.weights > 0).all()
    for center, weight, k_ in zip(measure.centers, measure.weights, np.unique(labels), strict=True):
        assert center == pytest.approx(points[labels == k_].mean(axis=0))
        assert weight == pytest.approx((labels == k_).mean())
    if (lloyd.certified(points, measure.centers)[1] == np.unique(labels, return_inverse=True)[1]).all():
        assert measure.epsilon == pytest.approx(exact_w2(points, measure))


def test_distortion_does_not_cancel_far_from_zero():
    points = 1e6 + np.random.default_rng(0).normal(size=(1000, 3))
    centers = np.full((1, 3), 1e6)
    measure = certificate.finish(lloyd.certified(points - 1e6, centers - 1e6)[0], centers - 1e6)
    assert measure.epsilon**2 == pytest.approx(points.var(axis=0).sum(), rel=1e-9)
