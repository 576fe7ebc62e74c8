"""What would run, why, and what it would need; refused where it cannot fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from triptych.engine.fingerprint import differences
from triptych.engine.manifest import MANIFEST, read_manifest
from triptych.engine.step import Estimate
from triptych.errors import InputError, TriptychError, UsageError
from triptych.study.study import Job, Study

LIBRARIES_BYTES = (
    300 * 2**20
)  # the interpreter with the libraries of a step: 205 to 300 MiB measured over all steps


@dataclass(frozen=True)
class Planned:
    """One job of the plan: whether it runs, why, and its needs (None where only its inputs will tell)."""

    step: str
    sample: str | None
    kind: str | None
    runs: bool
    why: str
    estimate: Estimate | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)


@dataclass(frozen=True)
class Plan:
    """The jobs, and the samples whose raw files cannot be read, with the reason."""

    jobs: list[Planned]
    unreadable: Mapping[str, str]

    @property
    def running(self) -> list[Planned]:
        """Jobs that would run."""
        return [job for job in self.jobs if job.runs]

    @property
    def totals(self) -> dict[str, int]:
        """Sums of the estimates of the jobs that would run, and the greatest memory of one."""
        known = [job.estimate for job in self.running if job.estimate is not None]
        return {
            "jobs": len(self.running),
            "blocks": sum(e.blocks for e in known),
            "output_bytes": sum(e.output_bytes for e in known),
            "files": sum(e.files for e in known),
            "peak_memory_bytes": max((e.memory_bytes for e in known), default=0),
        }


def make_plan(study: Study) -> Plan:
    """Decide for every job whether it would run; raw recordings are probed by their headers only."""
    extents: dict[str, Mapping[str, Any]] = {}
    unreadable: dict[str, str] = {}
    for job in study.jobs:
        step = study.steps[job.step]
        if job.sample is None or step.probe is None:
            continue
        path = study.inputs(job).get("raw")
        try:
            if path is None or isinstance(path, dict) or not path.exists():
                raise InputError(f"{path} does not exist; check the column path of the sample sheet")
            extents[job.sample] = step.probe(path, study.settings_of(job))
        except TriptychError as error:
            unreadable[job.sample] = str(error)
    planned: dict[Job, Planned] = {}
    for job in study.jobs:
        runs, why = _decide(study, job, planned)
        planned[job] = Planned(job.step, job.sample, job.kind, runs, why, _estimate(study, job, extents))
    return Plan(list(planned.values()), unreadable)


def _decide(study: Study, job: Job, before: Mapping[Job, Planned]) -> tuple[bool, str]:
    manifest = read_manifest(study.root / job.place)
    if manifest is None:
        begun = (study.root / job.place / "ledger").is_dir()
        return True, "goes on where it stopped" if begun else "has not run"
    for other in study.upstream(job):
        if other in before and before[other].runs:
            return True, f"{other.step} runs before it"
    if manifest.get("settings_digest") != study.digest(job):
        changed = differences(manifest.get("settings", {}), study.settings_of(job).model_dump(mode="json"))
        if changed:
            return True, f"settings changed: {', '.join(changed)}"
        if manifest.get("version") != study.steps[job.step].version:
            return True, f"step version {manifest.get('version')} became {study.steps[job.step].version}"
        return True, "other samples, or other groups in the sheet"
    made = (study.root / job.place / MANIFEST).stat().st_mtime_ns
    newer = [
        path for files in study.raw_files(job).values() for path in files if path.stat().st_mtime_ns > made
    ]
    if newer:
        return True, f"{newer[0].name} is newer than the result"
    return False, "done"


def _estimate(study: Study, job: Job, extents: Mapping[str, Mapping[str, Any]]) -> Estimate | None:
    step = study.steps[job.step]
    if step.estimate is None or job.sample is None or job.sample not in extents:
        return None
    needs = step.estimate(extents[job.sample], study.settings_of(job))
    return replace(needs, memory_bytes=needs.memory_bytes + LIBRARIES_BYTES)


def refuse_what_cannot_fit(plan: Plan, memory_bytes: int, disk_bytes: int) -> None:
    """Raise UsageError when a job needs more memory, or all more disk, than there is."""
    for job in plan.running:
        if job.estimate is not None and job.estimate.memory_bytes > memory_bytes:
            raise UsageError(
                f"{job.step} of {job.sample} would need {job.estimate.memory_bytes / 2**30:.1f} GiB of memory, this machine "
                f"has {memory_bytes / 2**30:.1f} GiB free; choose a smaller {job.step}.block_shape or fewer workers"
            )
    need = plan.totals["output_bytes"]
    if need > disk_bytes:
        raise UsageError(
            f"the results would take {need / 2**30:.1f} GiB, the disk has {disk_bytes / 2**30:.1f} GiB free; make room first"
        )
