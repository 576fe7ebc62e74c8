"""``triptych config`` and ``triptych doctor``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="Check, show, or describe the settings of a study.", no_args_is_help=True, rich_markup_mode=None
)

Study = Annotated[Path, typer.Option("--study", "-C", help="Study folder.")]
Sets = Annotated[list[str] | None, typer.Option("--set", help="section.key=value. Repeatable.")]


@app.command()
def check(study: Study = Path(), set_: Sets = None) -> None:
    """Check config.yaml and the sample sheet."""
    from triptych.steps import open_study

    found = open_study(study / "config.yaml", tuple(set_ or ()))
    kinds = {kind: len(found.samples(kind)) for kind in ("volume", "cloud", "signal")}
    words = ", ".join(f"{number} {kind}{'s' * (number != 1)}" for kind, number in kinds.items() if number)
    print(f"config.yaml and {found.settings.samples} are valid: {words}; {len(found.jobs)} jobs")
    for name, reason in found.left_out.items():
        print(f"left out: {name} ({reason})")


@app.command()
def show(
    study: Study = Path(),
    set_: Sets = None,
    default: Annotated[bool, typer.Option(help="The defaults.")] = False,
) -> None:
    """Show every setting as a run would use it."""
    from triptych.steps import open_study, study_model
    from triptych.study.settings import default_yaml, resolved_yaml

    if default:
        print(default_yaml(study_model()), end="")
    else:
        print(resolved_yaml(open_study(study / "config.yaml", tuple(set_ or ())).settings), end="")


@app.command()
def schema() -> None:
    """Print the JSON schema of config.yaml."""
    from triptych.steps import study_model

    print(json.dumps(study_model().model_json_schema(), indent=2))


def doctor(as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False) -> None:
    """What is missing on this machine, before the queue finds out."""
    from triptych.errors import StepError
    from triptych.study.doctor import examine

    findings = examine(Path.cwd())
    if as_json:
        print(json.dumps({"findings": [finding.as_json() for finding in findings]}))
    else:
        for finding in findings:
            print(
                f"{finding.level:>7}  {finding.what}: {finding.found}"
                + (f" - {finding.remedy}" if finding.remedy else "")
            )
    if any(finding.level == "missing" for finding in findings):
        raise StepError("something needed is missing; see the lines above")
