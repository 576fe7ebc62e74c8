"""The demo study: every step, truth beside result, ten kills, the same bytes for any number of cores."""

import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from study_runs import ENVIRONMENT, TRIPTYCH, computed, differing, kill_family, stored, triptych

KILLS = 10
KILLS_IN_SHORT = 3


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "raw"
    done = triptych("init", folder, "--demo")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def whole(raw: Path) -> Path:
    folder = raw.parent / "whole"
    shutil.copytree(raw, folder)
    done = triptych("run", "-C", folder)
    assert done.returncode == 0, done.stderr
    assert "report.html" in done.stdout
    return folder


def scores(folder: Path, place: str) -> dict[str, float]:
    content: dict[str, float] = json.loads((folder / "results" / place / "manifest.json").read_text())[
        "scores"
    ]
    return content


def test_everything_is_done_and_whole(whole: Path) -> None:
    status = json.loads(triptych("status", "-C", whole, "--json").stdout)
    assert status["counts"]["done"] == len(status["jobs"]) > 40
    verified = triptych("verify", whole / "results", "--json")
    assert verified.returncode == 0
    assert {json.loads(line)["state"] for line in verified.stdout.splitlines()} == {"whole"}


def test_a_second_run_does_nothing(whole: Path) -> None:
    before = stored(whole)
    times = {path: path.stat().st_mtime_ns for path in (whole / "results").rglob("manifest.json")}
    assert triptych("run", "-C", whole).returncode == 0
    assert {path: path.stat().st_mtime_ns for path in (whole / "results").rglob("manifest.json")} == times
    assert stored(whole) == before
    plan = json.loads(triptych("plan", "-C", whole, "--json").stdout)
    assert plan["totals"]["jobs"] == 0


def test_manifests_hold_no_path_and_no_host(whole: Path) -> None:
    for path in (whole / "results").rglob("manifest.json"):
        text = path.read_text()
        assert str(whole) not in text
        assert os.uname().nodename not in text.split('"')


def test_the_report_is_one_light_offline_page(whole: Path) -> None:
    page = (whole / "results/cohort/all/report/report.html").read_text()
    assert len(page) < 10e6
    for mark in ('src="http', 'href="http', "url(http", "<script src", "@import"):
        assert mark not in page
    for word in ("donor1", "meg-a", "purity", "segment-volume", "Time"):
        assert word in page


@pytest.mark.parametrize("kills", [KILLS_IN_SHORT, pytest.param(KILLS, marks=pytest.mark.slow)])
def test_random_kills_lose_no_finished_block_and_change_no_byte(
    raw: Path, whole: Path, tmp_path: Path, kills: int
) -> None:
    folder = tmp_path / "killed"
    shutil.copytree(raw, folder)
    seed = random.SystemRandom().randrange(1 << 30)
    print(f"seed of the kills: {seed}")
    moments = random.Random(seed)
    for _ in range(kills):
        run = subprocess.Popen(
            [*TRIPTYCH, "run", "-C", str(folder)],
            env=ENVIRONMENT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(moments.uniform(1.5, 9.0))
        if run.poll() is not None:
            break
        kill_family(run.pid)
        run.wait()
    done = triptych("resume", "-C", folder)
    assert done.returncode == 0, done.stderr
    assert differing(stored(whole), stored(folder)) == []
    for ledger in (folder / "results").rglob("ledger"):
        for phase, counts in computed(ledger.parent).items():
            again = {index: count for index, count in counts.items() if count > 1}
            assert again == {}, (ledger.parent, phase)


@pytest.mark.slow
def test_same_bytes_on_one_core(raw: Path, whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "one"
    shutil.copytree(raw, folder)
    assert triptych("run", "-C", folder, "--cores", "1").returncode == 0
    assert differing(stored(whole), stored(folder)) == []


def test_a_bare_snakemake_runs_the_same_study(raw: Path, whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bare"
    shutil.copytree(raw, folder)
    checkout = Path(__file__).resolve().parents[2]
    environment = ENVIRONMENT | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(checkout / "Snakefile"), "--cores", "2"]
    place = "results/donor1/quantize_cloud"
    done = subprocess.run(
        [*command, f"{place}/manifest.json"], cwd=folder, env=environment, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    assert (folder / place / "manifest.json").read_bytes() == (whole / place / "manifest.json").read_bytes()
