"""Panels of a cohort's features: correlations, components and clusters, and what tells groups apart."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from triptych.report.panel import Panel
from triptych.report.style import DIVERGING, GREY, INK, LIGHT, color_of, new_figure
from triptych.stores.embedding import open_embedding

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.axes import Axes

Array = np.ndarray[Any, Any]

STORE = "analysis.zarr"
CALLED = 0.05
MOST_LABELS = 70
MOST_ROWS = 30
OTHER_COLOURS = 4  # groups are not drawn in the colours of the first clusters
THINGS = {"volume": "objects", "cloud": "centers", "signal": "atoms"}


def cohort_panels(folders: Mapping[str, Path], manifests: Mapping[str, Mapping[str, Any]]) -> list[Panel]:
    """Panels of ``analyze_features`` for one kind of samples; none where it is not finished.

    Parameters
    ----------
    folders, manifests : cohort step -> its result folder and its manifest.
    """
    if "analyze_features" not in folders:
        return []
    found = open_embedding(folders["analyze_features"] / STORE)
    things = THINGS.get(str(manifests["analyze_features"].get("kind")), "rows")
    least_stability = float(manifests["analyze_features"].get("settings", {}).get("least_stability", 0.75))
    panels = [_correlation_panel(found, things), _components_panel(found, things, least_stability)]
    if "cluster_ranking" in found.uns:
        panels.append(_clusters_panel(found, things))
    if "differences" in found.uns:
        panels.append(_differences_panel(found))
    return [panel for panel in panels if panel is not None]


def _correlation_panel(found: AnnData, things: str) -> Panel | None:
    order = np.argsort(found.var["order"].to_numpy(), kind="stable")
    order = order[found.var["order"].to_numpy()[order] >= 0]
    if len(order) < 2:
        return None
    rho, q = (found.varp[key][np.ix_(order, order)] for key in ("spearman", "spearman_q"))
    names, categories = found.var_names[order].tolist(), found.var["category"].astype(str).to_numpy()[order]
    side = float(np.clip(4 + 0.42 * len(order), 8, 18))
    figure = new_figure(min(side + 2.5, 18), 0.85 * side)
    axes = figure.add_subplot()
    image = axes.imshow(rho, cmap=DIVERGING, vmin=-1, vmax=1)
    rows, columns = np.nonzero(~(q < CALLED) & ~np.eye(len(order), dtype=bool))
    axes.plot(
        columns, rows, ".", color=GREY, markersize=float(np.clip(40 / len(order), 0.3, 2)), rasterized=True
    )
    _label_features(axes, names, len(order))
    for place in np.flatnonzero(categories[1:] != categories[:-1]):
        for line in (axes.axhline, axes.axvline):
            line(place + 0.5, color=INK, linewidth=0.8)
    figure.colorbar(image, ax=axes, label="Spearman's ρ", shrink=0.6, aspect=25)
    above = np.triu_indices(len(order), 1)
    tested = int(np.isfinite(q[above]).sum())
    called = int((q[above] < CALLED).sum())
    n = found.varp["spearman_n"][np.ix_(order, order)]
    parts = [str(c) for c in dict.fromkeys(categories.tolist()) if c]
    caption = (
        f"Rank correlation of {len(order)} features over up to {n.max():,.0f} {things}"
        f"{' (effective number of weighted rows)' if things == 'centers' else ''}. {called} of {tested} pairs have a false "
        f"discovery rate below {CALLED}; grey dots mark the others. The rate takes rows for independent, which those of "
        "one sample are not: read it as a ranking."
    )
    if len(parts) > 1:
        caption += (
            f" Lines part the categories: {', '.join(parts)}; within one, alike features stand together."
        )
    return Panel("Which features go together", caption, figure)


def _label_features(axes: Axes, names: list[str], count: int) -> None:
    if count > MOST_LABELS:
        axes.set_xlabel(f"{count} features")
        axes.set_xticks([])
        axes.set_yticks([])
        return
    size = float(np.clip(260 / count, 4.5, 7))
    axes.set_xticks(range(count), names, rotation=90, fontsize=size)
    axes.set_yticks(range(count), names, fontsize=size)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _components_panel(found: AnnData, things: str, least_stability: float) -> Panel | None:
    if "X_pca" not in found.obsm or found.obsm["X_pca"].shape[1] < 1:
        return None
    shown = found[found.obs["analysed"].to_numpy()]
    scores, ratio = shown.obsm["X_pca"], found.uns["pca"]["variance_ratio"]
    by = _second_colouring(shown)
    clusters = found.uns.get("clusters")
    choice = clusters is not None and len(clusters["tried"]) > 0
    figure = new_figure(18, 7)
    axes = figure.subplots(1, 1 + (by is not None) + choice)
    axes = np.atleast_1d(axes)
    order = np.random.Generator(np.random.PCG64(0)).permutation(len(scores))
    size = _point_sizes(shown)
    _scatter(axes[0], scores, shown.obs["cluster"], order, size, ratio, "cluster")
    if by is not None:
        _scatter(axes[1], scores, shown.obs[by], order, size, ratio, by, OTHER_COLOURS)
    if choice:
        _plot_choice(axes[-1], clusters, least_stability)
    two = float(ratio[:2].sum())
    number = int(clusters["number"]) if clusters is not None else 1
    weighted = "; the area of a point is its weight" if things == "centers" else ""
    caption = (
        f"{len(scores):,} {things} on the first principal components of {int(found.var['used'].sum())} robustly scaled "
        f"features, which hold {two:.0%} of the variance{weighted}. "
    )
    if choice:
        caption += (
            f"Right: the number of clusters was chosen on {int(clusters['rows']):,} {things}: the greatest at which every "
            f"cluster recurs in bootstrap samples (stability at least {least_stability:g}) and every two stand "
            f"further apart than a single normal cloud would ({number})."
        )
    return Panel("Components and clusters", caption, figure)


def _second_colouring(shown: AnnData) -> str | None:
    for column in ("group", "sample"):
        if column in shown.obs and 1 < shown.obs[column].nunique() <= 12:
            return column
    return None


def _point_sizes(shown: AnnData) -> Array:
    weight = shown.obs["weight"].to_numpy()
    base = float(np.clip(6000 / max(len(weight), 1), 0.5, 14))
    return np.clip(base * weight / weight.mean(), 0.3, 60) if len(weight) else weight


def _scatter(
    axes: Axes,
    scores: Array,
    category: pd.Series[Any],
    order: Array,
    size: Array,
    ratio: Array,
    title: str,
    first_colour: int = 0,
) -> None:
    values = category.astype(str).to_numpy()
    names = sorted(set(values.tolist()), key=lambda name: (len(name), name) if name.isdigit() else (99, name))
    colours = {name: color_of(first_colour + k) for k, name in enumerate(names)}
    second = scores[:, 1] if scores.shape[1] > 1 else np.zeros(len(scores))
    axes.scatter(
        scores[order, 0],
        second[order],
        s=size[order],
        c=[colours[v] for v in values[order].tolist()],
        linewidths=0,
        alpha=0.8,
        rasterized=len(scores) > 300,
    )
    axes.set_xlabel(f"component 1 ({ratio[0]:.0%})")
    axes.set_ylabel(f"component 2 ({ratio[1]:.0%})" if len(ratio) > 1 else "")
    axes.set_title(f"By {title}")
    handles = [axes.plot([], [], "o", color=colours[n], label=_short(n), markersize=4)[0] for n in names]
    axes.legend(
        handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.22), ncols=min(4, len(names)), handletextpad=0.1,
        columnspacing=0.8, borderaxespad=0,
    )  # fmt: skip


def _short(name: str, most: int = 16) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"


def _plot_choice(axes: Axes, clusters: Mapping[str, Any], least_stability: float) -> None:
    tried, number = clusters["tried"], int(clusters["number"])
    axes.plot(tried, clusters["stability"], "o-", color=color_of(0), label="stability")
    axes.plot(tried, clusters["silhouette"], "s-", color=color_of(1), label="silhouette")
    axes.axhline(least_stability, color=LIGHT, linewidth=0.8, zorder=0)
    if number > 1:
        axes.axvline(number, color=GREY, linewidth=0.8, linestyle=":")
    axes.set_ylim(min(0.0, float(np.min(clusters["silhouette"]))), 1.02)
    axes.set_xticks(tried[:: max(1, len(tried) // 6)])
    axes.set_xlabel("number of clusters")
    axes.set_title(f"Number: {number}")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.22), ncols=2, columnspacing=0.8, borderaxespad=0)


def _clusters_panel(found: AnnData, things: str) -> Panel:
    ranking, shares = found.uns["cluster_ranking"], found.uns["cluster_shares"]
    strongest = ranking.abs().max(axis=1).sort_values(ascending=False, kind="stable").index[:MOST_ROWS]
    values = ranking.loc[[name for name in ranking.index if name in set(strongest)]]
    figure = new_figure(18, float(np.clip(3 + 0.42 * max(len(values), 0.6 * len(shares)), 6, 18)))
    left, right = figure.subplots(1, 2, width_ratios=[1.1, 1])
    image = left.imshow(values, cmap=DIVERGING, vmin=-1, vmax=1, aspect="auto")
    left.set_xticks(range(values.shape[1]), list(values.columns))
    left.set_yticks(range(len(values)), list(values.index), fontsize=float(np.clip(260 / len(values), 5, 7)))
    left.tick_params(length=0)
    left.set_xlabel("cluster")
    left.set_title("What sets a cluster apart")
    figure.colorbar(image, ax=left, label="Cliff's δ to all others", shrink=0.7, aspect=25)
    start = np.zeros(len(shares))
    for k, column in enumerate(shares.columns):
        right.barh(
            range(len(shares)), shares[column], left=start, color=color_of(k), label=str(column), height=0.8
        )
        start += shares[column].to_numpy()
    right.set_yticks(range(len(shares)), [_short(str(n), 24) for n in shares.index])
    right.invert_yaxis()
    right.set_xlim(0, 1)
    right.set_xlabel(f"share of the {'weight' if things == 'centers' else things}")
    right.set_title("Clusters in each sample")
    right.legend(title="cluster", loc="center left", bbox_to_anchor=(1.0, 0.5))
    caption = (
        f"Left: Cliff's δ of {len(values)} {'features' if len(values) == len(ranking) else 'strongest features'}: the chance "
        f"that one of the cluster's {things} has a larger value than one of the others, less the chance of a smaller one. "
        "No p-values: the clusters were made from these features. Right: share of each sample in each cluster."
    )
    return Panel("What the clusters are", caption, figure)


def _differences_panel(found: AnnData) -> Panel:
    table = found.uns["differences"].copy()
    if "share_differences" in found.uns:
        shares = found.uns["share_differences"]
        table = pd.concat([table, shares])
    table = table.sort_values(
        ["p", "cliffs_delta"],
        ascending=[True, False],
        key=lambda c: c.abs(),
        kind="stable",
        na_position="last",
    )
    shown = table.iloc[:MOST_ROWS][::-1]
    figure = new_figure(14, float(np.clip(2.5 + 0.42 * len(shown), 5, 18)))
    axes = figure.add_subplot()
    for place, (delta, q) in enumerate(zip(shown["cliffs_delta"], shown["q"], strict=True)):
        called = bool(q < CALLED)
        axes.plot([0, delta], [place, place], color=LIGHT, linewidth=1, zorder=0)
        axes.plot(
            delta,
            place,
            "o",
            color=color_of(0),
            markerfacecolor=color_of(0) if called else "white",
            markersize=4.5,
        )
    axes.axvline(0, color=GREY, linewidth=0.6)
    axes.set_yticks(range(len(shown)), [_short(str(n), 40) for n in shown.index])
    axes.set_ylim(-0.7, len(shown) - 0.3)
    axes.set_xlim(-1.08, 1.08)
    axes.set_xticks([-1, -0.5, 0, 0.5, 1])
    groups = dict(zip(found.uns["groups"]["names"], found.uns["groups"]["samples"].tolist(), strict=True))
    names = list(groups)
    pair = f"{names[0]} ← Cliff's δ → {names[1]}" if len(names) == 2 else "Cliff's δ of the strongest pair"
    axes.set_xlabel(pair)
    sizes = ", ".join(f"{name} {n}" for name, n in groups.items())
    number_called = int((table["q"] < CALLED).sum())
    caption = (
        f"Medians of samples compared between groups ({sizes} samples) by the Kruskal-Wallis test, exact where there are "
        f"few arrangements; shares of clusters beside them. Filled: false discovery rate below {CALLED} "
        f"({number_called} of {len(table)}). The table lists the first {len(shown)} by p-value."
    )
    listed = shown[::-1][["cliffs_delta", "p", "q", "first", "second"]]
    listed.index.name = "feature"
    return Panel("What tells the groups apart", caption, figure, listed.reset_index())
