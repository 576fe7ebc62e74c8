"""A panel of the report: one figure or table with its caption."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Panel:
    """What a reader sees in one place.

    Attributes
    ----------
    title : a few words.
    caption : what is shown, with units and numbers; plain text, escaped by the page.
    figure : a matplotlib figure made without pyplot (``matplotlib.figure.Figure``), or None.
    table : a table shown below the figure, or None.
    """

    title: str
    caption: str
    figure: Figure | None = None
    table: pd.DataFrame | None = None
