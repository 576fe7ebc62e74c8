"""measure_objects: the table does not depend on blocks, and equals that of the front door."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from triptych.demo import volume as demo
from triptych.engine.run import run_step
from triptych.errors import InputError
from triptych.morphometry import measure
from triptych.steps.import_volume import STEP as IMPORT
from triptych.steps.measure_objects import STEP as MEASURE
from triptych.steps.segment_volume import STEP as SEGMENT
from triptych.stores.table import read_table
from triptych.stores.volume import open_volume

BLOCKS = [(256, 256, 256), (16, 32, 32), (8, 80, 24), (24, 16, 80), (8, 24, 40)]


def labels(folder: Path) -> np.ndarray:
    return open_volume(folder / "labels.ome.zarr").array[:]


def test_tables_of_blocks_are_those_of_the_whole(volume_study: Path, tmp_path: Path) -> None:
    run_step(SEGMENT, {"boundaries": volume_study / "predict"}, tmp_path / "s")
    tables = []
    for number, block in enumerate(BLOCKS):
        out, inputs = tmp_path / f"m{number}", {"labels": tmp_path / "s", "image": volume_study / "import"}
        manifest = run_step(MEASURE, inputs, out, {"block_shape": block}, workers=1 + number % 2).manifest
        tables.append((out / "objects.parquet").read_bytes())
    assert len(set(tables)) == 1
    image = open_volume(volume_study / "import" / "image.ome.zarr").array[:]
    expected = measure(labels(tmp_path / "s"), image, demo.VOXEL_NM)
    table = read_table(out / "objects.parquet")
    for name, column in expected.items():
        np.testing.assert_array_equal(table.columns[name], column)
        assert table.fields[name].definition
    assert table.fields["volume"].unit == "nm^3"
    assert table.fields["id"].role == "descriptor"
    assert manifest["counts"]["objects"] == len(expected["id"])
    assert manifest["counts"]["object_voxels"] == (labels(tmp_path / "s") > 0).sum()


def test_an_image_of_another_shape_is_refused(volume_study: Path, tmp_path: Path) -> None:
    run_step(SEGMENT, {"boundaries": volume_study / "predict"}, tmp_path / "s")
    image = np.zeros((4, 8, 8), np.uint8)
    tifffile.imwrite(tmp_path / "other.tif", image, photometric="minisblack")
    run_step(IMPORT, {"raw": tmp_path / "other.tif"}, tmp_path / "other", {"voxel_size_nm": "10"})
    with pytest.raises(InputError, match="image that was segmented"):
        run_step(MEASURE, {"labels": tmp_path / "s", "image": tmp_path / "other"}, tmp_path / "d")
