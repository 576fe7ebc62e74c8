"""Panels of groups and batches: what they explain of the distances, and whether groups of held-out subjects are predicted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from matplotlib.patches import Rectangle

from triptych.report.panel import Panel
from triptych.report.style import BLUE, FULL_WIDTH_CM, GREY, INK, LIGHT, RED, new_figure
from triptych.stores.table import read_table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLORS = {"group": BLUE, "batch": RED}
VIEWS = {
    "transport": "linearised transport",
    "weights": "weights (log-ratios)",
    "moments": "means and deviations",
    "majority": "largest group",
}


def factor_panels(folder: Path, manifest: Mapping[str, Any]) -> list[Panel]:
    """Panels from the folder of ``compare_samples``; none where the sheet names neither groups nor batches."""
    notes = [str(note) for note in manifest.get("notes", [])]
    return [
        *_explained(folder / "factors.parquet", notes),
        *_predicted(folder / "classification_scores.parquet", notes),
    ]


def _rows(path: Path) -> list[dict[str, Any]]:
    columns = read_table(path).columns
    return [
        dict(zip(columns, values, strict=True))
        for values in zip(*(c.tolist() for c in columns.values()), strict=True)
    ]


def _explained(path: Path, notes: Sequence[str]) -> list[Panel]:
    rows = _rows(path)
    if not rows:
        return []
    names = [row["factor"] + (f" beyond {row['beyond']}" if row["beyond"] else " alone") for row in rows]
    figure = new_figure(FULL_WIDTH_CM * 0.75, 1.9 + 0.95 * len(rows))
    axes = figure.subplots()
    place = range(len(rows) - 1, -1, -1)
    end = max(0.1, *(max(row["r2"], row["null_r2_95"]) for row in rows))
    for y, row in zip(place, rows, strict=True):
        _explained_bar(axes, y, row, end)
    axes.set_yticks(list(place), names)
    axes.set_xlim(0, 1.45 * end)
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_xlabel("R²: share of the squared distances (W2)")
    axes.tick_params(axis="y", length=0)
    table = pd.DataFrame(
        {
            "factor": names,
            "levels": [row["levels"] for row in rows],
            "subjects": [row["subjects"] for row in rows],
            **{
                title: [_number(row[key]) for row in rows]
                for title, key in (("R²", "r2"), ("omega²", "omega2"), ("pseudo-F", "pseudo_f"), ("p", "p"))
            },
            "dispersion p": [_number(row["dispersion_p"]) for row in rows],
            "arrangements": [f"{row['arrangements']:,}{' (all)' if row['exact'] else ''}" for row in rows],
        }
    )
    said = [
        n
        for n in notes
        if any(word in n for word in ("explain", "batch cannot", "group cannot", "spread diff"))
    ]
    caption = (
        "Bars: share of the squared distances that a factor explains (PERMANOVA). Dashed boxes: what rearranged labels explain "
        "in 95 % of cases, line: on average; labels of one subject move together. Dispersion p: whether samples spread "
        "differently between levels."
    )
    return [Panel("What group and batch explain", " ".join([caption, *_sentences(said)]), figure, table)]


def _explained_bar(axes: Axes, y: int, row: dict[str, Any], end: float) -> None:
    axes.barh(y, max(row["r2"], 0), height=0.55, color=COLORS[row["factor"]])
    reach = max(row["r2"], 0)
    if row["df"] and row["arrangements"] > 1:
        null, mean = row["null_r2_95"], row["null_r2_mean"]
        box = Rectangle((0, y - 0.4), null, 0.8, facecolor="none", edgecolor=INK, linestyle=(0, (2, 1.5)))
        axes.add_patch(box)
        axes.plot([mean, mean], [y - 0.4, y + 0.4], color=INK, linewidth=0.8)
        reach = max(reach, null)
    axes.text(reach + 0.02 * end, y, _p_text(row), va="center", color=INK, size=7)


def _predicted(path: Path, notes: Sequence[str]) -> list[Panel]:
    rows = _rows(path)
    if not rows:
        return []
    names = [VIEWS.get(row["view"], row["view"]) for row in rows]
    figure = new_figure(FULL_WIDTH_CM * 0.75, 2.4 + 0.95 * len(rows))
    axes = figure.subplots()
    place = list(range(len(rows) - 1, -1, -1))
    _accuracies(axes, rows, place)
    axes.set_yticks(place, names)
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_xlabel(f"Share of {rows[0]['units']} held-out subjects predicted rightly")
    axes.tick_params(axis="y", length=0)
    figure.legend(loc="outside lower center", ncols=3, handletextpad=0.3)
    table = pd.DataFrame(
        {
            "view": names,
            "accuracy [95 %]": [_interval(row, "accuracy", "accuracy") for row in rows],
            "balanced [>= 95 %]": [_interval(row, "balanced_accuracy", "balanced") for row in rows],
            "p": [_number(row["p"]) for row in rows],
        }
    )
    said = [
        n for n in notes if n.startswith(("groups of held-out", "classification leaves", "features were cut"))
    ]
    caption = (
        "Scaling, quantizer, reference, axes and classifier are fitted to the other subjects alone. Lines: exact binomial "
        "intervals over subjects. Grey bars: up to the 0.95 quantile of balanced accuracy with rearranged labels."
    )
    return [Panel("Groups of held-out subjects", " ".join([caption, *_sentences(said)]), figure, table)]


def _accuracies(axes: Axes, rows: Sequence[dict[str, Any]], place: Sequence[int]) -> None:
    colors = [GREY if row["view"] in ("moments", "majority") else BLUE for row in rows]
    null = [0.0 if isnan(row["null_95"]) else row["null_95"] for row in rows]
    low, high, accuracy, balanced = (
        [row[key] for row in rows]
        for key in ("accuracy_lower", "accuracy_upper", "accuracy", "balanced_accuracy")
    )
    axes.barh(place, null, height=0.7, color=LIGHT, alpha=0.6, zorder=0, label="rearranged labels")
    axes.hlines(place, low, high, color=colors, linewidth=1.6)
    axes.scatter(accuracy, place, color=colors, s=26, zorder=3, label="accuracy, 95 % interval")
    axes.scatter(
        balanced,
        place,
        facecolors="white",
        edgecolors=INK,
        marker="D",
        s=12,
        linewidths=0.8,
        zorder=4,
        label="balanced accuracy",
    )


def _interval(row: dict[str, Any], value: str, ends: str) -> str:
    return f"{row[value]:.0%} [{row[f'{ends}_lower']:.0%}, {row[f'{ends}_upper']:.0%}]"


def _p_text(row: dict[str, Any]) -> str:
    if not row["df"]:
        return "tied to the other factor"
    return "not testable" if isnan(row["p"]) else f"{max(row['r2'], 0):.0%}, p = {row['p']:.2g}"


def _number(value: float) -> str:
    return "–" if isnan(value) else f"{value:.3g}"


def _sentences(notes: Sequence[str]) -> list[str]:
    return [f"{note[:1].upper()}{note[1:]}." for note in notes]
