"""Volume stores follow OME-Zarr 0.5, name their shards, and prove themselves."""

from pathlib import Path

import numpy as np
import pytest
import zarr
from ome_zarr_models.v05 import Image
from ome_zarr_models.v05.image_label import ImageLabel

from triptych.errors import InputError
from triptych.stores.volume import (
    check,
    create,
    create_histogram,
    metadata_keys,
    open_volume,
    pieces,
    plan_levels,
    read_histogram,
    shard_keys,
)

SHAPE, SIZE = (40, 300, 260), (40.0, 10.0, 10.0)
GEOMETRY = {"chunk_shape": (16, 32, 32), "shard_shape": (32, 64, 64)}


def test_pyramid_halves_the_finest_axes_until_cubes() -> None:
    levels = plan_levels((200, 4000, 4000), SIZE)
    assert [level.voxel_size_nm for level in levels[:4]] == [
        (40, 10, 10),
        (40, 20, 20),
        (40, 40, 40),
        (80, 80, 80),
    ]
    assert levels[3].shape == (100, 500, 500)
    assert max(levels[-1].shape) <= 128
    assert len(plan_levels((100, 100, 100), SIZE)) == 1


def test_image_metadata_is_ome_zarr(tmp_path: Path) -> None:
    create(tmp_path / "image.ome.zarr", SHAPE, "uint8", SIZE, "image", **GEOMETRY)
    create_histogram(tmp_path / "image.ome.zarr", np.array([3, 9]), np.array([10, 20]))
    image = Image.from_zarr(zarr.open_group(str(tmp_path / "image.ome.zarr"), mode="r"))
    multiscale = image.ome_attributes.multiscales[0]
    assert [axis.name for axis in multiscale.axes] == ["z", "y", "x"]
    scale, shift = multiscale.datasets[1].coordinateTransformations
    assert list(scale.scale) == [40, 20, 20]
    assert list(shift.translation) == [0, 5, 5]
    values, counts = read_histogram(tmp_path / "image.ome.zarr")
    assert values.tolist() == [3, 9]
    assert counts.tolist() == [10, 20]


def test_labels_and_boundaries_metadata_are_ome_zarr(tmp_path: Path) -> None:
    create(tmp_path / "labels.ome.zarr", SHAPE, "uint32", SIZE, "labels", **GEOMETRY)
    ImageLabel.from_zarr(zarr.open_group(str(tmp_path / "labels.ome.zarr"), mode="r"))
    create(tmp_path / "b.ome.zarr", SHAPE, "uint8", SIZE, "probability", channels=("boundary",), **GEOMETRY)
    image = Image.from_zarr(zarr.open_group(str(tmp_path / "b.ome.zarr"), mode="r"))
    assert image.ome_attributes.multiscales[0].axes[0].type == "channel"
    assert open_volume(tmp_path / "b.ome.zarr").attributes["channels"] == ["boundary"]


def test_keys_are_the_files_that_are_written(tmp_path: Path) -> None:
    name = "image.ome.zarr"
    create(tmp_path / name, SHAPE, "uint8", SIZE, "image", **GEOMETRY)
    files = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
    assert files == set(metadata_keys(name, SHAPE, SIZE))
    region = (slice(32, 40), slice(64, 192), slice(256, 260))
    open_volume(tmp_path / name).array[region] = np.ones((8, 128, 4), np.uint8)
    written = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()} - files
    assert written == set(shard_keys(name, 0, region, GEOMETRY["shard_shape"]))
    assert len(list(pieces(region, GEOMETRY["shard_shape"]))) == 2


def test_check_finds_a_torn_shard(tmp_path: Path) -> None:
    path = tmp_path / "labels.ome.zarr"
    create(path, SHAPE, "uint32", SIZE, "labels", **GEOMETRY)
    open_volume(path).array[:32, :64, :64] = np.arange(32 * 64 * 64, dtype=np.uint32).reshape(32, 64, 64)
    check(path)
    shard = path / "0" / "c" / "0" / "0" / "0"
    content = bytearray(shard.read_bytes())
    content[len(content) // 3] ^= 255
    shard.write_bytes(content)
    with pytest.raises(InputError, match="cannot be read"):
        check(path)


def test_foreign_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a volume store"):
        open_volume(tmp_path)
    zarr.create_group(str(tmp_path / "a.zarr"))
    with pytest.raises(InputError, match="not a volume store"):
        open_volume(tmp_path / "a.zarr")
    with pytest.raises(InputError, match="histogram"):
        read_histogram(tmp_path / "a.zarr")
    with pytest.raises(ValueError, match="multiple"):
        create(tmp_path / "b", SHAPE, "uint8", SIZE, "image", chunk_shape=(7, 7, 7), shard_shape=(8, 8, 8))
