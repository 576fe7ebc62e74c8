"""From boundary maps to cells: pure numerics on arrays.

``segment`` is the in-memory front door; it is loaded at its first use, because its kernels are heavy to import.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from triptych.segmentation.whole import segment

__all__ = ["segment"]


def __getattr__(name: str) -> Any:
    if name == "segment":
        from triptych.segmentation.whole import segment

        return segment
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
