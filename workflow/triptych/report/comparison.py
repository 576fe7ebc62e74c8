"""Panels of a cohort of any kind: distances of samples, their embedding with intervals, and their nearest neighbours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.colors import ListedColormap
from matplotlib.lines import Line2D
from matplotlib.patches import Circle
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from scipy.cluster.hierarchy import dendrogram

from triptych.report.factors import factor_panels
from triptych.report.pairs import NAMED_SAMPLES, pair_panel
from triptych.report.panel import Panel
from triptych.report.style import FULL_WIDTH_CM, GREY, SEQUENTIAL, colors_of, new_figure
from triptych.stores.embedding import open_embedding

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


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
    manifest = manifests["compare_samples"]
    return [
        _distance_panel(names, groups, w2, np.asarray(found.uns["linkage"])),
        _embedding_panel(found, names, groups),
        pair_panel(found, names, groups, (w2, lower, upper)),
        *factor_panels(folders["compare_samples"], manifest),
        Panel(
            "Nearest samples",
            _score_sentence(manifest.get("scores", {})),
            table=_sample_table(found, w2, lower, upper),
        ),
    ]


def _distance_panel(
    names: Sequence[str], groups: Sequence[str], w2: NDArray[np.float64], tree: NDArray[np.float64]
) -> Panel:
    """Heat map of all distances, in the order of a dendrogram, with the groups beside it."""
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


def _embedding_panel(found: Any, names: Sequence[str], groups: Sequence[str]) -> Panel:
    """Linearised transport with noise floors, and the log-ratios of weights beside it where there are any."""
    views = [("X_lot", "LOT", found.uns["lot_explained"])]
    if "X_clr" in found.obsm:
        views.append(("X_clr", "log-ratio", found.uns["clr_explained"]))
    batches = [str(b) for b in found.obs["batch"]] if "batch" in found.obs else [""] * len(names)
    colors = colors_of(sorted(set(groups)))
    shapes = dict(zip(sorted(set(batches)), "osD^vP*X" * len(names), strict=False))
    figure = new_figure(FULL_WIDTH_CM if len(views) > 1 else FULL_WIDTH_CM * 0.62, 9.0)
    floors = np.asarray(found.obs["noise_floor"], np.float64)
    for axes, (key, label, explained) in zip(
        figure.subplots(1, len(views), squeeze=False)[0], views, strict=True
    ):
        coordinates = np.asarray(found.obsm[key])
        x, second = coordinates[:, 0], coordinates[:, 1] if coordinates.shape[1] > 1 else np.zeros(len(names))
        for k, (group, batch) in enumerate(zip(groups, batches, strict=True)):
            if key == "X_lot" and np.isfinite(floors[k]):
                axes.add_patch(
                    Circle(
                        (x[k], second[k]),
                        floors[k],
                        facecolor=colors[group],
                        alpha=0.10,
                        linewidth=0,
                        zorder=1,
                    )
                )
            axes.scatter(
                x[k],
                second[k],
                s=34,
                marker=shapes[batch],
                color=colors[group],
                edgecolors="white",
                linewidths=0.6,
                zorder=3,
            )
        axes.margins(0.16)
        axes.set_aspect("equal", adjustable="datalim")
        axes.xaxis.set_major_locator(MaxNLocator(5))
        if len(names) <= NAMED_SAMPLES:
            _name_points(axes, names, x, second)
        unit = "W2, feature units; " if key == "X_lot" else ""
        axes.set_xlabel(f"{label} axis 1 ({unit}{explained[0]:.0%} of variance)")
        axes.set_ylabel(f"{label} axis 2 ({explained[1]:.0%})" if len(explained) > 1 else "")
    if any(groups) or len(shapes) > 1:
        marks = [Line2D([], [], marker="o", linestyle="", color=color) for color in colors.values()]
        labels = [shorten(group, 24) or "no group" for group in colors]
        if len(shapes) > 1:
            marks += [Line2D([], [], marker=shape, linestyle="", color=GREY) for shape in shapes.values()]
            labels += [shorten(batch, 24) or "no batch" for batch in shapes]
        figure.legend(marks, labels, loc="outside lower center", ncols=min(len(labels), 6), handletextpad=0.1)
    caption = (
        "Samples in the first two principal axes of linearised optimal transport (units of W2, equal on both axes); "
        "colour is the group, shape the batch."
    )
    if np.isfinite(floors).any():
        caption += (
            " Circles: how far two random halves of the sample lie apart; what lies within is not told apart."
        )
    if len(views) > 1:
        caption += " Right: principal axes of the centred log-ratios of weights on common centers (no unit)."
    return Panel("Samples by optimal transport", caption, figure)


def _name_points(axes: Axes, names: Sequence[str], x: NDArray[np.float64], y: NDArray[np.float64]) -> None:
    """Names beside points, each at the first place, from near to far, where it covers no other name or point.

    Places are judged on a map in which the points span a width of 1, on which a letter is about 0.028 wide and a line 0.055
    high; a name that lies farther away gets a line to its point.
    """
    span = max(float(np.ptp(x)), float(np.ptp(y))) or 1.0
    letter, line = 0.028, 0.055
    places = np.column_stack([x, y]) / span
    taken = [(px - 0.015, py - 0.015, px + 0.015, py + 0.015) for px, py in places]
    ways = [(h, v, far) for far in (1, 3, 5, 7) for h, v in ((1, 1), (1, -1), (-1, 1), (-1, -1))]
    for name, (px, py), point in zip(names, places, zip(x, y, strict=True), strict=True):
        boxes = []
        for h, v, far in ways:
            left, low = px + h * 0.02 * far, py + v * 0.02 * far
            wide, high = h * letter * len(name), v * line
            boxes.append(
                (min(left, left + wide), min(low, low + high), max(left, left + wide), max(low, low + high))
            )
        free = [
            k
            for k, b in enumerate(boxes)
            if b[0] > places[:, 0].min() - 0.15  # else it would cover the axis
            and not any(t[0] < b[2] and b[0] < t[2] and t[1] < b[3] and b[1] < t[3] for t in taken)
        ]
        k = free[0] if free else 0
        taken.append(boxes[k])
        h, v, far = ways[k]
        axes.annotate(
            name,
            point,
            xytext=(3.5 * h * far, 3.5 * v * far),
            textcoords="offset points",
            size=6.5,
            ha="left" if h > 0 else "right",
            va="bottom" if v > 0 else "top",
            arrowprops={"arrowstyle": "-", "color": GREY, "linewidth": 0.5, "shrinkA": 0}
            if far > 1
            else None,
        )


def _score_sentence(scores: Mapping[str, float]) -> str:
    if "group_nearest_neighbour_accuracy" not in scores:
        return "The nearest other sample of each, with the interval of their distance."
    return (
        f"The nearest sample of another subject is of the same group for "
        f"{scores['group_nearest_neighbour_accuracy']:.0%} of the subjects "
        f"(95 % interval {scores['group_nearest_neighbour_lower']:.0%} to {scores['group_nearest_neighbour_upper']:.0%}); "
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
    if np.isfinite(found.obs["noise_floor"]).any():
        table["noise floor"] = [f"{x:.4g}" for x in found.obs["noise_floor"]]
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
