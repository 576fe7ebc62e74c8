"""Panel of what choose_atoms tried: the held-out score along lambda for every number and length of atoms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from triptych.report.panel import Panel
from triptych.report.style import INK, color_of, new_figure
from triptych.stores.table import read_table

TABLE = {
    "n_atoms": "atoms",
    "atom_duration_s": "length (s)",
    "regularization": "lambda / lambda_max",
    "score": "score",
    "score_error": "error",
    "explained_variance": "explained",
    "activation_rate_hz": "activations per s",
}


def panel(sample: str, folder: Path) -> Panel:
    """Score against lambda, with the standard error of the difference to the best, and the choice."""
    path = pd.DataFrame(read_table(folder / "path.parquet").columns)
    figure = new_figure(12.0, 6.0)
    axes = figure.add_subplot()
    lengths = sorted(set(path["atom_duration_s"]))
    for place, ((length, number), own) in enumerate(path.groupby(["atom_duration_s", "n_atoms"])):
        label = f"{number} atoms" + (f", {length:g} s" if len(lengths) > 1 else "")
        axes.errorbar(
            own["regularization"], own["score"], own["score_error"], color=color_of(place), marker="o", markersize=3,
            linewidth=1.1, elinewidth=0.7, capsize=1.5, label=label,
        )  # fmt: skip
    chosen = path[path["chosen"]].iloc[0]
    axes.plot(
        [chosen["regularization"]], [chosen["score"]], "o", markersize=9, markerfacecolor="none", markeredgecolor=INK,
        label="chosen",
    )  # fmt: skip
    ticks = sorted(set(path["regularization"]))
    axes.set_xscale("log")
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.invert_xaxis()
    low = float(np.minimum(path["score"].min(), 0.0))
    axes.set(
        xlabel="lambda / lambda_max (log scale, sparser to the left)",
        ylabel="variance predicted",
        ylim=(low, None),
    )
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    shown = path[list(TABLE)].rename(columns=TABLE).round(4)
    return Panel(
        title=f"Choice of atoms of {sample}",
        caption=(
            "Share of the variance of held-out channels, in stretches held out of learning, that the atoms predict from the other "
            "channels; bars: standard error of the difference to the best over stretches. Chosen: the simplest that is not "
            f"worth giving up, {int(chosen['n_atoms'])} atoms of {chosen['atom_duration_s']:g} s at {chosen['regularization']:g} "
            "of lambda_max."
        ),
        figure=figure,
        table=shown,
    )
