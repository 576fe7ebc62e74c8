"""A panel of pairs of samples: the interval of every distance, and the nearest samples beside their noise floors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from triptych.report.panel import Panel
from triptych.report.style import FULL_WIDTH_CM, INK, LIGHT, RED, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAMED_SAMPLES = 40


def pair_panel(
    found: Any, names: Sequence[str], groups: Sequence[str], intervals: tuple[NDArray[np.float64], ...]
) -> Panel:
    """The interval of every pair, and the nearest other sample of each beside its noise floor."""
    floors = np.asarray(found.obs["noise_floor"], np.float64)
    known = bool(np.isfinite(floors).any())
    figure = new_figure(FULL_WIDTH_CM if known else FULL_WIDTH_CM * 0.62, 7.5)
    all_axes = figure.subplots(1, 2 if known else 1, squeeze=False)[0]
    _intervals(all_axes[0], groups, *intervals)
    caption = "Every pair by rising W2 of its measures (dots), with the interval that holds W2 of the clouds of all events (lines)."
    if known:
        _floors(figure, all_axes[1], names, intervals[0], floors)
        caption += (
            " Right: W2 to the nearest other sample (dots) beside W2 between two random halves of the sample (bars), "
            "each half quantized alone: a dot within its bar is not told apart from resampling."
        )
    return Panel("Pairs of samples", caption, figure)


def _floors(
    figure: Figure, axes: Axes, names: Sequence[str], w2: NDArray[np.float64], floors: NDArray[np.float64]
) -> None:
    nearest = (w2 + np.diag(np.full(len(w2), np.inf))).min(axis=1)
    order = np.argsort(nearest, kind="stable")[::-1]
    place = np.arange(len(order))
    axes.barh(place, floors[order], color=LIGHT, height=0.75, label="two halves of the sample")
    axes.scatter(nearest[order], place, color=INK, s=12, zorder=3, label="nearest other sample")
    named = len(names) <= NAMED_SAMPLES
    axes.set_yticks(place if named else [], [names[int(k)] for k in order] if named else [])
    if not named:
        axes.set_ylabel(f"{len(names)} samples, by distance to the nearest")
    axes.set_xlim(left=0)
    axes.set_ylim(-0.7, len(order) - 0.3)
    axes.set_xlabel("W2 (feature units)")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower right", ncols=2, handletextpad=0.3)


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
