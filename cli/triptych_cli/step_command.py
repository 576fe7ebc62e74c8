"""``triptych step STEP``: one command per step, made from its declaration."""

from __future__ import annotations

import inspect
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from triptych.engine.step import Step
    from triptych.study.study import Job, Study

COMMON: dict[str, tuple[Any, Any]] = {
    "out": (Annotated[Path, typer.Option("--out", help="Result folder of the step.")], inspect.Parameter.empty),
    "config": (Annotated[Path | None, typer.Option(help="config.yaml of a study: its settings and inputs.")], None),
    "sample": (Annotated[str | None, typer.Option(help="Row of the sample sheet.")], None),
    "kind": (Annotated[str | None, typer.Option(help="For cohort steps: volume, cloud or signal.")], None),
    "inputs_from": (
        Annotated[Path | None, typer.Option(help="For cohort steps: input, sample, path per line, split by tabs.")],
        None,
    ),
    "set_": (Annotated[list[str] | None, typer.Option("--set", help="Setting of the step: key=value. Repeatable.")], None),
    "workers": (Annotated[int, typer.Option(min=1, help="Blocks worked on at a time.")], 1),
    "executor": (Annotated[str | None, typer.Option(help="threads, processes or dask.")], None),
    "scheduler": (Annotated[str | None, typer.Option(help="Address of a Dask scheduler, tcp://host:port.")], None),
    "device": (Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:i.")], "auto"),
    "phase": (Annotated[str | None, typer.Option(help="With --blocks: the map phase.")], None),
    "blocks": (Annotated[str | None, typer.Option(help="Part i/n of the blocks of a map phase, for a job array.")], None),
    "expect": (Annotated[str | None, typer.Option(help="Refuse to run under another settings digest.")], None),
    "verify": (Annotated[bool, typer.Option("--verify", help="Trust finished blocks only after reading them.")], False),
    "as_json": (Annotated[bool, typer.Option("--json", help="Print the manifest and what was done as one JSON object.")], False),
}  # fmt: skip


class StepGroup(TyperGroup):
    """The steps, each loaded only when it is named."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names of the steps in the order of the pipeline."""
        from triptych.steps import NAMES

        return [name.replace("_", "-") for name in NAMES]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of one step."""
        from triptych.steps import load_step

        step = load_step(cmd_name)
        single = typer.Typer(rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False)
        single.command(cmd_name, help=step.help)(_command(step))
        return typer.main.get_command(single)


def _command(step: Step) -> Callable[..., None]:
    """A function whose signature has the step's inputs and the common options."""
    parameters = []
    first = next((entry for entry in step.inputs if not entry.many), None)
    if first is not None:
        kind = Annotated[
            Path | None, typer.Argument(metavar=first.name.upper(), help=f"The same as --{first.name}.")
        ]
        parameters.append(_parameter("main_input", kind, None))
    for entry in step.inputs:
        if not entry.many:
            parameters.append(_parameter(f"input_{entry.name}", Annotated[
                Path | None, typer.Option(f"--{entry.name.replace('_', '-')}", help=entry.help)], None))  # fmt: skip
    parameters += [_parameter(name, kind, default) for name, (kind, default) in COMMON.items()]

    def run(**values: Any) -> None:
        main = values.pop("main_input", None)
        given = {
            name.removeprefix("input_"): values.pop(name)
            for name in list(values)
            if name.startswith("input_")
        }
        if main is not None and first is not None:
            if given.get(first.name) is not None:
                raise typer.BadParameter(f"{first.name} is given twice, as an argument and as --{first.name}")
            given[first.name] = main
        run_by_hand(step, {name: path for name, path in given.items() if path is not None}, **values)

    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def _parameter(name: str, kind: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)


def run_by_hand(
    step: Step, given: dict[str, Path], *, out: Path, config: Path | None, sample: str | None, kind: str | None,
    inputs_from: Path | None, set_: list[str] | None, workers: int, executor: str | None, scheduler: str | None,
    device: str, phase: str | None, blocks: str | None, expect: str | None, verify: bool, as_json: bool,
) -> None:  # fmt: skip
    """Run a step with what the command line says; with a study, what it does not say comes from there."""
    from triptych.engine.progress import show_progress
    from triptych.engine.run import Execution, run_step
    from triptych.errors import UsageError
    from triptych.steps import open_study
    from triptych.study.byhand import read_inputs, read_part, settings_with

    inputs: dict[str, Path | dict[str, Path]] = {**given}
    if inputs_from is not None:
        inputs |= read_inputs(step, inputs_from)
    study: Study | None = None
    job: Job | None = None
    if config is not None:
        sets = tuple(
            s if s.partition("=")[0].split(".")[0] == step.name else f"{step.name}.{s}" for s in set_ or ()
        )
        study = open_study(config, sets)
        job = study.job(step.name, sample, kind)  # type: ignore[arg-type]  # the study checks it
        inputs = {**study.inputs(job), **inputs}
        settings: Any = study.settings_of(job)
    else:
        if sample is not None:
            raise UsageError("--sample needs --config, the study whose sheet names it")
        settings = settings_with(step, set_ or ())
    execution = Execution(
        workers=workers, executor=executor or ("dask" if scheduler else "threads"), scheduler=scheduler,  # type: ignore[arg-type]
        device=device, verify=verify or bool(os.environ.get("TRIPTYCH_VERIFY")), phase=phase, part=read_part(blocks),
    )  # fmt: skip
    outcome = run_step(
        step, inputs, out, settings, execution=execution, sample=sample, kind=job.kind if job else kind,  # type: ignore[arg-type]
        sheet=study.described(job) if study and job else read_names(inputs), expect=expect, progress=show_progress,
        left_out=study.left_out_of(job) if study and job else None,
    )  # fmt: skip
    if as_json:
        print(
            json.dumps(
                {
                    "out": str(out),
                    "fresh": outcome.fresh,
                    "seconds": round(outcome.seconds, 3),
                    "manifest": outcome.manifest,
                }
            )
        )
    else:
        word = "done" if outcome.fresh else "was done already"
        print(f"{step.command}: {word} in {outcome.seconds:.1f} s, {out}", file=sys.stderr)


def read_names(inputs: dict[str, Path | dict[str, Path]]) -> dict[str, dict[str, str]]:
    """Samples of a cohort step typed without a study: known by name only."""
    return {name: {} for value in inputs.values() if isinstance(value, dict) for name in sorted(value)}
