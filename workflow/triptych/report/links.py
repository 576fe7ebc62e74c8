"""Panels of what events drive: histograms around events with the fitted intensity and its interval."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from triptych.report.panel import Panel
from triptych.report.style import GREY, INK, color_of, new_figure
from triptych.stores.table import read_table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHOWN = 8
TABLE = (
    "atom", "kind", "n_events", "n_occurrences", "gain", "gain_low", "gain_high", "delay_s", "width_s", "p", "p_corrected", "q",
)  # fmt: skip


def panels(sample: str, folder: Path) -> list[Panel]:
    """The pairs of atom and kind of event with the largest statistic; none where nothing was tested."""
    links = pd.DataFrame(read_table(folder / "links.parquet").columns)
    if links.empty:
        return []
    bins = pd.DataFrame(read_table(folder / "histograms.parquet").columns)
    curves = pd.DataFrame(read_table(folder / "intensities.parquet").columns)
    processes = pd.DataFrame(read_table(folder / "processes.parquet").columns).set_index("atom")
    order = links.assign(far=-links["statistic"]).sort_values(
        ["p_corrected", "far", "kind", "atom"], kind="stable"
    )
    best = order.head(SHOWN)
    columns = min(4, len(best))
    rows = -(-len(best) // columns)
    figure = new_figure(18.0, 1.2 + 3.9 * rows)
    kinds = sorted(set(links["kind"]))
    for place, (_, link) in enumerate(best.iterrows()):
        axes = figure.add_subplot(rows, columns, place + 1)
        own = [
            table[(table["atom"] == link["atom"]) & (table["kind"] == link["kind"])]
            for table in (bins, curves)
        ]
        _draw(axes, link, own[0], own[1], color_of(kinds.index(link["kind"])))
        if place >= len(best) - columns:
            axes.set_xlabel("time from event (s)")
        if place % columns == 0:
            axes.set_ylabel("occurrences per s")
    misfits = processes.loc[sorted(set(best["atom"])), "rescaled_p"]
    poor = [str(atom) for atom, p in misfits.items() if p < 0.01]
    said = (
        f" The process does not describe all of the occurrences of atoms {', '.join(poor)} (p < .01)."
        if poor
        else ""
    )
    shown = best[list(TABLE)].copy()
    for name in ("p", "p_corrected", "q"):
        shown[name] = [p_text(p) for p in best[name]]
    return [
        Panel(
            title=f"Atoms around events of {sample}",
            caption=(
                f"The {len(best)} of {len(links)} pairs of atom and kind of event that differ most from chance. Bars: occurrences "
                "around events. Line and band: intensity of the fitted point process around a lone event, with its 95 % interval "
                "at each time. Dashed: rate over the whole recording. p: share of rotations of the trials that go as far, "
                "corrected for all atoms and kinds; gain: occurrences that one event brings about. Fit of the process by time "
                f"rescaling: p between {p_text(float(misfits.min()))} and {p_text(float(misfits.max()))}.{said}"
            ),
            figure=figure,
            table=shown.round(3),
        )
    ]


def _draw(axes: Axes, link: pd.Series, bins: pd.DataFrame, curve: pd.DataFrame, color: str) -> None:
    width = bins["stop_s"] - bins["start_s"]
    axes.bar(bins["start_s"], bins["bin_rate_hz"], width, align="edge", color=color, alpha=0.35, linewidth=0)
    axes.fill_between(
        curve["delay_s"],
        curve["intensity_low_hz"],
        curve["intensity_high_hz"],
        color=color,
        alpha=0.3,
        linewidth=0,
    )
    axes.plot(curve["delay_s"], curve["intensity_hz"], color=color, linewidth=1.1)
    axes.axhline(link["rate_hz"], color=INK, linewidth=0.7, linestyle="--")
    axes.axvline(0, color=GREY, linewidth=0.7)
    axes.set_xlim(float(bins["start_s"].min()), float(bins["stop_s"].max()))
    highest = max(float(bins["bin_rate_hz"].max()), float(curve["intensity_hz"].max()))
    axes.set_ylim(0, 1.25 * highest if highest > 0 else 1)
    effect = "no gain"
    if np.isfinite(link["delay_s"]):
        effect = f"gain {link['gain']:.2f} at {link['delay_s']:.2f} s"
    elif link["direction"] < 0:
        effect = "fewer than by chance"
    axes.set_title(
        f"atom {link['atom']}, {link['kind']}\n{effect}, p = {p_text(link['p_corrected'])}", fontsize=7.5
    )


def p_text(p: float) -> str:
    """A p-value in few characters."""
    return f"{p:.2g}" if p >= 1e-3 or not np.isfinite(p) else f"{p:.0e}"
