"""Kill -9 the driver and its children, then resume: nothing finished is done again, and every byte is the same."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from study_runs import computed, differing, kill_when, stored, triptych

EVENTS = 120_000
CONFIG = """
import_cloud: {transform: none, chunk_events: 1024}
quantize_cloud: {n_centers: 96, passes: 40, tolerance: 0.0}
"""


def make_study(folder: Path) -> Path:
    """One cloud in 118 blocks, whose quantization makes many passes, and a second small one."""
    folder.mkdir()
    random = np.random.default_rng(5)
    for name, count in (("A", EVENTS), ("B", 3_000)):
        means = random.normal(size=(12, 5)) * 4
        events = means[random.integers(12, size=count)] + random.normal(size=(count, 5))
        np.savetxt(
            folder / f"{name}.csv",
            events,
            fmt="%.4f",
            delimiter=",",
            header="CD3,CD4,CD8,CD19,CD56",
            comments="",
        )
    (folder / "config.yaml").write_text(CONFIG)
    (folder / "samples.tsv").write_text("sample\tkind\tpath\nA\tcloud\tA.csv\nB\tcloud\tB.csv\n")
    return folder


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_study(tmp_path_factory.mktemp("resume") / "raw")


@pytest.fixture(scope="module")
def whole(raw: Path) -> Path:
    """The study run without interruption."""
    folder = raw.parent / "whole"
    shutil.copytree(raw, folder)
    done = triptych("run", "-C", folder, "quantize-cloud")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize(
    ("place", "phase", "lines"),
    [("results/A/import_cloud", "events", 37), ("results/A/quantize_cloud", "lloyd", 6)],
    ids=["block step", "iterative step"],
)
def test_kill_then_resume(raw: Path, whole: Path, tmp_path: Path, place: str, phase: str, lines: int) -> None:
    folder = tmp_path / "killed"
    shutil.copytree(raw, folder)
    before = kill_when(folder, place, phase, lines, "quantize-cloud")
    assert before < len(computed(whole / place)[phase])
    status = json.loads(triptych("status", "-C", folder, "--json").stdout)
    stopped = [job for job in status["jobs"] if job["state"] == "stopped"]
    assert place in {f"results/{job['sample']}/{job['step']}" for job in stopped}
    resumed = triptych("resume", "-C", folder, "quantize-cloud")
    assert resumed.returncode == 0, resumed.stderr
    assert "stale lock" in resumed.stderr
    again = {index: count for index, count in computed(folder / place)[phase].items() if count > 1}
    assert again == {}
    assert differing(stored(whole), stored(folder)) == []


def test_a_then_b_killed_half_way_then_a(raw: Path, whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "aba"
    shutil.copytree(whole, folder)
    place = "results/A/quantize_cloud"
    kill_when(folder, place, "lloyd", 3, "quantize-cloud", "--set", "quantize_cloud.n_centers=32")
    back = triptych("resume", "-C", folder, "quantize-cloud")
    assert back.returncode == 0, back.stderr
    assert differing(stored(whole), stored(folder)) == []


def test_a_changed_setting_recomputes_only_what_depends_on_it(raw: Path, whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "changed"
    shutil.copytree(whole, folder)
    plan = json.loads(triptych("plan", "-C", folder, "--set", "quantize_cloud.n_centers=32", "--json").stdout)
    why = {(job["step"], job["sample"]): job["why"] for job in plan["jobs"] if job["runs"]}
    assert why["quantize_cloud", "A"] == "settings changed: n_centers"
    assert not [key for key in why if key[0] == "import_cloud"]
    imported = computed(folder / "results/A/import_cloud")
    done = triptych("run", "-C", folder, "quantize-cloud", "--set", "quantize_cloud.n_centers=32")
    assert done.returncode == 0, done.stderr
    assert computed(folder / "results/A/import_cloud") == imported
    log = (folder / "logs/A/quantize_cloud.log").read_text()
    assert "made again because of: setting n_centers" in log
    assert (
        json.loads((folder / "results/A/quantize_cloud/manifest.json").read_text())["settings"]["n_centers"]
        == 32
    )


def test_status_counts_blocks_while_a_run_goes_on(raw: Path, tmp_path: Path) -> None:
    import subprocess
    import time

    from study_runs import ENVIRONMENT, TRIPTYCH

    folder = tmp_path / "watched"
    shutil.copytree(raw, folder)
    process = subprocess.Popen(
        [*TRIPTYCH, "run", "-C", str(folder), "quantize-cloud"],
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    seen = set()
    while process.poll() is None:
        for job in json.loads(triptych("status", "-C", folder, "--json").stdout)["jobs"]:
            if job["state"] == "running" and job["sample"] == "A":
                assert job["pid"] != process.pid
                seen.add((job["blocks_done"], job["blocks_all"]))
        time.sleep(0.05)
    assert process.returncode == 0
    assert any(0 < done < total for done, total in seen), seen


def test_a_second_driver_is_refused_by_name(raw: Path, tmp_path: Path) -> None:
    import subprocess
    import time

    from study_runs import ENVIRONMENT, TRIPTYCH

    folder = tmp_path / "two"
    shutil.copytree(raw, folder)
    first = subprocess.Popen(
        [*TRIPTYCH, "run", "-C", str(folder), "quantize-cloud"],
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not (folder / ".triptych/driver.json").exists():
        time.sleep(0.02)
    second = triptych("run", "-C", folder, "quantize-cloud")
    assert second.returncode == 2
    assert f"process {first.pid} on " in second.stderr
    assert first.wait() == 0


def test_sigterm_ends_with_75_and_the_same_command_goes_on(raw: Path, whole: Path, tmp_path: Path) -> None:
    import subprocess
    import time

    from study_runs import ENVIRONMENT, TRIPTYCH

    folder = tmp_path / "asked"
    shutil.copytree(raw, folder)
    run = subprocess.Popen(
        [*TRIPTYCH, "run", "-C", str(folder), "quantize-cloud"],
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    place = "results/A/quantize_cloud"
    while computed(folder / place)["lloyd"].total() < 4:
        assert run.poll() is None
        time.sleep(0.005)
    run.terminate()
    assert run.wait(timeout=120) == 75
    assert json.loads((folder / place / "failure.json").read_text())["exit"] == 75
    assert computed(folder / place)["lloyd"].total() < computed(whole / place)["lloyd"].total()
    again = triptych("run", "-C", folder, "quantize-cloud")
    assert again.returncode == 0, again.stderr
    assert max(computed(folder / place)["lloyd"].values()) == 1
    assert differing(stored(whole), stored(folder)) == []


def test_one_bad_sample_does_not_stop_the_others(raw: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bad"
    shutil.copytree(raw, folder)
    (folder / "A.csv").write_text("")
    sheet = "sample\tkind\tpath\nA\tcloud\tA.csv\nB\tcloud\tB.csv\nC\tcloud\tmissing.fcs\nD\tcloud\tB.csv\n"
    (folder / "samples.tsv").write_text(sheet)
    done = triptych("run", "-C", folder, "compare-samples", "quantize-cloud")
    assert done.returncode == 1
    done = triptych("run", "-C", folder)
    assert done.returncode == 1
    assert "A is left out of the cohort steps" in done.stderr
    assert "C is left out of the cohort steps" in done.stderr
    manifest = json.loads((folder / "results/cohort/cloud/compare_samples/manifest.json").read_text())
    assert set(manifest["left_out"]) == {"A", "C"}
    assert (folder / "results/cohort/all/report/report.html").exists()
    strict = triptych("run", "-C", folder, "--strict")
    assert strict.returncode == 1
