"""Compare the samples of a cohort by exact optimal transport between their measures, and embed them.

Reads ``--measures`` (``measure.zarr`` of every sample) and, where given, ``--common`` (``pooled.zarr`` of the cohort) and
``--reference`` (``embedding.zarr`` of an earlier comparison, on whose axes the samples are placed). A map over tiles of pairs,
then reductions that write pairs, samples and embeddings, test what group and batch explain, and predict held-out subjects.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic import Field

from triptych.engine.step import Context, Estimate, Input, Map, Reduce, Settings, Step
from triptych.errors import StepError
from triptych.steps.compared_measures import (
    CHECKED,
    check_measures,
    compared_measure,
    seen_through,
    stored_measures,
)
from triptych.steps.known_pairs import KNOWN, known_tile, recall, remember
from triptych.steps.packed_measures import PACKED, pack, unpack

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from triptych.quantization.classification import Fold, Plan, Samples

EXPLAINED = "scratch/factors.json"
CLASSIFIED = "scratch/classification.json"


class CompareSamplesSettings(Settings):
    """Settings of compare_samples."""

    tile_samples: int = Field(
        32, ge=1, le=1024, description="Samples along each side of a tile of pairs: one block."
    )
    bound_rounds: int = Field(
        3,
        ge=0,
        le=100,
        description="Rounds that raise the lower bound of a pair above that of means and covariances; 0: none.",
    )
    embedding_axes: int = Field(8, ge=1, le=100, description="Axes of the embeddings, at most.")
    permutations: int = Field(
        999,
        ge=99,
        le=1_000_000,
        description="Arrangements of labels that a test looks at, at most; all distinct ones where there are no more.",
    )
    folds: int = Field(
        20,
        ge=2,
        le=1000,
        description="Folds of subjects in classification, at most; where there are fewer, each alone.",
    )
    seed: int = Field(0, ge=0, description="Seed of the reference measures, the folds and the arrangements.")


def _tiles(context: Context) -> list[tuple[int, int]]:
    """Tiles on and above the diagonal, row by row."""
    side = -(-len(context.collections["measures"]) // int(context.settings.tile_samples))
    return list(itertools.combinations_with_replacement(range(side), 2))


def _check(context: Context) -> None:
    """Match features, refuse what cannot be compared, find samples of equal content and pairs that are known."""
    from triptych.engine.files import write_json

    measures = stored_measures(context)
    checked = check_measures(context, measures)
    write_json(context.path(CHECKED), checked)
    pack(context, (seen_through(measure, name, checked) for name, measure in measures.items()))
    recall(context, STEP.version)


def _tile_key(index: int) -> str:
    return f"scratch/tiles/{index:06d}.npz"


def _owns_tile(context: Context, index: int) -> list[str]:
    return [_tile_key(index)]


def _count(context: Context) -> int:
    return len(_tiles(context))


def _compare_tile(context: Context, index: int) -> None:
    """Exact W2 and its interval for the pairs of one tile that are not known yet (on the diagonal, pairs above it)."""
    import numpy as np

    from triptych.engine.files import save_arrays
    from triptych.quantization import bounds

    names, size = list(context.collections["measures"]), int(context.settings.tile_samples)
    row, column = (side * size for side in _tiles(context)[index])
    found = known_tile(context, row, len(names[row : row + size]), column, len(names[column : column + size]))
    if row == column:
        found[:, np.tri(found.shape[1], dtype=bool)] = 0.0
    ready: dict[int, bounds.Prepared] = {}
    for i, j in np.argwhere(np.isnan(found).any(axis=0)).tolist():
        first, second = row + i, column + j
        for sample in (first, second):
            if sample not in ready:
                ready[sample] = bounds.prepare(unpack(context, sample))
        try:
            found[:, i, j] = bounds.interval(ready[first], ready[second], context.settings.bound_rounds)
        except ValueError as error:
            raise StepError(
                f"samples {names[first]} and {names[second]} cannot be compared: {error}"
            ) from error
    save_arrays(context.path(_tile_key(index)), {"interval": found})


def _gather(context: Context) -> NDArray[np.float64]:
    """(3, N, N): w2, lower, upper; symmetric, zero diagonal."""
    import numpy as np

    from triptych.engine.files import load_arrays

    n, size = len(context.collections["measures"]), int(context.settings.tile_samples)
    found = np.zeros((3, n, n))
    for index, (row, column) in enumerate(_tiles(context)):
        path = context.path(_tile_key(index))
        try:
            part = load_arrays(path)["interval"]
        except Exception as error:
            raise StepError(
                f"{path} cannot be read ({type(error).__name__}); type the same command again with --verify: the tile is "
                "computed anew"
            ) from error
        found[:, row * size : row * size + part.shape[1], column * size : column * size + part.shape[2]] = (
            part
        )
    return np.asarray(found + found.transpose(0, 2, 1))


def _write(context: Context) -> None:
    """The embeddings, all pairs a < b, the samples and their tree."""
    from triptych.steps import comparison_embedding as embedding
    from triptych.steps import comparison_tables as tables
    from triptych.stores.embedding import STORE, write_embedding

    settings: CompareSamplesSettings = context.settings
    names = list(context.collections["measures"])
    stored = [compared_measure(context, name) for name in names]
    given = context.inputs
    space = embedding.read_space(context.source("reference"), stored[0]) if "reference" in given else None
    common = embedding.read_common(context.source("common"), names, stored) if "common" in given else None
    found = _gather(context)
    annotated = embedding.annotate(
        names,
        stored,
        context.sheet,
        found,
        settings.embedding_axes,
        settings.seed,
        space=space,
        common=common,
    )
    write_embedding(context.path(STORE), annotated)
    tables.write_distances(context.path("distances.parquet"), annotated)
    tables.write_samples(context.path("samples.parquet"), annotated)
    tables.write_dendrogram(context.path("dendrogram.parquet"), annotated)
    remember(context, STEP.version, found)


def _explain(context: Context) -> None:
    """What group and batch explain of the distances."""
    from triptych.engine.files import write_json
    from triptych.steps.comparison_factors import explain_factors, write_factors

    settings: CompareSamplesSettings = context.settings
    names = list(context.collections["measures"])
    w2 = _gather(context)[0]
    found = explain_factors(names, context.sheet, w2, settings.permutations, settings.seed)
    write_factors(context.path("factors.parquet"), found)
    write_json(context.path(EXPLAINED), {"notes": found.notes, "scores": found.scores})


def _classify(context: Context) -> None:
    """Groups of held-out subjects, folds on the workers."""
    from triptych.engine.files import write_json
    from triptych.steps.comparison_classification import classify, write_classification, write_scores

    settings: CompareSamplesSettings = context.settings
    names = list(context.collections["measures"])
    samples, views = classify(
        names,
        [compared_measure(context, name) for name in names],
        context.sheet,
        lambda *job: context.map(partial(_predict, *job[:3]), job[3]),
        folds=settings.folds,
        axes=settings.embedding_axes,
        permutations=settings.permutations,
        seed=settings.seed,
    )
    write_classification(context.path("classification.parquet"), samples)
    write_scores(context.path("classification_scores.parquet"), views)
    write_json(context.path(CLASSIFIED), {"notes": views.notes, "scores": views.scores})


def _predict(samples: Samples, arranged: NDArray[np.int64], plan: Plan, held_out: NDArray[np.int64]) -> Fold:
    from triptych.quantization.classification import predict_fold

    return predict_fold(samples, held_out, arranged, plan)


def _summary(context: Context) -> dict[str, Any]:
    """Counts, mean distance, the nearest samples of other subjects, noise floors, and what factors and folds say."""
    import json

    import numpy as np

    from triptych.steps.comparison_factors import score_neighbours
    from triptych.steps.comparison_tables import floor_notes
    from triptych.stores.embedding import open_embedding

    checked, explained, classified = (
        json.loads(context.path(key).read_text()) for key in (CHECKED, EXPLAINED, CLASSIFIED)
    )
    annotated = open_embedding(context.path("embedding.zarr"))
    names = list(context.collections["measures"])
    w2, lot = np.asarray(annotated.obsp["w2"]), np.asarray(annotated.obsp["lot"])
    n = len(names)
    notes = [f"samples {', '.join(group)} hold the same events" for group in checked["duplicates"]]
    notes += checked["notes"]
    scores: dict[str, float] = {}
    if n == 1:
        notes.append("one sample: there is no pair to compare")
    else:
        above = np.triu_indices(n, k=1)
        scores["mean_w2"] = float(w2[above].mean())
        if len(above[0]) > 2 and w2[above].std() > 0 and lot[above].std() > 0:
            scores["lot_w2_correlation"] = float(np.corrcoef(w2[above], lot[above])[0, 1])
        notes += floor_notes(names, w2, np.asarray(annotated.obs["noise_floor"]))
    if "reference" in context.inputs:
        notes.append(
            "samples were placed on the axes of the given reference; shares of variance are those of its cohort"
        )
    near = score_neighbours(names, context.sheet, w2)
    return {
        "counts": {"samples": n, "pairs": n * (n - 1) // 2},
        "scores": scores | near.scores | explained["scores"] | classified["scores"],
        "notes": notes + near.notes + explained["notes"] + classified["notes"],
    }


def _owned_by_check(context: Context) -> list[str]:
    return [CHECKED, PACKED, KNOWN]


def _owned_by_write(context: Context) -> list[str]:
    return ["distances.parquet", "samples.parquet", "dendrogram.parquet", "embedding.zarr"]


def _owned_by_explain(context: Context) -> list[str]:
    return ["factors.parquet", EXPLAINED]


def _owned_by_classify(context: Context) -> list[str]:
    return ["classification.parquet", "classification_scores.parquet", CLASSIFIED]


def _estimate(extent: Mapping[str, Any], settings: Any) -> Estimate:
    n = int(extent.get("samples", 100))
    side = -(-n // settings.tile_samples)
    return Estimate(
        blocks=side * (side + 1) // 2,
        output_bytes=100 * n * n,
        memory_bytes=300 * 2**20 + 160 * n * n,
        files=side * (side + 1) // 2 + 40,
    )


STEP = Step(
    name="compare_samples",
    version=2,
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
        Input(
            "common",
            "pooled.zarr of the cohort: adds log-ratios of weights and transport along a tree",
            store="pooled.zarr",
            producers={"volume": "quantize_cohort", "cloud": "quantize_cohort", "signal": "quantize_cohort"},
            required=False,
        ),
        Input(
            "reference",
            "embedding.zarr of an earlier compare-samples: places samples on its axes",
            store="embedding.zarr",
            required=False,
        ),
    ),
    outputs=(
        "distances.parquet",
        "samples.parquet",
        "dendrogram.parquet",
        "factors.parquet",
        "classification.parquet",
        "classification_scores.parquet",
        "embedding.zarr",
    ),
    phases=(
        Reduce("check", _owned_by_check, _check),
        Map("tiles", _count, _owns_tile, _compare_tile),
        Reduce("write", _owned_by_write, _write),
        Reduce("explain", _owned_by_explain, _explain),
        Reduce("classify", _owned_by_classify, _classify),
    ),
    summary=_summary,
    estimate=_estimate,
)
