"""Linearised transport: translations are seen as they are; distances bound W2 from above; axes are reproducible."""

import numpy as np
import pytest

from triptych.quantization import embedding
from triptych.quantization.exact_transport import wasserstein


def measures(n: int, k: int = 20, d: int = 3):
    rng = np.random.default_rng(7)
    return [rng.normal(size=(k, d)) + rng.normal(size=d) for _ in range(n)], [rng.random(k) for _ in range(n)]


def test_translated_measures_lie_on_a_line():
    rng = np.random.default_rng(0)
    base, weights = rng.normal(size=(25, 2)), rng.random(25)
    steps = np.array([0.0, 1.0, 2.5, 4.0])
    centers = [base + step * np.array([0.6, 0.8]) for step in steps]
    reference, masses = base, weights / weights.sum()
    fields = [embedding.displacements(reference, masses, c, weights) for c in centers]
    assert max(defect for _, defect in fields) == pytest.approx(0, abs=1e-9)
    space = embedding.fit_axes([field for field, _ in fields], reference, masses, 2)
    coordinates, residual = embedding.project(space, [field for field, _ in fields])
    assert abs(coordinates[:, 0] - coordinates[0, 0]) == pytest.approx(steps)
    assert space.explained[0] == pytest.approx(1)
    assert residual == pytest.approx(np.zeros(4), abs=1e-9)


def test_linear_distance_is_no_less_than_transport_of_the_projections():
    centers, weights = measures(5)
    reference, masses = embedding.mean_reference(centers, weights, 20, seed=0)
    assert masses.sum() == pytest.approx(1)
    fields = [
        embedding.displacements(reference, masses, c, w)[0] for c, w in zip(centers, weights, strict=True)
    ]
    for i in range(5):
        for j in range(i):
            linear = np.sqrt((masses * ((fields[i] - fields[j]) ** 2).sum(axis=1)).sum())
            assert linear >= wasserstein(reference + fields[i], masses, reference + fields[j], masses) - 1e-9


def placed(n: int, axes: int):
    centers, weights = measures(n)
    reference, masses = embedding.mean_reference(centers, weights, 20, seed=0)
    fields = [
        embedding.displacements(reference, masses, c, w)[0] for c, w in zip(centers, weights, strict=True)
    ]
    return fields, embedding.fit_axes(fields, reference, masses, axes)


def test_coordinates_reproduce_linear_distances():
    fields, space = placed(6, 5)
    coordinates, residual = embedding.project(space, fields)
    apart = np.linalg.norm(coordinates[:, None] - coordinates[None], axis=2)
    assert apart == pytest.approx(embedding.linear_distances(fields, space.reference_weights))
    assert residual == pytest.approx(np.zeros(6), abs=1e-9)
    assert (coordinates[np.abs(coordinates).argmax(axis=0), range(5)] > 0).all()
    assert space.explained.sum() == pytest.approx(1)


def test_axes_are_orthonormal_in_the_reference():
    _, space = placed(6, 4)
    gram = np.einsum("pkd,qkd,k->pq", space.axes, space.axes, space.reference_weights)
    assert gram == pytest.approx(np.eye(4), abs=1e-12)


def test_a_new_sample_moves_no_other_one():
    fields, space = placed(6, 3)
    rng = np.random.default_rng(3)
    new = embedding.displacements(
        space.reference, space.reference_weights, rng.normal(size=(9, 3)) + 4, rng.random(9)
    )[0]
    before, after = embedding.project(space, fields), embedding.project(space, [new, *fields])
    assert np.array_equal(after[0][1:], before[0])
    # Pythagoras: coordinates and residual make up the distance to the mean of the others.
    squares = (space.reference_weights * ((new - space.mean) ** 2).sum(axis=1)).sum()
    assert (after[0][0] ** 2).sum() + after[1][0] ** 2 == pytest.approx(squares)
    assert after[1][0] > 1e-3


def test_axes_of_equal_samples_are_zero():
    fields, _ = placed(2, 1)
    space = embedding.fit_axes([fields[0]] * 3, np.zeros((20, 3)), np.full(20, 0.05), 2)
    assert not space.axes.any()
    assert not embedding.project(space, [fields[0]])[0].any()


def test_classical_scaling_recovers_a_plane():
    points = np.random.default_rng(1).normal(size=(12, 2))
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)
    found = embedding.classical_scaling(distances, 4)
    again = np.linalg.norm(found.coordinates[:, None] - found.coordinates[None], axis=2)
    assert again == pytest.approx(distances, abs=1e-6)
    assert found.explained[:2].sum() == pytest.approx(1)


def test_one_sample_lies_at_the_origin():
    assert embedding.classical_scaling(np.zeros((1, 1)), 3).coordinates == pytest.approx(np.zeros((1, 1)))
