"""Dipoles are found where they are, in a medium whose lead field is known in closed form."""

import numpy as np
import pytest

from triptych.dictionary.dipole import Dipoles, Sphere, explained, fit_dipoles

SPHERE = Sphere(np.array([0.0, 0.01, 0.04]), 0.09, 0.075)


def _sensors(count: int = 60) -> np.ndarray:
    index = np.arange(count)
    height = 1 - (index + 0.5) / count * 1.4
    angle = index * np.pi * (3 - np.sqrt(5))
    flat = np.sqrt(1 - height**2)
    return SPHERE.center + 0.11 * np.stack([flat * np.cos(angle), flat * np.sin(angle), height], axis=1)


def potential(places: np.ndarray) -> np.ndarray:
    """Of unit dipoles in an endless conductor, (P, N, 3)."""
    away = _sensors()[:, None] - places[None]
    return away / np.linalg.norm(away, axis=2, keepdims=True) ** 3


def radial_field(places: np.ndarray) -> np.ndarray:
    """Radial magnetic field of unit dipoles, blind to what points along the radius, (P, N, 3)."""
    normals = _sensors() - SPHERE.center
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    away = _sensors()[:, None] - places[None]
    return np.cross(away, normals[:, None]) / np.linalg.norm(away, axis=2, keepdims=True) ** 3


def _places(generator: np.random.Generator, count: int) -> np.ndarray:
    away = generator.standard_normal((count, 3))
    away[:, 2] = np.abs(away[:, 2])
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    return SPHERE.center + away * generator.uniform(0.02, 0.074, (count, 1))


@pytest.mark.parametrize("field", [potential, radial_field])
def test_dipoles_are_found_where_they_are(field) -> None:  # type: ignore[no-untyped-def]
    generator = np.random.default_rng(1)
    places, moments = _places(generator, 12), generator.standard_normal((12, 3))
    maps = np.einsum("pni,ni->np", field(places), moments)
    found = fit_dipoles(maps, field, SPHERE)
    assert np.linalg.norm(found.places - places, axis=1).max() < 0.002
    assert found.fits.min() > 0.999
    again: Dipoles = fit_dipoles(maps, field, SPHERE)
    np.testing.assert_array_equal(again.places, found.places)
    np.testing.assert_array_equal(again.fits, found.fits)


def test_dipoles_keep_within_reach_and_noise_is_not_explained() -> None:
    generator = np.random.default_rng(2)
    outside = SPHERE.center[None] + np.array([[0.0, 0.0, 0.088]])
    maps = np.concatenate([potential(outside)[:, 0, :1].T, generator.standard_normal((5, 60))])
    found = fit_dipoles(maps, potential, SPHERE)
    distance = np.linalg.norm(found.places - SPHERE.center, axis=1)
    assert distance.max() <= SPHERE.reach + 1e-12
    assert distance[0] == pytest.approx(SPHERE.reach)
    assert found.fits[1:].max() < 0.6


def test_a_direction_that_no_sensor_sees_explains_nothing() -> None:
    gains = np.zeros((4, 1, 3))
    gains[:3, 0, :2] = [[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]
    maps = np.array([[3.0, 4.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    np.testing.assert_allclose(explained(maps, gains), [[1.0], [0.0], [0.0]], atol=1e-12)
