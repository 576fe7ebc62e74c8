"""segment_volume: labels are those of the front door for every block shape, worker and setting."""

from pathlib import Path

import numpy as np
import pytest

from triptych.demo import volume as demo
from triptych.engine.run import run_step
from triptych.segmentation import segment
from triptych.steps.import_volume import STEP as IMPORT
from triptych.steps.measure_objects import STEP as MEASURE
from triptych.steps.predict_boundaries import STEP as PREDICT
from triptych.steps.segment_volume import STEP as SEGMENT
from triptych.stores.volume import check, open_volume

BLOCKS = [(256, 256, 256), (16, 32, 32), (8, 80, 24), (24, 16, 80), (8, 24, 40)]
CHUNK = (8, 8, 8)


def boundaries(folder: Path) -> np.ndarray:
    return open_volume(folder / "boundaries.ome.zarr").array[0]


def labels(folder: Path) -> np.ndarray:
    return open_volume(folder / "labels.ome.zarr").array[:]


def geometry(block: tuple[int, int, int]) -> dict[str, tuple[int, int, int]]:
    return {"block_shape": block, "chunk_shape": CHUNK}


def stored_bytes(folder: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for s in folder.glob("*.zarr")
        for p in s.rglob("*")
        if p.is_file()
    }


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("workers", [1, 2])
def test_blocks_and_workers_change_no_label(
    volume_study: Path, tmp_path: Path, block: tuple[int, int, int], workers: int
) -> None:
    inputs = {"boundaries": volume_study / "predict", "truth": volume_study / "import"}
    manifest = run_step(SEGMENT, inputs, tmp_path, geometry(block), workers=workers).manifest
    expected = segment(boundaries(volume_study / "predict"), demo.VOXEL_NM)
    assert labels(tmp_path).tobytes() == expected.tobytes()
    assert manifest["counts"]["objects"] == expected.max() > 5
    assert manifest["scores"]["adapted_rand_error"] < 0.2
    check(tmp_path / "labels.ome.zarr")


@pytest.mark.parametrize(
    "settings",
    [
        {"connectivity": 6, "contrast": 3.0, "seed_distance_nm": 70.0, "min_seed_volume_nm3": 5e6},
        {"reach_nm": 150.0, "fill_membrane": False, "enclosed_fraction": 2.0},
        {
            "merge_below": 0.0,
            "absorb_volume_nm3": 0.0,
            "min_object_volume_nm3": 2e8,
            "core_distance_nm": 120.0,
        },
        {"merge_below": 1.0},
    ],
)
def test_any_settings_are_exact_in_blocks(
    volume_study: Path, tmp_path: Path, settings: dict[str, float]
) -> None:
    run_step(
        SEGMENT,
        {"boundaries": volume_study / "predict"},
        tmp_path,
        settings | geometry((8, 24, 40)),
        workers=2,
    )
    expected = segment(boundaries(volume_study / "predict"), demo.VOXEL_NM, **settings)
    np.testing.assert_array_equal(labels(tmp_path), expected)


def test_coarse_slices_are_exact_in_blocks(volume_study: Path, tmp_path: Path) -> None:
    settings = {"voxel_size_nm": (200, 40, 40)} | geometry((16, 32, 32))
    run_step(IMPORT, {"raw": volume_study / "raw.tif"}, tmp_path / "i", settings)
    run_step(PREDICT, {"image": tmp_path / "i"}, tmp_path / "p", geometry((8, 24, 40)))
    run_step(SEGMENT, {"boundaries": tmp_path / "p"}, tmp_path / "s", geometry((8, 24, 40)))
    np.testing.assert_array_equal(labels(tmp_path / "s"), segment(boundaries(tmp_path / "p"), (200, 40, 40)))


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_executors_change_no_byte(volume_study: Path, tmp_path: Path, executor: str) -> None:
    inputs = {"boundaries": volume_study / "predict", "truth": volume_study / "import"}
    one = run_step(SEGMENT, inputs, tmp_path / "one", geometry((16, 32, 32)))
    two = run_step(SEGMENT, inputs, tmp_path / "two", geometry((16, 32, 32)), workers=2, executor=executor)
    assert stored_bytes(tmp_path / "one") == stored_bytes(tmp_path / "two")
    assert one.manifest == two.manifest


def test_no_object_is_a_result_with_a_note(volume_study: Path, tmp_path: Path) -> None:
    inputs = {"boundaries": volume_study / "predict", "truth": volume_study / "import"}
    manifest = run_step(SEGMENT, inputs, tmp_path / "s", {"min_object_volume_nm3": 1e15}).manifest
    assert manifest["counts"]["objects"] == 0
    assert "no object was found" in manifest["notes"][0]
    inputs = {"labels": tmp_path / "s", "image": volume_study / "import"}
    assert run_step(MEASURE, inputs, tmp_path / "m").manifest["counts"]["objects"] == 0
