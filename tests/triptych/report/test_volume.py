"""Panels of a volume show what is there, in the same bytes each time."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

from triptych.demo import volume as demo
from triptych.engine.run import run_step
from triptych.report.style import style, to_png
from triptych.report.volume import panels
from triptych.steps import import_volume, measure_objects, predict_boundaries, segment_volume


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("report")
    stack = demo.paint(demo.TISSUES[1], np.random.Generator(np.random.PCG64(2)), (12, 64, 80))
    tifffile.imwrite(root / "raw.tif", stack.image, photometric="minisblack", metadata=None)
    tifffile.imwrite(root / "cells.tif", stack.cells, photometric="minisblack", metadata=None)
    steps = ("import_volume", "predict_boundaries", "segment_volume", "measure_objects")
    found = {name: root / name for name in steps}
    inputs = {"raw": root / "raw.tif", "labels_cell": root / "cells.tif"}
    run_step(import_volume.STEP, inputs, found["import_volume"], {"voxel_size_nm": demo.VOXEL_NM})
    run_step(predict_boundaries.STEP, {"image": root / "import_volume"}, found["predict_boundaries"])
    inputs = {"boundaries": root / "predict_boundaries", "truth": root / "import_volume"}
    run_step(segment_volume.STEP, inputs, found["segment_volume"])
    inputs = {"labels": root / "segment_volume", "image": root / "import_volume"}
    run_step(measure_objects.STEP, inputs, found["measure_objects"])
    return found


def manifests(folders: dict[str, Path]) -> dict[str, dict]:
    return {name: json.loads((folder / "manifest.json").read_text()) for name, folder in folders.items()}


def test_every_finished_step_has_its_panel(folders: dict[str, Path]) -> None:
    with style():
        found = panels("a", folders, manifests(folders))
        again = panels("a", folders, manifests(folders))
    assert [p.title.split(": ")[1] for p in found] == [
        "slices",
        "boundaries",
        "sizes and shapes",
        "objects and scores",
    ]
    for one, two in zip(found, again, strict=True):
        assert one.caption == two.caption
        if one.figure is not None and two.figure is not None:
            assert to_png(one.figure, 60) == to_png(two.figure, 60)
    titles = [axes.get_title(loc="left") for axes in found[0].figure.axes]
    assert "true cells, slice (x, y)" in titles
    table = dict(found[3].table.to_numpy().tolist())
    scores = manifests(folders)["segment_volume"]["scores"]
    assert table["adapted Rand error"] == f"{scores['adapted_rand_error']:.3f}"


def test_an_unfinished_sample_shows_what_it_has(folders: dict[str, Path]) -> None:
    first = {"import_volume": folders["import_volume"]}
    with style():
        assert len(panels("a", first, manifests(first))) == 1
        assert panels("a", {}, {}) == []
