"""Volumes that several steps are tried on."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from triptych.demo import volume as demo
from triptych.engine.run import run_step
from triptych.steps.import_volume import STEP as IMPORT
from triptych.steps.predict_boundaries import STEP as PREDICT


@pytest.fixture(scope="session")
def volume_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small painted stack: ``raw.tif``, ``cells.tif``, and the results ``import`` and ``predict``."""
    folder = tmp_path_factory.mktemp("volume")
    stack = demo.paint(demo.TISSUES[0], np.random.Generator(np.random.PCG64(1)), (16, 72, 80))
    tifffile.imwrite(folder / "raw.tif", stack.image, photometric="minisblack", metadata=None)
    tifffile.imwrite(folder / "cells.tif", stack.cells, photometric="minisblack", metadata=None)
    settings = {"voxel_size_nm": demo.VOXEL_NM, "block_shape": (16, 32, 32), "chunk_shape": (8, 8, 8)}
    run_step(
        IMPORT, {"raw": folder / "raw.tif", "labels_cell": folder / "cells.tif"}, folder / "import", settings
    )
    run_step(PREDICT, {"image": folder / "import"}, folder / "predict")
    return folder
