"""Contacts are counted face by face and add up; joining follows means, enclosure and size."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from triptych.engine.geometry import Grid
from triptych.segmentation.agglomeration import agglomerate
from triptych.segmentation.contacts import Contacts, merge, partial

CUBE = (10.0, 10.0, 10.0)


def contacts_of(labels: np.ndarray, boundary: np.ndarray) -> Contacts:
    return partial(labels, boundary, labels.shape, (0, 0, 0), labels.shape)


def test_faces_and_boundary_of_two_cubes() -> None:
    labels = np.ones((2, 3, 4), np.uint32)
    labels[:, :, 2:] = 2
    boundary = np.zeros(labels.shape, np.uint8)
    boundary[:, :, 2] = 100
    found = contacts_of(labels, boundary)
    assert found.pairs.tolist() == [[1, 2]]
    assert found.faces.tolist() == [[0, 0, 6]]
    assert found.boundary.tolist() == [[0, 0, 600]]
    assert found.fragments.tolist() == [1, 2]
    assert found.rims.tolist() == [[12, 8, 6], [12, 8, 6]]


@settings(max_examples=30, deadline=None)
@given(st.tuples(*[st.integers(1, 10)] * 3), st.integers(0, 1000))
def test_contacts_of_blocks_add_up(block: tuple[int, int, int], seed: int) -> None:
    random = np.random.default_rng(seed)
    labels = random.integers(0, 5, (6, 9, 8)).astype(np.uint32)
    boundary = random.integers(0, 256, labels.shape).astype(np.uint8)
    grid = Grid(labels.shape, block)
    parts = []
    for i in range(len(grid)):
        core = grid.core(i)
        more = tuple(slice(s.start, min(s.stop + 1, n)) for s, n in zip(core, grid.shape, strict=True))
        origin = tuple(s.start for s in core)
        parts.append(
            partial(labels[more], boundary[more], tuple(s.stop - s.start for s in core), origin, grid.shape)
        )
    whole = contacts_of(labels, boundary).arrays()
    for name, value in merge(*parts).arrays().items():
        np.testing.assert_array_equal(value, whole[name])


def row_of_fragments(values: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Slabs along x; ``values`` are the boundary values between them."""
    labels = np.repeat(np.arange(1, len(values) + 2, dtype=np.uint32), 4)
    boundary = np.zeros(labels.size, np.uint8)
    for i, value in enumerate(values):
        boundary[4 * i + 3] = value
    shape = (5, 5, labels.size)
    return np.broadcast_to(labels, shape).copy(), np.broadcast_to(boundary, shape).copy()


def joined(labels: np.ndarray, boundary: np.ndarray, **rules: float) -> list[int]:
    sizes = np.bincount(labels.ravel())
    options = {"merge_below": 0.0, "enclosed_fraction": 2.0, "absorb_voxels": 0} | rules
    return agglomerate(contacts_of(labels, boundary), sizes, CUBE, **options)[1:].tolist()


def test_weak_boundaries_join_fragments() -> None:
    labels, boundary = row_of_fragments([50, 200, 90])
    assert joined(labels, boundary, merge_below=0.3) == [1, 1, 3, 4]
    assert joined(labels, boundary, merge_below=0.4) == [1, 1, 3, 3]
    assert joined(labels, boundary, merge_below=1.0) == [1, 1, 1, 1]
    assert joined(labels, boundary) == [1, 2, 3, 4]


def test_means_are_taken_over_all_faces_of_what_was_joined() -> None:
    # 1 and 2 touch without boundary; 3 touches 1 through a weak face and 2 through a strong one of equal area.
    labels = np.ones((4, 8, 8), np.uint32)
    labels[:, 4:, :4], labels[:, :, 4:] = 2, 3
    boundary = np.zeros(labels.shape, np.uint8)
    boundary[:, :4, 4], boundary[:, 4:, 4] = 80, 240
    assert joined(labels, boundary, merge_below=0.4) == [1, 1, 3]


def test_what_is_enclosed_is_joined() -> None:
    labels = np.ones((12, 12, 24), np.uint32)
    labels[:, :, 12:] = 2
    labels[4:8, 4:8, 4:8] = 3
    boundary = np.full(labels.shape, 255, np.uint8)
    assert joined(labels, boundary, enclosed_fraction=0.9) == [1, 2, 1]
    # Half of this one's surface lies on the border, where other neighbours may be hidden.
    corner = np.ones((12, 12, 24), np.uint32)
    corner[:2, :4, :4] = 2
    assert joined(corner, boundary, enclosed_fraction=0.9) == [1, 2]


def test_small_objects_go_to_the_weakest_boundary() -> None:
    labels, boundary = row_of_fragments([240, 200])
    labels[:, :, 5:8] = 3
    boundary[:, :, 5] = 100
    assert joined(labels, boundary, absorb_voxels=30) == [1, 2, 2]
