"""From boundary maps to cells: pure numerics on arrays."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from triptych.segmentation.whole import segment

__all__ = ["segment"]

_HOMES = {"segment": "whole"}


def __getattr__(name: str) -> Any:
    """Load a front door at its first use: its kernels are heavy to import."""
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
