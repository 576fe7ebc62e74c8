"""OME-Zarr volumes: highest resolution, units, other arrays by path, refusals."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from triptych.errors import InputError
from triptych.readers.volume_files import open_raw_volume

DATA = np.random.default_rng(1).integers(0, 255, (6, 20, 30)).astype(np.uint8)
EVERYTHING = (slice(0, 6), slice(0, 20), slice(0, 30))


def write(path: Path, unit: str | None = "micrometer", lead: int = 0, **extra: Any) -> Path:
    axes: list[dict[str, str]] = [{"name": n, "type": "channel"} for n in "tc"[2 - lead :]]
    axes += [{"name": n, "type": "space", **({"unit": unit} if unit else {})} for n in "zyx"]
    datasets = [
        {"path": key, "coordinateTransformations": [{"type": "scale", "scale": [1.0] * lead + scale}]}
        for key, scale in (("s1", [0.04, 0.02, 0.02]), ("s0", [0.04, 0.01, 0.01]))
    ]
    ome = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": datasets, **extra}]}
    group = zarr.create_group(str(path), attributes={"ome": ome})
    for key, data in (("s0", DATA), ("s1", DATA[:, ::2, ::2])):
        group.create_array(key, data=data.reshape((1,) * lead + data.shape))
    return path


@pytest.mark.parametrize("lead", [0, 1, 2])
def test_highest_resolution_is_read(tmp_path: Path, lead: int) -> None:
    with open_raw_volume(write(tmp_path / "a.zarr", lead=lead)) as raw:
        assert raw.voxel_size_nm == pytest.approx((40, 10, 10))
        np.testing.assert_array_equal(raw.read(EVERYTHING), DATA)


def test_dataset_chooses_another_array(tmp_path: Path) -> None:
    with open_raw_volume(write(tmp_path / "a.zarr"), dataset="s1") as raw:
        assert raw.shape == (6, 10, 15)
        assert raw.voxel_size_nm == pytest.approx((40, 20, 20))


def test_no_unit_means_no_voxel_size(tmp_path: Path) -> None:
    with open_raw_volume(write(tmp_path / "a.zarr", unit=None)) as raw:
        assert raw.voxel_size_nm is None


def test_scale_of_the_multiscale_multiplies(tmp_path: Path) -> None:
    whole = [{"type": "scale", "scale": [2.0, 2.0, 2.0]}]
    with open_raw_volume(write(tmp_path / "a.zarr", coordinateTransformations=whole)) as raw:
        assert raw.voxel_size_nm == pytest.approx((80, 20, 20))


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no array 's7'"):
        open_raw_volume(write(tmp_path / "a.zarr"), dataset="s7")
    group = zarr.create_group(str(tmp_path / "b.zarr"))
    group.create_array("c", data=np.zeros((2, 4, 4, 4), np.uint8))
    group.create_array("f", data=np.zeros((4, 4, 4), np.float64))
    with pytest.raises(InputError, match="no multiscale"):
        open_raw_volume(tmp_path / "b.zarr")
    with pytest.raises(InputError, match="one channel"):
        open_raw_volume(tmp_path / "b.zarr", dataset="c")
    with pytest.raises(InputError, match="float64"):
        open_raw_volume(tmp_path / "b.zarr", dataset="f")
    (tmp_path / "a.zarr" / "zarr.json").write_text("{")
    with pytest.raises(InputError, match="readable"):
        open_raw_volume(tmp_path / "a.zarr")


def test_a_torn_chunk_is_refused_when_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.zarr")
    chunk = next(p for p in (path / "s0" / "c").rglob("*") if p.is_file())
    chunk.write_bytes(chunk.read_bytes()[:20])
    with open_raw_volume(path) as raw, pytest.raises(InputError, match="cannot be read"):
        raw.read(EVERYTHING)
