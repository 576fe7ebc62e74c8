"""Panels of clouds and cohorts: drawn, with numbers in the captions, the same bytes each time."""

import json

import numpy as np
import pytest

from triptych.demo import cloud as demo
from triptych.engine.run import run_step
from triptych.report.cloud import cohort_panels, panels
from triptych.report.style import style, to_png
from triptych.steps import compare_samples, find_populations, import_cloud, quantize_cloud
from triptych.stores.measure import open_measure
from triptych.stores.pooled import StoredPooled, write_pooled


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    measures, sheet, folders = {}, {}, {}
    for number, (sample, group, batch) in enumerate(demo.RECORDINGS[:4]):
        events, population = demo.simulate(group, batch, 3000, np.random.default_rng(number))
        demo.write_fcs(folder / f"{sample}.fcs", events)
        demo.write_labels(folder / f"{sample}.csv.gz", population)
        raw = {"raw": folder / f"{sample}.fcs"}
        if number == 0:
            raw["population"] = folder / f"{sample}.csv.gz"
        steps = {
            "import_cloud": folder / sample / "import_cloud",
            "quantize_cloud": folder / sample / "quantize_cloud",
        }
        run_step(import_cloud.STEP, raw, steps["import_cloud"], kind="cloud")
        run_step(
            quantize_cloud.STEP,
            {"cloud": steps["import_cloud"]},
            steps["quantize_cloud"],
            {"n_centers": 24},
            kind="cloud",
        )
        measures[sample], folders[sample] = steps["quantize_cloud"], steps
        sheet[sample] = {"group": group, "batch": batch}
    out = folder / "cohort"
    run_step(compare_samples.STEP, {"measures": measures}, out, kind="cloud", sheet=sheet)
    return folders, {"compare_samples": out}


def manifests(folders):
    return {step: json.loads((folder / "manifest.json").read_text()) for step, folder in folders.items()}


def test_a_sample_with_populations_shows_them(study):
    folders = study[0]["donor1"]
    with style():
        found = panels("donor1", folders, manifests(folders))
    assert [panel.title for panel in found] == [
        "donor1: events and centers",
        "donor1: the centers",
        "donor1: quality",
        "donor1: channels",
    ]
    assert "24 centers" in found[0].caption
    assert "coloured by their given population" in found[0].caption
    assert "belong to it" in found[1].caption
    assert found[3].table["marker"].tolist() == list(demo.MARKERS)
    assert len(found[0].figure.axes) == 8
    for panel in found[:2]:
        assert len(to_png(panel.figure)) > 10_000


def test_a_sample_without_populations_and_one_half_done(study):
    folders = study[0]["donor2"]
    with style():
        found = panels("donor2", folders, manifests(folders))
        assert len(found[0].figure.axes) == 4
        assert "population" not in found[0].caption + found[1].caption
        half = {"import_cloud": folders["import_cloud"]}
        titles = [panel.title for panel in panels("donor2", half, manifests(half))]
        assert titles == ["donor2: quality", "donor2: channels"]
        assert panels("donor2", {}, {}) == []


def test_pictures_are_the_same_each_time(study):
    folders = study[0]["donor1"]
    with style():
        first, second = (to_png(panels("a", folders, manifests(folders))[0].figure) for _ in range(2))
    assert first == second


def test_a_cohort_shows_distances_embedding_and_neighbours(study):
    with style():
        found = cohort_panels(study[1], manifests(study[1]))
    assert [panel.title for panel in found] == [
        "Distances between samples",
        "Samples by optimal transport",
        "Pairs of samples",
        "What group and batch explain",
        "Nearest samples",
    ]
    assert "always naming the largest group would be right for 75%" in found[-1].caption
    assert found[-1].table["sample"].tolist() == ["donor1", "donor2", "donor3", "donor4"]
    for panel in found[:3]:
        assert len(to_png(panel.figure)) > 10_000


def test_a_cohort_of_one_and_none(study, tmp_path):
    measure = study[0]["donor1"]["quantize_cloud"]
    run_step(compare_samples.STEP, {"measures": {"donor1": measure}}, tmp_path, kind="cloud", sheet={})
    one = {"compare_samples": tmp_path}
    with style():
        found = cohort_panels(one, manifests(one))
    assert "no pair" in found[0].caption
    assert cohort_panels({}, {}) == []


def test_found_populations_colour_the_events_of_a_sample(study, tmp_path):
    folders = study[0]["donor1"]
    whole = open_measure(folders["quantize_cloud"] / "measure.zarr")
    write_pooled(
        tmp_path / "pooled.zarr",
        StoredPooled(
            *(whole.centers, whole.weights[None], whole.centers[None], whole.distortion[None]),
            epsilon=np.array([whole.epsilon]),
            common_epsilon=np.array([whole.epsilon]),
            mean=whole.mean[None],
            covariance=whole.covariance[None],
            events=np.array([3000]),
            samples=("donor1",),
            features=whole.features,
            units=whole.units,
        ),
    )
    given = {"pooled": tmp_path / "pooled.zarr"}
    run_step(find_populations.STEP, given, tmp_path / "found", {"n_populations": 4}, kind="cloud")
    cohort = {**folders, "find_populations": tmp_path / "found"}
    with style():
        panel = panels("donor1", cohort, manifests(cohort))[0]
        titles = [axes.get_title(loc="left") for axes in panel.figure.axes]
    assert len(panel.figure.axes) == 12
    assert "found populations" in titles
    assert "given labels" in titles
    assert "the 4 largest are named" in panel.caption
    assert len(to_png(panel.figure)) > 10_000
