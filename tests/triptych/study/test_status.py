"""Status and plan are told from what lies on disk."""

import json
from pathlib import Path

import pytest

from triptych.engine.lease import lease
from triptych.engine.run import run_step
from triptych.errors import InputError, UsageError
from triptych.steps import open_study
from triptych.study.plan import make_plan, refuse_what_cannot_fit
from triptych.study.status import counts, job_status, read_events, study_status
from triptych.study.study import Job, Study

EVENTS = "CD3,CD4\n" + "".join(f"{i % 7}.5,{i % 11}.25\n" for i in range(3000))
IMPORT, QUANTIZE = Job("import_cloud", "A", "cloud"), Job("quantize_cloud", "A", "cloud")


def make(folder: Path, config: str = "import_cloud: {transform: none}\n") -> Study:
    (folder / "config.yaml").write_text(config)
    (folder / "samples.tsv").write_text("sample\tkind\tpath\nA\tcloud\ta.csv\nB\tcloud\tb.csv\n")
    (folder / "a.csv").write_text(EVENTS)
    return open_study(folder / "config.yaml")


def run(study: Study, job: Job) -> None:
    run_step(
        study.steps[job.step],
        study.inputs(job),
        study.root / job.place,
        study.settings_of(job),
        expect=study.digest(job),
    )


def test_every_state_in_turn(tmp_path: Path) -> None:
    study = make(tmp_path)
    assert counts(study_status(study))["waiting"] == len(study.jobs)
    run(study, IMPORT)
    done = job_status(study, IMPORT)
    assert (done.state, done.blocks_done) == ("done", done.blocks_all)
    with lease(tmp_path / IMPORT.place):
        assert job_status(study, IMPORT).state == "running"
    other = make(tmp_path, "import_cloud: {transform: arcsinh}\n")
    assert job_status(other, IMPORT).state == "outdated"
    (tmp_path / IMPORT.place / "manifest.json").unlink()
    assert job_status(study, IMPORT).state == "stopped"
    with pytest.raises(InputError):
        run(study, Job("import_cloud", "B", "cloud"))
    failed = job_status(study, Job("import_cloud", "B", "cloud"))
    assert (failed.state, failed.exit) == ("failed", 3)
    assert "b.csv" in str(failed.reason)


def test_plan_says_why(tmp_path: Path) -> None:
    study = make(tmp_path)
    plan = make_plan(study)
    assert "b.csv does not exist" in plan.unreadable["B"]
    assert plan.totals["jobs"] == len(study.jobs)
    assert plan.totals["peak_memory_bytes"] > 300 * 2**20
    refuse_what_cannot_fit(plan, 2**40, 2**40)
    with pytest.raises(UsageError, match=r"would need .* GiB of memory"):
        refuse_what_cannot_fit(plan, 2**20, 2**40)
    with pytest.raises(UsageError, match="make room first"):
        refuse_what_cannot_fit(plan, 2**40, 1)
    run(study, IMPORT)
    run(study, QUANTIZE)
    why = {(job.step, job.sample): (job.runs, job.why) for job in make_plan(study).jobs}
    assert why["import_cloud", "A"] == (False, "done")
    assert why["quantize_cloud", "A"] == (False, "done")
    assert why["compare_samples", None][0]
    other = make(tmp_path, "import_cloud: {transform: arcsinh}\n")
    why = {(job.step, job.sample): (job.runs, job.why) for job in make_plan(other).jobs}
    assert why["import_cloud", "A"] == (True, "settings changed: transform")
    assert why["quantize_cloud", "A"] == (True, "import_cloud runs before it")


def test_a_torn_event_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "e.ndjson").write_text(json.dumps({"event": "progress"}) + '\n{"event": "jo')
    assert read_events(tmp_path / "e.ndjson") == [{"event": "progress"}]
    assert read_events(tmp_path / "none.ndjson") == []
