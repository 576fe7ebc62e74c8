"""Which events of a cloud are masked: what each rule masks, where those events are, and when they were recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from triptych.quantization.seeding import subsample_rows
from triptych.report.comparison import shorten
from triptych.report.panel import Panel
from triptych.report.style import FULL_WIDTH_CM, LIGHT, color_of, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from triptych.stores.cloud import Cloud

SHOWN_EVENTS = 12_000
STRETCHES = 60


def shown_rows(cloud: Cloud, size: int) -> NDArray[np.int64]:
    """A stratified subsample of the events without a mask: of all where nothing is masked."""
    rows = subsample_rows(int(cloud.events.shape[0]), size, seed=0)
    quality: Any = getattr(cloud, "quality", None)
    if quality is None:
        return rows
    kept = rows[np.asarray(quality[:])[rows] == 0]
    return kept if len(kept) else rows


def quality_panels(sample: str, cloud: Cloud) -> list[Panel]:
    """Masked shares with their rules; none where nothing was checked."""
    masks: Any = getattr(cloud, "masks", ())
    stored: Any = getattr(cloud, "quality", None)
    if not masks:
        return []
    total = int(cloud.events.shape[0])
    table = pd.DataFrame(
        {
            "mask": [mask.name for mask in masks],
            "rule": [mask.rule for mask in masks],
            "events": [int(mask.events) for mask in masks],
            "share (%)": [100 * int(mask.events) / total for mask in masks],
        }
    )
    if stored is None:
        return [Panel(f"{sample}: quality", f"No event of {total:,} is masked.", table=table)]
    quality = np.asarray(stored[:])
    masked = int((quality != 0).sum())
    scatter = _scatter_pair(cloud)
    figure = new_figure(FULL_WIDTH_CM, 6.2)
    grid = figure.subplots(1, 3 if scatter else 2, width_ratios=[1, 1.2, 1.1] if scatter else [1, 1.4])
    names = [shorten(mask.name, 18) for mask in masks]
    shares = 100 * table["events"].to_numpy() / total
    grid[0].barh(np.arange(len(masks)), shares, color=[color_of(k) for k in range(len(masks))], height=0.7)
    grid[0].set_yticks(np.arange(len(masks)), names)
    grid[0].invert_yaxis()
    grid[0].set_xlabel("masked events (%)")
    _over_time(grid[1], quality, len(masks))
    if scatter:
        _where(grid[2], cloud, quality, scatter, len(masks))
    marks = [Line2D([], [], marker="o", linestyle="", color=color_of(k)) for k in range(len(masks))]
    figure.legend(marks, names, loc="outside lower center", ncols=min(len(masks), 6), handletextpad=0.1)
    return [
        Panel(
            f"{sample}: quality",
            f"{masked:,} of {total:,} events ({masked / total:.1%}) are masked by at least one rule. Left: by "
            f"rule; middle: along the recording, in {STRETCHES} equal stretches of events."
            + (" Right: where they lie; events without a mask in grey." if scatter else ""),
            figure,
            table,
        )
    ]


def _scatter_pair(cloud: Cloud) -> tuple[int, int] | None:
    """Forward and side scatter, where both were kept."""
    places = {
        kind: next((k for k, c in enumerate(cloud.channels) if c.name.upper().startswith(kind)), None)
        for kind in ("FSC", "SSC")
    }
    first, second = places["FSC"], places["SSC"]
    return None if first is None or second is None else (first, second)


def _over_time(axes: Axes, quality: NDArray[np.uint8], number: int) -> None:
    edges = np.arange(STRETCHES + 1) * len(quality) // STRETCHES
    size = np.maximum(np.diff(edges), 1)
    for k in range(number):
        hits = np.concatenate([[0], np.cumsum((quality >> k) & 1, dtype=np.int64)])
        share = 100 * (hits[edges[1:]] - hits[edges[:-1]]) / size
        axes.stairs(share, np.linspace(0, 100, STRETCHES + 1), color=color_of(k))
    axes.set_xlabel("events, in the order of the recording (%)")
    axes.set_ylabel("masked (%)")
    axes.set_ylim(bottom=0)


def _where(
    axes: Axes, cloud: Cloud, quality: NDArray[np.uint8], scatter: tuple[int, int], number: int
) -> None:
    rows = subsample_rows(len(quality), SHOWN_EVENTS, seed=0)
    size = cloud.chunk_events
    pieces = [
        np.asarray(cloud.events[start : start + size])[rows[(rows >= start) & (rows < start + size)] - start]
        for start in range(0, len(quality), size)
    ]
    xy = np.concatenate(pieces)[:, list(scatter)]
    bits = quality[rows]
    axes.scatter(xy[bits == 0, 0], xy[bits == 0, 1], s=1, color=LIGHT, linewidths=0, rasterized=True)
    for k in range(number):
        inside = ((bits >> k) & 1) == 1
        axes.scatter(
            xy[inside, 0], xy[inside, 1], s=2, color=color_of(k), linewidths=0, alpha=0.7, rasterized=True
        )
    axes.set_xlabel(shorten(cloud.channels[scatter[0]].label, 22))
    axes.set_ylabel(shorten(cloud.channels[scatter[1]].label, 22))
