"""What a user asks of a step, checked: settings against the model, a device against what the step and the machine have."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from triptych.engine.step import Settings, Step
from triptych.errors import UsageError


def read_settings(step: Step, values: Mapping[str, Any] | Settings) -> Settings:
    """Check settings against the step's model.

    Raises
    ------
    UsageError
        A key is unknown (the nearest known one is named) or a value is out of bounds.
    """
    if isinstance(values, Settings):
        return values
    try:
        return step.settings.model_validate(dict(values))
    except ValidationError as error:
        raise UsageError(explain(error, step.settings, step.name)) from error


def explain(error: ValidationError, model: type[Any], section: str = "") -> str:
    """The first complaint of a validation as one sentence with its remedy."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in ((section,) if section else ()) + tuple(first["loc"]))
    if first["type"] == "extra_forbidden":
        owner: Any = model
        for part in first["loc"][:-1]:
            field = owner.model_fields.get(part) if hasattr(owner, "model_fields") else None
            owner = field.annotation if field is not None else owner
        names = list(getattr(owner, "model_fields", {}))
        near = difflib.get_close_matches(str(first["loc"][-1]), names, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known keys: {', '.join(names)}"
        return f"unknown setting {where}; {hint}"
    message = first["msg"].removeprefix("Value error, ")
    return f"setting {where} = {first['input']!r}: {message[:1].lower()}{message[1:]}"


def choose_device(step: Step, wanted: str) -> str:
    """``cpu`` or ``cuda:i`` from auto, cpu, cuda or cuda:i."""
    if wanted == "cpu" or (wanted == "auto" and "cuda" not in step.devices):
        return "cpu"
    if wanted != "auto" and not wanted.startswith("cuda"):
        raise UsageError(f"--device {wanted} is none of auto, cpu, cuda, cuda:0, cuda:1, ...")
    if "cuda" not in step.devices:
        raise UsageError(f"{step.command} has no CUDA path; use --device cpu or auto")
    try:
        import torch

        available = torch.cuda.is_available()
    except ImportError:
        available = False
    if available:
        return "cuda:0" if wanted in ("auto", "cuda") else wanted
    if wanted == "auto":
        return "cpu"
    raise UsageError(
        f"--device {wanted}: torch sees no CUDA device here; use --device cpu, or see triptych doctor"
    )
