"""What described things say: scaling, correlation, components, clusters, differences. Arrays in, arrays out."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from triptych.analysis.clustering import Choice
    from triptych.analysis.front import Analysis, analyze
    from triptych.analysis.scaling import Scaling, scale

__all__ = ["Analysis", "Choice", "Scaling", "analyze", "scale"]

_HOMES = {
    "Analysis": "front",
    "Choice": "clustering",
    "Scaling": "scaling",
    "analyze": "front",
    "scale": "scaling",
}


def __getattr__(name: str) -> Any:
    """Load a front door at its first use: its kernels are heavy to import."""
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
