"""triptych on one page: read the study, include the rules, name the targets.

Every rule is one `triptych step ...` that can be pasted into a shell; its only output is the manifest, written last.
"""

from pathlib import Path

from snakemake.utils import min_version

from triptych.steps import open_study_of

min_version("9.14")

if (
    not config
):  # triptych run gives the resolved one; an empty config.yaml means the defaults, which Snakemake refuses

    configfile: "config.yaml"


study = open_study_of(config, Path())
CONFIG = study.write_config()
list(study.write_inputs())


def named_inputs(step):
    """Inputs of a step by name: manifests of the steps before it, and those raw files that are there.

    A raw file that is missing is the step's to report (exit 3), so that the other samples go on.
    """

    def of(wildcards):
        job = study.job(step, wildcards.get("sample"), wildcards.get("kind"))
        raw = study.raw_files(job)
        sheet = {
            entry.name for entry in study.steps[step].inputs if entry.sheet is not None
        }
        return {
            name: (
                list(map(str, value.values()))
                if isinstance(value, dict)
                else str(value)
            )
            for name, value in study.inputs(job).items()
            if name not in sheet
        } | {name: list(map(str, files)) for name, files in raw.items()}

    return of


def settings_digest(step):
    """Digest of the settings that a step would run with: the only parameter of its rule."""
    return lambda wildcards: study.digest(
        study.job(step, wildcards.get("sample"), wildcards.get("kind"))
    )


wildcard_constraints:
    sample="[A-Za-z0-9][A-Za-z0-9_.-]*",
    kind="volume|cloud|signal",


localrules:
    all,


rule all:
    default_target: True
    input:
        [f"{job.place}/manifest.json" for job in study.jobs],


include: "rules/volume.smk"
include: "rules/cloud.smk"
include: "rules/signal.smk"
include: "rules/cohort.smk"
