"""The panel of image atoms, in the same bytes each time."""

from pathlib import Path

import numpy as np
import pytest

from triptych.report.style import style, to_png
from triptych.report.textures import panel
from triptych.stores import textures


def written(folder: Path, shape: tuple[int, ...], local_mean_nm: float) -> Path:
    generator = np.random.default_rng(0)
    found = textures.Textures(
        atoms=generator.standard_normal(shape),
        voxel_size_nm=(40.0, 8.0, 8.0),
        level=0,
        mean=120.5,
        deviation=30.25,
        local_mean_nm=local_mean_nm,
        pieces=np.array([[[0, 0, 0], [4, 30, 40]]]),
        penalty=0.5,
        penalty_max=5.0,
        history=np.array([[10.0, 9.0, 1.0]]),
        certificate={"objective": 8.0, "duality_gap": 0.01, "explained_energy": 0.5, "kkt_residual": 0.02},
        example=generator.standard_normal((2, 30, 40)).astype(np.float32),
        example_place=(2, 0, 0),
    )
    textures.write_textures(folder / textures.STORE, found)
    columns = {name: np.linspace(0.5, 0.1, shape[0]) for name in textures.FIELDS}
    textures.write_texture_table(folder / textures.TABLE, columns, 2.5)
    return folder


@pytest.mark.parametrize(
    ("shape", "local_mean_nm", "words"),
    [
        ((3, 1, 6, 7), 0.0, ("3 of 3 atoms", "are planes", "the mean of the image was")),
        ((30, 3, 6, 7), 90.0, ("24 of 30 atoms", "middle section (x, z", "local mean of 90 nm")),
    ],
)
def test_the_panel_says_what_it_shows(
    tmp_path: Path, shape: tuple[int, ...], local_mean_nm: float, words: tuple[str, ...]
) -> None:
    folder = written(tmp_path, shape, local_mean_nm)
    with style():
        one, two = (panel("a", folder) for _ in range(2))
    assert one.figure is not None
    assert two.figure is not None
    assert to_png(one.figure, 60) == to_png(two.figure, 60)
    assert all(word in one.caption for word in words)
    assert one.table is not None
    assert "period (nm)" in one.table.columns
