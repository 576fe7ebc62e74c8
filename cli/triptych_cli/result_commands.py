"""``triptych status``, ``verify`` and ``report``."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from triptych_cli.words import amount, duration, who

if TYPE_CHECKING:
    from triptych.study.status import JobStatus
    from triptych.study.study import Study as OpenStudy

Study = Annotated[Path, typer.Option("--study", "-C", help="Study folder.")]
REFRESH_S = 2.0


def status(
    study: Study = Path(),
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object (with --watch, one per line).")
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Look again every two seconds until nothing runs.")
    ] = False,
) -> None:
    """Every step of every sample: waiting, running with its blocks, done, failed and why."""
    from triptych.study.driver_lock import live_driver
    from triptych.study.status import study_status

    while True:
        found = _open_last(study)
        statuses = study_status(found)
        driver = live_driver(found.root)
        if as_json:
            print(json.dumps(_as_json(found, statuses, driver)), flush=True)
        else:
            _print_status(found, statuses, driver, clear=watch and sys.stdout.isatty())
        if not watch or not (driver or any(s.state == "running" for s in statuses)):
            return
        time.sleep(REFRESH_S)


def _open_last(study: Path) -> OpenStudy:
    """The study of config.yaml, with what was --set and who was left out in the run under way or last started."""
    from triptych.engine.manifest import read_json
    from triptych.steps import open_study
    from triptych.study.driver_lock import RECORD

    record = read_json(study / RECORD) or {}
    left_out = record.get("left_out")
    sets = [*record.get("sets", []), *([f"cohort.left_out={json.dumps(left_out)}"] if left_out else [])]
    return open_study(study / "config.yaml", tuple(sets))


def _as_json(study: OpenStudy, statuses: list[JobStatus], driver: dict[str, Any] | None) -> dict[str, Any]:
    from triptych.study.status import counts

    return {
        "study": str(study.root),
        "driver": driver,
        "counts": counts(statuses),
        "left_out": study.left_out,
        "jobs": [entry.as_json() for entry in statuses],
    }


def _print_status(
    study: OpenStudy, statuses: list[JobStatus], driver: dict[str, Any] | None, clear: bool
) -> None:
    from triptych.study.status import counts

    lines = []
    for name, reason in study.left_out.items():
        lines.append(f"left out  {name}: {reason}")
    for entry in statuses:
        blocks = (
            f"{entry.blocks_done}/{entry.blocks_all} blocks"
            if entry.blocks_all and entry.state != "waiting"
            else ""
        )
        moving = entry.rate_per_s and entry.state == "running"
        rate = f"{entry.rate_per_s:.3g}/s, {duration(entry.seconds_left)} left" if moving else ""
        words = "  ".join(part for part in (blocks, rate, entry.reason or "") if part)
        lines.append(f"{entry.state:<9} {entry.step.replace('_', '-'):<19} {who(entry):<20} {words}".rstrip())
    summary = ", ".join(f"{number} {state}" for state, number in counts(statuses).items() if number)
    alive = f"; driver: process {driver['pid']} on {driver['host']}" if driver else ""
    lines.append(f"{summary}{alive}")
    print(("\033[2J\033[H" if clear else "") + "\n".join(lines), flush=True)


def verify(
    path: Annotated[Path | None, typer.Argument(help="A study, a results folder, or one result.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per result.")] = False,
) -> None:
    """Read every stored byte and compare it with the ledger and the manifest."""
    from triptych.errors import StepError
    from triptych.study.verify import verify as check

    broken = 0
    for verdict in check(path or Path("results" if Path("results").is_dir() else ".")):
        broken += verdict.state == "damaged"
        if as_json:
            print(json.dumps(verdict.as_json()), flush=True)
            continue
        print(
            f"{verdict.state:<10} {verdict.folder}  {verdict.files} files, {amount(verdict.bytes)}"
            + (f"  {verdict.reason}" if verdict.reason else "")
        )
        for word in ("damaged", "missing", "stray"):
            for key in getattr(verdict, word):
                print(f"           {word}: {key}")
    if broken:
        several = f"{broken} results are" if broken > 1 else "1 result is"
        raise StepError(f"{several} damaged; triptych resume --verify makes what is damaged again")


def report(study: Study = Path()) -> None:
    """Make the report of what is done so far: one offline HTML file."""
    from triptych.study.report import make_report

    print(make_report(_open_last(study)))
