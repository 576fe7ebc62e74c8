"""Panels of the populations of a cohort: map of centers, profiles, abundance by group, agreement with given labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray
from scipy.cluster.hierarchy import dendrogram, linkage
from scipy.spatial.distance import cdist

from triptych.report.center_map import lay_out, tree_edges
from triptych.report.comparison import shorten
from triptych.report.found_populations import Found, read_found
from triptych.report.panel import Panel
from triptych.report.style import (
    DIVERGING,
    FULL_WIDTH_CM,
    GREY,
    INK,
    LIGHT,
    RED,
    color_of,
    colors_of,
    new_figure,
)
from triptych.stores import populations as store

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STEP = "find_populations"
SHOWN_MARKERS = 12
SHOWN_POPULATIONS = 16
SHOWN_LABELS = 40
CALLED = 0.05

Columns = dict[str, NDArray[Any]]


def cohort_panels(folders: Mapping[str, Path], manifests: Mapping[str, Mapping[str, Any]]) -> list[Panel]:
    """Panels of the populations, from the folder of ``find_populations``; none without it."""
    if STEP not in folders:
        return []
    found = read_found(folders[STEP])
    abundance, _ = store.read(folders[STEP], store.ABUNDANCE)
    tests, facts = store.read(folders[STEP], store.TESTS)
    gates, _ = store.read(folders[STEP], store.GATES)
    scores = manifests.get(STEP, {}).get("scores", {})
    made = [_map_panel(found)] if len(found.weights) > 2 else []
    made.append(_profile_panel(found, tests))
    if len(found.names) > 1:
        made.append(_abundance_panel(found, abundance, tests, facts))
    if len(found.attributes["tried"]) > 1:
        made.append(_number_panel(found))
    if len(gates["label"]):
        made.append(_gates_panel(found, gates, scores))
    return made


def _map_panel(found: Found) -> Panel:
    """The tree of centers by population, and by marker."""
    deviation = np.sqrt(
        np.maximum(found.weights @ (found.centers - found.weights @ found.centers) ** 2, 1e-300)
    )
    points = (found.centers - found.weights @ found.centers) / deviation
    edges = tree_edges(points)
    places = lay_out(edges, len(points))
    shown = _telling_markers(found)
    columns = 6
    rows = -(-len(shown) // columns)
    figure = new_figure(FULL_WIDTH_CM, 8.6 + 3.1 * rows)
    grid = figure.add_gridspec(1 + rows, columns, height_ratios=[8.0, *[3.0] * rows])
    large = figure.add_subplot(grid[0, :4])
    colors = found.colors()
    _tree(large, places, edges, found.weights, [colors[p] for p in found.of_center], 1.0)
    _number_populations(large, found, places)
    key = figure.add_subplot(grid[0, 4:])
    _population_key(key, found)
    small = []
    for k, j in enumerate(shown):
        axes = figure.add_subplot(grid[1 + k // columns, k % columns])
        image = _tree(axes, places, edges, found.weights, points[:, j].clip(-3, 3), 0.28)
        axes.set_title(shorten(found.features[j], 17), size=7)
        small.append(axes)
    if small:
        bar = figure.colorbar(image, ax=small, location="bottom", fraction=0.06, pad=0.04, aspect=45)
        bar.set_label("SD of the centers from their mean")
    return Panel(
        "Map of the common centers",
        f"The {len(found.weights)} common centers of all samples on their minimum spanning tree; length on paper is the number of "
        "steps on the tree, so directions have no meaning. Circle area is the share of events, every sample weighing the same. "
        "Above: numbers and colours are populations, the same in every panel. Below: the height of each marker in the centers.",
        figure,
    )


def _tree(
    axes: Axes,
    places: NDArray[np.float64],
    edges: NDArray[np.int64],
    weights: NDArray[np.float64],
    colors: Any,
    scale: float,
) -> Any:
    for a, b in edges:
        axes.plot(
            places[[a, b], 0], places[[a, b], 1], color=LIGHT, linewidth=0.7 if scale == 1 else 0.4, zorder=1
        )
    # 45 square points for a center of mean weight.
    sizes = scale * np.maximum(45 * len(weights) * weights, 3.0)
    numeric = isinstance(colors, np.ndarray)
    drawn = axes.scatter(
        places[:, 0],
        places[:, 1],
        s=sizes,
        c=colors,
        cmap=DIVERGING if numeric else None,
        vmin=-3 if numeric else None,
        vmax=3 if numeric else None,
        edgecolors=INK,
        linewidths=0.4 if scale == 1 else 0.2,
        zorder=2,
    )
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_axis_off()
    return drawn


def _number_populations(axes: Axes, found: Found, places: NDArray[np.float64]) -> None:
    """The number of each population beside its heaviest center, on the side with most room."""
    unit = float(np.ptp(places, axis=0).max() or 1.0) * 0.035
    turns = np.arange(12) * np.pi / 6
    sides = unit * np.stack([np.cos(turns), np.sin(turns)], axis=1)
    taken = places
    for p in range(len(found.names)):
        inside = np.flatnonzero(found.of_center == p)
        heaviest = places[inside[found.weights[inside].argmax()]]
        room = cdist(heaviest + sides, taken).min(axis=1)
        spot = heaviest + sides[room.argmax()]
        taken = np.vstack([taken, spot, spot])
        axes.text(
            float(spot[0]), float(spot[1]), str(p + 1), size=7, weight="bold", ha="center", va="center", zorder=4,
            path_effects=[withStroke(linewidth=1.8, foreground="white")],
        )  # fmt: skip


def _population_key(axes: Axes, found: Found) -> None:
    axes.set_axis_off()
    number = min(len(found.names), 24)
    axes.set_xlim(0, 1)
    axes.set_ylim(max(number, 12) + 0.5, -0.8)
    for p in range(number):
        axes.plot(0.02, p, "o", color=color_of(p), markersize=5, markeredgecolor=INK, markeredgewidth=0.3)
        axes.text(0.08, p, f"{p + 1}  {shorten(found.names[p], 34)}", va="center", size=6)
    if number < len(found.names):
        axes.text(0.08, number, f"and {len(found.names) - number} more", va="center", size=6)


def _telling_markers(found: Found) -> list[int]:
    """The markers in which populations differ most, in the order of the features."""
    spread = found.shares @ (found.heights - found.shares @ found.heights) ** 2
    return sorted(np.argsort(-spread, kind="stable")[:SHOWN_MARKERS].tolist())


def _profile_panel(found: Found, tests: Columns) -> Panel:
    """Heat map of the markers of all populations, with the dendrogram and the shares."""
    number = len(found.names)
    figure = new_figure(FULL_WIDTH_CM, 3.6 + 0.42 * number)
    left, middle, right = figure.subplots(1, 3, width_ratios=[0.7, 5, 1.1])
    order = np.arange(number)
    left.set_axis_off()
    if number > 2:
        tree = linkage(found.heights, "average", optimal_ordering=True)
        drawn = dendrogram(
            tree, ax=left, orientation="left", no_labels=True, color_threshold=0, above_threshold_color=GREY
        )
        order = np.array(drawn["leaves"])
        left.set_ylim(10 * number, 0)
    image = middle.imshow(found.heights[order], aspect="auto", cmap=DIVERGING, vmin=-3, vmax=3)
    middle.set_yticks(np.arange(number), [shorten(found.labels[k], 38) for k in order], size=6.5)
    middle.set_xticks(
        np.arange(len(found.features)),
        [shorten(name, 18) for name in found.features],
        rotation=45,
        ha="right",
        rotation_mode="anchor",
    )
    right.barh(
        np.arange(number), 100 * found.shares[order], color=[color_of(int(k)) for k in order], height=0.75
    )
    right.set_ylim(number - 0.5, -0.5)
    right.set_yticks([])
    right.set_xscale("log")
    right.set_xlabel("share (%), log")
    figure.colorbar(image, ax=right, label="SD from mean of all events", fraction=0.2, pad=0.08)
    table = pd.DataFrame(
        {
            "population": np.arange(1, number + 1),
            "name": found.names,
            "share (%)": 100 * found.shares,
            "stability": found.stability,
            "centers": found.n_centers,
        }
    )
    if len(tests["name"]):
        table["groups"] = [f"{a} → {b}" for a, b in zip(tests["first"], tests["second"], strict=True)]
        table["Cliff's delta (95 %)"] = [
            f"{d:.2f} ({low:.2f} to {high:.2f})"
            for d, low, high in zip(tests["delta"], tests["delta_low"], tests["delta_high"], strict=True)
        ]
        table["fold change"] = tests["fold_change"]
        table["q, ranks of shares"] = tests["q"]
        table["q, Welch of log ratios"] = tests["welch_q"]
    return Panel(
        "Populations",
        f"{number} population{'s' if number > 1 else ''} by consensus of the common centers. Each row is one: the mean of its "
        "events in every marker, in standard deviations of all events from their mean, similar rows side by side; right, its "
        "share of the events, every sample weighing the same. Names hold the signs that part a population from the others.",
        figure,
        table,
    )


def _abundance_panel(found: Found, abundance: Columns, tests: Columns, facts: Mapping[str, Any]) -> Panel:
    """Shares of samples by group, for the populations that differ most (or are the largest)."""
    number = len(found.names)
    shares = abundance["share"].reshape(-1, number)
    group = [str(g) for g in abundance["group"].reshape(-1, number)[:, 0]]
    names = sorted(set(group))
    tested = len(tests["name"]) > 0
    order = np.argsort(tests["p"], kind="stable") if tested else np.arange(number)
    shown = order[:SHOWN_POPULATIONS]
    columns = min(4, len(shown))
    rows = -(-len(shown) // columns)
    figure = new_figure(FULL_WIDTH_CM, 0.8 + 3.9 * rows)
    grid = figure.subplots(rows, columns, squeeze=False)
    colors = colors_of([name for name in names if name]) | {"": GREY}
    for axes in grid.ravel()[len(shown) :]:
        axes.set_axis_off()
    for axes, p in zip(grid.ravel(), shown, strict=False):
        for place, name in enumerate(names):
            values = 100 * shares[[g == name for g in group], p]
            _dots(axes, place, values, colors[name])
        axes.set_xticks(np.arange(len(names)), [shorten(name, 12) or "no group" for name in names])
        axes.set_xlim(-0.6, len(names) - 0.4)
        axes.set_ylim(0, 122 * float(shares[:, p].max()) or 1.0)
        axes.set_title(f"{p + 1}  {shorten(found.names[p], 18)}", size=6)
        if tested:
            q = float(tests["q"][p])
            axes.set_title(f"q = {q:.2g}", size=6, loc="right", y=0.9, color=RED if q < CALLED else INK)
    for axes in grid[:, 0]:
        axes.set_ylabel("share (%)")
    caption = "Share of each population in every sample (dots) and the median (line)."
    if tested:
        sizes = ", ".join(f"{name} {size}" for name, size in facts["subjects"].items())
        caption += (
            f" Populations by rising p of the rank test on subjects ({sizes}); q is its false discovery rate over the "
            f"{number} populations. With these groups p cannot be below {facts['least_p']:.2g}."
        )
    if len(shown) < number:
        caption += f" {len(shown)} of {number} populations are drawn."
    return Panel("Abundance of populations", caption, figure)


def _dots(axes: Axes, place: int, values: NDArray[np.float64], color: str) -> None:
    """Dots side by side in the order of the samples, and their median."""
    aside = np.linspace(-0.2, 0.2, len(values)) if len(values) > 1 else np.zeros(1)
    axes.scatter(
        place + aside, values, s=12, color=color, edgecolors="white", linewidths=0.4, zorder=3, clip_on=False
    )
    axes.hlines(np.median(values), place - 0.3, place + 0.3, color=INK, linewidth=1.0, zorder=2)


def _number_panel(found: Found) -> Panel:
    """Why this number of populations."""
    tried = np.array(found.attributes["tried"])
    figure = new_figure(FULL_WIDTH_CM * 0.6, 5.2)
    axes = figure.subplots()
    axes.plot(tried, found.attributes["stability"], "o-", label="stability (adjusted Rand index)")
    axes.plot(
        tried, found.attributes["variance_between"], "-", color=GREY, label="variance between populations"
    )
    axes.plot(tried, found.attributes["ambiguous"], "--", color=RED, label="ambiguous pairs of centers")
    axes.axvline(len(found.names), color=INK, linewidth=0.6, linestyle=":")
    axes.set_xlabel("number of populations")
    axes.set_ylim(0, 1.02)
    figure.legend(loc="outside right center")
    return Panel(
        "Number of populations",
        f"How well partitions of subsets of the centers agree with the final one, for every number that was tried; the dotted line "
        f"is the number taken, {len(found.names)}: the most stable one, and of equal ones the greatest, among those with half of "
        "the variance between populations, unless it was fixed.",
        figure,
    )


def _gates_panel(found: Found, gates: Columns, scores: Mapping[str, Any]) -> Panel:
    """Where the events of each given label are."""
    labels, sizes = np.unique(gates["label"], return_inverse=True)
    total = np.bincount(sizes, weights=gates["events"])
    share = np.zeros((len(labels), len(found.names)))
    share[sizes, gates["population"] - 1] = gates["share_of_label"]
    largest = np.argsort(-total, kind="stable")[:SHOWN_LABELS]
    # Labels below each other in the order of the population that most of their events are in.
    rows = sorted(largest.tolist(), key=lambda i: (int(share[i].argmax()), -total[i]))
    figure = new_figure(FULL_WIDTH_CM, 2.6 + 0.37 * len(rows))
    axes = figure.subplots()
    image = axes.imshow(100 * share[rows], aspect="auto", cmap="Greys", vmin=0, vmax=100)
    for label, population in zip(
        gates["label"][gates["matched"]], gates["population"][gates["matched"]], strict=True
    ):
        row = int(np.searchsorted(labels, label))
        if row in rows:
            corner = (population - 1.5, rows.index(row) - 0.5)
            axes.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor=RED, linewidth=1.2))
    axes.set_yticks(
        np.arange(len(rows)), [f"{shorten(str(labels[i]), 32)}  {int(total[i]):,}" for i in rows], size=6.5
    )
    axes.set_xticks(np.arange(len(found.names)), [str(p + 1) for p in range(len(found.names))])
    axes.set_xlabel("population")
    figure.colorbar(image, ax=axes, label="events of the label (%)", fraction=0.03, pad=0.02)
    said = ""
    if "weighted_f1" in scores:
        said = (
            f" Purity {scores['purity']:.3f}, adjusted Rand index {scores['adjusted_rand_index']:.3f}, weighted F1 "
            f"{scores['weighted_f1']:.3f} over all events; within samples, on average, "
            f"{scores['purity_mean_of_samples']:.3f}, {scores['adjusted_rand_index_mean_of_samples']:.3f} and "
            f"{scores['weighted_f1_mean_of_samples']:.3f}."
        )
    return Panel(
        "Populations and given labels",
        f"Share of the events of each given label (row, with its events) in every population (column). Boxes are the "
        f"one-to-one match with the greatest F1.{said}",
        figure,
    )


def key_above(figure: Figure, found: Found, shown: Sequence[int]) -> None:
    """Legend of the populations that are drawn, above a figure."""
    marks = [Line2D([], [], marker="o", linestyle="", markersize=4, color=color_of(p)) for p in shown]
    names = [f"{p + 1}  {shorten(found.names[p], 30)}" for p in shown]
    figure.legend(marks, names, loc="outside upper center", ncols=3, handletextpad=0.1, fontsize=6.5)
