"""Seeds: exact depths, components over blocks, canonical ids."""

import itertools

import edt
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from triptych.engine.geometry import Grid
from triptych.segmentation.seeds import (
    RESOLUTION,
    SeedRule,
    borders,
    components,
    merge_components,
    neighbour_directions,
    seed_voxels,
    sizes_and_firsts,
    squared_depth,
    touching,
)

SIZES = [(10.0, 10.0, 10.0), (24.0, 10.0, 10.0), (35.0, 9.0, 11.0)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("limit", [12.0, 31.0, 60.0])
def test_depth_is_the_euclidean_distance(size: tuple[float, float, float], limit: float) -> None:
    membrane = np.random.default_rng(0).random((14, 30, 31)) < 0.02
    depth = squared_depth(membrane, size, limit)
    true = edt.edt(~membrane, anisotropy=size, black_border=False) / min(size)
    near = true < limit / min(size) - 0.01
    np.testing.assert_allclose(depth[near] / RESOLUTION, true[near] ** 2, atol=3 / RESOLUTION)
    assert (depth[true > limit / min(size) + 0.01] == depth.max()).all()


def test_in_plane_depth_looks_at_slices_alone() -> None:
    membrane = np.random.default_rng(0).random((6, 20, 21)) < 0.05
    whole = squared_depth(membrane, (10, 10, 10), 45, in_plane=True)
    for z in range(6):
        np.testing.assert_array_equal(whole[z], squared_depth(membrane[z : z + 1], (10, 10, 10), 45)[0])


def test_a_wide_cell_is_one_seed_and_a_gap_joins_nothing() -> None:
    membrane = np.zeros((40, 40, 80), bool)
    membrane[:, :, 38:41] = True
    membrane[18:22, 18:22, 38:41] = False
    rule = SeedRule((10, 10, 10), 15, 60, 30, 26, in_plane=False)
    labels, count = components(seed_voxels(membrane, rule), rule)
    assert labels[20, 20, 10] > 0
    assert labels[20, 20, 10] != labels[20, 20, 70]
    assert count >= 2


@settings(max_examples=30, deadline=None)
@given(
    st.tuples(*[st.integers(2, 12)] * 3),
    st.sampled_from([6, 18, 26]),
    st.booleans(),
    st.floats(0.1, 0.6),
    st.integers(0, 1000),
    st.integers(1, 4),
)
def test_components_of_blocks_are_those_of_the_whole(
    block: tuple[int, int, int], connectivity: int, in_plane: bool, density: float, seed: int, least: int
) -> None:
    mask = np.random.default_rng(seed).random((9, 14, 13)) < density
    rule = SeedRule((10, 10, 10), 15, 60, 30, connectivity, in_plane)
    grid = Grid(mask.shape, block)
    parts = [components(mask[grid.core(i)], rule) for i in range(len(grid))]
    sums = [
        sizes_and_firsts(labels, count, tuple(s.start for s in grid.core(i)), grid.shape)
        for i, (labels, count) in enumerate(parts)
    ]
    planes = [borders(labels) for labels, _ in parts]

    def pairs():  # type: ignore[no-untyped-def]
        for i, direction in itertools.product(range(len(grid)), neighbour_directions(rule)):
            there = tuple(p + d for p, d in zip(grid.position(i), direction, strict=True))
            if all(0 <= p < n for p, n in zip(there, grid.counts, strict=True)):
                j = grid.index(there)
                yield i, j, touching(planes[i], planes[j], direction, rule)

    tables, count = merge_components(
        [c for _, c in parts], [s for s, _ in sums], [f for _, f in sums], pairs(), least
    )
    found = np.zeros(mask.shape, np.uint32)
    for i, (labels, _) in enumerate(parts):
        found[grid.core(i)] = tables[i][labels]
    structure = ndimage.generate_binary_structure(3, {6: 1, 18: 2, 26: 3}[connectivity])
    if in_plane:
        structure[[0, 2]] = False
    whole, _ = ndimage.label(mask, structure)
    ids, first, inverse, sizes = np.unique(whole, return_index=True, return_inverse=True, return_counts=True)
    kept = np.flatnonzero((ids > 0) & (sizes >= least))
    table = np.zeros(ids.size, np.uint32)
    table[kept[np.argsort(first[kept])]] = np.arange(1, kept.size + 1)
    np.testing.assert_array_equal(found, table[inverse].reshape(mask.shape))
    assert count == kept.size
