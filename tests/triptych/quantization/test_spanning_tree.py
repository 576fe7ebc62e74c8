"""Transport along a tree against exact W1."""

import numpy as np
import ot
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial.distance import cdist

from triptych.quantization.spanning_tree import distances, masses_below, spanning_tree


def samples(seed, n, k, d):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(k, d)), rng.dirichlet(np.full(k, 0.3), size=n)


@given(st.integers(0, 2**31), st.integers(1, 12), st.integers(1, 4))
@settings(max_examples=30, deadline=None)
def test_never_below_the_exact_distance_and_never_above_the_tree_metric(seed, k, d):
    centers, weights = samples(seed, 3, k, d)
    found, cost = distances(centers, weights), cdist(centers, centers)
    tree = spanning_tree(centers)
    paths = along(tree)
    for i in range(3):
        for j in range(3):
            assert found[i, j] >= ot.emd2(weights[i], weights[j], cost) - 1e-9
            assert found[i, j] == pytest.approx(ot.emd2(weights[i], weights[j], paths), abs=1e-9)
    assert (found == found.T).all()
    assert (np.diag(found) == 0).all()


def along(tree):
    """Length of the path between any two centers."""
    k = len(tree.parent)
    paths = np.zeros((k, k))
    for at, x in enumerate(tree.order[1:], start=1):
        before = tree.order[:at]
        paths[x, before] = paths[before, x] = paths[tree.parent[x], before] + tree.length[x]
    return paths


def test_on_a_line_it_is_w1():
    centers, weights = samples(0, 5, 40, 1)
    placed = centers * np.array([[3.0, 4.0]])
    found, cost = distances(placed, weights), cdist(placed, placed)
    for i in range(5):
        for j in range(i):
            assert found[i, j] == pytest.approx(ot.emd2(weights[i], weights[j], cost), rel=1e-9)


def test_the_tree_is_the_shortest_and_holds_all_centers():
    centers, weights = samples(1, 2, 60, 3)
    tree = spanning_tree(centers)
    assert tree.length.sum() == pytest.approx(minimum_spanning_tree(cdist(centers, centers)).sum())
    assert (tree.parent == -1).tolist() == [True] + [False] * 59
    assert sorted(tree.order.tolist()) == list(range(60))
    assert masses_below(tree, weights)[:, 0] == pytest.approx(1)


def test_centers_at_one_place_cost_nothing():
    found = distances(np.zeros((4, 2)), np.eye(4))
    assert (found == 0).all()


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="do not fit 3 centers"):
        distances(np.zeros((3, 2)), np.ones((2, 4)) / 4)
    with pytest.raises(ValueError, match="no center"):
        spanning_tree(np.zeros((0, 2)))
