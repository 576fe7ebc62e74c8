"""What a step typed by hand is given: settings as key=value, lists of inputs, a part of the blocks."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from triptych.engine.settings import read_settings
from triptych.engine.step import Settings, Step
from triptych.errors import InputError, UsageError
from triptych.study.settings import apply_sets


def settings_with(step: Step, sets: Iterable[str]) -> Settings:
    """Settings of a step from ``key=value`` (or ``step.key=value``) assignments."""
    prefix = f"{step.name}."
    values = apply_sets({}, (assignment.removeprefix(prefix) for assignment in sets))
    return read_settings(step, values)


def read_inputs(step: Step, path: Path) -> dict[str, dict[str, Path]]:
    """Inputs of a cohort step from a file of ``input<TAB>sample<TAB>path`` lines; paths are relative to the working folder.

    Raises
    ------
    InputError, UsageError
        The file is not there, a line is not three cells, or names an input that the step does not have.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise InputError(f"--inputs-from {path} cannot be read: {error.strerror}") from error
    names = [entry.name for entry in step.inputs if entry.many]
    single = [entry.name for entry in step.inputs if not entry.many]
    found: dict[str, dict[str, Path]] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        cells = line.split("\t")
        if len(cells) != 3:
            raise UsageError(f"{path} line {number} must be input, sample, path, split by tabs")
        name, sample, place = cells
        if name in single:
            found[name] = Path(place)  # type: ignore[assignment]  # one path, not one per sample
            continue
        if name not in names:
            raise UsageError(
                f"{path} line {number}: {step.command} has no input {name!r}; it takes {', '.join(names)}"
            )
        if sample in found.setdefault(name, {}):
            raise UsageError(f"{path} line {number}: sample {sample} is there twice")
        found[name][sample] = Path(place)
    return found


def read_part(text: str | None) -> tuple[int, int] | None:
    """``i/n`` as two numbers.

    Raises
    ------
    UsageError
        It is not of that form.
    """
    if text is None:
        return None
    first, slash, second = text.partition("/")
    if not slash or not first.isdigit() or not second.isdigit() or not 1 <= int(first) <= int(second):
        raise UsageError(f"--blocks {text} must read i/n with 1 <= i <= n, for instance 1/4")
    return int(first), int(second)
