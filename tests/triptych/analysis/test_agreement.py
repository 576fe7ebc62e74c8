"""Purity, adjusted Rand index and F1 against what they must be."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import adjusted_rand_score

from triptych.analysis.agreement import adjusted_rand_index, agreement


def test_equal_partitions_score_one_in_any_order():
    found = agreement(np.diag([5, 3, 2])[[2, 0, 1]])
    assert (found.purity, found.adjusted_rand_index, found.weighted_f1, found.mean_f1) == (1.0, 1.0, 1.0, 1.0)
    assert found.matched.tolist() == [1, 2, 0]


def test_a_label_without_a_population_counts_as_zero():
    found = agreement(np.array([[10, 0, 2], [0, 8, 0]]))
    assert found.matched.tolist() == [0, 1, -1]
    assert found.weighted_f1 == pytest.approx((10 * 20 / 22 + 8) / 20)
    assert found.purity == pytest.approx(18 / 20)


def test_labels_without_events_do_not_count_and_none_at_all_is_an_error():
    assert agreement(np.array([[4, 0], [0, 0]])).mean_f1 == 1.0
    with pytest.raises(ValueError, match="no events"):
        agreement(np.zeros((2, 2)))


@settings(max_examples=40, deadline=None)
@given(arrays(np.int64, (3, 4), elements=st.integers(0, 12)))
def test_the_index_is_that_of_scikit_learn(table):
    first, second = np.indices(table.shape)
    a, b = np.repeat(first.ravel(), table.ravel()), np.repeat(second.ravel(), table.ravel())
    if len(a) > 1:
        assert adjusted_rand_index(table) == pytest.approx(adjusted_rand_score(a, b), abs=1e-9)


def test_shares_need_no_counts():
    table = np.array([[0.3, 0.1], [0.1, 0.5]])
    assert adjusted_rand_index(table, shares=True) == pytest.approx(
        adjusted_rand_index(table * 1e9, shares=True)
    )
    assert adjusted_rand_index(table, shares=True) == pytest.approx(
        adjusted_rand_index((table * 1e7).astype(int)), abs=1e-5
    )
