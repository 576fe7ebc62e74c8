"""The tree of samples."""

import numpy as np
import pytest

from triptych.quantization.hierarchy import average_linkage


def test_near_samples_merge_first_and_lie_side_by_side():
    places = np.array([0.0, 10.0, 1.0, 12.0])
    merges, order = average_linkage(np.abs(places[:, None] - places[None]))
    assert merges[:, :2].tolist() == [[0, 2], [1, 3], [4, 5]]
    assert merges[:, 2] == pytest.approx([1, 2, 10.5])
    assert order.tolist() in ([0, 2, 1, 3], [3, 1, 2, 0])


def test_one_sample_is_its_own_tree():
    merges, order = average_linkage(np.zeros((1, 1)))
    assert merges.shape == (0, 4)
    assert order.tolist() == [0]
