"""The command line as a user meets it: exit codes, one sentence per error, nothing touched by mistake."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ENVIRONMENT = {**os.environ, "NO_COLOR": "1", "COLUMNS": "200"}


def triptych(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "triptych_cli", *map(str, arguments)],
        capture_output=True, text=True, cwd=cwd, env=ENVIRONMENT, check=False, timeout=120,
    )  # fmt: skip


def refused(done: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    """One sentence on stderr, nothing on stdout, no traceback."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr, done.stderr
    assert done.stdout == ""


@pytest.fixture
def study(tmp_path: Path) -> Path:
    folder = tmp_path / "study"
    assert triptych("init", folder).returncode == 0
    (folder / "samples.tsv").write_text("sample\tkind\tpath\nA\tcloud\ta.csv\n")
    return folder


def test_help_and_version() -> None:
    assert "resume" in triptych("--help").stdout
    assert triptych("--version").stdout.strip()[0].isdigit()
    assert "quantize-cloud" in triptych("step", "--help").stdout


def test_unknown_commands_are_usage_errors() -> None:
    assert triptych("runn").returncode == 2
    refused(triptych("step", "quantise-cloud"), 2, "did you mean quantize-cloud")
    assert triptych("step", "quantize-cloud").returncode == 2


def test_missing_inputs_are_input_errors(tmp_path: Path) -> None:
    refused(
        triptych("step", "quantize-cloud", tmp_path / "no.zarr", "--out", tmp_path / "o"),
        3,
        "no.zarr does not exist",
    )
    refused(triptych("config", "check", "-C", tmp_path), 3, "triptych init")
    refused(triptych("plan", "-C", tmp_path), 3, "triptych init")
    refused(triptych("verify", tmp_path), 3, "holds no result")


def test_init_overwrites_nothing(study: Path) -> None:
    before = (study / "config.yaml").read_bytes()
    refused(triptych("init", study), 2, "not empty")
    refused(triptych("init", study / "config.yaml" / "below"), 2, "cannot be made")
    assert (study / "config.yaml").read_bytes() == before


def test_init_makes_a_study_of_a_bids_dataset(write_bids: Callable[..., Path], tmp_path: Path) -> None:
    root = tmp_path / "data"
    write_bids(root, "01")
    (root / "participants.tsv").write_text("participant_id\tarm\nsub-01\tx\n")
    done = triptych("init", tmp_path / "s", "--bids", root, "--group-column", "arm")
    assert done.returncode == 0, done.stderr
    assert "with 1 samples" in done.stdout
    assert "group is column arm of participants.tsv" in done.stdout
    assert (
        "sub-01_task-tones_run-1\tsignal\t../data/sub-01/eeg/" in (tmp_path / "s" / "samples.tsv").read_text()
    )
    assert "1 signal" in triptych("config", "check", "-C", tmp_path / "s").stdout
    refused(triptych("init", tmp_path / "t", "--bids", tmp_path / "none"), 3, "is not a folder")
    refused(triptych("init", tmp_path / "t", "--bids", root / "sub-01"), 3, "its root seems to be")
    refused(triptych("init", tmp_path / "t", "--bids", root, "--group-column", "x"), 2, "its columns are arm")
    refused(triptych("init", tmp_path / "t", "--bids", root, "--demo"), 2, "leave out --demo or --bids")
    refused(triptych("init", tmp_path / "t", "--group-column", "x"), 2, "add --bids")
    refused(triptych("init", tmp_path / "s", "--bids", root), 2, "not empty")
    assert not (tmp_path / "t").exists()


def test_check_counts_samples_and_finds_mistakes(study: Path) -> None:
    assert "1 cloud" in triptych("config", "check", "-C", study).stdout
    refused(
        triptych("config", "check", "-C", study, "--set", "quantize_cloud.n_centres=3"),
        2,
        "did you mean n_centers",
    )
    refused(
        triptych("config", "check", "-C", study, "--set", "quantize_cloud.n_centers=0"),
        2,
        "quantize_cloud.n_centers = 0",
    )


def test_show_prints_what_a_run_would_use(study: Path) -> None:
    import yaml

    shown = yaml.safe_load(
        triptych("config", "show", "-C", study, "--set", "quantize_cloud.n_centers=9").stdout
    )
    assert shown["quantize_cloud"]["n_centers"] == 9


def test_plan_names_unreadable_samples(study: Path) -> None:
    plan = json.loads(triptych("plan", "-C", study, "--json").stdout)
    assert "does not exist" in plan["unreadable"]["A"]
    assert all(job["runs"] for job in plan["jobs"])


def test_status_before_any_run(study: Path) -> None:
    status = json.loads(triptych("status", "-C", study, "--json").stdout)
    assert set(status["counts"]) == {"done", "running", "stopped", "failed", "outdated", "waiting"}
    assert status["counts"]["waiting"] == len(status["jobs"])
    assert status["driver"] is None


def test_resume_needs_a_run(study: Path) -> None:
    refused(triptych("resume", "-C", study), 2, "no run was ever started")


def test_report_needs_results(study: Path) -> None:
    refused(triptych("report", "-C", study), 3, "nothing is finished")


def test_unknown_profile_and_target(study: Path) -> None:
    refused(triptych("run", "-C", study, "--profile", "moon"), 2, "no profile moon")
    refused(triptych("run", "nosuch", "-C", study), 2, "names no step")


def test_arguments_that_snakemake_refuses_are_usage_errors(study: Path) -> None:
    refused(triptych("run", "-C", study, "--", "--nope"), 2, "unrecognized arguments: --nope")


@pytest.mark.parametrize("text", ["0/4", "5/4", "x", "1"])
def test_wrong_block_ranges(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    done = triptych(
        "step",
        "import-cloud",
        tmp_path / "a.csv",
        "--out",
        tmp_path / "o",
        "--phase",
        "events",
        "--blocks",
        text,
    )
    refused(done, 2, "--blocks")


def test_debug_shows_where(tmp_path: Path) -> None:
    done = triptych("--debug", "verify", tmp_path)
    assert "Traceback" in done.stderr


def test_output_folder_of_another_study_is_refused(study: Path, tmp_path: Path) -> None:
    (study / "results").mkdir()
    (study / "results" / "study.json").write_text('{"id": "another"}')
    refused(triptych("run", "-C", study), 2, "output folder of another study")
    (study / "results" / "study.json").unlink()
    (study / "results" / "thesis.doc").write_text("mine")
    refused(triptych("run", "-C", study), 2, "no triptych study")
    assert (study / "results" / "thesis.doc").read_text() == "mine"


def test_step_by_hand_prints_its_manifest_as_json(tmp_path: Path) -> None:
    lines = ["CD3,CD4", *(f"{i % 7}.5,{i % 5}.25" for i in range(300))]
    (tmp_path / "a.csv").write_text("\n".join(lines) + "\n")
    done = triptych(
        "step",
        "import-cloud",
        tmp_path / "a.csv",
        "--out",
        tmp_path / "o",
        "--set",
        "transform=none",
        "--json",
    )
    assert done.returncode == 0, done.stderr
    first = json.loads(done.stdout)
    assert first["fresh"]
    assert first["manifest"]["step"] == "import_cloud"
    again = triptych(
        "step",
        "import-cloud",
        tmp_path / "a.csv",
        "--out",
        tmp_path / "o",
        "--set",
        "transform=none",
        "--json",
    )
    assert json.loads(again.stdout)["fresh"] is False
    measure = triptych(
        "step", "quantize-cloud", tmp_path / "o", "--out", tmp_path / "q", "--set", "n_centers=4"
    )
    assert measure.returncode == 0, measure.stderr
    other = triptych("step", "quantize-cloud", tmp_path / "o", "--out", tmp_path / "o")
    refused(other, 2, "holds a result of import_cloud")
    assert "whole" in triptych("verify", tmp_path / "q").stdout
    shard = next((tmp_path / "q" / "measure.zarr" / "centers" / "c").rglob("*0"))
    target = shard if shard.is_file() else next(p for p in shard.rglob("*") if p.is_file())
    target.write_bytes(target.read_bytes()[:-1] + b"x")
    broken = triptych("verify", tmp_path / "q")
    assert broken.returncode == 1
    assert "damaged" in broken.stdout
