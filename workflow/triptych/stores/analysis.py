"""``analysis.zarr``: an AnnData of described things, so that scanpy and squidpy go on from it.

========================================  =====================================================================
``X``, ``layers["scaled"]``               (n, d) values in their units; scaled ones, NaN where not analysed
``obs``                                   sample, its fields of the sheet, id, weight, cluster, analysed, descriptors
``var``                                   unit, category, definition, source, center, scale, excluded, order
``obsm["X_pca"]``, ``varm["PCs"]``        scores (n, m) and loadings (d, m)
``varp["spearman"]``, ``_p``, ``_q``      (d, d) rank correlation, p-value, false discovery rate
``uns``                                   pca, clusters, differences, medians, shares, notes
========================================  =====================================================================
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from anndata import AnnData

from triptych.stores.rows import Rows

if TYPE_CHECKING:
    from triptych.analysis import Analysis
    from triptych.analysis.discrimination import Differences

Array = np.ndarray[Any, Any]

OUTSIDE = "none"


def annotate(
    rows: Rows,
    kept: Array,
    found: Analysis,
    center: Mapping[str, float],
    scale: Mapping[str, float],
    sheet: Mapping[str, Mapping[str, str]],
    notes: Sequence[str],
) -> AnnData:
    """All rows and features with what the analysis of some of them found.

    Parameters
    ----------
    rows : every row.
    kept : indices of the rows that were analysed.
    found : their analysis.
    center, scale : of every feature.
    sheet : sample -> its fields (group, batch, ...).
    notes : what was left out and why.
    """
    names = list(rows.features)
    n, d = len(rows.samples), len(names)
    used = np.array([names.index(f) for f in found.features], dtype=np.int64)
    scaled = np.full((n, d), np.nan)
    scaled[np.ix_(kept, used)] = found.scaled
    annotated = AnnData(
        X=np.column_stack(list(rows.features.values())) if d else np.empty((n, 0)),
        obs=_obs(rows, kept, found, sheet),
        var=_var(rows, found, center, scale),
        layers={"scaled": scaled},
    )
    for key, values in (("spearman", found.correlation.rho), ("spearman_p", found.correlation.p)):
        annotated.varp[key] = _spread(values, used, d)
    annotated.varp["spearman_q"] = _spread(found.correlation.q, used, d)
    annotated.varp["spearman_n"] = _spread(found.correlation.n, used, d)
    if found.components is not None:
        scores = np.full((n, found.components.scores.shape[1]), np.nan)
        scores[kept] = found.components.scores
        annotated.obsm["X_pca"] = scores
        loadings = np.zeros((d, scores.shape[1]))
        loadings[[names.index(f) for f in found.used]] = found.components.loadings
        annotated.varm["PCs"] = loadings
        annotated.uns["pca"] = {
            "variance": found.components.variance,
            "variance_ratio": found.components.explained,
        }
    annotated.uns.update(_unstructured(found, notes))
    return annotated


def _obs(rows: Rows, kept: Array, found: Analysis, sheet: Mapping[str, Mapping[str, str]]) -> pd.DataFrame:
    n = len(rows.samples)
    samples = rows.samples.tolist()
    columns: dict[str, Any] = {"sample": _categorical(samples)}
    for key in sorted({key for fields in sheet.values() for key in fields} - {"sample", "id"}):
        columns[key] = _categorical([str(sheet.get(s, {}).get(key, "")) for s in samples])
    columns["id"] = _categorical(rows.ids.tolist()) if rows.ids.dtype.kind == "U" else rows.ids
    columns["weight"] = np.ones(n) if rows.weights is None else rows.weights
    analysed = np.zeros(n, bool)
    analysed[kept] = True
    columns["analysed"] = analysed
    cluster = np.full(n, OUTSIDE, dtype=object)
    if found.clusters is not None:
        cluster[kept] = [str(label + 1) for label in found.clusters.labels.tolist()]
    number = found.clusters.number if found.clusters is not None else 0
    columns["cluster"] = pd.Categorical(cluster, [str(k + 1) for k in range(number)] + [OUTSIDE])
    for name, values in rows.descriptors.items():
        if name not in columns:
            columns[name] = _categorical(values.tolist()) if values.dtype.kind in "UO" else values
    index = [f"{s}/{i}" for s, i in zip(samples, rows.ids.tolist(), strict=True)]
    if len(set(index)) < n:
        index = [f"{name}/{row}" for row, name in enumerate(index)]
    return pd.DataFrame(columns, index=pd.Index(index, dtype=object))


def _categorical(values: list[str]) -> Any:
    texts = [str(v) for v in values]
    return pd.Categorical(texts, sorted(set(texts)))


def _var(
    rows: Rows, found: Analysis, center: Mapping[str, float], scale: Mapping[str, float]
) -> pd.DataFrame:
    names = list(rows.features)
    order = {found.features[j]: place for place, j in enumerate(found.order.tolist())}
    columns: dict[str, Any] = {
        key: [getattr(rows.fields[n], key) for n in names]
        for key in ("unit", "category", "definition", "source")
    }
    columns["center"] = np.array([center[n] for n in names], dtype=np.float64)
    columns["scale"] = np.array([scale[n] for n in names], dtype=np.float64)
    columns["excluded"] = [found.excluded.get(n, "") for n in names]
    columns["used"] = np.array([n in found.used for n in names], dtype=bool)
    columns["order"] = np.array([order.get(n, -1) for n in names], dtype=np.int64)
    return pd.DataFrame(columns, index=pd.Index(names, dtype=object))


def _spread(values: Array, used: Array, d: int) -> Array:
    spread = np.full((d, d), np.nan)
    spread[np.ix_(used, used)] = values
    return spread


def _unstructured(found: Analysis, notes: Sequence[str]) -> dict[str, Any]:
    kept: dict[str, Any] = {"notes": np.array(list(notes), dtype=object)}
    clusters = found.clusters
    if clusters is not None:
        kept["clusters"] = {
            "tried": clusters.tried,
            "silhouette": clusters.silhouette,
            "stability": clusters.stability,
            "margin": clusters.margin,
            "number": np.array(clusters.number),
            "rows": np.array(clusters.rows),
            "centers": clusters.centers,
        }
        names = [str(k + 1) for k in range(clusters.number)]
        kept["cluster_shares"] = pd.DataFrame(
            found.shares, index=_index(found.samples), columns=_index(names)
        )
        if len(found.cluster_ranking):
            kept["cluster_ranking"] = pd.DataFrame(
                found.cluster_ranking.T, index=_index(found.features), columns=_index(names)
            )
    kept["medians"] = {"samples": _index(found.samples).to_numpy(), "values": found.medians}
    if found.differences is not None:
        kept["differences"] = _differences(found.differences, found.features)
        sizes = found.differences.groups
        kept["groups"] = {"names": _index(list(sizes)).to_numpy(), "samples": np.array(list(sizes.values()))}
    if found.share_differences is not None:
        names = [f"share of cluster {k + 1}" for k in range(found.shares.shape[1])]
        kept["share_differences"] = _differences(found.share_differences, names)
    return kept


def _differences(found: Differences, names: Sequence[str]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "statistic": found.statistic,
            "p": found.p,
            "q": found.q,
            "cliffs_delta": found.delta,
            "first": list(found.first),
            "second": list(found.second),
        },
        index=_index(names),
    )


def _index(names: Sequence[str]) -> pd.Index[str]:
    return pd.Index(list(names), dtype=object)
