"""report: the same digested content for the same results, a page with times, made again when it is asked for."""

import json
from pathlib import Path

import numpy as np
import pytest

from triptych.engine.manifest import PROVENANCE
from triptych.engine.run import run_step
from triptych.report.page import check_offline
from triptych.steps import NAMES, load_step

SHEET = {f"d{i}": {"kind": "cloud", "group": "treated" if i > 1 else "control"} for i in range(4)}
QUICK = {"analyze_features": {"bootstraps": 3, "null_samples": 3, "max_clusters": 3}}

Results = dict[str, dict[str, Path]]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Four small clouds through import, quantization, comparison, scaling and analysis."""
    folder = tmp_path_factory.mktemp("study")
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(3, 4)) * 5
    done: Results = {"import_cloud": {}, "quantize_cloud": {}}
    for name in SHEET:
        events = centers[rng.integers(0, 3, 300)] + rng.normal(size=(300, 4))
        np.savetxt(
            folder / f"{name}.csv", events, delimiter=",", header="CD3,CD4,CD8,CD19", comments="", fmt="%.5f"
        )
        done["import_cloud"][name] = folder / name / "import_cloud"
        run_step(
            load_step("import_cloud"),
            {"raw": folder / f"{name}.csv"},
            done["import_cloud"][name],
            {"transform": "none"},
        )
        done["quantize_cloud"][name] = folder / name / "quantize_cloud"
        run_step(
            load_step("quantize_cloud"),
            {"cloud": done["import_cloud"][name]},
            done["quantize_cloud"][name],
            {"n_centers": 20},
        )
    cohort = {
        name: folder / "cohort" / name for name in ("scale_features", "compare_samples", "analyze_features")
    }
    given = {
        "scale_features": {"tables": done["import_cloud"]},
        "compare_samples": {"measures": done["quantize_cloud"]},
        "analyze_features": {"tables": done["quantize_cloud"], "scaling": cohort["scale_features"]},
    }
    for name, inputs in given.items():
        run_step(load_step(name), inputs, cohort[name], QUICK.get(name), sheet=SHEET)
        done[name] = {"cloud": cohort[name]}
    return done


def test_content_is_deterministic_and_the_page_shows_times(results: Results, tmp_path: Path) -> None:
    step = load_step("report")
    left_out = {"d9": "too few events"}
    few = {"max_samples_in_detail": 1}
    first = run_step(step, results, tmp_path / "a", few, sheet=SHEET, left_out=left_out)
    facts = results["import_cloud"]["d0"] / PROVENANCE
    changed = json.loads(facts.read_text()) | {"wall_s": 7261.0}
    facts.write_text(json.dumps(changed))
    second = run_step(step, results, tmp_path / "b", few, sheet=SHEET, left_out=left_out)
    assert first.manifest == second.manifest
    assert first.manifest["outputs"] == ["content.json", "figures"]
    assert first.manifest["counts"]["samples"] == 4
    assert first.manifest["counts"]["figures"] >= 2
    page = (tmp_path / "b" / "report.html").read_text()
    assert "2 h 01 min" in page
    assert "d9 (too few events)." in page
    assert check_offline(page) == []
    assert str(tmp_path) not in (tmp_path / "a" / "content.json").read_text()
    assert len(page) < 10_000_000


def test_the_page_is_made_again(results: Results, tmp_path: Path) -> None:
    step, few = load_step("report"), {"max_samples_in_detail": 0}
    run_step(step, results, tmp_path / "r", few, sheet=SHEET)
    manifest = (tmp_path / "r" / "manifest.json").read_bytes()
    (tmp_path / "r" / "report.html").unlink()
    again = run_step(step, results, tmp_path / "r", few, sheet=SHEET)
    assert not again.fresh
    assert (tmp_path / "r" / "report.html").exists()
    assert (tmp_path / "r" / "manifest.json").read_bytes() == manifest


def test_a_part_of_the_study_has_a_report(results: Results, tmp_path: Path) -> None:
    part = {"import_cloud": {"d0": results["import_cloud"]["d0"]}}
    found = run_step(load_step("report"), part, tmp_path / "r", {"max_samples_in_detail": 0}, sheet=SHEET)
    assert found.manifest["counts"] == {"figures": 0, "results": 1, "samples": 1}
    assert "No sample was left out." in (tmp_path / "r" / "report.html").read_text()


def test_every_other_step_is_an_input() -> None:
    assert [entry.name for entry in load_step("report").inputs] == [
        name for name in NAMES if name != "report"
    ]
