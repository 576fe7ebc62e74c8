"""Panels of one cloud: events with the centers that stand for them, the map of centers, and its channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.colors import ListedColormap, LogNorm, to_rgba
from matplotlib.lines import Line2D
from numpy.typing import NDArray
from scipy.cluster.hierarchy import leaves_list, linkage

from triptych.quantization.scales import transform
from triptych.report.comparison import cohort_panels, shorten
from triptych.report.found_populations import Found, read_found
from triptych.report.panel import Panel
from triptych.report.populations import STEP as POPULATIONS_STEP
from triptych.report.populations import key_above
from triptych.report.quality import quality_panels, shown_rows
from triptych.report.style import (
    DIVERGING,
    FULL_WIDTH_CM,
    GREY,
    INK,
    LIGHT,
    colors_of,
    new_figure,
)
from triptych.stores.cloud import Channel, Cloud, open_cloud
from triptych.stores.measure import StoredMeasure, open_measure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["cohort_panels", "panels"]

SHOWN_EVENTS = 12_000
SHOWN_PAIRS = 4
NAMED_POPULATIONS = 8
LISTED_POPULATIONS = 12
OTHERS = "other populations"
TICKS = (-1e3, 0.0, 1e3, 1e4, 1e5, 1e6)


def panels(
    sample: str, folders: Mapping[str, Path], manifests: Mapping[str, Mapping[str, Any]]
) -> list[Panel]:
    """Panels of one sample from the folders of its finished steps."""
    if "import_cloud" not in folders:
        return []
    cloud = open_cloud(folders["import_cloud"] / "cloud.zarr")
    last = [*quality_panels(sample, cloud), _channel_panel(sample, cloud, manifests["import_cloud"])]
    if "quantize_cloud" not in folders:
        return last
    measure = open_measure(folders["quantize_cloud"] / "measure.zarr")
    populations = read_found(folders[POPULATIONS_STEP]) if POPULATIONS_STEP in folders else None
    found = [_events_panel(sample, cloud, measure, populations)]
    if len(measure.weights) > 1:
        found.append(_centers_panel(sample, measure))
    return [*found, *last]


def _events_panel(sample: str, cloud: Cloud, measure: StoredMeasure, populations: Found | None) -> Panel:
    rows = shown_rows(cloud, SHOWN_EVENTS)
    events, codes = _read_rows(cloud, rows)
    labels = [c.label for c in cloud.channels]
    pairs = _telling_pairs(measure, labels)
    names = _named_populations(cloud, measure)
    assigned = populations.assign(events, labels) if populations is not None else None
    lines = 1 + bool(names) + (assigned is not None)
    shown: list[int] = []
    if assigned is not None:
        counts = np.bincount(assigned)
        largest = np.argsort(-counts, kind="stable")[:LISTED_POPULATIONS]
        shown = sorted(int(p) for p in largest if counts[p])
    keys = -(-len(shown) // 3) + (3 if names else 0)
    figure = new_figure(FULL_WIDTH_CM, 0.6 + 4.6 * lines + 0.42 * keys)
    grid = figure.subplots(lines, len(pairs), squeeze=False)
    for column, (i, j) in enumerate(pairs):
        _density(grid[0, column], events[:, [i, j]])
        _centers(grid[0, column], measure, i, j, ["none"] * len(measure.weights))
        if assigned is not None and populations is not None:
            by_center = np.array([to_rgba(color) for color in populations.colors()])
            grid[1, column].scatter(
                events[:, i],
                events[:, j],
                s=1.2,
                c=by_center[assigned],
                linewidths=0,
                alpha=0.55,
                rasterized=True,
            )
        if names:
            colors = colors_of(names) | {OTHERS: LIGHT}
            _by_population(grid[-1, column], events[:, [i, j]], codes, cloud, colors)
            _centers(grid[-1, column], measure, i, j, [colors[name] for name in _majority(measure, names)])
        for axes in grid[:, column]:
            _frame(axes, cloud.channels[i], cloud.channels[j], events[:, [i, j]])
    if names:
        _population_legend(figure, [*names, OTHERS] if len(cloud.populations) > len(names) else names)
        grid[-1, 0].set_title("given labels")
    if populations is not None and assigned is not None:
        key_above(figure, populations, shown)
        grid[1, 0].set_title("found populations")
    counted = f"{len(rows):,} of {int(cloud.events.shape[0]):,} events"
    return Panel(
        f"{sample}: events and centers",
        f"{counted} of the recording on their transformed scale, for the pairs of markers along which the centers spread most. "
        f"Circles are the {len(measure.weights)} centers, area in proportion to weight."
        + (
            " Then the events coloured by the population of the cohort that their nearest common center belongs to; the "
            f"{len(shown)} largest are named."
            if assigned is not None
            else ""
        )
        + (
            " Below, events are coloured by their given population and centers by the majority of their cell."
            if names
            else ""
        )
        + f" The measure lies within epsilon = {measure.epsilon:.4g} (W2, units of the axes) of the cloud of all events.",
        figure,
    )


def _read_rows(cloud: Cloud, rows: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.int64] | None]:
    """Some rows, chunk by chunk."""
    n, size = int(cloud.events.shape[0]), cloud.chunk_events
    events, codes = [], []
    for start in range(0, n, size):
        inside = rows[(rows >= start) & (rows < start + size)] - start
        if len(inside):
            events.append(np.asarray(cloud.events[start : start + size])[inside])
            if cloud.population is not None:
                codes.append(np.asarray(cloud.population[start : start + size])[inside].astype(np.int64))
    return np.concatenate(events), np.concatenate(codes) if codes else None


def _telling_pairs(measure: StoredMeasure, labels: Sequence[str]) -> list[tuple[int, int]]:
    """Pairs of channels by falling spread of the centers, each channel once."""
    mean = measure.weights @ measure.centers
    spread = measure.weights @ (measure.centers - mean) ** 2
    order = [labels.index(measure.features[k]) for k in np.argsort(-spread, kind="stable")]
    if len(order) == 1:
        return [(order[0], order[0])]
    return [(order[k], order[k + 1]) for k in range(0, min(len(order) - 1, 2 * SHOWN_PAIRS), 2)]


def _named_populations(cloud: Cloud, measure: StoredMeasure) -> list[str]:
    """The largest populations, by falling number of events."""
    if measure.composition is None or cloud.population is None:
        return []
    totals = measure.composition.sum(axis=0)
    order = np.argsort(-totals, kind="stable")[:NAMED_POPULATIONS]
    return [measure.populations[k] for k in order if totals[k]]


def _majority(measure: StoredMeasure, names: Sequence[str]) -> list[str]:
    """Name of the largest population of every cell."""
    assert measure.composition is not None
    found = [measure.populations[k] for k in measure.composition.argmax(axis=1)]
    return [name if name in names else OTHERS for name in found]


def _density(axes: Axes, xy: NDArray[np.float32]) -> None:
    axes.hexbin(
        xy[:, 0], xy[:, 1], gridsize=60, norm=LogNorm(), cmap="Greys", mincnt=1, linewidths=0, rasterized=True
    )


def _by_population(
    axes: Axes,
    xy: NDArray[np.float32],
    codes: NDArray[np.int64] | None,
    cloud: Cloud,
    colors: Mapping[str, str],
) -> None:
    assert codes is not None
    table = np.array([to_rgba(colors.get(name, colors[OTHERS])) for name in cloud.populations])
    axes.scatter(xy[:, 0], xy[:, 1], s=1.2, c=table[codes], linewidths=0, alpha=0.55, rasterized=True)


def _centers(axes: Axes, measure: StoredMeasure, i: int, j: int, colors: Sequence[str]) -> None:
    """Centers as circles; a measure scaled by the cohort is not drawn over unscaled events."""
    if measure.scaling is None and measure.centers.shape[1] > max(i, j):
        sizes = 6 + 600 * measure.weights
        axes.scatter(
            measure.centers[:, i], measure.centers[:, j], s=sizes, c=colors, edgecolors=INK, linewidths=0.7
        )


def _frame(axes: Axes, x: Channel, y: Channel, xy: NDArray[np.float32]) -> None:
    for axis, channel, values in ((axes.xaxis, x, xy[:, 0]), (axes.yaxis, y, xy[:, 1])):
        low, high = (float(v) for v in np.quantile(values, [0.0005, 0.9995]))
        margin = 0.04 * (high - low) or 1.0
        axis.set_view_interval(low - margin, high + margin, ignore=True)
        ticks = _ticks(channel, low - margin, high + margin)
        if ticks:
            axis.set_ticks([place for place, _ in ticks], [text for _, text in ticks])
        detector = f" ({channel.name})" if channel.marker and channel.name not in channel.label else ""
        axis.set_label_text(f"{shorten(channel.label, 18)}{detector}")


def _ticks(channel: Channel, low: float, high: float) -> list[tuple[float, str]]:
    """Ticks at powers of ten of the linear scale, where the channel was transformed from it."""
    if channel.transform.get("name") not in ("logicle", "arcsinh"):
        return []
    places = transform(np.array(TICKS), channel.transform)
    found: list[tuple[float, str]] = []
    for value, place in zip(TICKS, places, strict=True):
        if low <= place <= high and (not found or place - found[-1][0] > 0.12 * (high - low)):
            sign = "-" if value < 0 else ""
            found.append((float(place), "0" if value == 0 else f"${sign}10^{int(np.log10(abs(value)))}$"))
    return found


def _population_legend(figure: Figure, names: Sequence[str]) -> None:
    colors = colors_of([name for name in names if name != OTHERS]) | {OTHERS: LIGHT}
    marks = [Line2D([], [], marker="o", linestyle="", markersize=4, color=colors[name]) for name in names]
    figure.legend(
        marks, [shorten(n, 32) for n in names], loc="outside lower center", ncols=4, handletextpad=0.1
    )


def _centers_panel(sample: str, measure: StoredMeasure) -> Panel:
    """Heat map of the centers: standard deviations above the mean of the sample, similar ones side by side."""
    deviation = np.sqrt(np.maximum(np.diag(measure.covariance), 1e-300))
    height = (measure.centers - measure.mean) / deviation
    columns = _similar(height)
    rows = _similar(height.T) if height.shape[1] > 1 else np.zeros(1, np.int64)
    features = [shorten(measure.features[k], 22) for k in rows]
    names = _cell_names(measure)
    strips = 1 if names else 0
    tall = 3.2 + 0.36 * len(features) + 0.9 * strips
    figure = new_figure(FULL_WIDTH_CM, tall)
    ratios = [1.5, 0.36 * len(features)] + [0.3] * strips
    grid = figure.subplots(2 + strips, 1, sharex=True, height_ratios=ratios)
    grid[0].bar(np.arange(len(columns)), 100 * measure.weights[columns], width=0.8, color=GREY)
    grid[0].set_ylabel("share (%)")
    image = grid[1].imshow(height[columns][:, rows].T, aspect="auto", cmap=DIVERGING, vmin=-3, vmax=3)
    grid[1].set_yticks(np.arange(len(features)), features)
    figure.colorbar(image, ax=grid[1], label="SD from mean", fraction=0.025, pad=0.01)
    if names:
        shown = _frequent(names, measure)
        colors = colors_of(shown) | {OTHERS: LIGHT}
        listed = [name if name in shown else OTHERS for name in names]
        palette = ListedColormap([colors[listed[k]] for k in columns])
        grid[2].imshow(np.arange(len(columns))[None], aspect="auto", cmap=palette)
        grid[2].set_yticks([])
        _population_legend(figure, [*shown, OTHERS] if OTHERS in listed else shown)
    grid[-1].set_xticks([])
    grid[-1].set_xlabel(f"{len(columns)} centers, similar ones side by side")
    caption = (
        "Each column is a center: its height in every marker, in standard deviations of the sample from its mean, and above "
        "it the share of events that it stands for."
    )
    if measure.composition is not None:
        pure = measure.composition.max(axis=1).sum() / measure.events
        caption += (
            f" The strip names the majority population of each cell; {pure:.1%} of all events belong to it."
        )
    return Panel(f"{sample}: the centers", caption, figure)


def _cell_names(measure: StoredMeasure) -> list[str]:
    if measure.composition is None:
        return []
    return [measure.populations[k] for k in measure.composition.argmax(axis=1)]


def _frequent(names: Sequence[str], measure: StoredMeasure) -> list[str]:
    """The largest populations among the majorities, in the order of ``_named_populations``."""
    assert measure.composition is not None
    order = np.argsort(-measure.composition.sum(axis=0), kind="stable")[:NAMED_POPULATIONS]
    return [measure.populations[k] for k in order if measure.populations[k] in names]


def _similar(rows: NDArray[np.float64]) -> NDArray[np.int64]:
    """Order of rows in which similar ones stand side by side."""
    if len(rows) < 3:
        return np.arange(len(rows))
    return np.asarray(leaves_list(linkage(rows, "average", optimal_ordering=len(rows) <= 500)), np.int64)


def _channel_panel(sample: str, cloud: Cloud, manifest: Mapping[str, Any]) -> Panel:
    table = pd.DataFrame(
        {
            "channel": [c.name for c in cloud.channels],
            "marker": [c.marker for c in cloud.channels],
            "role": [c.role for c in cloud.channels],
            "scale": [c.unit for c in cloud.channels],
            "mean": [f"{x:.3g}" for x in cloud.mean],
            "SD": [f"{x:.3g}" for x in np.sqrt(np.diag(cloud.covariance))],
        }
    )
    notes = " ".join(f"{note[:1].upper()}{note[1:]}." for note in manifest.get("notes", []))
    return Panel(f"{sample}: channels", f"{int(cloud.events.shape[0]):,} events. {notes}", table=table)
