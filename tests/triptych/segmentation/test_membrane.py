"""The membrane filter finds sheets of either polarity, and blocks equal the whole."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triptych.engine.geometry import Grid
from triptych.segmentation.intensity import percentile
from triptych.segmentation.membrane import (
    LEAST_HALF_RESPONSE,
    half_response,
    membrane_probability,
    membrane_response,
    plan_filter,
    response_histogram,
)


def sheet(axis: int, dark: bool = True) -> np.ndarray:
    """A sheet of three voxels in noise."""
    volume = np.full((24, 24, 24), 180.0)
    np.moveaxis(volume, axis, 0)[11:14] = 60
    volume += np.random.default_rng(0).normal(0, 3, volume.shape)
    return (volume if dark else 255 - volume).astype(np.uint8)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("polarity", ["dark", "bright"])
def test_sheets_respond_in_every_direction(axis: int, polarity: str) -> None:
    plan = plan_filter((10, 10, 10), 12, 50, 200, polarity)
    response = membrane_response(sheet(axis, polarity == "dark"), plan)
    probability = membrane_probability(response, half_response(response_histogram(response), 2.5))
    lines = np.moveaxis(probability, axis, 0)
    assert (lines[12] > 200).all()
    assert np.median(lines[:7]) < 60
    lines_response = response.take(12, axis).min()
    wrong = plan_filter((10, 10, 10), 12, 50, 200, "bright" if polarity == "dark" else "dark")
    assert (
        membrane_response(sheet(axis, polarity == "dark"), wrong).take(12, axis).max() < 0.1 * lines_response
    )


def test_coarse_slices_are_looked_at_alone() -> None:
    plan = plan_filter((50, 10, 10), 12, 50, 200)
    assert plan.in_plane
    assert plan.halo[0] == 0
    volume = sheet(2)
    moved = volume.copy()
    moved[5] = 0
    same = membrane_response(volume, plan) == membrane_response(moved, plan)
    assert same[[4, 6]].all()
    assert not same[5].all()


@settings(max_examples=12, deadline=None)
@given(
    st.tuples(*[st.integers(3, 30)] * 3),
    st.sampled_from([(10.0, 10.0, 10.0), (25.0, 10.0, 10.0), (50.0, 8.0, 10.0)]),
    st.integers(0, 1000),
)
def test_blocks_equal_the_whole(
    block: tuple[int, int, int], size: tuple[float, float, float], seed: int
) -> None:
    volume = np.random.default_rng(seed).integers(0, 255, (21, 26, 23)).astype(np.uint8)
    plan = plan_filter(size, 12, 20, 220)
    whole = membrane_response(volume, plan)
    grid = Grid(volume.shape, block)
    for index in range(len(grid)):
        part = membrane_response(volume[grid.outer(index, plan.halo)], plan)[grid.inside(index, plan.halo)]
        assert part.tobytes() == whole[grid.core(index)].tobytes()


def test_the_median_sets_the_level() -> None:
    histogram = response_histogram(np.linspace(0, 0.2, 1001, dtype=np.float32))
    assert half_response(histogram, 2.0) == pytest.approx(0.2, rel=0.01)
    assert half_response(response_histogram(np.zeros(10, np.float32)), 2.0) == LEAST_HALF_RESPONSE


def test_percentiles_of_a_histogram() -> None:
    data = np.random.default_rng(2).integers(0, 50, 1000)
    values, counts = np.unique(data, return_counts=True)
    for percent in (0.5, 1, 50, 99, 100):
        assert percentile(values, counts, percent) == np.percentile(data, percent, method="inverted_cdf")


def test_no_contrast_is_an_error() -> None:
    with pytest.raises(ValueError, match="contrast"):
        plan_filter((10, 10, 10), 12, 50, 50)
