"""textures.zarr and textures.parquet."""

from pathlib import Path

import numpy as np
import pytest

from triptych.errors import InputError
from triptych.stores import textures
from triptych.stores.table import read_table


def made() -> textures.Textures:
    generator = np.random.default_rng(0)
    return textures.Textures(
        atoms=generator.standard_normal((2, 1, 4, 5)),
        voxel_size_nm=(40.0, 8.0, 8.0),
        level=1,
        mean=120.5,
        deviation=30.25,
        local_mean_nm=100.0,
        pieces=np.array([[[0, 0, 0], [1, 30, 32]], [[4, 30, 0], [5, 60, 32]]]),
        penalty=0.5,
        penalty_max=5.0,
        history=np.array([[10.0, 9.0, 1.0], [8.5, 8.0, 0.0]]),
        certificate={"objective": 8.0, "duality_gap": 0.01, "explained_energy": 0.5, "kkt_residual": 0.02},
        example=generator.standard_normal((2, 30, 32)).astype(np.float32),
        example_place=(4, 30, 0),
    )


def test_textures_come_back(tmp_path: Path) -> None:
    textures.write_textures(tmp_path / "t.zarr", made())
    found = textures.open_textures(tmp_path / "t.zarr")
    for name in ("atoms", "pieces", "history", "example"):
        np.testing.assert_array_equal(getattr(found, name), getattr(made(), name))
    for name in (
        "voxel_size_nm",
        "level",
        "mean",
        "deviation",
        "local_mean_nm",
        "certificate",
        "example_place",
    ):
        assert getattr(found, name) == getattr(made(), name)


def test_equal_textures_have_equal_bytes(tmp_path: Path) -> None:
    stored = []
    for name in ("a", "b"):
        textures.write_textures(tmp_path / name, made())
        files = sorted(path for path in (tmp_path / name).rglob("*") if path.is_file())
        stored.append([(path.relative_to(tmp_path / name), path.read_bytes()) for path in files])
    assert stored[0] == stored[1]


def test_what_holds_no_textures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        textures.open_textures(tmp_path / "none")
    textures.write_textures(tmp_path / "t.zarr", made())
    (tmp_path / "t.zarr" / "atoms" / "zarr.json").unlink()
    with pytest.raises(InputError, match="not a whole store"):
        textures.open_textures(tmp_path / "t.zarr")


def test_every_column_says_what_it_is(tmp_path: Path) -> None:
    columns = {name: np.arange(2.0) for name in textures.FIELDS}
    textures.write_texture_table(tmp_path / "t.parquet", columns, 2.5)
    table = read_table(tmp_path / "t.parquet")
    assert list(table.columns) == list(textures.FIELDS)
    assert all(field.definition for field in table.fields.values())
    assert table.fields["period"].unit == "nm"
    assert table.attributes == {"volume_um3": 2.5}
