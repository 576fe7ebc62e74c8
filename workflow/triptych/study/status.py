"""Where every job of a study stands, told from manifests, ledgers, leases and failures alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from triptych.engine import ledger as ledgers
from triptych.engine.lease import holders
from triptych.engine.manifest import FAILURE, read_json, read_manifest
from triptych.study.study import Job, Study

State = Literal["waiting", "running", "stopped", "done", "outdated", "failed"]
STATES: tuple[State, ...] = ("done", "running", "stopped", "failed", "outdated", "waiting")
INTERRUPTED_EXITS = (75, 130)


@dataclass(frozen=True)
class JobStatus:
    """State of one job.

    Attributes
    ----------
    state : ``stopped`` has finished blocks but nobody works on it; ``outdated`` is done under other settings.
    blocks_done, blocks_all : finished blocks and those known so far (phases announce theirs as they start).
    rate_per_s, seconds_left : of the running phase, from the blocks of this start; None when unknown.
    reason : why it failed or stopped.
    """

    step: str
    sample: str | None
    kind: str | None
    state: State
    blocks_done: int = 0
    blocks_all: int = 0
    phase: str | None = None
    rate_per_s: float | None = None
    seconds_left: float | None = None
    exit: int | None = None
    reason: str | None = None
    pid: int | None = None
    host: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)


def study_status(study: Study) -> list[JobStatus]:
    """State of every job, in the order of the pipeline; samples left out are not among them."""
    return [job_status(study, job) for job in study.jobs]


def job_status(study: Study, job: Job) -> JobStatus:
    """State of one job."""
    out = study.root / job.place
    held = holders(out) if (out / "ledger").is_dir() else []
    manifest = read_manifest(out)
    if manifest is not None and not held:
        current = manifest.get("settings_digest") == study.digest(job)
        total = blocks_of(out, study)
        return _status(job, "done" if current else "outdated", total, total)
    folder = _newest_ledger(out)
    state = ledgers.read(folder) if folder else ledgers.Ledger()
    done, total, phase = _count(study, job, state)
    if held:
        rate, left = _rate(study, job, state, phase, done, total)
        return _status(
            job, "running", done, total, phase=phase, rate_per_s=rate, seconds_left=left,
            pid=held[0].get("pid"), host=held[0].get("host"),
        )  # fmt: skip
    failure = read_json(out / FAILURE)
    if failure is not None:
        kind: State = "stopped" if failure["exit"] in INTERRUPTED_EXITS else "failed"
        return _status(job, kind, done, total, exit=failure["exit"], reason=failure["message"])
    return _status(job, "stopped" if state.lines else "waiting", done, total)


def _status(job: Job, state: State, done: int, total: int, **more: Any) -> JobStatus:
    return JobStatus(job.step, job.sample, job.kind, state, done, total, **more)


def _newest_ledger(out: Path) -> Path | None:
    folders = [path for path in (out / ledgers.FOLDER).glob("*/") if path.is_dir()]
    return max(folders, key=lambda path: path.stat().st_mtime_ns, default=None)


def blocks_of(out: Path, study: Study) -> int:
    """Blocks that a finished job counted."""
    folder = _newest_ledger(out)
    return len(ledgers.read(folder).done) if folder else 0


def _count(study: Study, job: Job, state: ledgers.Ledger) -> tuple[int, int, str | None]:
    """Blocks done, blocks known, and the phase under way."""
    done, total, current = 0, 0, None
    for phase in study.steps[job.step].phases:
        if phase.name not in state.blocks:
            total += 1  # a phase that has not begun counts as one block until it announces its own
            continue
        current = phase.name
        finished = len(state.of_phase(phase.name))
        done += finished
        total += max(state.blocks[phase.name], finished)
    return done, total, current


def _rate(
    study: Study, job: Job, state: ledgers.Ledger, phase: str | None, done: int, total: int
) -> tuple[float | None, float | None]:
    records = list(state.of_phase(phase).values()) if phase else []
    if not records:
        return None, None
    seconds = sum(record.seconds for record in records) / len({record.writer for record in records})
    rate = len(records) / seconds if seconds > 0 else None
    return (round(rate, 4), round((total - done) / rate, 1)) if rate else (None, None)


def counts(statuses: list[JobStatus]) -> dict[str, int]:
    """How many jobs are in each state."""
    return {state: sum(status.state == state for status in statuses) for state in STATES}


def read_events(path: Path) -> list[Mapping[str, Any]]:
    """Events that the logger plugin wrote, one JSON object per line; a torn last line is left out."""
    events: list[Mapping[str, Any]] = []
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return events
    for line in lines:
        try:
            events.append(json.loads(line))
        except ValueError:
            continue
    return events
