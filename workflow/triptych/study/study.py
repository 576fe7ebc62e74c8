"""A study: which jobs it has, what each needs, where each lies.

A job is a step on one sample, or a cohort step on the samples of one kind (or, for the report, of all kinds). Results lie in
``results/<sample>/<step>/`` and ``results/cohort/<kind>/<step>/``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from triptych.engine.fingerprint import settings_digest
from triptych.engine.inputs import files_below
from triptych.engine.manifest import MANIFEST
from triptych.engine.run import cohort_part
from triptych.engine.settings import read_settings
from triptych.engine.step import KINDS, Input, Kind, Settings, Step
from triptych.errors import UsageError
from triptych.study.settings import StudySettings, write_resolved
from triptych.study.sheet import DESCRIPTIVE, REQUIRED, Row, Sheet, read_sheet

RESULTS = "results"
ALL = "all"


@dataclass(frozen=True)
class Job:
    """A step with what it runs on: a sample, or a kind (None: all kinds)."""

    step: str
    sample: str | None = None
    kind: Kind | None = None

    @property
    def place(self) -> str:
        """Where its result lies, relative to the study folder."""
        return f"{RESULTS}/{self.sample or f'cohort/{self.kind or ALL}'}/{self.step}"

    @property
    def name(self) -> str:
        """How messages name it."""
        return f"{self.step} of {self.sample or f'cohort {self.kind or ALL}'}"


@dataclass(frozen=True)
class Study:
    """Settings, sheet and steps together."""

    root: Path
    settings: StudySettings
    sheet: Sheet
    steps: Mapping[str, Step]
    excluded: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def open(cls, root: Path, settings: StudySettings, steps: Mapping[str, Step]) -> Study:
        """Read the sheet that the settings name and check what they say of samples."""
        sheet = read_sheet(root / settings.samples)
        excluded = {name: row["exclude"] for name, row in sheet.rows.items() if row.get("exclude")}
        for name in settings.cohort.left_out:
            if name not in sheet.rows:
                raise UsageError(
                    f"cohort.left_out names {name}, which is not in {sheet.folder / settings.samples}"
                )
        _refuse_unread_columns(sheet, steps)
        study = cls(root, settings, sheet, steps, excluded)
        study._check_cells()
        return study

    def _check_cells(self) -> None:
        """Cells of the sheet that are settings must be valid ones."""
        for name, row in self.sheet.rows.items():
            for step in self.steps.values():
                if row.keys() & set(step.sheet_fields):
                    try:
                        self.settings_of(Job(step.name, name))
                    except UsageError as error:
                        raise UsageError(
                            f"{self.sheet.folder / self.settings.samples}, sample {name}: {error}"
                        ) from error

    @cached_property
    def left_out(self) -> dict[str, str]:
        """Samples that take no part, with the reason: excluded by the sheet, or left out of the cohorts."""
        return {**self.excluded, **self.settings.cohort.left_out}

    def kind(self, sample: str) -> Kind:
        """Kind of a sample."""
        kind: Any = self.sheet.rows[sample]["kind"]
        return kind

    def samples(self, kind: Kind | None = None) -> list[str]:
        """Samples that take part, in the order of their names."""
        return sorted(
            name
            for name, row in self.sheet.rows.items()
            if name not in self.left_out and (kind is None or row["kind"] == kind)
        )

    @cached_property
    def jobs(self) -> list[Job]:
        """Every job of the study, samples first, in the order of the steps."""
        found: list[Job] = []
        for step in self.steps.values():
            if not self.wants(step):
                continue
            if step.scope == "sample":
                found += [
                    Job(step.name, name, self.kind(name))
                    for name in self.samples()
                    if self.kind(name) in step.kinds and self._has_cohort(step, self.kind(name))
                ]
            elif step.kinds == () and self.samples():
                found.append(Job(step.name))
            else:
                found += [
                    Job(step.name, None, kind)
                    for kind in KINDS
                    if kind in step.kinds and self.enough(step, kind)
                ]
        return found

    def wants(self, step: Step) -> bool:
        """Whether a step takes part in this study."""
        return step.wanted is None or step.wanted(self.settings)

    def _producer(self, entry: Input, kind: Kind | None) -> Step | None:
        """The step that makes an input in this study: the first of those that may which the study wants."""
        if kind is None:
            return None
        names = (entry.producers.get(kind, ""), entry.alternatives.get(kind, ""))
        made_by = [self.steps[name] for name in names if name in self.steps]
        return next((step for step in made_by if self.wants(step)), None)

    def enough(self, step: Step, kind: Kind) -> bool:
        """Whether a cohort step has the samples it needs."""
        return len(self.samples(kind)) >= max(step.least_samples, self.settings.cohort.min_samples)

    def _has_cohort(self, step: Step, kind: Kind) -> bool:
        """Whether the cohort steps before a sample step run."""
        producers = [self._producer(entry, kind) for entry in step.inputs if entry.required]
        return all(p is None or p.scope == "sample" or self.enough(p, kind) for p in producers)

    def settings_of(self, job: Job) -> Settings:
        """Settings of a job: the step's section, with the fields of the sample's row."""
        step = self.steps[job.step]
        section: Settings = getattr(self.settings, step.name)
        row = self.sheet.rows[job.sample] if job.sample else {}
        fields = {name: row[name] for name in step.sheet_fields if name in row}
        return read_settings(step, section.model_dump() | fields) if fields else section

    def described(self, job: Job) -> dict[str, dict[str, str]]:
        """For a cohort job: what the sheet says of each of its samples."""
        if job.sample is not None:
            return {}
        columns = (*DESCRIPTIVE, "kind") if job.kind is None else DESCRIPTIVE
        rows = self.sheet.rows
        return {
            name: {key: rows[name][key] for key in columns if key in rows[name]}
            for name in self.samples(job.kind)
        }

    def left_out_of(self, job: Job) -> dict[str, str]:
        """For a cohort job: samples of its kind that take no part, with the reason."""
        if job.sample is not None:
            return {}
        return {
            name: why for name, why in sorted(self.left_out.items()) if job.kind in (None, self.kind(name))
        }

    def digest(self, job: Job) -> str:
        """Settings digest of a job: known before any file is opened."""
        step = self.steps[job.step]
        part = cohort_part(step, self.described(job), self.left_out_of(job), job.kind)
        return settings_digest(step.name, step.version, self.settings_of(job).model_dump(mode="json"), part)

    def inputs(self, job: Job) -> dict[str, Path | dict[str, Path]]:
        """Inputs of a job: raw paths, manifests of the jobs it needs, or for cohort jobs one of these per sample."""
        step = self.steps[job.step]
        found: dict[str, Path | dict[str, Path]] = {}
        for entry in step.inputs:
            value = self._collection(entry, job) if entry.many else self._single(entry, job)
            if value:
                found[entry.name] = value
        return found

    def _single(self, entry: Input, job: Job) -> Path | None:
        row: Row = {"kind": job.kind} if job.kind else {}
        if job.sample:
            row = self.sheet.rows[job.sample]
        if entry.when is not None and not entry.when(getattr(self.settings, job.step), row):
            return None
        if entry.sheet is not None:
            return self.sheet.raw(job.sample, entry.sheet) if job.sample else None
        producer = self._producer(entry, job.kind)
        if producer is None:
            return None
        if producer.scope == "cohort":
            if not entry.required and job.kind and not self.enough(producer, job.kind):
                return None
            return self.root / Job(producer.name, None, job.kind).place / MANIFEST
        return self.root / Job(producer.name, job.sample, job.kind).place / MANIFEST

    def _collection(self, entry: Input, job: Job) -> dict[str, Path]:
        if job.kind is None:
            return {
                other.sample or other.kind or ALL: self.root / other.place / MANIFEST
                for other in self.jobs
                if other.step == entry.name
            }
        producer = entry.producers[job.kind]
        return {
            name: self.root / Job(producer, name, job.kind).place / MANIFEST
            for name in self.samples(job.kind)
        }

    def raw_files(self, job: Job) -> dict[str, list[Path]]:
        """Raw files of a job that are there, by input (for the rule's modification times)."""
        found = {}
        for entry in self.steps[job.step].inputs:
            path = self._single(entry, job) if entry.sheet is not None else None
            if path is not None and path.exists():
                files = list(entry.files(path)) if entry.files else list(files_below(path))
                found[entry.name] = [file for file in files if file.exists()]
        return found

    def upstream(self, job: Job) -> list[Job]:
        """Jobs whose results a job reads."""
        by_place = {other.place: other for other in self.jobs}
        paths: list[Path] = []
        for value in self.inputs(job).values():
            paths += value.values() if isinstance(value, dict) else [value]
        places = (path.parent.relative_to(self.root).as_posix() for path in paths if path.name == MANIFEST)
        return [by_place[place] for place in places if place in by_place]

    def job(self, step: str, sample: str | None, kind: Kind | None) -> Job:
        """The job of a step for a sample or a kind.

        Raises
        ------
        UsageError
            The sample is not in the sheet, or the step does not apply to its kind.
        """
        declared = self.steps[step]
        if sample is not None:
            if sample not in self.sheet.rows:
                raise UsageError(f"sample {sample} is not in {self.sheet.folder / self.settings.samples}")
            kind = self.kind(sample)
            if kind not in declared.kinds:
                raise UsageError(f"{declared.command} does not apply to {sample}, which is a {kind}")
        elif declared.scope == "cohort" and declared.kinds and kind not in declared.kinds:
            raise UsageError(
                f"{declared.command} runs on the samples of one kind: give --kind {' or '.join(declared.kinds)}"
            )
        elif declared.scope == "sample":
            raise UsageError(f"{declared.command} runs on one sample: give --sample NAME with --config")
        return Job(step, sample, kind)

    def write_config(self) -> str:
        """Write the resolved settings; returns their path relative to the study folder."""
        return write_resolved(self.root, self.settings)

    def write_inputs(self, jobs: Iterable[Job] | None = None) -> Iterator[str]:
        """Write the list of inputs of every cohort job (for ``--inputs-from``), relative to the study folder."""
        from triptych.engine.files import write_bytes

        for job in self.jobs if jobs is None else jobs:
            if job.sample is not None:
                continue
            lines = [
                f"{name}\t{key}\t{path.relative_to(self.root).as_posix()}\n"
                for name, value in self.inputs(job).items()
                for key, path in (value.items() if isinstance(value, dict) else [("", value)])
            ]
            key = inputs_file(job)
            content = "".join(lines).encode()
            if not (self.root / key).exists() or (self.root / key).read_bytes() != content:
                write_bytes(self.root / key, content)
            yield key


def inputs_file(job: Job) -> str:
    """Where the list of inputs of a cohort job lies."""
    return f".triptych/inputs/{job.kind or ALL}/{job.step}.tsv"


def _refuse_unread_columns(sheet: Sheet, steps: Mapping[str, Step]) -> None:
    """A filled cell that no step reads is a mistake, not a remark."""
    always = {*REQUIRED, *DESCRIPTIVE, "exclude"}
    read = {
        kind: {
            column
            for step in steps.values()
            if kind in step.kinds
            for column in (*step.sheet_fields, *(entry.sheet for entry in step.inputs if entry.sheet))
        }
        for kind in KINDS
    }
    for name, row in sheet.rows.items():
        known = next(columns for kind, columns in read.items() if kind == row["kind"]) - always
        if unread := sorted(row.keys() - always - known):
            raise UsageError(
                f"column {unread[0]} is read by no step for {name}, a {row['kind']}; empty the cell "
                f"(columns of a {row['kind']}: {', '.join(sorted(known))})"
            )
