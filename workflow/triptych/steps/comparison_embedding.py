"""The AnnData that compare_samples writes: coordinates and distances of samples, and what places a new one among them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from triptych.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from anndata import AnnData
    from numpy.typing import NDArray

    from triptych.quantization.embedding import LinearSpace
    from triptych.stores.measure import StoredMeasure
    from triptych.stores.pooled import StoredPooled

    Array = NDArray[np.float64]

DESCRIPTIONS = ("group", "batch", "subject", "session")
SPACE = ("reference_centers", "reference_weights", "reference_mean", "reference_axes", "lot_explained")


def annotate(
    names: Sequence[str],
    stored: Sequence[StoredMeasure],
    sheet: Mapping[str, Mapping[str, str]],
    found: Array,
    axes: int,
    seed: int,
    *,
    space: LinearSpace | None = None,
    common: StoredPooled | None = None,
) -> AnnData:
    """AnnData: obs = samples, X = mean of every feature, obsm = coordinates, obsp = distances, uns = what places a new sample.

    Parameters
    ----------
    found : (3, N, N): w2, lower, upper.
    axes : of every embedding, at most.
    space : where given, samples are placed on its axes, and nothing is fitted.
    common : the cohort on common centers; rows in the order of ``names``.
    """
    import anndata
    import numpy as np
    import pandas as pd

    from triptych.quantization import embedding, hierarchy

    centers, weights = [m.centers for m in stored], [m.weights for m in stored]
    n_axes = max(1, min(axes, len(names) - 1))
    if space is None:
        reference, masses = embedding.mean_reference(centers, weights, max(map(len, weights)), seed)
    else:
        reference, masses = space.reference, space.reference_weights
    moved = [embedding.displacements(reference, masses, c, w) for c, w in zip(centers, weights, strict=True)]
    fields = [field for field, _ in moved]
    if space is None:
        space = embedding.fit_axes(fields, reference, masses, n_axes)
    coordinates, residual = embedding.project(space, fields)
    obs = pd.DataFrame(index=pd.Index(list(names), dtype=object))
    for column in DESCRIPTIONS:
        values = [sheet.get(name, {}).get(column, "") for name in names]
        if any(values):
            obs[column] = np.array(values, dtype=object)
    obs["events"] = np.array([m.events for m in stored], dtype=np.int64)
    obs["centers"] = np.array([len(w) for w in weights], dtype=np.int64)
    obs["epsilon"] = np.array([m.epsilon for m in stored])
    floors = [np.nan if m.split_half is None else m.split_half for m in stored]
    obs["noise_floor"] = np.array(floors, dtype=np.float64)
    obs["projection_defect"] = np.array([defect for _, defect in moved])
    obs["lot_residual"] = residual
    units = np.array(stored[0].units, dtype=object)
    var = pd.DataFrame({"unit": units}, index=pd.Index(list(stored[0].features), dtype=object))
    annotated = anndata.AnnData(X=np.stack([m.mean for m in stored]), obs=obs, var=var)
    scaled = embedding.classical_scaling(found[0], n_axes)
    annotated.obsm["X_lot"], annotated.obsm["X_mds"] = coordinates, scaled.coordinates
    annotated.obsp["w2"], annotated.obsp["lower"], annotated.obsp["upper"] = found
    annotated.obsp["lot"] = embedding.linear_distances(fields, masses)
    parts = (space.reference, space.reference_weights, space.mean, space.axes, space.explained)
    annotated.uns.update(zip(SPACE, parts, strict=True))
    annotated.uns["mds_explained"] = scaled.explained
    annotated.uns["linkage"], annotated.uns["linkage_order"] = hierarchy.average_linkage(found[0])
    annotated.uns["scaling"] = json.dumps(stored[0].scaling, sort_keys=True)
    if common is not None:
        _add_common(annotated, common, n_axes)
    return annotated


def _add_common(annotated: AnnData, common: StoredPooled, axes: int) -> None:
    """The view of weights on common centers: log-ratios, their distances, and transport along a tree of the centers."""
    import numpy as np

    from triptych.quantization import composition, spanning_tree

    ratios = composition.centred_log_ratios(composition.replace_zeros(common.weights, common.events))
    found = composition.principal_ratios(ratios, axes)
    annotated.obsm["X_clr"], annotated.uns["clr_explained"] = found.coordinates, found.explained
    annotated.obsp["aitchison"] = composition.aitchison(ratios)
    annotated.obsp["tree"] = np.asarray(spanning_tree.distances(common.centers, common.weights))
    annotated.obs["zero_weights"] = (common.weights == 0).sum(axis=1)


def read_space(path: Path, first: StoredMeasure) -> LinearSpace:
    """The reference and axes of an earlier comparison, of measures of the same features, units and scaling.

    Raises
    ------
    InputError : it has none, or they are of other features.
    """
    import numpy as np

    from triptych.quantization.embedding import LinearSpace
    from triptych.stores.embedding import open_embedding

    found = open_embedding(path)
    if missing := [key for key in SPACE if key not in found.uns] + ["unit"] * ("unit" not in found.var):
        raise InputError(
            f"{path} holds no {missing[0]}; give the embedding.zarr of compare_samples, or run it again on that cohort"
        )
    names, units = [str(name) for name in found.var_names], [str(unit) for unit in found.var["unit"]]
    if names != list(first.features) or units != list(first.units):
        raise InputError(
            f"{path} was made of other features or units than these measures; use one panel and the same settings"
        )
    if json.loads(str(found.uns.get("scaling", "null"))) != json.loads(json.dumps(first.scaling)):
        raise InputError(
            f"{path} was made of measures of another scaling; quantize the new samples with the scaling of that cohort"
        )
    return LinearSpace(*(np.asarray(found.uns[key], dtype=np.float64) for key in SPACE))


def read_common(path: Path, names: Sequence[str], stored: Sequence[StoredMeasure]) -> StoredPooled:
    """The cohort on common centers, its rows in the order of the samples compared.

    Raises
    ------
    InputError : a sample is not in it, or its features or events are others.
    """
    from dataclasses import replace

    from triptych.stores.pooled import open_pooled

    pooled = open_pooled(path)
    remedy = "run quantize_cohort again on the same samples"
    if pooled.features != stored[0].features:
        raise InputError(f"{path} was made of other features than these measures; {remedy}")
    if missing := [name for name in names if name not in pooled.samples]:
        raise InputError(f"{path} lacks sample {missing[0]}; {remedy}")
    rows = [pooled.samples.index(name) for name in names]
    for name, row, measure in zip(names, rows, stored, strict=True):
        if pooled.content and pooled.content[row] and measure.content not in ("", pooled.content[row]):
            raise InputError(f"{path} was made of other events of sample {name}; {remedy}")
    return replace(pooled, weights=pooled.weights[rows], events=pooled.events[rows])
