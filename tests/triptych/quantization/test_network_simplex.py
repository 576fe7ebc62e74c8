"""The compiled solver against POT, and its own proof."""

import numpy as np
import ot
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from triptych.quantization.network_simplex import (
    MASS,
    UNIT,
    dual_value,
    first_basis,
    improve,
    squared_distances,
    transport,
    whole_masses,
)


def solved(cost, a, b, pivots=10**6):
    """Plan in units, potentials and pivots."""
    supply, demand = whole_masses(a), whole_masses(b)
    rows, columns, parts = first_basis(cost, supply, demand)
    potential, count = improve(cost, rows, columns, parts, pivots)
    plan = np.zeros(cost.shape, np.int64)
    plan[rows, columns] = (parts + UNIT // 2) // UNIT
    return plan, potential, count, supply, demand


@given(
    st.integers(0, 2**31), st.integers(1, 14), st.integers(1, 14), st.sampled_from(["any", "equal", "whole"])
)
@settings(max_examples=60, deadline=None)
def test_as_cheap_as_pot_with_exact_marginals_and_a_proof(seed, k, n, kind):
    rng = np.random.default_rng(seed)
    cost = rng.integers(-3, 4, size=(k, n)).astype(float) if kind == "whole" else rng.normal(size=(k, n))
    a, b = (np.full(m, 1.0 / m) if kind == "equal" else rng.random(m) + 1e-9 for m in (k, n))
    a, b = a / a.sum(), b / b.sum()
    plan, potential, count, supply, demand = solved(cost, a, b)
    assert count >= 0
    assert plan.min() >= 0
    assert (plan.sum(axis=1) == supply).all()
    assert (plan.sum(axis=0) == demand).all()
    found = float((plan * cost).sum()) / MASS
    least = cost.min()  # POT calls small problems infeasible where all costs are negative
    assert found == pytest.approx(ot.emd2(a, b, cost - least) + least, rel=1e-9, abs=1e-12)
    assert found == pytest.approx(dual_value(cost, supply, demand, potential), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("d", [2, 12])
def test_large_measures_cost_what_pot_finds(d):
    rng = np.random.default_rng(d)
    for _ in range(5):
        first, second = rng.normal(size=(128, d)), rng.standard_t(3, size=(96, d)) + 1
        a, b = rng.dirichlet(np.full(128, 0.5)) + 1e-12, rng.dirichlet(np.full(96, 0.5)) + 1e-12
        cost, gap, count, rows, columns, units = transport(
            first, whole_masses(a), second, whole_masses(b), 10**6
        )
        truth = ot.emd2(a / a.sum(), b / b.sum(), cdist(first, second, "sqeuclidean"))
        assert cost == pytest.approx(truth, rel=1e-9)
        assert abs(gap) < 1e-12 * cost
        assert count > 0
        assert units.sum() == MASS
        assert len(rows) == len(columns) == 128 + 96 - 1


def test_potentials_that_are_not_optimal_still_bound_the_cost():
    rng = np.random.default_rng(0)
    cost, a, b = rng.normal(size=(20, 30)), np.full(20, 0.05), np.full(30, 1 / 30)
    plan, potential, _, supply, demand = solved(cost, a, b)
    best = float((plan * cost).sum()) / MASS
    assert dual_value(cost, supply, demand, potential + rng.normal(size=50)) < best
    _, early, count, *_ = solved(cost, a, b, pivots=3)
    assert count == -1
    assert dual_value(cost, supply, demand, early) < best


def test_an_optimal_basis_needs_no_pivot_and_another_cost_starts_from_it():
    rng = np.random.default_rng(1)
    cost, supply, demand = rng.normal(size=(40, 40)), *(whole_masses(rng.random(40)) for _ in range(2))
    basis = first_basis(cost, supply, demand)
    improve(cost, *basis, 10**6)
    assert improve(cost, *basis, 0)[1] == 0
    other = cost + 0.2 * rng.normal(size=cost.shape)
    warm, cold = [part.copy() for part in basis], first_basis(other, supply, demand)
    few, many = improve(other, *warm, 10**6)[1], improve(other, *cold, 10**6)[1]
    assert 0 < few < many
    for rows, columns, parts in (warm, cold):
        assert (parts * other[rows, columns]).sum() / (UNIT * MASS) == pytest.approx(
            ot.emd2(supply / MASS, demand / MASS, other), rel=1e-9
        )


def test_masses_are_whole_and_none_is_lost():
    masses = whole_masses(np.array([1e-20, 3.0, 1.0]))
    assert masses.sum() == MASS
    assert masses[0] == 1
    assert masses[2] == pytest.approx(MASS / 4, abs=2)


def test_squared_distances_are_those_of_scipy():
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(7, 5)), rng.normal(size=(9, 5))
    assert squared_distances(x, y) == pytest.approx(cdist(x, y, "sqeuclidean"), rel=1e-14)
