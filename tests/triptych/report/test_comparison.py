"""Panels of a cohort: floors, log-ratios, factors and predictions, with the numbers of the tables in their words."""

import numpy as np
import pytest

from triptych.engine.run import run_step
from triptych.quantization import quantize
from triptych.report.comparison import cohort_panels
from triptych.report.style import style, to_png
from triptych.steps.compare_samples import STEP
from triptych.stores.measure import StoredMeasure, write_measure
from triptych.stores.pooled import StoredPooled, write_pooled

TITLES = [
    "Distances between samples",
    "Samples by optimal transport",
    "Pairs of samples",
    "What group and batch explain",
    "Groups of held-out subjects",
    "Nearest samples",
]


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compared")
    rng = np.random.default_rng(0)
    paths, sheet = {}, {}
    for i in range(8):
        found = quantize(rng.normal(size=(200, 2)) + np.array([2 * (i % 2), i // 4]), 8)
        path = folder / f"s{i}" / "measure.zarr"
        parts = (found.centers, found.weights, found.distortion, found.epsilon, found.mean, found.covariance)
        described = {"features": ("a", "b"), "units": ("u", "u"), "scaling": None, "events": 200}
        write_measure(path, StoredMeasure(*parts, **described, split_half=None if i == 7 else 0.4))
        paths[f"s{i}"] = path
        sheet[f"s{i}"] = {"group": "xy"[i % 2], "batch": "ab"[i // 4], "subject": f"p{i}"}
    weights = rng.dirichlet(np.ones(5), 8)
    arrays = (rng.normal(size=(5, 2)), weights, rng.normal(size=(8, 5, 2)), np.ones((8, 5)))
    moments = (np.ones(8), np.ones(8), np.zeros((8, 2)), np.zeros((8, 2, 2)), np.full(8, 200))
    names = {"samples": tuple(paths), "features": ("a", "b"), "units": ("u", "u")}
    write_pooled(folder / "pooled.zarr", StoredPooled(*arrays, *moments, **names))
    given = {"measures": paths, "common": folder / "pooled.zarr"}
    manifest = run_step(STEP, given, folder / "out", kind="cloud", sheet=sheet).manifest
    return {"compare_samples": folder / "out"}, {"compare_samples": manifest}


def test_all_panels_are_drawn(compared):
    with style():
        panels = cohort_panels(*compared)
        assert [panel.title for panel in panels] == TITLES
        for panel in panels[:-1]:
            assert len(to_png(panel.figure)) > 5_000
    views = panels[1].figure.axes
    assert [axes.get_xlabel().split(" axis")[0] for axes in views] == ["LOT", "log-ratio"]
    assert len(views[0].patches) == 7  # a circle for each noise floor that is known
    assert len(views[1].patches) == 0
    assert len(panels[2].figure.axes) == 2
    assert panels[3].table["factor"].tolist() == [
        "group alone",
        "batch alone",
        "group beyond batch",
        "batch beyond group",
    ]
    assert "explains" in panels[3].caption
    assert panels[4].table["view"].tolist()[-1] == "largest group"
    assert "8 in 8 folds" in panels[4].caption
    assert panels[5].table["noise floor"].tolist() == ["0.4"] * 7 + ["nan"]


def test_pictures_are_the_same_each_time(compared):
    with style():
        first, second = ([to_png(p.figure) for p in cohort_panels(*compared)[1:5]] for _ in range(2))
    assert first == second


def test_a_name_covers_no_other_name(compared):
    with style():
        axes = cohort_panels(*compared)[1].figure.axes[0]
        axes.figure.draw_without_rendering()
        boxes = [text.get_window_extent() for text in axes.texts]
    assert len(boxes) == 8
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
