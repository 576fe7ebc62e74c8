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
    found = embedding.principal([field for field, _ in fields], masses, 2)
    line = found.coordinates[:, 0]
    assert abs(line - line[0]) == pytest.approx(steps)
    assert found.explained[0] == pytest.approx(1)


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


def test_coordinates_reproduce_linear_distances():
    centers, weights = measures(6)
    reference, masses = embedding.mean_reference(centers, weights, 20, seed=0)
    fields = [
        embedding.displacements(reference, masses, c, w)[0] for c, w in zip(centers, weights, strict=True)
    ]
    found = embedding.principal(fields, masses, 5)
    linear = np.sqrt((masses * ((fields[0] - fields[3]) ** 2).sum(axis=1)).sum())
    assert np.linalg.norm(found.coordinates[0] - found.coordinates[3]) == pytest.approx(linear)
    assert (found.coordinates[np.abs(found.coordinates).argmax(axis=0), range(5)] > 0).all()


def test_classical_scaling_recovers_a_plane():
    points = np.random.default_rng(1).normal(size=(12, 2))
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)
    found = embedding.classical_scaling(distances, 4)
    again = np.linalg.norm(found.coordinates[:, None] - found.coordinates[None], axis=2)
    assert again == pytest.approx(distances, abs=1e-6)
    assert found.explained[:2].sum() == pytest.approx(1)


def test_one_sample_lies_at_the_origin():
    assert embedding.classical_scaling(np.zeros((1, 1)), 3).coordinates == pytest.approx(np.zeros((1, 1)))
