"""From labels to numbers: sizes, shapes, surfaces, orientation and intensity of objects, in nanometres."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from triptych.morphometry.shape import PARAMETERS
    from triptych.morphometry.whole import measure

__all__ = ["PARAMETERS", "measure"]

_HOMES = {"PARAMETERS": "shape", "measure": "whole"}


def __getattr__(name: str) -> Any:
    """Load a front door at its first use: its kernels are heavy to import."""
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
