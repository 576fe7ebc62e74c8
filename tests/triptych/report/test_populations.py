"""Panels of populations: drawn with and without groups and labels, the same bytes, events in the right population."""

import json
import types

import numpy as np
import pytest

from triptych.engine.run import run_step
from triptych.report.center_map import lay_out, tree_edges
from triptych.report.found_populations import read_found
from triptych.report.populations import cohort_panels
from triptych.report.quality import quality_panels, shown_rows
from triptych.report.style import style, to_png
from triptych.steps.find_populations import STEP
from triptych.stores.cloud import Channel
from triptych.stores.pooled import StoredPooled, write_pooled

MARKERS = ("CD3", "CD4", "CD8")
MIDDLES = np.array([[8.0, 8, 0], [8, 0, 8], [0, 0, 0]])


def pooled(samples=6, labelled=True):
    rng = np.random.default_rng(0)
    centers = (MIDDLES[:, None] + rng.normal(size=(3, 10, 3))).reshape(30, 3)
    counts = rng.integers(50, 90, (samples, 30))
    weights = counts / counts.sum(axis=1, keepdims=True)
    composition = np.zeros((samples, 30, 3), np.int64)
    composition[:, np.arange(30), np.repeat(np.arange(3), 10)] = counts
    mean = weights @ centers
    spread = np.stack([np.cov(centers.T, aweights=w, bias=True) for w in weights])
    return StoredPooled(
        *(centers, weights, np.repeat(centers[None], samples, axis=0), np.zeros((samples, 30))),
        epsilon=np.zeros(samples),
        common_epsilon=np.zeros(samples),
        mean=mean,
        covariance=spread,
        events=counts.sum(axis=1),
        samples=tuple(f"s{i}" for i in range(samples)),
        features=MARKERS,
        units=("logicle",) * 3,
        populations=("Th", "Tk", "other") if labelled else (),
        composition=composition if labelled else None,
    )


def folder_of(tmp, whole, sheet):
    write_pooled(tmp / "pooled.zarr", whole)
    run_step(
        STEP, {"pooled": tmp / "pooled.zarr"}, tmp / "found", {"resamples": 20}, kind="cloud", sheet=sheet
    )
    return {"find_populations": tmp / "found"}


def manifests(folders):
    return {step: json.loads((path / "manifest.json").read_text()) for step, path in folders.items()}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    sheet = {f"s{i}": {"group": "treated" if i > 2 else "control"} for i in range(6)}
    return folder_of(tmp_path_factory.mktemp("found"), pooled(), sheet)


def test_every_panel_is_drawn_with_its_numbers(found):
    with style():
        panels = cohort_panels(found, manifests(found))
    assert [panel.title for panel in panels] == [
        "Map of the common centers",
        "Populations",
        "Abundance of populations",
        "Number of populations",
        "Populations and given labels",
    ]
    assert "30 common centers" in panels[0].caption
    assert "control 3, treated 3" in panels[2].caption
    assert "adjusted Rand index 1.000" in panels[4].caption
    assert panels[1].table["population"].tolist() == [1, 2, 3]
    assert "q, ranks of shares" in panels[1].table
    for panel in panels:
        assert len(to_png(panel.figure)) > 5_000
    with style():
        again = cohort_panels(found, manifests(found))
    assert to_png(again[0].figure) == to_png(panels[0].figure)


def test_without_groups_and_labels_and_without_the_step(tmp_path):
    folders = folder_of(tmp_path, pooled(1, labelled=False), {})
    with style():
        panels = cohort_panels(folders, manifests(folders))
        assert cohort_panels({}, {}) == []
    assert "Populations and given labels" not in [panel.title for panel in panels]
    assert "q, ranks of shares" not in panels[1].table
    assert all(len(to_png(panel.figure)) > 5_000 for panel in panels)


def test_events_go_to_the_population_of_their_nearest_center(found):
    read = read_found(found["find_populations"])
    events = np.c_[np.zeros(3), MIDDLES[:, ::-1]].astype(np.float32)
    given = read.assign(events, ["FSC-A", "CD8", "CD4", "CD3"])
    assert given.tolist() == [int(read.of_center[k]) for k in (0, 10, 20)]
    assert read.assign(events, ["FSC-A", "CD8", "CD4", "CD19"]) is None


def test_the_map_is_a_tree_and_keeps_its_steps():
    line = np.arange(12.0)[:, None] * [1.0, 2.0]
    edges = tree_edges(line)
    assert edges.tolist() == [[i, i + 1] for i in range(11)]
    places = lay_out(edges, 12)
    assert np.ptp(places[:, 0]) == pytest.approx(11, abs=0.3)
    assert np.ptp(places[:, 1]) < 0.5
    points = np.random.default_rng(0).normal(size=(40, 4))
    assert len(tree_edges(points)) == 39
    places = lay_out(tree_edges(points), 40)
    assert np.isfinite(places).all()
    assert len(np.unique(places.round(6), axis=0)) == 40
    assert len(tree_edges(np.zeros((5, 2)))) == 4
    assert lay_out(np.array([[0, 1]]), 2).tolist() == [[0, 0], [1, 0]]


def cloud(quality):
    events = np.random.default_rng(0).normal(size=(3000, 2)).astype(np.float32)
    masks = (types.SimpleNamespace(name="margin", rule="at the end of a range", events=300),)
    channels = (Channel("FSC-A", "", "scatter", "linear"), Channel("SSC-A", "", "scatter", "linear"))
    return types.SimpleNamespace(
        events=events,
        channels=channels,
        chunk_events=1024,
        quality=quality,
        masks=masks if quality is not None else (),
    )


def test_quality_says_what_is_masked_and_hides_it():
    bits = np.zeros(3000, np.uint8)
    bits[:300] = 1
    with style():
        (panel,) = quality_panels("s", cloud(bits))
    assert "300 of 3,000 events (10.0%) are masked" in panel.caption
    assert panel.table["share (%)"].tolist() == [10.0]
    assert len(panel.figure.axes) == 3
    assert len(to_png(panel.figure)) > 5_000
    assert shown_rows(cloud(bits), 10_000).tolist() == list(range(300, 3000))
    assert len(shown_rows(cloud(None), 10_000)) == 3000
    assert quality_panels("s", cloud(None)) == []
