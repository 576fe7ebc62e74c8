"""A study: its jobs, what they need, and what their digests depend on."""

from pathlib import Path

import pytest

from triptych.engine.step import KINDS
from triptych.errors import UsageError
from triptych.steps import NAMES, all_steps, load_step, open_study
from triptych.study.study import Job, Study

SHEET = """sample\tkind\tpath\tsubject\tgroup\texclude\tvoxel_size_nm
V1\tvolume\tv1.tif\ts1\ta\t\t40,8,8
C1\tcloud\tc1.fcs\ts1\ta\t\t
C2\tcloud\tc2.fcs\ts2\tb\t\t
C3\tcloud\tc3.fcs\ts3\tb\tclotted\t
S1\tsignal\ts1_raw.fif\ts1\ta\t\t
"""


def make(folder: Path, config: str = "", sheet: str = SHEET) -> Study:
    (folder / "config.yaml").write_text(config)
    (folder / "samples.tsv").write_text(sheet)
    return open_study(folder / "config.yaml")


def test_every_step_has_its_module_command_and_rule() -> None:
    rules = "".join(path.read_text() for path in (Path(__file__).parents[3] / "rules").glob("*.smk"))
    for name in NAMES:
        step = load_step(name)
        assert step.name == name
        assert load_step(step.command) is step
        assert f"rule {name}:" in rules
        assert f"triptych step {step.command} " in rules.replace('"\n', " ").replace('  "', "")
        assert set(step.kinds) <= set(KINDS)


def test_every_producer_exists_and_makes_the_store() -> None:
    import fnmatch

    for step in all_steps().values():
        for entry in step.inputs:
            for kind, producer in (*entry.producers.items(), *entry.alternatives.items()):
                store = entry.store_for(kind)
                outputs = all_steps()[producer].outputs
                assert store is None or any(fnmatch.fnmatchcase(store, pattern) for pattern in outputs), (
                    step.name,
                    entry.name,
                )


def test_shared_atoms_take_the_place_of_those_of_each_recording(tmp_path: Path) -> None:
    sheet = SHEET + "S2\tsignal\ts2_raw.fif\ts2\tb\t\t\n"
    alone = make(tmp_path, sheet=sheet)
    names = {job.step for job in alone.jobs}
    assert "learn_atoms" in names
    assert not {"learn_cohort_atoms", "choose_atoms", "learn_textures"} & names
    shared = make(tmp_path, "learn_cohort_atoms: {shared_by: cohort}", sheet)
    names = {job.step for job in shared.jobs}
    assert "learn_cohort_atoms" in names
    assert "learn_atoms" not in names
    for sample in ("S1", "S2"):
        found = shared.inputs(Job("encode_signal", sample, "signal"))["dictionary"]
        assert found == tmp_path / "results/cohort/signal/learn_cohort_atoms/manifest.json"
    assert Job("learn_cohort_atoms", None, "signal") in shared.upstream(Job("encode_signal", "S1", "signal"))


def test_a_choice_is_made_before_learning_where_it_is_asked_for(tmp_path: Path) -> None:
    study = make(tmp_path, "choose_atoms: {enabled: true}")
    assert Job("choose_atoms", "S1", "signal") in study.jobs
    inputs = study.inputs(Job("learn_atoms", "S1", "signal"))
    assert inputs["choice"] == tmp_path / "results/S1/choose_atoms/manifest.json"
    assert "choice" not in make(tmp_path).inputs(Job("learn_atoms", "S1", "signal"))


def test_excluded_samples_have_no_jobs_but_are_named(tmp_path: Path) -> None:
    study = make(tmp_path)
    assert not [job for job in study.jobs if job.sample == "C3"]
    assert study.left_out == {"C3": "clotted"}
    assert study.left_out_of(Job("compare_samples", None, "cloud")) == {"C3": "clotted"}
    assert study.left_out_of(Job("scale_features", None, "signal")) == {}


def test_results_lie_where_the_house_says(tmp_path: Path) -> None:
    places = {job.place for job in make(tmp_path).jobs}
    assert {
        "results/V1/segment_volume",
        "results/cohort/cloud/compare_samples",
        "results/cohort/all/report",
    } <= places


def test_comparing_needs_two_samples(tmp_path: Path) -> None:
    jobs = make(tmp_path).jobs
    assert Job("compare_samples", None, "cloud") in jobs
    assert Job("compare_samples", None, "volume") not in jobs
    assert Job("scale_features", None, "volume") in jobs


def test_digest_follows_settings_sheet_and_nothing_else(tmp_path: Path) -> None:
    study = make(tmp_path)
    before = {job: study.digest(job) for job in study.jobs}
    changed = make(tmp_path, "quantize_cloud: {n_centers: 7}\n")
    differing = {job.step for job in study.jobs if changed.digest(job) != before[job]}
    assert differing == {"quantize_cloud"}
    other_voxel = make(tmp_path, sheet=SHEET.replace("40,8,8", "50,8,8"))
    assert {job.step for job in study.jobs if other_voxel.digest(job) != before[job]} == {"import_volume"}
    other_group = make(tmp_path, sheet=SHEET.replace("C2\tcloud\tc2.fcs\ts2\tb", "C2\tcloud\tc2.fcs\ts2\ta"))
    differing_jobs = {job for job in study.jobs if other_group.digest(job) != before[job]}
    assert differing_jobs
    assert all(job.sample is None and job.kind in ("cloud", None) for job in differing_jobs)


def test_left_out_sample_changes_only_cohort_digests(tmp_path: Path) -> None:
    study = make(tmp_path)
    less = make(tmp_path, "cohort: {left_out: {C2: torn}}\n")
    assert not [job for job in less.jobs if job.sample == "C2"]
    kept = [job for job in less.jobs if job.sample == "C1"]
    assert [less.digest(job) for job in kept] == [study.digest(job) for job in kept]
    job = Job("scale_features", None, "cloud")
    assert less.digest(job) != study.digest(job)


@pytest.mark.parametrize("cell", ["0,1,1", "40,10", "wide", "nan"])
def test_cells_that_are_settings_must_be_valid(tmp_path: Path, cell: str) -> None:
    with pytest.raises(UsageError, match=r"samples\.tsv, sample V1: setting import_volume\.voxel_size_nm"):
        make(tmp_path, sheet=SHEET.replace("40,8,8", cell))


def test_left_out_names_must_exist(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="names C9"):
        make(tmp_path, "cohort: {left_out: {C9: torn}}\n")


def test_wrong_jobs_are_refused(tmp_path: Path) -> None:
    study = make(tmp_path)
    with pytest.raises(UsageError, match="is not in"):
        study.job("import_cloud", "C9", None)
    with pytest.raises(UsageError, match="which is a volume"):
        study.job("import_cloud", "V1", None)
    with pytest.raises(UsageError, match="--sample NAME"):
        study.job("import_cloud", None, None)
    with pytest.raises(UsageError, match="did you mean quantize-cloud"):
        load_step("quantise-cloud")


def test_inputs_are_manifests_of_the_steps_before(tmp_path: Path) -> None:
    study = make(tmp_path)
    inputs = study.inputs(Job("measure_objects", "V1", "volume"))
    assert inputs["labels"] == tmp_path / "results/V1/segment_volume/manifest.json"
    assert inputs["image"] == tmp_path / "results/V1/import_volume/manifest.json"
    measures = study.inputs(Job("compare_samples", None, "cloud"))["measures"]
    assert isinstance(measures, dict)
    assert list(measures) == ["C1", "C2"]
    assert "scaling" not in study.inputs(Job("quantize_cloud", "C1", "cloud"))
    assert "scaling" in study.inputs(Job("quantize_cloud", "S1", "signal"))
    assert {job.step for job in study.upstream(Job("quantize_cloud", "S1", "signal"))} == {
        "describe_atoms",
        "scale_features",
    }


def test_report_takes_every_job(tmp_path: Path) -> None:
    study = make(tmp_path)
    report = Job("report")
    assert set(study.upstream(report)) == set(study.jobs) - {report}


def test_list_of_inputs_is_written_for_every_cohort_job(tmp_path: Path) -> None:
    study = make(tmp_path)
    keys = list(study.write_inputs())
    lines = (tmp_path / ".triptych/inputs/cloud/compare_samples.tsv").read_text().splitlines()
    assert lines[0].split("\t") == ["measures", "C1", "results/C1/quantize_cloud/manifest.json"]
    assert ".triptych/inputs/all/report.tsv" in keys
