"""Compare the samples of a cohort by exact optimal transport between their measures, and embed them.

Reads ``--measures`` (``measure.zarr`` of every sample). A map over tiles of pairs, then one reduction that writes all pairs,
the linearised embedding and the scores.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import Field

from triptych.engine.step import Context, Estimate, Input, Map, Reduce, Settings, Step
from triptych.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from anndata import AnnData
    from numpy.typing import NDArray

    from triptych.quantization import CloudMeasure
    from triptych.stores.measure import StoredMeasure

CHECKED = "scratch/samples.json"
DESCRIPTIONS = ("group", "batch", "subject", "session")


class CompareSamplesSettings(Settings):
    """Settings of compare_samples."""

    tile_samples: int = Field(
        32, ge=1, le=1024, description="Samples along each side of a tile of pairs: one block."
    )
    embedding_axes: int = Field(8, ge=1, le=100, description="Axes of the embeddings, at most.")
    seed: int = Field(0, ge=0, description="Seed of the reference measure of the linearised embedding.")


def _tiles(context: Context) -> list[tuple[int, int]]:
    """Tiles on and above the diagonal, row by row."""
    side = -(-len(context.collections["measures"]) // int(context.settings.tile_samples))
    return list(itertools.combinations_with_replacement(range(side), 2))


def _samples_of(context: Context, tile: int) -> list[str]:
    size = int(context.settings.tile_samples)
    return list(context.collections["measures"])[tile * size : (tile + 1) * size]


def _measure(context: Context, sample: str) -> StoredMeasure:
    from triptych.stores.measure import open_measure

    return open_measure(context.collections["measures"][sample].path)


def _for_transport(stored: StoredMeasure) -> CloudMeasure:
    from triptych.quantization import CloudMeasure

    return CloudMeasure(
        stored.centers, stored.weights, stored.distortion, stored.epsilon, stored.mean, stored.covariance
    )


def _check(context: Context) -> None:
    """Refuse measures of different features, units or scalings, and find samples of equal content."""
    from triptych.engine.files import write_json

    names = list(context.collections["measures"])
    if not names:
        raise InputError("compare_samples has no measure to compare; give at least one with --measures")
    first = _measure(context, names[0])
    content: dict[str, list[str]] = {}
    for name in names:
        other = _measure(context, name)
        _check_features(names[0], first, name, other)
        if other.content:
            content.setdefault(other.content, []).append(name)
    twins = sorted(group for group in content.values() if len(group) > 1)
    write_json(context.path(CHECKED), {"samples": names, "duplicates": twins})


def _check_features(first_name: str, first: StoredMeasure, name: str, other: StoredMeasure) -> None:
    remedy = "import all samples of a cohort with one panel and the same settings"
    for feature in first.features:
        if feature not in other.features:
            raise InputError(
                f"sample {name} has no feature {feature}, which sample {first_name} has; {remedy}"
            )
    for feature in other.features:
        if feature not in first.features:
            raise InputError(
                f"sample {name} has a feature {feature}, which sample {first_name} lacks; {remedy}"
            )
    if first.features != other.features:
        raise InputError(f"samples {first_name} and {name} have their features in different order; {remedy}")
    for feature, unit, other_unit in zip(first.features, first.units, other.units, strict=True):
        if unit != other_unit:
            raise InputError(
                f"feature {feature} is in {unit!r} in sample {first_name} and in {other_unit!r} in sample {name}; {remedy}"
            )
    if first.scaling != other.scaling:
        raise InputError(
            f"samples {first_name} and {name} were scaled differently; run quantize_cloud again with one scaling"
        )


def _spare_backends() -> None:
    """Keep POT from loading array libraries that an exact plan does not need, before it is first imported."""
    for library in ("PYTORCH", "JAX", "CUPY", "TENSORFLOW"):
        os.environ.setdefault(f"POT_BACKEND_DISABLE_{library}", "1")


def _tile_key(index: int) -> str:
    return f"scratch/tiles/{index:06d}.npz"


def _owns_tile(context: Context, index: int) -> list[str]:
    return [_tile_key(index)]


def _count(context: Context) -> int:
    return len(_tiles(context))


def _compare_tile(context: Context, index: int) -> None:
    """Exact W2 and its interval for the pairs of one tile (on the diagonal, pairs above it)."""
    import numpy as np

    from triptych.engine.files import save_arrays
    from triptych.quantization.front import interval

    _spare_backends()
    row, column = _tiles(context)[index]
    above = [_for_transport(_measure(context, name)) for name in _samples_of(context, row)]
    beside = (
        above
        if row == column
        else [_for_transport(_measure(context, n)) for n in _samples_of(context, column)]
    )
    found = np.zeros((3, len(above), len(beside)))
    for i, first in enumerate(above):
        for j, second in enumerate(beside):
            if row < column or i < j:
                found[:, i, j] = interval(first, second)
    save_arrays(context.path(_tile_key(index)), {"interval": found})


def _gather(context: Context) -> NDArray[np.float64]:
    """(3, N, N): w2, lower, upper; symmetric, zero diagonal."""
    import numpy as np

    from triptych.engine.files import load_arrays

    n, size = len(context.collections["measures"]), int(context.settings.tile_samples)
    found = np.zeros((3, n, n))
    for index, (row, column) in enumerate(_tiles(context)):
        part = load_arrays(context.path(_tile_key(index)))["interval"]
        found[:, row * size : row * size + part.shape[1], column * size : column * size + part.shape[2]] = (
            part
        )
    return np.asarray(found + found.transpose(0, 2, 1))


def _write(context: Context) -> None:
    """All pairs a < b as a table, and the embedding."""
    import numpy as np

    from triptych.stores.embedding import STORE, write_embedding
    from triptych.stores.table import Field as Column
    from triptych.stores.table import write_table

    _spare_backends()
    names = list(context.collections["measures"])
    found = _gather(context)
    first, second = np.triu_indices(len(names), k=1)
    labels = np.array(names, dtype=np.str_)
    bounds = "arXiv 2012.10370 (upper); Gelbrich 1990 and the triangle inequality (lower)"
    write_table(
        context.path("distances.parquet"),
        {
            "sample_a": labels[first],
            "sample_b": labels[second],
            "w2": found[0][first, second],
            "lower": found[1][first, second],
            "upper": found[2][first, second],
        },
        {
            "sample_a": Column(role="descriptor", definition="First sample of the pair, in order of names."),
            "sample_b": Column(role="descriptor", definition="Second sample of the pair."),
            "w2": Column(
                "feature units", "distance", "Exact W2 between the two measures.", "POT, network simplex"
            ),
            "lower": Column("feature units", "distance", "Lower bound of W2 between the two clouds.", bounds),
            "upper": Column("feature units", "distance", "Upper bound of W2 between the two clouds.", bounds),
        },
    )
    write_embedding(context.path(STORE), _embed(context, names, found))


def _embed(context: Context, names: list[str], found: NDArray[np.float64]) -> AnnData:
    """AnnData: obs = samples, X = mean of every feature, obsm = linearised transport (PCA) and classical scaling."""
    import anndata
    import numpy as np
    import pandas as pd

    from triptych.quantization import embedding

    settings: CompareSamplesSettings = context.settings
    stored = [_measure(context, name) for name in names]
    centers, weights = [m.centers for m in stored], [m.weights for m in stored]
    k = max(len(w) for w in weights)
    reference, masses = embedding.mean_reference(centers, weights, k, settings.seed)
    moved = [embedding.displacements(reference, masses, c, w) for c, w in zip(centers, weights, strict=True)]
    axes = max(1, min(settings.embedding_axes, len(names) - 1))
    linear = embedding.principal([field for field, _ in moved], masses, axes)
    scaled = embedding.classical_scaling(found[0], axes)
    obs = pd.DataFrame(index=pd.Index(names, dtype=object))
    for column in DESCRIPTIONS:
        values = [context.sheet.get(name, {}).get(column, "") for name in names]
        if any(values):
            obs[column] = np.array(values, dtype=object)
    obs["events"] = np.array([m.events for m in stored], dtype=np.int64)
    obs["centers"] = np.array([len(w) for w in weights], dtype=np.int64)
    obs["epsilon"] = np.array([m.epsilon for m in stored])
    obs["projection_defect"] = np.array([defect for _, defect in moved])
    var = pd.DataFrame(
        {"unit": np.array(stored[0].units, dtype=object)},
        index=pd.Index(list(stored[0].features), dtype=object),
    )
    annotated = anndata.AnnData(X=np.stack([m.mean for m in stored]), obs=obs, var=var)
    annotated.obsm["X_lot"], annotated.obsm["X_mds"] = linear.coordinates, scaled.coordinates
    annotated.obsp["w2"], annotated.obsp["lower"], annotated.obsp["upper"] = found
    annotated.uns["lot_explained"], annotated.uns["mds_explained"] = linear.explained, scaled.explained
    annotated.uns["reference_centers"], annotated.uns["reference_weights"] = reference, masses
    return annotated


def _summary(context: Context) -> dict[str, Any]:
    """Counts, mean distance, and how often the nearest other sample is of the same group, beside the majority."""
    import json

    import numpy as np

    from triptych.quantization.neighbours import leave_one_out

    checked = json.loads(context.path(CHECKED).read_text())
    names = list(context.collections["measures"])
    found = _gather(context)
    n = len(names)
    notes = [f"samples {', '.join(group)} hold the same events" for group in checked["duplicates"]]
    scores: dict[str, float] = {}
    if n == 1:
        notes.append("one sample: there is no pair to compare")
    else:
        above = np.triu_indices(n, k=1)
        scores["mean_w2"] = float(found[0][above].mean())
    groups = [context.sheet.get(name, {}).get("group", "") for name in names]
    labelled = [i for i, group in enumerate(groups) if group]
    if len({groups[i] for i in labelled}) > 1:
        score = leave_one_out(found[0][np.ix_(labelled, labelled)], [groups[i] for i in labelled])
        scores["group_nearest_neighbour_accuracy"] = score.accuracy
        scores["group_majority_accuracy"] = score.majority
        if alone := score.alone:
            notes.append(f"groups of one sample can never be found by their neighbour: {', '.join(alone)}")
    return {"counts": {"samples": n, "pairs": n * (n - 1) // 2}, "scores": scores, "notes": notes}


def _owned_by_check(context: Context) -> list[str]:
    return [CHECKED]


def _owned_by_write(context: Context) -> list[str]:
    return ["distances.parquet", "embedding.zarr"]


def _estimate(extent: Mapping[str, Any], settings: Any) -> Estimate:
    n = int(extent.get("samples", 100))
    side = -(-n // settings.tile_samples)
    return Estimate(
        blocks=side * (side + 1) // 2,
        output_bytes=60 * n * n,
        memory_bytes=300 * 2**20 + 80 * n * n,
        files=side * (side + 1) // 2 + 40,
    )


STEP = Step(
    name="compare_samples",
    version=1,
    scope="cohort",
    least_samples=2,
    kinds=("volume", "cloud", "signal"),
    help="Exact optimal transport between all samples of a cohort, with bounds, and their embedding.",
    settings=CompareSamplesSettings,
    inputs=(
        Input(
            "measures",
            "measure.zarr of every sample",
            store="measure.zarr",
            producers={"volume": "quantize_cloud", "cloud": "quantize_cloud", "signal": "quantize_cloud"},
            many=True,
        ),
    ),
    outputs=("distances.parquet", "embedding.zarr"),
    phases=(
        Reduce("check", _owned_by_check, _check),
        Map("tiles", _count, _owns_tile, _compare_tile),
        Reduce("write", _owned_by_write, _write),
    ),
    summary=_summary,
    estimate=_estimate,
)
