"""Flooding gives the lexicographically smallest (cost, seed), and blocks prove that they equal the whole."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triptych.engine.geometry import Grid
from triptych.segmentation.watershed import Terrain, flood, flood_block, plan_terrain

SHAPE = (7, 12, 11)


def relaxed(seeds: np.ndarray, boundary: np.ndarray, terrain: Terrain) -> np.ndarray:
    """Bellman and Ford: relax every step until nothing changes."""
    far = terrain.limit + 1
    best = {v: (0, int(s)) if s else (far, 0) for v, s in np.ndenumerate(seeds)}
    changed = True
    while changed:
        changed = False
        for v, (cost, label) in list(best.items()):
            for axis in range(3):
                for sign in (-1, 1):
                    u = tuple(c + sign * (a == axis) for a, c in enumerate(v))
                    if u in best and label:
                        new = cost + int(terrain.weights[axis, int(boundary[v]) + int(boundary[u])])
                        if new <= terrain.limit and (new, label) < best[u]:
                            best[u] = (new, label)
                            changed = True
    return np.array([best[v][1] for v in np.ndindex(*seeds.shape)]).reshape(seeds.shape)


def scene(seed: int, steps: int = 3) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    boundary = (random.integers(0, steps + 1, SHAPE) * 255 // steps).astype(np.uint8)
    seeds = np.where(random.random(SHAPE) < 0.03, random.integers(1, 6, SHAPE), 0).astype(np.uint32)
    return seeds, boundary


@pytest.mark.parametrize("size", [(10.0, 10.0, 10.0), (37.0, 10.0, 12.0)])
@pytest.mark.parametrize("contrast", [0.0, 4.0])
@pytest.mark.parametrize("reach", [35.0, 400.0])
def test_flood_is_the_least_path(size: tuple[float, float, float], contrast: float, reach: float) -> None:
    terrain = plan_terrain(size, contrast, reach)
    seeds, boundary = scene(3)
    np.testing.assert_array_equal(flood(seeds, boundary, terrain), relaxed(seeds, boundary, terrain))


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(*[st.integers(1, 12)] * 3),
    st.integers(0, 10_000),
    st.sampled_from([0.0, 3.0, 30.0]),
    st.sampled_from([15.0, 40.0, 120.0]),
)
def test_blocks_equal_the_whole_or_say_that_they_cannot_tell(
    block: tuple[int, int, int], seed: int, contrast: float, reach: float
) -> None:
    terrain = plan_terrain((20.0, 10.0, 10.0), contrast, reach)
    seeds, boundary = scene(seed)
    whole = flood(seeds, boundary, terrain)
    grid = Grid(SHAPE, block)
    for index in range(len(grid)):
        for halo in terrain.halos:
            outer = grid.outer(index, halo)
            cut = tuple((s.start > 0, s.stop < n) for s, n in zip(outer, SHAPE, strict=True))
            last = halo == terrain.halos[-1]
            found = flood_block(
                seeds[outer],
                boundary[outer],
                terrain,
                grid.inside(index, halo),
                ((False, False),) * 3 if last else cut,
            )
            if found is not None:
                np.testing.assert_array_equal(found, whole[grid.core(index)])
        assert found is not None


def test_a_small_halo_is_enough_where_seeds_are_near() -> None:
    terrain = plan_terrain((10, 10, 10), 30, 1000)
    seeds = np.ones((40, 40, 40), np.uint32)
    seeds[:, :, 20:] = 2
    seeds[:, :, 19:21] = 0
    assert min(terrain.halos[0]) < 20 < min(terrain.halo)
    inside = (slice(13, 27),) * 3
    boundary = np.zeros(seeds.shape, np.uint8)
    found = flood_block(seeds, boundary, terrain, inside, ((True, True),) * 3)
    np.testing.assert_array_equal(found, flood(seeds, boundary, terrain)[inside])


def test_too_fine_costs_are_refused() -> None:
    with pytest.raises(ValueError, match="too large"):
        plan_terrain((10, 10, 10), 10, 1e12)
