"""Making the report of what is done so far, without Snakemake."""

from __future__ import annotations

from pathlib import Path

from triptych.engine.manifest import MANIFEST
from triptych.engine.run import run_step
from triptych.errors import InputError
from triptych.study.study import Job, Study

PAGE = "report.html"


def make_report(study: Study) -> Path:
    """Run the report step on every finished job; returns the page.

    Raises
    ------
    InputError
        Nothing is finished yet.
    """
    job = Job("report")
    inputs: dict[str, Path | dict[str, Path]] = {}
    for name, value in study.inputs(job).items():
        paths = value if isinstance(value, dict) else {}
        done = {key: path for key, path in paths.items() if path.exists()}
        if done:
            inputs[name] = done
    if not inputs:
        raise InputError(
            f"nothing is finished in {study.root}; triptych run does the work, triptych status shows how far it is"
        )
    out = study.root / job.place
    run_step(
        study.steps[job.step],
        inputs,
        out,
        study.settings_of(job),
        sheet=study.described(job),
        left_out=study.left_out_of(job),
    )
    if set(inputs) != set(study.inputs(job)):
        (out / MANIFEST).unlink(missing_ok=True)  # a report of a part is not the report of the study
    return out / PAGE
