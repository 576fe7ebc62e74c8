"""Panels of a cohort of any kind: distances of samples, their embedding with intervals, and their nearest neighbours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.colors import ListedColormap
from matplotlib.lines import Line2D
from numpy.typing import NDArray
from scipy.cluster.hierarchy import dendrogram, linkage
from scipy.spatial.distance import squareform

from triptych.report.panel import Panel
from triptych.report.style import FULL_WIDTH_CM, GREY, INK, RED, SEQUENTIAL, colors_of, new_figure
from triptych.stores.embedding import open_embedding

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


NAMED_SAMPLES = 40


def cohort_panels(folders: Mapping[str, Path], manifests: Mapping[str, Mapping[str, Any]]) -> list[Panel]:
    """Panels of a cohort of any kind, from the folder of ``compare_samples``."""
    if "compare_samples" not in folders:
        return []
    found = open_embedding(folders["compare_samples"] / "embedding.zarr")
    names = [str(name) for name in found.obs_names]
    groups = [str(g) for g in found.obs["group"]] if "group" in found.obs else [""] * len(names)
    w2, lower, upper = (np.asarray(found.obsp[key]) for key in ("w2", "lower", "upper"))
    if len(names) == 1:
        return [
            Panel(
                "Samples",
                "One sample: there is no pair to compare.",
                table=_sample_table(found, w2, lower, upper),
            )
        ]
    scores = manifests["compare_samples"].get("scores", {})
    return [
        _distance_panel(names, groups, w2),
        _embedding_panel(found, names, groups, w2, lower, upper),
        Panel("Nearest samples", _score_sentence(scores), table=_sample_table(found, w2, lower, upper)),
    ]


def _distance_panel(names: Sequence[str], groups: Sequence[str], w2: NDArray[np.float64]) -> Panel:
    """Heat map of all distances, in the order of a dendrogram, with the groups beside it."""
    tree = linkage(squareform(w2, checks=False), "average", optimal_ordering=len(names) <= 500)
    named = len(names) <= NAMED_SAMPLES
    figure = new_figure(FULL_WIDTH_CM * 0.75, FULL_WIDTH_CM * 0.75 * 0.92)
    grid = figure.subplots(2, 2, height_ratios=[1, 5], width_ratios=[0.18, 5])
    grid[0, 0].axis("off")
    order = dendrogram(tree, ax=grid[0, 1], no_labels=True, color_threshold=0, above_threshold_color=GREY)[
        "leaves"
    ]
    grid[0, 1].set_ylabel("W2")
    grid[0, 1].spines["bottom"].set_visible(False)
    colors = colors_of(sorted(set(groups)))
    strip = ListedColormap([colors[groups[k]] for k in order])
    grid[1, 0].imshow(np.arange(len(order))[:, None], aspect="auto", cmap=strip)
    grid[1, 0].set_xticks([])
    grid[1, 0].set_yticks(np.arange(len(order)) if named else [], [names[k] for k in order] if named else [])
    for side in ("left", "bottom"):
        grid[1, 0].spines[side].set_visible(False)
    image = grid[1, 1].imshow(w2[np.ix_(order, order)], aspect="auto", cmap=f"{SEQUENTIAL}_r", vmin=0)
    grid[1, 1].set_yticks([])
    grid[1, 1].set_xticks(
        np.arange(len(order)) if named else [], [names[k] for k in order] if named else [], rotation=90
    )
    figure.colorbar(image, ax=grid[1, 1], label="W2 (feature units)", fraction=0.04, pad=0.02)
    if any(groups):
        _group_legend(figure, colors)
    caption = "Exact W2 between the measures of all pairs of samples, ordered by average linkage."
    return Panel(
        "Distances between samples", caption + (" The strip is the group." if any(groups) else ""), figure
    )


def _group_legend(figure: Figure, colors: Mapping[str, str]) -> None:
    marks = [Line2D([], [], marker="s", linestyle="", markersize=5, color=color) for color in colors.values()]
    labels = [shorten(name, 30) or "no group" for name in colors]
    figure.legend(marks, labels, loc="outside lower center", ncols=min(len(labels), 6), handletextpad=0.2)


def _embedding_panel(
    found: Any,
    names: Sequence[str],
    groups: Sequence[str],
    w2: NDArray[np.float64],
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
) -> Panel:
    """Linearised transport, and the interval of every pair beside it."""
    coordinates, explained = np.asarray(found.obsm["X_lot"]), np.asarray(found.uns["lot_explained"])
    batches = [str(b) for b in found.obs["batch"]] if "batch" in found.obs else [""] * len(names)
    figure = new_figure(FULL_WIDTH_CM, 8.2)
    left, right = figure.subplots(1, 2, width_ratios=[1.1, 1])
    colors = colors_of(sorted(set(groups)))
    shapes = dict(zip(sorted(set(batches)), "osD^vP*X" * len(names), strict=False))
    second = coordinates[:, 1] if coordinates.shape[1] > 1 else np.zeros(len(names))
    for group, batch, x, y in zip(groups, batches, coordinates[:, 0], second, strict=True):
        left.scatter(
            x,
            y,
            s=34,
            marker=shapes[batch],
            color=colors[group],
            edgecolors="white",
            linewidths=0.6,
            zorder=3,
        )
    left.margins(0.16)
    left.set_aspect("equal", adjustable="datalim")
    if len(names) <= NAMED_SAMPLES:
        _name_points(left, names, coordinates[:, 0], second)
    left.set_xlabel(f"LOT axis 1 ({explained[0]:.0%} of variance)")
    left.set_ylabel(f"LOT axis 2 ({explained[1]:.0%})" if len(explained) > 1 else "")
    _intervals(right, groups, w2, lower, upper)
    if any(groups):
        marks = [Line2D([], [], marker="o", linestyle="", color=color) for color in colors.values()]
        labels = [shorten(group, 24) for group in colors]
        if len(shapes) > 1:
            marks += [Line2D([], [], marker=shape, linestyle="", color=GREY) for shape in shapes.values()]
            labels += [shorten(batch, 24) or "no batch" for batch in shapes]
        figure.legend(marks, labels, loc="outside lower center", ncols=min(len(labels), 6), handletextpad=0.1)
    return Panel(
        "Samples by optimal transport",
        "Left: samples in the first two principal axes of linearised optimal transport (units of W2, equal on both axes); "
        "colour is the group, shape the batch. Right: every pair by rising W2 of its measures (dots), with the interval that "
        "holds W2 of the clouds of all events (lines; upper end by cell means, lower by means and covariances).",
        figure,
    )


def _name_points(axes: Axes, names: Sequence[str], x: NDArray[np.float64], y: NDArray[np.float64]) -> None:
    """Names beside points, each at the first of four corners where it covers no other name or point.

    Places are judged on a map of the axes of width 1, on which a letter is about 0.018 wide and a line 0.045 high.
    """
    width = float(np.ptp(x)) or 1.0
    places = np.column_stack([x, y]) / max(width, float(np.ptp(y)) or 1.0)
    taken: list[tuple[float, float, float, float]] = [(px, py, px, py) for px, py in places]
    for name, (px, py), point in zip(names, places, zip(x, y, strict=True), strict=True):
        size = 0.018 * len(name)
        corners = [(1, 1), (1, -1), (-1, 1), (-1, -1)]
        boxes = [
            (
                px + 0.02 if h > 0 else px - 0.02 - size,
                py + 0.03 * v - 0.02,
                px + 0.02 + size if h > 0 else px - 0.02,
                py + 0.03 * v + 0.02,
            )
            for h, v in corners
        ]
        free = [
            k
            for k, b in enumerate(boxes)
            if not any(t[0] < b[2] and b[0] < t[2] and t[1] < b[3] and b[1] < t[3] for t in taken)
        ]
        k = free[0] if free else 0
        taken.append(boxes[k])
        h, v = corners[k]
        axes.annotate(
            name,
            point,
            xytext=(4 * h, 4 * v),
            textcoords="offset points",
            size=6.5,
            ha="left" if h > 0 else "right",
            va="bottom" if v > 0 else "top",
        )


def _intervals(
    axes: Axes,
    groups: Sequence[str],
    w2: NDArray[np.float64],
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
) -> None:
    first, second = np.triu_indices(len(w2), 1)
    order = np.argsort(w2[first, second], kind="stable")
    first, second = first[order], second[order]
    place = np.arange(len(order))
    same = np.array([groups[int(i)] == groups[int(j)] for i, j in zip(first, second, strict=True)])
    grouped = len(set(groups)) > 1
    kinds = (
        [(same, INK, "same group"), (~same, RED, "different groups")] if grouped else [(same, INK, "pairs")]
    )
    for mask, color, label in kinds:
        i, j = first[mask], second[mask]
        axes.vlines(
            place[mask],
            lower[i, j],
            upper[i, j],
            color=color,
            alpha=0.35,
            linewidth=min(2.2, 90 / len(order)),
        )
        axes.scatter(
            place[mask],
            w2[i, j],
            s=min(14, 900 / len(order) + 1),
            color=color,
            label=label,
            zorder=3,
            linewidths=0,
        )
    axes.set_ylim(bottom=0)
    axes.set_xlabel(f"{len(order)} pairs, by rising W2")
    axes.set_ylabel("W2 (feature units)")
    axes.set_xticks([])
    if grouped:
        axes.legend(loc="lower right")


def _score_sentence(scores: Mapping[str, float]) -> str:
    if "group_nearest_neighbour_accuracy" not in scores:
        return "The nearest other sample of each, with the interval of their distance."
    return (
        f"The nearest other sample is of the same group for {scores['group_nearest_neighbour_accuracy']:.0%} of the samples; "
        f"always naming the largest group would be right for {scores['group_majority_accuracy']:.0%}."
    )


def _sample_table(
    found: Any, w2: NDArray[np.float64], lower: NDArray[np.float64], upper: NDArray[np.float64]
) -> pd.DataFrame:
    """One line per sample: what it is, how well its measure stands for it, and its nearest neighbour."""
    names = [str(name) for name in found.obs_names]
    table = pd.DataFrame({"sample": names})
    for column in ("group", "batch", "subject"):
        if column in found.obs:
            table[column] = [str(value) for value in found.obs[column]]
    table["events"] = [f"{int(n):,}" for n in found.obs["events"]]
    table["centers"] = [int(n) for n in found.obs["centers"]]
    table["epsilon"] = [f"{x:.4g}" for x in found.obs["epsilon"]]
    if len(names) > 1:
        others = w2 + np.diag(np.full(len(names), np.inf))
        nearest = others.argmin(axis=1)
        table["nearest"] = [names[int(k)] for k in nearest]
        table["W2 [interval]"] = [
            f"{w2[i, k]:.4g} [{lower[i, k]:.4g}, {upper[i, k]:.4g}]" for i, k in enumerate(nearest)
        ]
    return table


def shorten(text: str, length: int) -> str:
    """A text of at most ``length`` characters."""
    return text if len(text) <= length else f"{text[: length - 1]}…"
