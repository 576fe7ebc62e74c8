"""From labels to numbers: sizes, shapes, surfaces, orientation and intensity of objects, in nanometres.

``measure`` is the in-memory front door; it is loaded at its first use, because its kernels are heavy to import.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from triptych.morphometry.shape import PARAMETERS
    from triptych.morphometry.whole import measure

__all__ = ["PARAMETERS", "measure"]


def __getattr__(name: str) -> Any:
    if name == "measure":
        from triptych.morphometry.whole import measure

        return measure
    if name == "PARAMETERS":
        from triptych.morphometry.shape import PARAMETERS

        return PARAMETERS
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
