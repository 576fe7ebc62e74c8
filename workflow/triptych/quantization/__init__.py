"""Clouds to measures and measures to distances: Lloyd on chunks, bounds, exact and linearised transport."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from triptych.quantization.front import CloudMeasure, Distances, quantize, transport

__all__ = ["CloudMeasure", "Distances", "quantize", "transport"]

_HOMES = {"CloudMeasure": "front", "Distances": "front", "quantize": "front", "transport": "front"}


def __getattr__(name: str) -> Any:
    """Load a front door at its first use: its kernels are heavy to import."""
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
