"""Levels of pyramids against plain definitions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triptych.segmentation.pyramid import halve_image, halve_labels


@settings(max_examples=25, deadline=None)
@given(
    st.tuples(*[st.integers(1, 7)] * 3),
    st.tuples(*[st.sampled_from([1, 2])] * 3),
    st.integers(0, 2**32 - 1),
)
def test_cells_hold_their_mean_and_mode(shape: tuple[int, ...], factors: tuple[int, ...], seed: int) -> None:
    data = np.random.default_rng(seed).integers(0, 4, shape).astype(np.uint16)
    mean, mode = halve_image(data, factors), halve_labels(data, factors)
    assert mean.shape == mode.shape == tuple(-(-n // f) for n, f in zip(shape, factors, strict=True))
    for place in np.ndindex(*mean.shape):
        cell = data[tuple(slice(p * f, p * f + f) for p, f in zip(place, factors, strict=True))]
        assert mean[place] == int(cell.mean() + 0.5)
        assert mode[place] == np.bincount(cell.ravel()).argmax()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32])
def test_types_are_kept(dtype: type) -> None:
    data = np.full((3, 3, 3), np.iinfo(np.uint8).max, dtype)
    assert halve_image(data, (2, 2, 2)).dtype == dtype
    assert (halve_image(data, (2, 2, 2)) == 255).all()
    assert halve_labels(data, (2, 2, 2)).dtype == dtype
