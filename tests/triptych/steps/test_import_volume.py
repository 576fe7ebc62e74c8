"""import_volume: voxels arrive unchanged, pyramids and histogram are exact, bad input is refused."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from triptych.engine.run import run_step
from triptych.errors import InputError, UsageError
from triptych.segmentation.pyramid import halve_image, halve_labels
from triptych.steps.import_volume import STEP
from triptych.stores.volume import check, open_volume, read_histogram

SHAPE = (21, 150, 140)
SMALL = {"block_shape": (16, 64, 64), "chunk_shape": (8, 32, 32), "voxel_size_nm": "40,10,10"}
RANDOM = np.random.default_rng(0)
IMAGE = RANDOM.integers(0, 200, SHAPE).astype(np.uint8)
CELLS = np.kron(RANDOM.integers(0, 5, (7, 15, 14)), np.ones((3, 10, 10), int)).astype(np.uint16)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    tifffile.imwrite(tmp_path / "raw.tif", IMAGE, photometric="minisblack", metadata=None)
    tifffile.imwrite(tmp_path / "cells.tif", CELLS, photometric="minisblack", compression="zlib")
    return tmp_path


def stored_bytes(folder: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for s in folder.glob("*.zarr")
        for p in s.rglob("*")
        if p.is_file()
    }


def test_voxels_pyramid_and_histogram(raw: Path) -> None:
    inputs = {"raw": raw / "raw.tif", "labels_cell": raw / "cells.tif"}
    manifest = run_step(STEP, inputs, raw / "out", SMALL).manifest
    assert manifest["counts"]["slices"] == 21
    assert manifest["counts"]["label_volumes"] == 1
    for name, data, halve in (
        ("image", IMAGE, halve_image),
        ("labels_cell", CELLS.astype(np.uint32), halve_labels),
    ):
        path = raw / "out" / f"{name}.ome.zarr"
        check(path)
        volume = open_volume(path)
        assert volume.voxel_size_nm == (40, 10, 10)
        assert volume.array.dtype == data.dtype
        np.testing.assert_array_equal(volume.array[:], data)
        np.testing.assert_array_equal(open_volume(path, 1).array[:], halve(data, (1, 2, 2)))
    values, counts = read_histogram(raw / "out" / "image.ome.zarr")
    np.testing.assert_array_equal(np.bincount(IMAGE.ravel())[values], counts)
    assert counts.sum() == IMAGE.size
    assert manifest["counts"]["intensity_p50"] == np.percentile(IMAGE, 50, method="inverted_cdf")


@pytest.mark.parametrize("executor", ["threads", pytest.param("processes", marks=pytest.mark.slow)])
def test_workers_change_no_byte(raw: Path, executor: str) -> None:
    inputs = {"raw": raw / "raw.tif", "labels_cell": raw / "cells.tif"}
    one = run_step(STEP, inputs, raw / "one", SMALL)
    two = run_step(STEP, inputs, raw / "two", SMALL, workers=2, executor=executor)
    assert stored_bytes(raw / "one") == stored_bytes(raw / "two")
    assert one.manifest == two.manifest


def test_a_folder_of_compressed_slices_gives_the_same_store(raw: Path) -> None:
    (raw / "slices").mkdir()
    for z, plane in enumerate(IMAGE):
        tifffile.imwrite(
            raw / "slices" / f"s{z + 95}.tif", plane, photometric="minisblack", compression="zlib"
        )
    run_step(STEP, {"raw": raw / "raw.tif"}, raw / "one", SMALL)
    run_step(STEP, {"raw": raw / "slices"}, raw / "two", SMALL)
    assert stored_bytes(raw / "one") == stored_bytes(raw / "two")


def test_an_imported_volume_can_be_imported_again(raw: Path) -> None:
    run_step(STEP, {"raw": raw / "raw.tif"}, raw / "one", SMALL)
    settings = {key: value for key, value in SMALL.items() if key != "voxel_size_nm"}
    run_step(STEP, {"raw": raw / "one" / "image.ome.zarr"}, raw / "two", settings)
    np.testing.assert_array_equal(open_volume(raw / "two" / "image.ome.zarr").array[:], IMAGE)
    assert open_volume(raw / "two" / "image.ome.zarr").voxel_size_nm == (40, 10, 10)


@pytest.mark.parametrize("value", ["8", 8, 8.0, [8, 8, 8], "8x8x8"])
def test_one_number_stands_for_a_cube(value: object) -> None:
    assert STEP.settings.model_validate({"voxel_size_nm": value}).voxel_size_nm == (8, 8, 8)


def test_voxel_size_of_sheet_and_file(raw: Path) -> None:
    options = {"metadata": {"axes": "ZYX", "spacing": 50, "unit": "nm"}, "resolution": (0.1, 0.1)}
    tifffile.imwrite(raw / "ij.tif", IMAGE, imagej=True, **options)
    inputs = {"raw": raw / "ij.tif"}
    alone = {key: value for key, value in SMALL.items() if key != "voxel_size_nm"}
    manifest = run_step(STEP, inputs, raw / "a", alone).manifest
    assert open_volume(raw / "a" / "image.ome.zarr").voxel_size_nm == (50, 10, 10)
    assert manifest["notes"] == []
    manifest = run_step(STEP, inputs, raw / "b", SMALL).manifest
    assert open_volume(raw / "b" / "image.ome.zarr").voxel_size_nm == (40, 10, 10)
    assert "50 x 10 x 10" in manifest["notes"][0]
    assert "the sheet was used" in manifest["notes"][0]


def test_bad_input_is_refused(raw: Path) -> None:
    alone = {key: value for key, value in SMALL.items() if key != "voxel_size_nm"}
    with pytest.raises(InputError, match="voxel_size_nm"):
        run_step(STEP, {"raw": raw / "raw.tif"}, raw / "a", alone)
    tifffile.imwrite(raw / "short.tif", CELLS[:-1], photometric="minisblack")
    with pytest.raises(InputError, match=r"short\.tif has shape"):
        run_step(STEP, {"raw": raw / "raw.tif", "labels_cell": raw / "short.tif"}, raw / "b", SMALL)
    with pytest.raises(UsageError, match="multiple"):
        run_step(STEP, {"raw": raw / "raw.tif"}, raw / "c", SMALL | {"chunk_shape": (7, 7, 7)})
    with pytest.raises(UsageError, match="voxel_size_nm"):
        run_step(STEP, {"raw": raw / "raw.tif"}, raw / "d", SMALL | {"voxel_size_nm": "40,0,10"})


def test_probe_reads_the_header(raw: Path) -> None:
    settings = STEP.settings.model_validate(SMALL)
    extent = STEP.probe(raw / "raw.tif", settings)
    assert extent == {"shape": SHAPE, "itemsize": 1}
    assert STEP.estimate(extent, settings).blocks == 2 * 3
