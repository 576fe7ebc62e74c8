"""The wheel, installed in an empty environment, runs the demo from another folder."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(CHECKOUT)],
        check=True, capture_output=True,
    )  # fmt: skip
    (found,) = folder.glob("*.whl")
    return found


def test_the_wheel_holds_the_pipeline_and_no_stray_module(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {name for name in tops if not name.endswith(".dist-info")} == {
        "triptych",
        "triptych_cli",
        "snakemake_logger_plugin_triptych",
    }
    for name in (
        "Snakefile",
        "config.yaml",
        "config.schema.json",
        "rules/cloud.smk",
        "profiles/local/config.yaml",
    ):
        assert f"triptych/pipeline/{name}" in names
    assert any(name.endswith("page.html.j2") for name in names)


@pytest.mark.timeout(1800)
def test_the_wheel_runs_the_demo_from_an_empty_environment(wheel: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "env")], check=True)
    binaries = tmp_path / "env" / "bin"
    install = [
        str(binaries / "python"),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--constraint",
        str(CHECKOUT / "constraints.txt"),
    ]
    subprocess.run([*install, str(wheel)], check=True, capture_output=True, timeout=900)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    environment = {
        name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")
    }
    environment["PATH"] = "/usr/bin:/bin"
    for arguments in (["init", "demo", "--demo"], ["run", "--study", "demo"]):
        done = subprocess.run(
            [str(binaries / "triptych"), *arguments],
            cwd=elsewhere, env=environment, capture_output=True, text=True, check=False, timeout=900,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    assert (elsewhere / "demo/results/cohort/all/report/report.html").exists()
