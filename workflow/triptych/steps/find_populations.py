"""Group the common centers of a cohort into populations, and compare their shares between groups of samples.

Reads ``--pooled`` (``pooled.zarr`` of ``quantize_cohort``). Subsets of the centers are clustered on the workers; one
reduction finds the consensus and writes every table.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from triptych.engine.step import Context, Estimate, Input, Reduce, Settings, Step
from triptych.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

    from triptych.analysis.consensus import Consensus
    from triptych.stores.pooled import StoredPooled

    Array = np.ndarray[Any, Any]

SUMMARY = "scratch/summary.json"
OUTPUTS = (
    "centers.parquet",
    "populations.parquet",
    "abundance.parquet",
    "tests.parquet",
    "gates.parquet",
    "agreement.parquet",
)
CALLED = 0.05


class FindPopulationsSettings(Settings):
    """Settings of find_populations."""

    n_populations: int = Field(
        0, ge=0, le=1000, description="Number of populations; 0: the one that recurs best among subsets."
    )
    max_populations: int = Field(
        40, ge=2, le=200, description="Greatest number that is tried, besides one for four centers."
    )
    feature_scale: Literal["pooled_sd", "none"] = Field(
        "pooled_sd",
        description="pooled_sd: features are divided by their standard deviation in the mean measure; none: as they are, "
        "where their units are comparable.",
    )
    resamples: int = Field(100, ge=10, le=2000, description="Subsets of the centers that are clustered.")
    least_stability: float = Field(
        0.85,
        ge=0,
        le=1,
        description="Mean adjusted Rand index that the number must reach; one population where none does.",
    )
    unassigned: tuple[str, ...] = Field(
        ("unlabelled", "unlabeled", "unassigned", "ungated", "unknown"),
        description="Given labels, in any case, that stand for no population: left out of purity, Rand index and F1.",
    )
    seed: int = Field(0, ge=0, description="Seed of the subsets.")


def _find(context: Context) -> None:
    """Populations, their shares, what tells groups apart, and agreement with labels."""
    import numpy as np

    from triptych.engine.files import write_json
    from triptych.stores.pooled import open_pooled

    pooled = open_pooled(context.source("pooled"))
    notes: list[str] = []
    weights = np.maximum(pooled.weights.mean(axis=0), 1e-15)
    weights /= weights.sum()
    scale = _pooled_sd(pooled)
    found = _consensus(context, pooled, weights, scale, notes)
    names = _write_populations(context, pooled, weights, scale, found)
    shares = np.stack([np.bincount(found.labels, weights=row) for row in pooled.weights])
    differing = _write_shares(context, pooled, shares, names, notes)
    scores = _write_agreement(context, pooled, found, names, notes)
    if found.number > 1:
        place = int(np.flatnonzero(found.tried == found.number)[0])
        scores["stability"] = float(found.stability[place])
        scores["ambiguous_pairs"] = float(found.ambiguous[place])
        scores["variance_between"] = float(found.parted[place])
    counts = {
        "samples": len(pooled.samples),
        "centers": len(weights),
        "features": len(pooled.features),
        "populations": found.number,
        **differing,
    }
    write_json(context.path(SUMMARY), {"counts": counts, "scores": scores, "notes": notes})


def _pooled_sd(pooled: StoredPooled) -> Array:
    """(d,) standard deviation of the mean measure of all samples; 1 for a feature that does not vary."""
    import numpy as np

    within = np.diagonal(pooled.covariance, axis1=1, axis2=2).mean(axis=0)
    deviation = np.sqrt(within + pooled.mean.var(axis=0))
    return np.where(deviation > 0, deviation, 1.0)


def _consensus(
    context: Context, pooled: StoredPooled, weights: Array, scale: Array, notes: list[str]
) -> Consensus:
    from triptych.analysis.consensus import agree, numbers_to_try, partition

    s: FindPopulationsSettings = context.settings
    if s.n_populations > len(weights):
        raise UsageError(
            f"find_populations.n_populations is {s.n_populations} and {context.source('pooled')} has {len(weights)} centers; "
            "ask for fewer populations, or quantize the cohort with more centers"
        )
    points = pooled.centers / scale if s.feature_scale == "pooled_sd" else pooled.centers
    numbers = numbers_to_try(len(points), s.max_populations, s.n_populations)
    draw = partial(_partition, partition, points, numbers, s.seed)
    found = agree(
        list(context.map(draw, range(s.resamples))) if numbers else [],
        points,
        weights,
        numbers,
        s.least_stability,
    )
    if found.number == 1 and s.n_populations != 1:
        tried = f"of 2 to {numbers[-1]} populations" if numbers else f"to try with {len(weights)} centers"
        notes.append(f"no number {tried} recurs among subsets of the centers: all events are one population")
    return found


def _partition(function: Any, points: Array, numbers: list[int], seed: int, index: int) -> Array:
    found: Array = function(points, numbers, seed, index)
    return found


def _write_populations(
    context: Context, pooled: StoredPooled, weights: Array, scale: Array, found: Consensus
) -> list[str]:
    """Centers and populations; returns the names."""
    import numpy as np

    from triptych.analysis import naming
    from triptych.stores import populations as store

    number, features, units = found.number, pooled.features, pooled.units
    mass = np.bincount(found.labels, weights=weights)
    member = np.eye(number)[found.labels].T
    # Cell means of samples, every sample weighing the same.
    cell = pooled.weights / len(pooled.samples)
    mean = np.einsum("pk,nk,nkd->pd", member, cell, pooled.means) / mass[:, None]
    gap = (pooled.means - mean[found.labels][None]) ** 2
    spread = np.sqrt(np.einsum("pk,nk,nkd->pd", member, cell, gap) / mass[:, None])
    height = (mean - pooled.mean.mean(axis=0)) / scale
    points = pooled.centers / scale
    cuts = naming.thresholds(points, weights)
    profile = naming.signs(points, weights, found.labels, cuts)
    distance = np.nan_to_num(mean / scale - cuts)
    names = naming.names(profile, distance, features)
    if number == 1:
        names = ["all events"]
    attributes = {
        "features": list(features),
        "units": list(units),
        "scaling": pooled.scaling,
        "samples": list(pooled.samples),
        "thresholds": [float(c) if np.isfinite(c) else None for c in cuts * scale],
        "tried": found.tried.tolist(),
        "stability": found.stability.tolist(),
        "ambiguous": found.ambiguous.tolist(),
        "variance_between": found.parted.tolist(),
    }
    centers = {
        "center": np.arange(len(weights)),
        "population": found.labels.astype(np.int64) + 1,
        "share": weights,
        "consensus": found.center,
        **{f"at:{name}": pooled.centers[:, j] for j, name in enumerate(features)},
    }
    store.write(context.out, store.CENTERS, centers, store.coordinate_fields(features, units), attributes)
    columns = {
        "population": np.arange(1, number + 1),
        "name": np.array(names, np.str_),
        "share": mass,
        "stability": found.population,
        "n_centers": member.sum(axis=1).astype(np.int64),
    }
    for j, name in enumerate(features):
        columns |= {
            f"mean:{name}": mean[:, j],
            f"spread:{name}": spread[:, j],
            f"height:{name}": height[:, j],
        }
    store.write(context.out, store.POPULATIONS, columns, store.marker_fields(features, units), attributes)
    return names


def _write_shares(
    context: Context, pooled: StoredPooled, shares: Array, names: list[str], notes: list[str]
) -> dict[str, int]:
    """Shares of every sample and their tests; returns how many populations differ."""
    import numpy as np

    from triptych.analysis.abundance import log_ratios, wilson
    from triptych.stores import populations as store

    n, number = shares.shape
    total = pooled.events[:, None].astype(np.float64)
    count = np.rint(shares * total)
    low, high = wilson(count, np.broadcast_to(total, count.shape))
    ratios = log_ratios(shares, pooled.events)
    said = {
        key: np.array([context.sheet.get(name, {}).get(key, "") for name in pooled.samples], np.str_)
        for key in ("group", "batch", "subject")
    }
    columns = {
        "sample": np.repeat(np.array(pooled.samples, np.str_), number),
        "population": np.tile(np.arange(1, number + 1), n),
        "name": np.tile(np.array(names, np.str_), n),
        **{key: np.repeat(values, number) for key, values in said.items()},
        "share": shares.ravel(),
        "events": count.astype(np.int64).ravel(),
        "low": low.ravel(),
        "high": high.ravel(),
        "log_ratio": ratios.ravel(),
    }
    store.write(context.out, store.ABUNDANCE, columns)
    return _write_tests(context, pooled, shares, ratios, said, names, notes)


def _write_tests(
    context: Context,
    pooled: StoredPooled,
    shares: Array,
    ratios: Array,
    said: Mapping[str, Array],
    names: list[str],
    notes: list[str],
) -> dict[str, int]:
    import numpy as np

    from triptych.analysis.abundance import by_subject, compare_shares
    from triptych.stores import populations as store

    grouped = np.flatnonzero(said["group"] != "")
    groups = [str(said["group"][i]) for i in grouped]
    if len(set(groups)) < 2 or len(names) < 2:
        if len(set(groups)) < 2:
            notes.append("no test: the samples are not of two groups or more")
        empty = {key: np.empty(0) for key in store.FIELDS[store.TESTS]}
        texts = {key: np.empty(0, np.str_) for key in ("name", "first", "second")}
        store.write(context.out, store.TESTS, {**empty, "population": np.empty(0, np.int64), **texts})
        return {}
    subjects = [str(said["subject"][i]) or f"sample {pooled.samples[i]}" for i in grouped]
    rows, of_group = by_subject(np.stack([shares[grouped], ratios[grouped]], axis=1), subjects, groups)
    if len(rows) < len(grouped):
        notes.append(f"{len(grouped)} samples of {len(rows)} subjects: samples of one subject were averaged")
    if len(set(subjects)) < len(rows):
        notes.append("some subjects have samples in several groups; the tests take these as independent")
    found = compare_shares(rows[:, 0], rows[:, 1], of_group)
    if found.ranks.least_p > CALLED:
        sizes = " and ".join(f"{size} {name}" for name, size in found.ranks.groups.items())
        notes.append(f"with {sizes} no rank test can give p below {found.ranks.least_p:.2g}")
    columns = {
        "population": np.arange(1, len(names) + 1),
        "name": np.array(names, np.str_),
        "first": np.array(found.ranks.first.tolist(), np.str_),
        "second": np.array(found.ranks.second.tolist(), np.str_),
        "statistic": found.ranks.statistic,
        "p": found.ranks.p,
        "q": found.ranks.q,
        "delta": found.ranks.delta,
        "delta_low": found.low,
        "delta_high": found.high,
        "fold_change": found.fold,
        "log_ratio": found.log_ratio,
        "ratio_p": found.rank_ratios.p,
        "ratio_q": found.rank_ratios.q,
        "welch_p": found.welch_p,
        "welch_q": found.welch_q,
    }
    attributes = {"subjects": found.ranks.groups, "least_p": found.ranks.least_p}
    store.write(context.out, store.TESTS, columns, attributes=attributes)
    called = {
        "shares": found.ranks.q,
        "log_ratios": found.rank_ratios.q,
        "log_ratios_by_welch": found.welch_q,
    }
    return {
        f"populations_that_differ_in_{key}": int((np.nan_to_num(q, nan=1.0) < CALLED).sum())
        for key, q in called.items()
    }


def _write_agreement(
    context: Context, pooled: StoredPooled, found: Consensus, names: list[str], notes: list[str]
) -> dict[str, Any]:
    """Populations against the labels that were given; empty tables where there are none."""
    import numpy as np

    from triptych.analysis.agreement import agreement
    from triptych.stores import populations as store

    out = {name.strip().lower() for name in context.settings.unassigned}
    kept = [j for j, name in enumerate(pooled.populations) if name.strip().lower() not in out]
    cells = np.zeros((len(pooled.samples), len(found.labels), 0), np.int64)
    if pooled.composition is not None:
        cells = pooled.composition[:, :, kept]
    labels = np.array([pooled.populations[j] for j in kept], np.str_)
    member = np.eye(found.number, dtype=np.int64)[found.labels].T
    counts = np.stack([member @ one for one in cells])
    labelled = [i for i in range(len(cells)) if cells[i].sum()]
    if len(kept) < len(pooled.populations) and labelled:
        left = ", ".join(name for j, name in enumerate(pooled.populations) if j not in kept)
        notes.append(f"events labelled {left} are left out of the agreement with labels")
    each = [agreement(counts[i]) for i in labelled]
    purity = [float(cells[i].max(axis=1).sum() / cells[i].sum()) for i in labelled]
    samples = [pooled.samples[i] for i in labelled]
    fields = ("purity", "adjusted_rand_index", "weighted_f1", "mean_f1")
    per_sample = {"cell_purity": purity, **{key: [getattr(one, key) for one in each] for key in fields}}
    columns = {
        "sample": np.array(samples, np.str_),
        "events": np.array([int(cells[i].sum()) for i in labelled], np.int64),
        **{key: np.array(values, np.float64) for key, values in per_sample.items()},
    }
    store.write(context.out, store.AGREEMENT, columns)
    table, whole = counts.sum(axis=0), agreement(counts.sum(axis=0)) if labelled else None
    rows, places = np.nonzero(table)
    sizes, of_population = table.sum(axis=0), table.sum(axis=1)
    matched = np.full(len(labels), -1) if whole is None else whole.matched
    events = table[rows, places]
    gates = {
        "population": rows + 1,
        "name": np.array(names, np.str_)[rows],
        "label": labels[places] if len(labels) else np.empty(0, np.str_),
        "events": events,
        "share_of_label": events / sizes[places],
        "matched": matched[places] == rows,
        "f1": 2 * events / (sizes[places] + of_population[rows]),
    }
    store.write(context.out, store.GATES, gates)
    if whole is None:
        return {}
    scores: dict[str, Any] = {"cell_purity": float(cells.sum(axis=0).max(axis=1).sum() / cells.sum())}
    scores |= {key: getattr(whole, key) for key in fields}
    for key, values in per_sample.items():
        scores[f"{key}_mean_of_samples"] = float(np.mean(values))
        scores[f"{key}_of_samples"] = dict(zip(samples, values, strict=True))
    return scores


def _summary(context: Context) -> dict[str, Any]:
    """What was found, as the reduction counted it."""
    import json

    found: dict[str, Any] = json.loads(context.path(SUMMARY).read_text())
    return found


def _estimate(extent: Mapping[str, Any], settings: Any) -> Estimate:
    samples, channels = int(extent.get("samples", 100)), int(extent.get("channels", 32))
    centers = int(extent.get("centers", 256))
    tried = min(settings.max_populations, centers // 4)
    return Estimate(
        blocks=1,
        output_bytes=200 * samples * tried + 16 * centers * channels + 60_000,
        memory_bytes=250 * 2**20
        + 8 * centers**2 * (tried + 4)
        + 4 * settings.resamples * tried * centers
        + 24 * samples * centers * channels,
        files=len(OUTPUTS),
    )


STEP = Step(
    name="find_populations",
    version=1,
    scope="cohort",
    kinds=("cloud",),
    help="Populations of a cohort by consensus of its common centers, their abundance and what differs between groups.",
    settings=FindPopulationsSettings,
    inputs=(
        Input(
            "pooled",
            "pooled.zarr of the cohort",
            store="pooled.zarr",
            producers={"cloud": "quantize_cohort"},
        ),
    ),
    outputs=OUTPUTS,
    phases=(Reduce("find", owns=lambda context: (*OUTPUTS, SUMMARY), work=_find),),
    summary=_summary,
    estimate=_estimate,
)
