"""What the features of a cohort say: correlation, components, clusters, and differences between groups of samples.

Rows are objects, atoms, or the centers of measures with their weights. Reads them and ``scaling.parquet``; writes
``analysis.zarr``, an AnnData whose rows carry cluster and components and whose columns carry unit and category.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from triptych.engine.step import Context, Input, Reduce, Settings, Step
from triptych.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from triptych.analysis import Analysis
    from triptych.stores.rows import Rows

    Array = np.ndarray[Any, Any]

OUTPUT = "analysis.zarr"
SUMMARY = "scratch/summary.json"
BORDER = "touches_border"
LEAST_INSIDE = 30


class AnalyzeFeaturesSettings(Settings):
    """Settings of analyze_features."""

    border_objects: Literal["auto", "exclude", "include"] = Field(
        "auto",
        description="Objects cut by the border of their volume: exclude leaves them out of the statistics (they stay in "
        f"the table, flagged); auto does so unless fewer than {LEAST_INSIDE} objects would be left.",
    )
    n_components: int = Field(
        10, ge=1, le=200, description="Principal components that are kept and clustered."
    )
    clip_scales: float = Field(
        10.0,
        gt=0,
        description="Values further than this many scales from the median enter components as this.",
    )
    max_missing: float = Field(
        0.2, ge=0, le=1, description="Features missing in a greater share of rows stay out of components."
    )
    max_clusters: int = Field(10, ge=1, le=100, description="Greatest number of clusters that is tried.")
    selection_rows: int = Field(
        2000, ge=10, le=20_000, description="Rows of the subsample on which the number of clusters is chosen."
    )
    fit_rows: int = Field(
        50_000,
        ge=100,
        description="Rows to which the centers of clusters are fitted; all rows are then assigned.",
    )
    bootstraps: int = Field(20, ge=2, le=1000, description="Bootstrap samples for the stability of clusters.")
    null_samples: int = Field(39, ge=2, le=1000, description="Null samples for each pair of clusters.")
    least_stability: float = Field(
        0.75, ge=0, le=1, description="Mean Jaccard index that every cluster must reach."
    )
    seed: int = Field(0, ge=0, description="Seed of every draw.")


def read_scaling(context: Context, rows: Rows) -> tuple[dict[str, float], dict[str, float]]:
    """Center and scale of every feature, from ``scaling.parquet``; the scale is NaN where it cannot be scaled.

    Raises
    ------
    InputError : the scaling is of other features or units.
    """
    from triptych.stores.table import read_table

    path = context.source("scaling")
    table = read_table(path, ["feature", "unit", "center", "scale", "included"]).columns
    units = dict(zip(table["feature"].tolist(), table["unit"].tolist(), strict=True))
    for name, field in rows.fields.items():
        unit = field.unit
        if units.get(name) != unit:
            has = "no such feature" if name not in units else f"unit {units[name] or 'none'}"
            raise InputError(
                f"{path} does not fit the tables: for feature {name} ({unit or 'no unit'}) it has {has}; "
                "give the scaling.parquet that scale_features made of the same samples"
            )
    scales = [
        s if ok else float("nan") for s, ok in zip(table["scale"].tolist(), table["included"], strict=True)
    ]
    names = table["feature"].tolist()
    return dict(zip(names, table["center"].tolist(), strict=True)), dict(zip(names, scales, strict=True))


def analysed_rows(rows: Rows, wanted: str, notes: list[str]) -> Array:
    """(n,) bool: the rows that enter the statistics."""
    import numpy as np

    everything = np.ones(len(rows.samples), bool)
    border = rows.descriptors.get(BORDER)
    if border is None or not border.any():
        return everything
    inside, n, m = ~border.astype(bool), int(border.sum()), len(border)
    if wanted == "include":
        notes.append(
            f"{n} of {m} objects touch the border of their volume and are cut by it; they are analysed too."
        )
        return everything
    if wanted == "auto" and inside.sum() < LEAST_INSIDE:
        notes.append(
            f"{n} of {m} objects touch the border of their volume and are cut by it; they are analysed too, because "
            f"only {int(inside.sum())} others are there (border_objects: exclude leaves them out)."
        )
        return everything
    notes.append(f"{n} of {m} objects touch the border of their volume and are left out of the statistics.")
    return inside


def analyse(context: Context) -> None:
    """Analyse and write ``analysis.zarr``."""
    import numpy as np

    from triptych.analysis import Choice, analyze
    from triptych.engine.files import write_json
    from triptych.stores.analysis import annotate
    from triptych.stores.embedding import write_embedding
    from triptych.stores.rows import read_rows

    s: AnalyzeFeaturesSettings = context.settings
    notes: list[str] = []
    rows = read_rows({name: source.path for name, source in context.collections["tables"].items()})
    center, scale = read_scaling(context, rows)
    kept = np.flatnonzero(analysed_rows(rows, s.border_objects, notes))
    found = analyze(
        {name: values[kept] for name, values in rows.features.items()},
        samples=rows.samples[kept],
        groups={name: fields.get("group", "") for name, fields in context.sheet.items()},
        weights=None if rows.weights is None else rows.weights[kept],
        categories=rows.categories,
        center=center,
        scale=scale,
        n_components=s.n_components,
        clip=s.clip_scales,
        max_missing=s.max_missing,
        choice=Choice(
            s.max_clusters, s.selection_rows, s.fit_rows, s.bootstraps, s.null_samples, s.least_stability
        ),
        seed=s.seed,
    )
    notes += found.notes
    write_embedding(context.path(OUTPUT), annotate(rows, kept, found, center, scale, context.sheet, notes))
    write_json(context.path(SUMMARY), _summary(rows, kept, found, notes))


def _summary(rows: Rows, kept: Array, found: Analysis, notes: list[str]) -> dict[str, Any]:
    import numpy as np

    above = np.triu_indices(len(found.features), 1)
    q = found.correlation.q[above]
    counts = {
        "samples": len(found.samples),
        "rows": len(rows.samples),
        "rows_analysed": len(kept),
        "features": len(rows.features),
        "features_analysed": len(found.features),
        "correlated_pairs": int((q[np.isfinite(q)] < 0.05).sum()),
        "clusters": found.clusters.number if found.clusters else 0,
    }
    scores: dict[str, Any] = {}
    if found.clusters is not None and found.clusters.number > 1:
        place = int(np.flatnonzero(found.clusters.tried == found.clusters.number)[0])
        scores["silhouette"] = float(found.clusters.silhouette[place])
        scores["stability"] = float(found.clusters.stability[place])
    if found.components is not None and found.components.explained.size:
        scores["variance_explained"] = float(found.components.explained.sum())
    for name, differences in (("features", found.differences), ("clusters", found.share_differences)):
        if differences is not None:
            counts[f"{name}_that_differ"] = int((np.nan_to_num(differences.q, nan=1.0) < 0.05).sum())
    return {"counts": counts, "scores": scores, "notes": notes}


def summary(context: Context) -> dict[str, Any]:
    """What the analysis counted."""
    import json

    found: dict[str, Any] = json.loads(context.path(SUMMARY).read_text())
    return found


STEP = Step(
    name="analyze_features",
    version=1,
    scope="cohort",
    kinds=("volume", "cloud", "signal"),
    help="Correlations, components, clusters and group differences of the features of a cohort.",
    settings=AnalyzeFeaturesSettings,
    inputs=(
        Input(
            name="tables",
            help="objects.parquet, measure.zarr or atoms.parquet of every sample",
            stores={"volume": "objects.parquet", "cloud": "measure.zarr", "signal": "atoms.parquet"},
            producers={"volume": "measure_objects", "cloud": "quantize_cloud", "signal": "describe_atoms"},
            many=True,
        ),
        Input(
            name="scaling",
            help="scaling.parquet of scale_features",
            store="scaling.parquet",
            producers={"volume": "scale_features", "cloud": "scale_features", "signal": "scale_features"},
        ),
    ),
    outputs=(OUTPUT,),
    phases=(Reduce("analyse", owns=lambda context: (OUTPUT, SUMMARY), work=analyse),),
    summary=summary,
)
