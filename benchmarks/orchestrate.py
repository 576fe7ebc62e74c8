"""Overhead of the orchestrator: the demo by `triptych run` against the same commands typed by hand, one core, interleaved.

Both do the same work in the same order of steps; caches are warm. Then: what each step of the demo took, and how long the
command line takes to start. Whole tables are printed, and one JSON line last.
Usage: python benchmarks/orchestrate.py [--repeats 5]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from triptych.steps import open_study
from triptych.study.study import Job, Study, inputs_file

TRIPTYCH = [sys.executable, "-m", "triptych_cli"]
MADE = ("results", "logs", "benchmarks", ".triptych", ".snakemake")


def by_hand(study: Study, config: str) -> list[list[str]]:
    """The command of every job, in an order in which each finds its inputs."""
    commands: list[list[str]] = []
    waiting, done = list(study.jobs), set()
    while waiting:
        job = next(job for job in waiting if set(study.upstream(job)) <= done)
        commands.append(command_of(study, job, config))
        waiting.remove(job)
        done.add(job)
    return commands


def command_of(study: Study, job: Job, config: str) -> list[str]:
    """One `triptych step ...` as the rule writes it."""
    step = study.steps[job.step]
    command = [
        *TRIPTYCH,
        "step",
        step.command,
        "--out",
        job.place,
        "--config",
        config,
        "--expect",
        study.digest(job),
    ]
    if job.sample is not None:
        return [*command, "--sample", job.sample]
    return [*command, "--inputs-from", inputs_file(job), *(["--kind", job.kind] if job.kind else [])]


def clear(folder: Path) -> None:
    """Remove what a run made."""
    for name in MADE:
        shutil.rmtree(folder / name, ignore_errors=True)


def timed(commands: list[list[str]], folder: Path) -> tuple[float, float]:
    """Wall and CPU seconds of some commands, one after the other."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    for command in commands:
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def step_times(study: Study) -> dict[str, list[tuple[float, float, float]]]:
    """Wall seconds, CPU seconds and peak MiB of every job of the last run, by step."""
    found: dict[str, list[tuple[float, float, float]]] = {}
    for job in study.jobs:
        cost = json.loads((study.root / job.place / "provenance.json").read_text())
        entry = (cost["wall_s"], cost["cpu_s"], cost["peak_memory_bytes"] / 2**20)
        found.setdefault(job.step, []).append(entry)
    return found


def print_steps(runs: list[dict[str, list[tuple[float, float, float]]]]) -> None:
    """Per step: jobs, median wall and CPU seconds of one job, greatest peak."""
    print(f"\n{'step':<20} {'jobs':>4} {'wall s':>7} {'CPU s':>7} {'peak MiB':>9}   (one job, median)")
    for step in runs[0]:
        jobs = [entry for run in runs for entry in run[step]]
        wall, cpu = (statistics.median(entry[i] for entry in jobs) for i in (0, 1))
        print(f"{step:<20} {len(runs[0][step]):>4} {wall:>7.2f} {cpu:>7.2f} {max(e[2] for e in jobs):>9.0f}")


def print_starts() -> None:
    """How long commands take that do nothing: best and median of five."""
    print()
    for words in (["--help"], ["step", "--help"], ["step", "quantize-cloud", "--help"], ["config", "schema"]):
        walls = [timed([[*TRIPTYCH, *words]], Path.cwd())[0] for _ in range(5)]
        print(
            f"triptych {' '.join(words):<28} {min(walls):.3f} s best, {statistics.median(walls):.3f} s median of 5"
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    os.environ["NO_COLOR"] = "1"
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "demo"
        subprocess.run([*TRIPTYCH, "init", str(folder), "--demo"], check=True, capture_output=True)
        study = open_study(folder / "config.yaml")
        run = [[*TRIPTYCH, "run", "--cores", "1"]]
        timed(run, folder)  # compiles kernels and warms the page cache
        rows: list[dict[str, float]] = []
        runs: list[dict[str, list[tuple[float, float, float]]]] = []
        print(
            f"{'':>3} {'run wall':>9} {'hand wall':>10} {'ratio':>6} {'run CPU':>8} {'hand CPU':>9} {'ratio':>6}"
        )
        for repeat in range(repeats):
            clear(folder)
            run_wall, run_cpu = timed(run, folder)
            runs.append(step_times(study))
            clear(folder)
            config = study.write_config()
            list(study.write_inputs())
            hand_wall, hand_cpu = timed(by_hand(study, config), folder)
            rows.append(
                {"run_wall": run_wall, "hand_wall": hand_wall, "run_cpu": run_cpu, "hand_cpu": hand_cpu}
            )
            print(
                f"{repeat + 1:>3} {run_wall:>8.1f}s {hand_wall:>9.1f}s {run_wall / hand_wall:>6.3f} {run_cpu:>7.1f}s "
                f"{hand_cpu:>8.1f}s {run_cpu / hand_cpu:>6.3f}",
                flush=True,
            )
    print_steps(runs)
    print_starts()
    result = {
        "jobs": len(study.jobs),
        "repeats": repeats,
        "wall_ratio": round(statistics.median(row["run_wall"] / row["hand_wall"] for row in rows), 3),
        "cpu_ratio": round(statistics.median(row["run_cpu"] / row["hand_cpu"] for row in rows), 3),
        **{f"{name}_s": round(statistics.median(row[name] for row in rows), 2) for name in rows[0]},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
