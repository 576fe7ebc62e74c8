"""Measures of balls, ellipsoids and boxes against their formulas; blocks equal the whole to the last bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triptych.engine.geometry import Grid
from triptych.morphometry import PARAMETERS, measure
from triptych.morphometry.shape import finish
from triptych.morphometry.sums import merge, partial
from triptych.morphometry.surface import direction_weights

ISOTROPIC, COARSE = (10.0, 10.0, 10.0), (30.0, 10.0, 10.0)


def ellipsoid(semi_axes_nm: tuple[float, ...], size: tuple[float, ...]) -> np.ndarray:
    shape = [int(2 * a / s) + 5 for a, s in zip(semi_axes_nm, size, strict=True)]
    grid = np.meshgrid(
        *[(np.arange(n) - (n - 1) / 2) * s for n, s in zip(shape, size, strict=True)], indexing="ij"
    )
    return (sum((g / a) ** 2 for g, a in zip(grid, semi_axes_nm, strict=True)) <= 1).astype(np.uint8)


@pytest.mark.parametrize("size", [ISOTROPIC, (20.0, 10.0, 10.0), COARSE, (40.0, 10.0, 12.0)])
def test_ball(size: tuple[float, float, float]) -> None:
    table = measure(ellipsoid((400, 400, 400), size), voxel_size_nm=size)
    assert table["volume"][0] == pytest.approx(4 / 3 * np.pi * 400**3, rel=0.01)
    assert table["surface"][0] == pytest.approx(4 * np.pi * 400**2, rel=0.015)
    assert table["equivalent_diameter"][0] == pytest.approx(800, rel=0.005)
    assert table["sphericity"][0] == pytest.approx(1, abs=0.015)
    for axis in ("axis_major", "axis_middle", "axis_minor"):
        assert table[axis][0] == pytest.approx(800, rel=0.02)
    assert table["extent"][0] == pytest.approx(np.pi / 6, rel=0.08)
    assert not table["touches_border"][0]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
@pytest.mark.parametrize("size", [ISOTROPIC, COARSE])
def test_axes_of_an_ellipsoid(order: tuple[int, ...], size: tuple[float, float, float]) -> None:
    semi = np.array([600.0, 400.0, 250.0])[list(order)]
    table = measure(ellipsoid(tuple(semi), size), voxel_size_nm=size)
    for name, value in (("axis_major", 1200), ("axis_middle", 800), ("axis_minor", 500)):
        assert table[name][0] == pytest.approx(value, rel=0.02)
    assert table["elongation"][0] == pytest.approx(1.5, rel=0.03)
    assert table["flatness"][0] == pytest.approx(1.6, rel=0.03)
    major = [table[f"direction_major_{a}"][0] for a in "zyx"]
    assert major[int(np.argmax(semi))] == pytest.approx(1, abs=1e-6)
    assert table["inclination"][0] == pytest.approx(90 if np.argmax(semi) == 0 else 0, abs=0.1)
    # Knud Thomsen's formula for the surface; 13 directions sample anisotropic lattices coarsely.
    p, (a, b, c) = 1.6075, semi
    surface = 4 * np.pi * (((a * b) ** p + (a * c) ** p + (b * c) ** p) / 3) ** (1 / p)
    assert table["surface"][0] == pytest.approx(surface, rel=0.025 if size == ISOTROPIC else 0.06)


def test_position_and_box() -> None:
    labels = np.zeros((6, 10, 12), np.uint16)
    labels[2:4, 3:8, 0:4] = 7
    table = measure(labels, voxel_size_nm=COARSE)
    assert table["id"].tolist() == [7]
    box = [table[f"bbox_{a}_{end}"][0] for a in "zyx" for end in ("start", "stop")]
    assert box == [2, 4, 3, 8, 0, 4]
    assert [table[f"centroid_{a}"][0] for a in "zyx"] == [90, 55, 20]
    assert table["volume"][0] == pytest.approx(40 * np.prod(COARSE))
    assert table["extent"][0] == 1
    assert table["touches_border"][0]
    assert table["axis_major"][0] == pytest.approx(2 * np.sqrt(5 * 60**2 / 12))


def test_a_long_box_has_its_surface() -> None:
    labels = np.zeros((64, 64, 64), np.uint8)
    labels[4:60, 4:60, 4:60] = 1
    table = measure(labels, voxel_size_nm=ISOTROPIC)
    assert table["surface"][0] == pytest.approx(6 * 560**2, rel=0.09)


def test_intensities() -> None:
    labels = np.array([[[1, 1, 2], [0, 1, 2]]], np.uint8)
    image = np.array([[[10, 20, 5], [99, 60, 5]]], np.uint16)
    table = measure(labels, image)
    assert table["intensity_mean"].tolist() == [30, 5]
    assert table["intensity_std"][0] == pytest.approx(np.std([10, 20, 60]))
    assert table["intensity_std"][1] == 0
    assert table["intensity_min"].tolist() == [10, 5]
    assert table["intensity_max"].tolist() == [60, 5]
    assert "intensity_mean" not in measure(labels)


def test_against_scikit_image() -> None:
    skimage = pytest.importorskip("skimage.measure")
    random = np.random.default_rng(0)
    labels = np.kron(random.integers(0, 6, (3, 4, 4)), np.ones((4, 5, 5), int)).astype(np.uint32)
    image = random.integers(0, 65535, labels.shape).astype(np.uint16)
    table = measure(labels, image, COARSE)
    for i, region in enumerate(skimage.regionprops(labels.astype(int), image, spacing=COARSE)):
        assert table["id"][i] == region.label
        assert table["volume"][i] == pytest.approx(region.area)
        assert table["intensity_mean"][i] == pytest.approx(region.intensity_mean)
        centroid = np.array([table[f"centroid_{a}"][i] for a in "zyx"]) - np.array(COARSE) / 2
        np.testing.assert_allclose(centroid, region.centroid)


@settings(max_examples=30, deadline=None)
@given(st.tuples(*[st.integers(1, 9)] * 3), st.integers(0, 1000), st.integers(1, 300))
def test_blocks_equal_the_whole(block: tuple[int, int, int], seed: int, objects: int) -> None:
    random = np.random.default_rng(seed)
    labels = np.where(random.random((7, 9, 8)) < 0.7, random.integers(0, objects, (7, 9, 8)), 0).astype(
        np.uint32
    )
    image = random.integers(0, 65536, labels.shape).astype(np.uint16)
    padded, grid = np.pad(labels, 1), Grid(labels.shape, block)
    parts = []
    for i in range(len(grid)):
        core = grid.core(i)
        outer = tuple(slice(s.start, s.stop + 2) for s in core)
        parts.append(partial(padded[outer], image[core], tuple(s.start for s in core), grid.shape))
    whole = measure(labels, image, COARSE)
    for name, column in finish(merge(*parts), COARSE).items():
        assert column.tobytes() == whole[name].tobytes(), name


def test_no_object_gives_empty_columns() -> None:
    table = measure(np.zeros((3, 4, 5), np.uint8), np.zeros((3, 4, 5), np.uint8))
    assert set(table) == set(PARAMETERS)
    assert all(len(column) == 0 for column in table.values())


@pytest.mark.parametrize("size", [ISOTROPIC, COARSE])
def test_weights_cover_the_sphere(size: tuple[float, float, float]) -> None:
    weights = direction_weights(size)
    assert weights.sum() == pytest.approx(1)
    assert (weights > 0).all()
    if size == ISOTROPIC:
        # Ohser & Mücklich: 0.0457779, 0.0369806, 0.0351956 for axes, face and space diagonals (per direction pair, doubled).
        np.testing.assert_allclose(sorted(set(weights.round(6))), [0.070391, 0.073961, 0.091556], atol=2e-6)


def test_wrong_arrays_are_refused() -> None:
    for labels, image, word in (
        (np.zeros((3, 3)), None, "axes"),
        (np.full((2, 2, 2), -1), None, "negative"),
        (np.zeros((2, 2, 2), int), np.zeros((2, 2, 3), np.uint8), "needed"),
    ):
        with pytest.raises(ValueError, match=word):
            measure(labels, image)
