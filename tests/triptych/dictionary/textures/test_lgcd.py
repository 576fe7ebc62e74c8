"""Products of atoms, correlations, and the code of one box."""

import numpy as np
import pytest

from triptych.dictionary.textures import lgcd
from triptych.dictionary.textures.box import Box, whole
from triptych.dictionary.textures.events import dense, events_of, no_events
from triptych.dictionary.textures.gram import correlate, gram, rebuild
from triptych.dictionary.textures.residual import reconstruct


def atoms_and_image(seed: int):
    generator = np.random.default_rng(seed)
    return generator.standard_normal((2, 2, 3, 4)), generator.standard_normal((7, 9, 11))


def test_products_and_correlations_are_those_of_the_definition() -> None:
    atoms, image = atoms_and_image(0)
    found = correlate(image, atoms)
    assert found.shape == (2, 6, 7, 8)
    for place in [(0, 0, 0), (5, 6, 7), (2, 3, 1)]:
        part = image[tuple(slice(p, p + d) for p, d in zip(place, (2, 3, 4), strict=True))]
        assert found[(1, *place)] == pytest.approx(np.vdot(atoms[1], part), abs=1e-12)
    products = gram(atoms)
    for shift in [(0, 0, 0), (1, -2, 3), (-1, 2, -3), (0, 1, -1)]:
        a, b = np.zeros((4, 7, 10)), np.zeros((4, 7, 10))
        a[1:3, 2:5, 3:7] = atoms[0]
        z, y, x = (m + s for m, s in zip((1, 2, 3), shift, strict=True))
        b[z : z + 2, y : y + 3, x : x + 4] = atoms[1]
        index = tuple(s + d - 1 for s, d in zip(shift, (2, 3, 4), strict=True))
        assert products[(0, 1, *index)] == pytest.approx(np.vdot(a, b), abs=1e-12)


def test_what_a_code_explains_is_the_sum_of_its_atoms() -> None:
    atoms, image = atoms_and_image(1)
    generator = np.random.default_rng(2)
    code = np.where(generator.random((2, 6, 7, 8)) < 0.05, generator.random((2, 6, 7, 8)), 0.0)
    events = events_of(code, (0, 0, 0), (6, 7, 8))
    summed = np.zeros(image.shape)
    for k, (z, y, x), value in zip(events.atom, events.place, events.amplitude, strict=True):
        summed[z : z + 2, y : y + 3, x : x + 4] += value * atoms[k]
    np.testing.assert_allclose(reconstruct(whole(image.shape), events, atoms), summed, atol=1e-12)
    box = Box((1, 2, 3), (6, 9, 8))
    np.testing.assert_allclose(reconstruct(box, events, atoms), summed[box.slices], atol=1e-12)
    np.testing.assert_array_equal(dense(events, 2, whole((6, 7, 8))), code)
    assert rebuild(np.zeros((2, 3, 4, 5)), atoms).shape == (2, 2, 2)


def test_a_code_is_optimal_to_its_tolerance() -> None:
    atoms, image = atoms_and_image(3)
    atoms /= np.sqrt((atoms**2).sum(axis=(1, 2, 3), keepdims=True))
    model = lgcd.model(atoms, 0.5, 1e-7)
    box = whole((6, 7, 8))
    awake = np.ones((2, 2, 2), bool)
    coded = lgcd.code_box(image, box, awake, no_events((6, 7, 8)), model)
    left = image - reconstruct(whole(image.shape), coded.events, atoms)
    code, correlation = dense(coded.events, 2, box), correlate(left, atoms)
    assert (correlation[code == 0] <= 0.5 + 1e-5).all()
    np.testing.assert_allclose(correlation[code > 0], 0.5, atol=1e-5)
    assert (coded.events.amplitude > 0).all()


@pytest.mark.parametrize(
    ("penalty", "tolerance", "words"),
    [(-1.0, 1e-2, "negative"), (1.0, 0.0, "positive"), (np.nan, 1e-2, "negative")],
)
def test_wrong_numbers_are_refused(penalty: float, tolerance: float, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        lgcd.model(np.ones((1, 1, 2, 3)), penalty, tolerance)
    with pytest.raises(ValueError, match="K, z, y, x"):
        lgcd.model(np.ones((1, 2)), 1.0, 1.0)
