"""``triptych``: every command, its exit code, and the one sentence of an error."""

from __future__ import annotations

import os
import signal
import sys
from typing import Annotated, NoReturn

import typer

from triptych import __version__
from triptych.engine.executors import THREAD_VARIABLES
from triptych.errors import Exit, TriptychError
from triptych_cli import config_commands, result_commands, run_commands
from triptych_cli.step_command import StepGroup

app = typer.Typer(
    name="triptych",
    help="Large-scale analysis of SEM volumes, cytometry clouds and MEG/EEG signals: exact, and resumed at the block.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
steps = typer.Typer(cls=StepGroup, help="Run one step by hand.", no_args_is_help=True, rich_markup_mode=None)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Options before any command."""
    if debug:
        os.environ["TRIPTYCH_DEBUG"] = "1"


app.command("init")(run_commands.init)
app.add_typer(config_commands.app, name="config")
app.command("doctor")(config_commands.doctor)
app.command("plan")(run_commands.plan)
app.command("run", context_settings={"allow_extra_args": False})(run_commands.run)
app.command("resume")(run_commands.resume)
app.command("status")(result_commands.status)
app.add_typer(steps, name="step")
app.command("verify")(result_commands.verify)
app.command("report")(result_commands.report)


def _stop(_number: int, _frame: object) -> NoReturn:
    sys.exit(Exit.CTRL_C)


def main() -> NoReturn:
    """Entry point: run a command and exit with its code."""
    signal.signal(signal.SIGINT, _stop)
    for variable in THREAD_VARIABLES:
        os.environ[variable] = "1"  # before any library reads it: workers are the engine's
    try:
        app()
    except TriptychError as error:
        if os.environ.get("TRIPTYCH_DEBUG"):
            raise
        print(f"triptych: {error}", file=sys.stderr)
        sys.exit(error.exit)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(Exit.FAILED)
    except Exception as error:
        if os.environ.get("TRIPTYCH_DEBUG"):
            raise
        name = type(error).__name__
        print(
            f"triptych: unexpected {name}: {error}; triptych --debug ... shows where, please report it",
            file=sys.stderr,
        )
        sys.exit(Exit.FAILED)
    sys.exit(Exit.DONE)
