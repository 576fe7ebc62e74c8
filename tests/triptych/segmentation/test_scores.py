"""Scores against scikit-image and by hand; blocks add up."""

import numpy as np
import pytest

from triptych.segmentation.scores import finish, merge, partial


def volumes(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    truth = np.kron(random.integers(0, 9, (3, 4, 5)), np.ones((4, 4, 4), int)).astype(np.uint32)
    found = np.where(random.random(truth.shape) < 0.1, 0, truth // 2 + np.arange(truth.shape[2]) // 11)
    return truth, found.astype(np.uint32)


def test_scores_equal_those_of_scikit_image() -> None:
    metrics = pytest.importorskip("skimage.metrics")
    truth, found = volumes()
    scores = finish(partial(truth, found))
    kept = truth > 0
    assert scores["adapted_rand_error"] == pytest.approx(metrics.adapted_rand_error(truth, found)[0])
    split, joined = metrics.variation_of_information(truth[kept], found[kept])
    assert scores["voi_split"] == pytest.approx(split)
    assert scores["voi_merge"] == pytest.approx(joined)


def test_scores_by_hand() -> None:
    truth = np.array([[[1, 1, 1, 1, 2, 2, 2, 2]]])
    assert finish(partial(truth, truth)) == {
        "adapted_rand_error": 0, "voi_split": 0, "voi_merge": 0, "f1_50": 1, "matched_truth": 1,
    }  # fmt: skip
    split = np.array([[[1, 1, 3, 3, 2, 2, 2, 2]]])
    scores = finish(partial(truth, split))
    assert scores["voi_split"] == pytest.approx(0.5)
    assert scores["voi_merge"] == 0
    assert scores["matched_truth"] == 0.5
    assert scores["f1_50"] == pytest.approx(2 / 5)
    # 24 ordered pairs in the truth, 16 in the result, all of them shared.
    assert scores["adapted_rand_error"] == pytest.approx(1 - 2 * 16 / 40)


def test_overlaps_of_blocks_add_up() -> None:
    truth, found = volumes(1)
    parts = [partial(truth[:, :, i : i + 3], found[:, :, i : i + 3]) for i in range(0, truth.shape[2], 3)]
    assert finish(merge(*parts)) == finish(partial(truth, found))


def test_truth_without_objects_has_no_score() -> None:
    with pytest.raises(ValueError, match="no object"):
        finish(partial(np.zeros((2, 2, 2), int), np.ones((2, 2, 2), int)))
