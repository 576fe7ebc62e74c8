"""``triptych init``, ``plan``, ``run`` and ``resume``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

Study = Annotated[Path, typer.Option("--study", "-C", help="Study folder.")]
Sets = Annotated[list[str] | None, typer.Option("--set", help="section.key=value. Repeatable.")]
Targets = Annotated[
    list[str] | None,
    typer.Argument(help="Steps, samples or sample/step; all if none. After --, Snakemake's."),
]
Profile = Annotated[str, typer.Option(help="Snakemake profile: local, or the path of a folder.")]
Cores = Annotated[
    int | None, typer.Option(min=1, help="Cores to use on this machine; the profile says otherwise.")
]
Strict = Annotated[bool, typer.Option("--strict", help="Do not go on without samples that failed.")]


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to make.")],
    demo: Annotated[
        bool,
        typer.Option("--demo", help="With small synthetic recordings of all three kinds, and their truth."),
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of the demo.")] = 0,
    bids: Annotated[
        Path | None, typer.Option("--bids", metavar="ROOT", help="With the recordings of a BIDS dataset.")
    ] = None,
    group_column: Annotated[
        str | None, typer.Option(metavar="NAME", help="Column of participants.tsv that holds the group.")
    ] = None,
) -> None:
    """Make a study folder: config.yaml, a sample sheet, and with --demo the recordings."""
    from triptych.errors import UsageError
    from triptych.steps import study_model
    from triptych.study.init import make_bids_study, make_study

    if demo and bids is not None:
        raise UsageError("--demo makes its own recordings; leave out --demo or --bids")
    if group_column is not None and bids is None:
        raise UsageError("--group-column names a column of a BIDS dataset; add --bids ROOT")
    notes: list[str] = []
    if bids is not None:
        rows, notes = make_bids_study(folder, study_model(), bids, group_column)
    else:
        rows = make_study(folder, study_model(), demo=demo, seed=seed)
    print(f"{folder}: config.yaml and samples.tsv with {rows} samples")
    for note in notes:
        print(note)
    look = "fill" if bids is None else "look through"
    print(
        f"next: triptych run -C {folder}"
        if demo
        else f"next: {look} {folder}/samples.tsv, then triptych plan -C {folder}"
    )


def plan(
    study: Study = Path(),
    set_: Sets = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """What would run and why, with blocks, bytes, files and memory; refuses what cannot fit."""
    import shutil

    import psutil

    from triptych.steps import open_study
    from triptych.study.plan import make_plan, refuse_what_cannot_fit

    found = open_study(study / "config.yaml", tuple(set_ or ()))
    planned = make_plan(found)
    if as_json:
        content = {
            "jobs": [job.as_json() for job in planned.jobs],
            "totals": planned.totals,
            "unreadable": planned.unreadable,
            "left_out": found.left_out,
        }
        print(json.dumps(content))
    else:
        _print_plan(planned, found)
    refuse_what_cannot_fit(planned, psutil.virtual_memory().available, shutil.disk_usage(found.root).free)


def _print_plan(planned: Any, study: Any) -> None:
    from triptych.study.study import ALL
    from triptych_cli.words import amount

    for name, reason in study.left_out.items():
        print(f"left out  {name}: {reason}")
    for name, reason in planned.unreadable.items():
        print(f"unreadable  {name}: {reason}")
    for job in planned.jobs:
        mark, name = "run " if job.runs else "keep", job.step.replace("_", "-")
        need = f"  [{_needs(job.estimate)}]" if job.runs and job.estimate else ""
        print(f"{mark}  {name:<19} {job.sample or f'cohort {job.kind or ALL}':<20} {job.why}{need}")
    total = planned.totals
    print(
        f"{total['jobs']} of {len(planned.jobs)} jobs to run; {total['blocks']} blocks, {amount(total['output_bytes'])} out, "
        f"{total['files']} files, at most {amount(total['peak_memory_bytes'])} memory in one job with one worker"
    )


def _needs(estimate: Any) -> str:
    from triptych_cli.words import amount

    out, memory = amount(estimate.output_bytes), amount(estimate.memory_bytes)
    return f"{estimate.blocks} blocks, {out} out, {estimate.files} files, {memory} memory"


def run(
    targets: Targets = None, study: Study = Path(), profile: Profile = "local", set_: Sets = None, cores: Cores = None,
    strict: Strict = False, as_json: Annotated[bool, typer.Option("--json", help="One JSON object at the end.")] = False,
) -> None:  # fmt: skip
    """Run a study: what is missing, and nothing else."""
    _drive(targets or [], study, profile, set_ or [], cores, strict, False, as_json)


def resume(
    targets: Targets = None, study: Study = Path(), profile: Profile = "local", set_: Sets = None, cores: Cores = None,
    strict: Strict = False,
    verify: Annotated[bool, typer.Option("--verify", help="Read every result first; make again what is damaged.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object at the end.")] = False,
) -> None:  # fmt: skip
    """Go on where a run was stopped or killed, with what was --set for it; clears what a dead driver left."""
    from triptych.errors import UsageError
    from triptych.study.driver_lock import RECORD

    if not (study / RECORD).exists():
        raise UsageError(
            f"no run was ever started in {study.absolute()}; start one with triptych run -C {study}"
        )
    _drive(targets or [], study, profile, set_ or [], cores, strict, verify, as_json)


def _drive(
    targets: list[str],
    folder: Path,
    profile: str,
    sets: list[str],
    cores: int | None,
    strict: bool,
    verify: bool,
    as_json: bool,
) -> None:
    from triptych.steps import open_study
    from triptych.study.driver import Request, drive
    from triptych_cli.watch import RunWatch
    from triptych_cli.words import failure_lines

    wanted, extra = _split(targets)
    config = folder / "config.yaml"
    study = open_study(config, tuple(sets))

    def reopen(left_out: dict[str, str]) -> Any:
        reasons = json.dumps({**study.settings.cohort.left_out, **left_out})
        return open_study(config, (*sets, f"cohort.left_out={reasons}"))

    with RunWatch() as watch:
        report = drive(
            study,
            Request(wanted, profile, cores, strict, verify, sets, extra),
            reopen,
            watch.tell,
            watch.look,
        )
    for line in failure_lines(report.failed, study.root):
        print(line, file=sys.stderr)
    page = study.root / "results/cohort/all/report/report.html"
    if as_json:
        content = {
            "exit": int(report.exit), "left_out": report.left_out, "failed": [status.as_json() for status in report.failed],
            "report": str(page) if page.exists() else None,
        }  # fmt: skip
        print(json.dumps(content))
    elif page.exists() and not wanted:
        print(f"report: {page}")
    raise typer.Exit(int(report.exit))


def _split(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Targets, and what came after ``--`` for Snakemake."""
    if "--" in sys.argv:
        extra = sys.argv[sys.argv.index("--") + 1 :]
        return arguments[: len(arguments) - len(extra)], extra
    return arguments, []
