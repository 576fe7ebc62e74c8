"""predict_boundaries: blocks and workers change nothing; a given map is taken; refusals are clear."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from triptych.engine.run import run_step
from triptych.errors import InputError
from triptych.steps.import_volume import STEP as IMPORT
from triptych.steps.predict_boundaries import STEP as PREDICT
from triptych.stores.volume import open_volume

SHAPE = (16, 72, 80)
BLOCKS = [(16, 32, 32), (8, 80, 24), (24, 16, 80), (8, 24, 40)]


def boundaries(folder: Path) -> np.ndarray:
    return open_volume(folder / "boundaries.ome.zarr").array[0]


def geometry(block: tuple[int, int, int]) -> dict[str, tuple[int, int, int]]:
    return {"block_shape": block, "chunk_shape": (8, 8, 8)}


@pytest.mark.parametrize("block", BLOCKS)
def test_blocks_change_no_boundary(volume_study: Path, tmp_path: Path, block: tuple[int, int, int]) -> None:
    run_step(PREDICT, {"image": volume_study / "import"}, tmp_path, geometry(block), workers=2)
    np.testing.assert_array_equal(boundaries(tmp_path), boundaries(volume_study / "predict"))


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_given_map_is_taken(volume_study: Path, tmp_path: Path, dtype: type) -> None:
    given = np.random.default_rng(0).integers(0, 256, SHAPE).astype(np.uint8)
    stored = given if dtype is np.uint8 else (given / 255).astype(np.float32)
    tifffile.imwrite(tmp_path / "p.tif", stored, photometric="minisblack", compression="zlib")
    inputs = {"image": volume_study / "import", "probability": tmp_path / "p.tif"}
    manifest = run_step(PREDICT, inputs, tmp_path / "out", geometry((16, 32, 32))).manifest
    np.testing.assert_array_equal(boundaries(tmp_path / "out"), given)
    assert "given" in manifest["notes"][0]


def test_wrong_inputs_are_refused(volume_study: Path, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "p.tif", np.zeros((3, 8, 8), np.uint8), photometric="minisblack")
    with pytest.raises(InputError, match="same voxels"):
        run_step(
            PREDICT, {"image": volume_study / "import", "probability": tmp_path / "p.tif"}, tmp_path / "a"
        )
    values = np.full(SHAPE, 0.5, np.float32)
    values[3, 3, 3] = np.nan
    tifffile.imwrite(tmp_path / "n.tif", values, photometric="minisblack")
    with pytest.raises(InputError, match="NaN"):
        run_step(
            PREDICT, {"image": volume_study / "import", "probability": tmp_path / "n.tif"}, tmp_path / "b"
        )
    tifffile.imwrite(tmp_path / "flat.tif", np.full((4, 8, 8), 7, np.uint8), photometric="minisblack")
    run_step(IMPORT, {"raw": tmp_path / "flat.tif"}, tmp_path / "flat", {"voxel_size_nm": "10"})
    with pytest.raises(InputError, match="no contrast"):
        run_step(PREDICT, {"image": tmp_path / "flat"}, tmp_path / "c")
