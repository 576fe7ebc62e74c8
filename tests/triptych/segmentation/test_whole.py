"""The front door: cells of a painted map are found; parameters resolve by voxel size; wrong arrays are refused."""

import numpy as np
import pytest

from triptych.segmentation import segment
from triptych.segmentation.scores import finish, partial
from triptych.segmentation.whole import as_bytes, plan_segmentation


def cells(shape: tuple[int, int, int] = (24, 48, 48), step: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Cubes with walls of two voxels, and their boundary map with noise and small gaps."""
    index = [np.arange(n) // step for n in shape]
    truth = (index[0][:, None, None] * 100 + index[1][:, None] * 10 + index[2] + 1).astype(np.uint32)
    wall = np.zeros(shape, bool)
    for axis in range(3):
        at = np.arange(shape[axis]) % step
        inner = ((at == 0) & (np.arange(shape[axis]) > 0)) | (
            (at == step - 1) & (np.arange(shape[axis]) < shape[axis] - 1)
        )
        wall |= np.expand_dims(inner, tuple(a for a in range(3) if a != axis))
    random = np.random.default_rng(0)
    probability = np.where(wall & (random.random(shape) > 0.05), 0.9, 0.08) + random.uniform(0, 0.08, shape)
    return truth, probability


def test_cells_are_found() -> None:
    truth, probability = cells()
    labels = segment(probability, (10, 10, 10), absorb_volume_nm3=0)
    scores = finish(partial(truth, labels))
    assert scores["matched_truth"] > 0.9
    assert scores["adapted_rand_error"] < 0.15
    first = [np.flatnonzero(labels.ravel() == i)[0] for i in range(1, int(labels.max()) + 1)]
    assert first == sorted(first)


def test_types_of_boundaries_agree() -> None:
    _, probability = cells()
    whole = as_bytes(probability)
    np.testing.assert_array_equal(segment(whole, (10, 10, 10)), segment(probability, (10, 10, 10)))


def test_small_objects_and_membrane_can_be_left_out() -> None:
    _, probability = cells()
    assert segment(probability, (10, 10, 10), min_object_volume_nm3=1e9).max() == 0
    empty = segment(probability, (10, 10, 10), fill_membrane=False) == 0
    assert empty[as_bytes(probability) >= 128].all()


def test_lengths_follow_the_voxel_size() -> None:
    plan = plan_segmentation((40, 10, 10))
    assert plan.seeds.in_plane
    assert plan.seeds.least_nm == 15
    assert plan.seeds.core_nm == 60
    assert not plan_segmentation((30, 10, 10)).seeds.in_plane


@pytest.mark.parametrize(
    ("boundaries", "word"),
    [
        (np.zeros((4, 4), np.uint8), "2 axes"),
        (np.zeros((4, 4, 4), np.int32), "int32"),
        (np.full((4, 4, 4), 1.5), "outside"),
        (np.full((4, 4, 4), np.nan), "outside"),
    ],
)
def test_wrong_boundaries_are_refused(boundaries: np.ndarray, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        segment(boundaries, (10, 10, 10))
