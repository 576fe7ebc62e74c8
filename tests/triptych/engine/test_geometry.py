"""Blocks tile the array exactly once; halos are cut at the border; parts cover all blocks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from triptych.engine.geometry import Grid, part_of

axes = st.lists(st.tuples(st.integers(1, 12), st.integers(1, 7), st.integers(0, 4)), min_size=1, max_size=3)


@given(axes)
def test_cores_tile_the_array(axes: list[tuple[int, int, int]]) -> None:
    shape, block, halo = (tuple(a[i] for a in axes) for i in range(3))
    grid = Grid(shape, block)
    count = np.zeros(shape, int)
    values = np.arange(count.size).reshape(shape)
    for index in range(len(grid)):
        count[grid.core(index)] += 1
        assert grid.index(grid.position(index)) == index
        outer = values[grid.outer(index, halo)]
        assert np.array_equal(outer[grid.inside(index, halo)], values[grid.core(index)])
    assert (count == 1).all()


def test_wrong_grids_are_refused() -> None:
    with pytest.raises(ValueError, match="dimension"):
        Grid((4, 4), (2,))
    with pytest.raises(ValueError, match="positive"):
        Grid((4,), (0,))
    with pytest.raises(IndexError):
        Grid((4,), (2,)).position(2)


@given(st.integers(0, 50), st.integers(1, 9))
def test_parts_cover_every_block_once(count: int, parts: int) -> None:
    found = [index for part in range(1, parts + 1) for index in part_of(count, part, parts)]
    assert found == list(range(count))


def test_wrong_parts_are_refused() -> None:
    with pytest.raises(ValueError, match="part 0 of 2"):
        part_of(4, 0, 2)
