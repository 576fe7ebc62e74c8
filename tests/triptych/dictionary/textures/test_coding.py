"""The code of blocks is the code of the whole, for planes and for volumes, and the same bytes whoever codes."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings, strategies

from triptych.dictionary import learn_textures
from triptych.dictionary.certificate import duality_gap
from triptych.dictionary.textures import lgcd, statistics
from triptych.dictionary.textures.blocks import Blocks
from triptych.dictionary.textures.box import Box, whole
from triptych.dictionary.textures.passes import Cut, Passes
from triptych.dictionary.textures.pieces import Piece

PLANES = ((2, 64, 70), (1, 4, 5))
VOLUME = ((26, 30, 33), (3, 4, 5))
LARGE = (999, 999, 999)


def problem(seed: int, shape, atom, n_atoms: int = 3):
    generator = np.random.default_rng(seed)
    atoms = generator.standard_normal((n_atoms, *atom))
    atoms /= np.sqrt((atoms**2).sum(axis=(1, 2, 3), keepdims=True))
    return generator.standard_normal(shape), atoms


def cut(image, atoms, block_shape, mapper=map) -> Passes:
    return Passes(Cut((Piece(image, whole(image.shape)),), atoms.shape[1:], block_shape), mapper)


@settings(max_examples=8, deadline=None)
@given(
    seed=strategies.integers(0, 2**31),
    size=strategies.tuples(*(strategies.integers(1, 40) for _ in range(3))),
)
@pytest.mark.parametrize("case", [PLANES, VOLUME], ids=["planes", "volume"])
@pytest.mark.parametrize(("tolerance", "allowed_error"), [(1e-2, 5e-7), (1e-4, 1e-10)])
def test_blocks_equal_the_whole(tolerance: float, allowed_error: float, case, seed: int, size) -> None:
    image, atoms = problem(seed, *case)
    penalty = 0.2 * cut(image, atoms, LARGE).largest_correlation(atoms)
    model = lgcd.model(atoms, penalty, tolerance * penalty / 10)
    values = []
    for block_shape in (LARGE, size):
        passes = cut(image, atoms, block_shape)
        codes, _ = passes.code(model)
        found, energies = passes.certify(model, codes)
        assert found.change <= model.tolerance * (1 + 1e-6)
        values.append(energies.objective(penalty))
    assert values[1] == pytest.approx(values[0], rel=allowed_error)


@pytest.mark.parametrize("case", [PLANES, VOLUME], ids=["planes", "volume"])
def test_workers_change_no_bit(case) -> None:
    image, atoms = problem(1, *case)
    model = lgcd.model(atoms, 1.0, 1e-3)
    alone, _ = cut(image, atoms, (10, 16, 20)).code(model)
    with ThreadPoolExecutor(3) as pool:
        shared, _ = cut(image, atoms, (10, 16, 20), pool.map).code(model)
    assert len(cut(image, atoms, (10, 16, 20)).blocks()) > 4
    for name in ("atom", "index", "amplitude"):
        assert getattr(alone[0], name).tobytes() == getattr(shared[0], name).tobytes()


def test_a_settled_code_is_left_alone() -> None:
    image, atoms = problem(2, *VOLUME)
    passes = cut(image, atoms, (10, 16, 20))
    model = lgcd.model(atoms, 1.0, 1e-3)
    codes, updates = passes.code(model)
    again, more = passes.code(model, codes)
    assert updates > 0
    assert more == 0
    assert again[0].amplitude.tobytes() == codes[0].amplitude.tobytes()


@pytest.mark.parametrize("case", [PLANES, VOLUME], ids=["planes", "volume"])
def test_statistics_of_blocks_add_up_to_the_objective(case) -> None:
    image, atoms = problem(3, *case)
    model = lgcd.model(atoms, 1.0, 1e-3)
    whole_image, parts = cut(image, atoms, LARGE), cut(image, atoms, (10, 16, 20))
    codes, _ = whole_image.code(model)
    a, b = whole_image.statistics(codes, 3), parts.statistics(codes, 3)
    for one, other in ((a.phi, b.phi), (a.psi, b.psi), (a.mass, b.mass), (a.count, b.count)):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-11)
    np.testing.assert_allclose(a.phi, a.phi.transpose(1, 0, 2, 3, 4)[:, :, ::-1, ::-1, ::-1], atol=1e-11)
    energy = float((image**2).sum())
    assert parts.energy() == pytest.approx(energy, rel=1e-12)
    for passes in (whole_image, parts):
        found, energies = passes.certify(model, codes)
        assert energies.signal == pytest.approx(energy, rel=1e-12)
        value = statistics.objective(a, atoms, energy, 1.0)
        assert energies.objective(1.0) == pytest.approx(value, rel=1e-10)
        assert 0 <= duality_gap(found, energies, 1.0) < 1e-2 * value


def test_pieces_are_coded_as_images_of_their_own() -> None:
    image, atoms = problem(4, *VOLUME)
    model = lgcd.model(atoms, 1.0, 1e-3)
    boxes = [Box((0, 0, 0), (12, 30, 33)), Box((12, 0, 0), (26, 30, 33))]
    together = Passes(Cut(tuple(Piece(image, box) for box in boxes), atoms.shape[1:], (9, 14, 18)))
    codes, _ = together.code(model)
    for box, code in zip(boxes, codes, strict=True):
        alone, _ = cut(image[box.slices], atoms, (9, 14, 18)).code(model)
        assert code.amplitude.tobytes() == alone[0].amplitude.tobytes()


@pytest.mark.parametrize("wanted", [(1, 1, 1), (10, 16, 20), LARGE])
def test_every_position_is_of_one_block_and_colours_do_not_meet(wanted) -> None:
    blocks = Blocks((26, 30, 63), (3, 1, 5), wanted)
    hits, voxels = np.zeros(blocks.positions, int), np.zeros(blocks.shape, int)
    for box in blocks.cores():
        hits[box.slices] += 1
        voxels[blocks.own(box).slices] += 1
    assert (hits == 1).all()
    assert (voxels == 1).all()
    for boxes in blocks.colours():
        marks = np.zeros(blocks.positions, int)
        for box in map(blocks.box, boxes):
            marks[blocks.near(box).slices] += 1
            marks[box.slices] += 100
        assert not ((marks > 101) & (marks != 200)).any()
        assert marks.max() <= 101


def test_images_smaller_than_atoms_and_empty_blocks_are_refused() -> None:
    with pytest.raises(ValueError, match="smaller than an atom"):
        Blocks((1, 4, 9), (1, 5, 5), (1, 9, 9))
    with pytest.raises(ValueError, match="positive"):
        Blocks((1, 9, 9), (1, 5, 5), (0, 9, 9))


def test_blocks_of_a_micrograph_agree_within_the_tolerance(shared_data: Path) -> None:
    stack = tifffile.imread(shared_data / "volume" / "isbi2012" / "raw.tif")
    image = stack[:1, :160, :160].astype(np.float64)
    image = (image - image.mean()) / image.std()
    atoms = learn_textures(image, 6, (10, 10), 0.15, max_iterations=5).atoms
    penalty = 0.15 * cut(image, atoms, LARGE).largest_correlation(atoms)
    for tolerance, allowed_error in ((1e-2, 3e-4), (1e-4, 1e-7)):
        model = lgcd.model(atoms, penalty, tolerance * penalty)
        values = []
        for block_shape in (LARGE, (1, 60, 60)):
            passes = cut(image, atoms, block_shape)
            found, energies = passes.certify(model, passes.code(model)[0])
            values.append(energies.objective(penalty))
            assert duality_gap(found, energies, penalty) >= abs(values[0] - values[-1])
        assert values[1] == pytest.approx(values[0], rel=allowed_error)
