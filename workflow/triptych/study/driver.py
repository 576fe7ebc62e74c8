"""Driving Snakemake: a child process with our profile and logger; sample steps first, cohort steps over what is whole."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from triptych.engine.files import write_json
from triptych.engine.lease import DRIVER_VARIABLE
from triptych.engine.manifest import MANIFEST, read_json
from triptych.errors import Exit, InputError, UsageError
from triptych.study.driver_lock import DriverLock, hold_study, signal_tree
from triptych.study.pipeline import pipeline_root, profile_folder
from triptych.study.status import JobStatus, job_status, read_events
from triptych.study.study import RESULTS, Study
from triptych.study.verify import verify_folder

EVENTS = ".triptych/events"
IDENTITY = "study.json"
POLL_S = 0.2
SNAKEMAKE_USAGE = 2
VERIFY_VARIABLE = "TRIPTYCH_VERIFY"

Tell = Callable[[str], None]
Watch = Callable[[Study, Path], None]
Reopen = Callable[[dict[str, str]], Study]


@dataclass(frozen=True)
class Request:
    """What a user asks of ``triptych run``."""

    targets: Sequence[str] = ()
    profile: str = "local"
    cores: int | None = None
    strict: bool = False
    verify: bool = False
    sets: Sequence[str] = ()
    snakemake_args: Sequence[str] = ()


@dataclass
class Report:
    """What a run came to."""

    exit: Exit
    failed: list[JobStatus] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)


def drive(study: Study, request: Request, reopen: Reopen, tell: Tell, watch: Watch) -> Report:
    """Run a study to its end.

    Parameters
    ----------
    reopen : opens the study again with more samples left out of the cohorts (sample -> reason).
    tell : takes one sentence for the user.
    watch : called about five times a second while Snakemake works, with the study and the events file.
    """
    check_identity(study)
    with hold_study(study.root, [job.place for job in study.jobs], tell) as lock:
        if request.verify:
            _withdraw_damaged(study, tell)
        code, failed = _snakemake(study, request, lock, watch)
        if code != 0 and not request.strict and not request.targets and _stopped_by(code) is None:
            again = _samples_to_leave_out(study, failed)
            if again and set(again) < set(study.samples()):
                for name, reason in sorted(again.items()):
                    tell(f"{name} is left out of the cohort steps: {reason}")
                study = reopen(again)
                code, more = _snakemake(study, request, lock, watch)
                failed += [status for status in more if status.sample not in again]
        return Report(_exit(code, failed), failed, dict(study.left_out))


def check_identity(study: Study) -> None:
    """Mark the results folder as this study's, or refuse it if it is another's.

    Raises
    ------
    UsageError
        ``results/`` was written by another study, or holds foreign files.
    """
    own, theirs = study.root / ".triptych" / IDENTITY, study.root / RESULTS / IDENTITY
    mine, found = read_json(own), read_json(theirs)
    if found is None and theirs.parent.is_dir() and any(theirs.parent.iterdir()):
        raise UsageError(
            f"{theirs.parent} holds files of no triptych study; move them away, or start in another folder"
        )
    if found is not None and (mine is None or mine["id"] != found["id"]):
        raise UsageError(
            f"{theirs.parent} is the output folder of another study; move it away, or copy its .triptych too"
        )
    if mine is None:
        mine = {"id": os.urandom(16).hex()}
        write_json(own, mine)
    if found is None:
        write_json(theirs, mine)


def target_files(study: Study, targets: Sequence[str]) -> list[str]:
    """Manifests that a target means: a step, a sample, or sample/step.

    Raises
    ------
    UsageError
        A target names nothing of this study.
    """
    files: list[str] = []
    for target in targets:
        sample, slash, step = target.rstrip("/").partition("/")
        name = (step if slash else target).replace("-", "_")
        found = [
            job
            for job in study.jobs
            if (slash and job.step == name and sample in (job.sample, job.kind))
            or (not slash and (job.step == name or job.sample == target))
        ]
        if not found:
            raise UsageError(f"target {target} names no step, sample or sample/step of this study")
        files += [f"{job.place}/{MANIFEST}" for job in found]
    return files


def snakemake_command(study: Study, request: Request) -> list[str]:
    """The command line of Snakemake for a request."""
    config = study.write_config()
    list(study.write_inputs())
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(pipeline_root() / "Snakefile")]
    command += ["--directory", str(study.root), "--configfile", str(study.root / config)]
    command += ["--profile", str(profile_folder(request.profile)), "--logger", "triptych"]
    command += ["--rerun-incomplete", "--keep-going"]
    if request.cores is not None:
        command += ["--cores", str(request.cores)]
    return [*command, *request.snakemake_args, *target_files(study, request.targets)]


def _snakemake(study: Study, request: Request, lock: DriverLock, watch: Watch) -> tuple[int, list[JobStatus]]:
    """One run of Snakemake: its exit code and the jobs that failed; signals go on to it, so that steps finish their blocks."""
    stamp = time.strftime("%Y%m%dT%H%M%S") + f"-{os.getpid()}-{time.monotonic_ns() % 1000:03d}"
    events = study.root / EVENTS / f"{stamp}.ndjson"
    events.parent.mkdir(parents=True, exist_ok=True)
    here = str(Path(sys.executable).parent)
    environment = {
        **os.environ,
        DRIVER_VARIABLE: lock.driver,
        "TRIPTYCH_EVENTS": str(events),
        "PATH": f"{here}{os.pathsep}{os.environ.get('PATH', '')}",
        "PYTHONUNBUFFERED": "1",
    }
    if request.verify:
        environment[VERIFY_VARIABLE] = "1"
    command = snakemake_command(study, request)
    asked: list[int] = []
    started: list[int] = []

    def forward(number: int, _frame: object) -> None:
        asked.append(number)
        for pid in started:
            signal_tree(pid, signal.SIGTERM if len(asked) == 1 else signal.SIGKILL)

    # Before Snakemake starts, so that no signal falls between its start and the handlers.
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
    before = {number: signal.signal(number, forward) for number in numbers}
    try:
        with open(events.with_suffix(".log"), "wb") as log:
            child = subprocess.Popen(
                command, cwd=study.root, env=environment, stdout=log, stderr=log,
                stdin=subprocess.DEVNULL, pass_fds=(lock.descriptor,), start_new_session=True,
            )  # fmt: skip
        lock.record(request.sets, study.settings.cohort.left_out, child.pid)
        started.append(child.pid)
        if asked:
            signal_tree(child.pid, signal.SIGTERM)
        while child.poll() is None:
            watch(study, events)
            time.sleep(POLL_S)
        watch(study, events)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    failed = _failed(study, events)
    if asked:
        return -asked[0], failed
    if child.returncode == SNAKEMAKE_USAGE and not read_events(events):
        lines = events.with_suffix(".log").read_text(errors="replace").strip().splitlines()
        raise UsageError(f"Snakemake refuses its arguments: {lines[-1] if lines else 'it did not say why'}")
    if child.returncode != 0 and not failed:
        raise InputError(
            f"Snakemake could not run: {_last_error(events)}; the whole log is {events.with_suffix('.log')}"
        )
    return child.returncode, failed


def _withdraw_damaged(study: Study, tell: Tell) -> None:
    """Take back the manifests of results whose bytes are not what they were, so that their damaged blocks are made again."""
    for job in study.jobs:
        out = study.root / job.place
        if (out / MANIFEST).exists():
            verdict = verify_folder(out)
            if not verdict.whole:
                tell(
                    f"{job.name} is damaged ({', '.join(verdict.damaged + verdict.missing + verdict.stray) or verdict.reason})"
                )
                (out / MANIFEST).unlink()


def _stopped_by(code: int) -> int | None:
    return -code if code < 0 else None


def _failed(study: Study, events: Path) -> list[JobStatus]:
    """Jobs that this run of Snakemake saw fail or stop, with their own word, else the last line of their log."""
    logs = {
        log for event in read_events(events) if event["event"] == "job_error" for log in event.get("log", [])
    }
    found = []
    for job in study.jobs:
        log = study.root / (job.place.replace(RESULTS, "logs", 1) + ".log")
        if log.relative_to(study.root).as_posix() not in logs:
            continue
        status = job_status(study, job)
        if status.state not in ("failed", "stopped") or status.reason is None:
            lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
            reason = lines[-1] if lines else "it ended without a word (killed?)"
            status = JobStatus(job.step, job.sample, job.kind, "failed", exit=1, reason=reason)
        found.append(status)
    return found


def _last_error(events: Path) -> str:
    errors = [event for event in read_events(events) if event["level"] in ("ERROR", "CRITICAL")]
    message = str(errors[-1]["message"]).strip() if errors else ""
    if not message:
        lines = events.with_suffix(".log").read_text(errors="replace").strip().splitlines()
        message = lines[-1] if lines else "it said nothing"
    return " ".join(message.split())[:500]


def _samples_to_leave_out(study: Study, failed: Sequence[JobStatus]) -> dict[str, str]:
    """Samples with a failed step before the cohorts, with the first reason."""
    found: dict[str, str] = {}
    for status in failed:
        if status.sample is not None and status.state == "failed" and status.sample not in found:
            found[status.sample] = f"{status.step} failed: {status.reason}"
    return found


def _exit(code: int, failed: Sequence[JobStatus]) -> Exit:
    number = _stopped_by(code)
    if number == signal.SIGINT:
        return Exit.CTRL_C
    if number is not None or any(
        status.state == "stopped" and status.exit == Exit.INTERRUPTED for status in failed
    ):
        return Exit.INTERRUPTED
    return Exit.FAILED if code != 0 or failed else Exit.DONE
