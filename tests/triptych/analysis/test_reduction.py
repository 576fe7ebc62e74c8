"""Principal components: against the singular value decomposition, weights, rank and sign."""

import numpy as np
import pytest

from triptych.analysis.reduction import principal_components


def rows() -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.normal(size=(80, 5)) @ rng.normal(size=(5, 5)) + 3


def test_equal_to_the_singular_values() -> None:
    values = rows()
    found = principal_components(values, 3)
    _, s, vt = np.linalg.svd(values - values.mean(axis=0), full_matrices=False)
    np.testing.assert_allclose(found.variance, s[:3] ** 2 / 80)
    np.testing.assert_allclose(np.abs(found.loadings), np.abs(vt[:3].T), atol=1e-9)
    np.testing.assert_allclose(found.explained, (s**2 / (s**2).sum())[:3])
    np.testing.assert_allclose(found.scores, (values - found.mean) @ found.loadings)


def test_sign_is_fixed() -> None:
    values = rows()
    loadings = principal_components(values, 5).loadings
    assert (loadings[np.abs(loadings).argmax(axis=0), range(5)] > 0).all()
    np.testing.assert_allclose(principal_components(-values, 5).loadings, loadings, atol=1e-9)


def test_weights_count_rows() -> None:
    values, times = rows(), np.random.default_rng(1).integers(1, 4, 80)
    weighted = principal_components(values, 4, times.astype(float))
    repeated = principal_components(np.repeat(values, times, axis=0), 4)
    np.testing.assert_allclose(weighted.loadings, repeated.loadings, atol=1e-9)
    np.testing.assert_allclose(weighted.variance, repeated.variance)


def test_no_more_components_than_directions() -> None:
    values = np.outer(np.arange(10.0), [1, 2, 3])
    found = principal_components(values, 3)
    assert found.scores.shape == (10, 1)
    assert found.explained.tolist() == pytest.approx([1.0])
    assert principal_components(np.ones((4, 2)), 2).scores.shape == (4, 0)


def test_missing_values_are_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        principal_components(np.array([[1.0, np.nan], [0, 1]]), 1)
