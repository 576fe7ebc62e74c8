"""Learning: F never rises, planted patterns are found, what the image's unit is does not matter."""

import doctest

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from triptych.dictionary import encode_image, learn_textures
from triptych.dictionary.textures import front, initial, lgcd, statistics, update
from triptych.dictionary.textures.box import whole
from triptych.dictionary.textures.description import describe
from triptych.dictionary.textures.passes import Cut, Passes
from triptych.dictionary.textures.pieces import Piece, choose_pieces


def planted(seed: int, shape=(1, 140, 150), size: int = 9, density: float = 0.004):
    """Three patterns of different direction at random places, with noise."""
    generator = np.random.default_rng(seed)
    depth = 1 if shape[0] == 1 else 3
    z, y, x = (
        np.mgrid[:depth, :size, :size] - np.array([depth - 1, size - 1, size - 1]).reshape(3, 1, 1, 1) / 2
    )
    envelope = np.exp(-(y**2 + x**2 + z**2) / (0.35 * size) ** 2)
    atoms = np.stack([envelope * np.cos(2 * np.pi * u / 6) for u in (x, y, (x + y) / 1.4)])
    atoms /= np.sqrt((atoms**2).sum(axis=(1, 2, 3), keepdims=True))
    image = np.zeros(shape)
    for atom in atoms:
        for _ in range(int(density * image.size)):
            place = [generator.integers(0, n - d + 1) for n, d in zip(shape, atom.shape, strict=True)]
            image[tuple(slice(p, p + d) for p, d in zip(place, atom.shape, strict=True))] += (
                generator.uniform(1, 2) * atom
            )
    return image + generator.standard_normal(shape) * image.std() * 0.5, atoms


def recovery(found, atoms):
    products = np.stack([initial.similarity(found, atom) for atom in atoms], axis=1)
    return products[linear_sum_assignment(-products)]


@pytest.mark.parametrize(("seed", "shape"), [(0, (1, 140, 150)), (1, (1, 140, 150)), (2, (12, 48, 50))])
def test_planted_patterns_are_found_and_the_objective_never_rises(seed: int, shape) -> None:
    image, atoms = planted(seed, shape, density=0.004 if shape[0] == 1 else 0.001)
    learned = learn_textures(image, 3, atoms.shape[1:], 0.2, seed=seed, block_shape=(6, 40, 40))
    assert recovery(learned.atoms, atoms).min() > 0.93
    values = learned.history[:, :2].ravel()
    assert (np.diff(values) <= 1e-6 * values[:-1]).all()
    assert (np.diff(learned.explained) <= 0).all()
    np.testing.assert_allclose(np.linalg.norm(learned.atoms.reshape(3, -1), axis=1), 1.0)


def test_an_update_lowers_the_objective_and_nears_the_minimum() -> None:
    image, atoms = planted(3)
    generator = np.random.default_rng(0)
    first = generator.standard_normal(atoms.shape)
    first /= np.sqrt((first**2).sum(axis=(1, 2, 3), keepdims=True))
    passes = Passes(Cut((Piece(image, whole(image.shape)),), (1, 9, 9), (1, 60, 60)))
    codes, _ = passes.code(lgcd.model(first, 0.5, 1e-2))
    summed, energy = passes.statistics(codes, 3), passes.energy()
    before = statistics.objective(summed, first, energy, 0.5)
    renewed = update.update(summed, first)
    after = statistics.objective(renewed.statistics, renewed.atoms, energy, 0.5)
    assert after < before
    again = update.update(renewed.statistics, renewed.atoms)
    assert statistics.objective(again.statistics, again.atoms, energy, 0.5) >= after - 1e-3 * (before - after)


def test_the_unit_of_the_image_does_not_matter() -> None:
    image, _ = planted(4, (1, 60, 60))
    one, other = (learn_textures(image * s + m, 3, (9, 9), max_iterations=4) for s, m in ((1, 0), (50, 128)))
    np.testing.assert_allclose(one.atoms, other.atoms, atol=1e-6)
    assert other.penalty == pytest.approx(50 * one.penalty)


def test_seeds_and_workers_decide_what_they_should() -> None:
    from concurrent.futures import ThreadPoolExecutor

    image, _ = planted(5, (1, 80, 80))
    with ThreadPoolExecutor(2) as pool:
        a, b, c = (
            learn_textures(image, 3, (9, 9), max_iterations=5, seed=s, block_shape=(40, 40), mapper=m)
            for s, m in ((0, map), (0, pool.map), (1, map))
        )
    assert a.atoms.tobytes() == b.atoms.tobytes()
    assert a.atoms.tobytes() != c.atoms.tobytes()


def test_blocks_do_not_change_a_local_mean() -> None:
    image, atoms = planted(6, (8, 50, 52))
    whole_image, parts = (
        encode_image(image, atoms, 0.3, 1e-5, local_mean=(2, 6, 6), block_shape=shape)
        for shape in ((99, 99, 99), (6, 34, 34))
    )
    np.testing.assert_allclose(parts[2].sum(), whole_image[2].sum(), rtol=1e-6)


def test_stripes_are_described() -> None:
    y, x = np.mgrid[:24, :24]
    stripes = np.stack(
        [np.cos(2 * np.pi * x / 8), np.cos(2 * np.pi * y / 8), np.cos(2 * np.pi * (x - y) / 12)]
    )
    disc = np.exp(-((y - 11.5) ** 2 + (x - 11.5) ** 2) / 18)
    found = describe(np.concatenate([stripes, disc[None], np.ones((1, 24, 24))])[:, None], (50.0, 10.0, 10.0))
    np.testing.assert_allclose(found.period[:3], [80, 80, 120 / 2**0.5], rtol=0.06)
    np.testing.assert_allclose(found.orientation[:3], [90, 0, 45], atol=1)
    assert (found.anisotropy[:3] > 0.8).all()
    assert found.anisotropy[3] < 0.01
    assert np.isnan(found.period[4])


def test_pieces_are_spread_over_the_image() -> None:
    boxes = choose_pieces((40, 100, 100), (1, 50, 50), 10, 0)
    assert len(boxes) == 10
    assert np.histogram([box.start[0] for box in boxes], bins=5, range=(0, 40))[0].tolist() == [2] * 5
    assert choose_pieces((40, 100, 100), (1, 50, 50), 10, 1) != boxes
    assert len(choose_pieces((2, 110, 100), (1, 50, 50), 99, 0)) == 8


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (np.zeros((50, 50)), "constant"),
        (np.full((50, 50), np.nan), "not finite"),
        (np.ones(50), "axes"),
        (np.random.default_rng(0).standard_normal((5, 50)), "smaller than an atom"),
    ],
)
def test_images_that_cannot_be_learned_are_refused(image, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        learn_textures(image, 2, (9, 9))


def test_the_examples_hold() -> None:
    assert doctest.testmod(front).failed == 0
