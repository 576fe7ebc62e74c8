"""Quantize one sample's cloud of described things to a small weighted measure that states its own error.

Reads ``--cloud`` (``cloud.zarr``, or the feature columns of ``objects.parquet`` or ``atoms.parquet``) and, where the study
gives it, ``--scaling``. Greedy k-means++ on a subsample, exact Lloyd passes over chunks, one certificate pass in float64.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic import Field

from triptych.engine.step import Context, Estimate, Input, Iterate, Kind, Reduce, Settings, Step, load_state
from triptych.steps.described_rows import Rows, open_rows, population_codes, populations_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from triptych.engine.step import State
    from triptych.quantization import lloyd, moments


class QuantizeCloudSettings(Settings):
    """Settings of quantize_cloud."""

    n_centers: int = Field(64, ge=1, le=4096, description="Centers of the measure, at most.")
    passes: int = Field(8, ge=1, le=1000, description="Exact passes over all events, at most.")
    tolerance: float = Field(
        1e-3, ge=0, lt=1, description="Stop when a pass lowers the inertia by less than this share of it."
    )
    subsample_size: int = Field(20000, ge=16, le=10_000_000, description="Events that the seeding looks at.")
    subsample_passes: int = Field(
        12, ge=0, le=1000, description="Passes over the subsample before the exact ones."
    )
    seed: int = Field(0, ge=0, description="Seed of the subsample and of the seeding.")
    scaled_kinds: tuple[Kind, ...] = Field(
        ("volume", "signal"),
        description="Kinds whose features are centred and scaled by the cohort's scaling before they are compared.",
    )
    clip: float = Field(
        10.0,
        gt=0,
        description="Scaled features end at this many interquartile ranges from the cohort's median.",
    )


def _start(context: Context) -> State:
    """Centers from the subsample; a cloud of at most K events is its own measure and needs no pass."""
    import numpy as np

    from triptych.quantization import front
    from triptych.quantization.seeding import subsample_rows

    settings: QuantizeCloudSettings = context.settings
    rows = open_rows(context)
    if rows.n_rows <= settings.n_centers:
        events = np.concatenate([rows.read(i) for i in range(rows.n_chunks)])
        offset, centers = np.zeros(events.shape[1]), events
    else:
        drawn = subsample_rows(rows.n_rows, max(settings.subsample_size, settings.n_centers), settings.seed)
        pieces = context.map(partial(_draw, rows, drawn), range(rows.n_chunks))
        offset, centers = front.start(
            np.concatenate(list(pieces)), settings.n_centers, settings.seed, settings.subsample_passes
        )
    return {"offset": offset, "centers": centers, "history": np.empty(0)}


def _draw(rows: Rows, drawn: NDArray[np.int64], index: int) -> NDArray[np.float64]:
    start, stop = rows.stretch(index)
    inside = drawn[(drawn >= start) & (drawn < stop)]
    return rows.read(index)[inside - start]


def _advance(context: Context, state: State) -> State:
    """One exact pass: sums of chunks on the workers, merged in the order of chunks."""
    import numpy as np

    from triptych.quantization import lloyd

    rows = open_rows(context)
    parts = context.map(partial(_pass, rows, state["offset"], state["centers"]), range(rows.n_chunks))
    sums = lloyd.merge_all(parts)
    history = np.append(state["history"], sums.square.sum())
    return {"offset": state["offset"], "centers": lloyd.finish(sums, state["centers"]), "history": history}


def _pass(
    rows: Rows, offset: NDArray[np.float64], centers: NDArray[np.float64], index: int
) -> lloyd.CellSums:
    from triptych.quantization import front, lloyd

    return lloyd.partial(front.centre(rows.read(index), offset), centers)


def _finished(context: Context, state: State) -> bool:
    from triptych.quantization.lloyd import settled

    if open_rows(context).n_rows <= context.settings.n_centers:
        return True
    return settled(state["history"], context.settings.tolerance)


def _certify(context: Context) -> None:
    """The last pass, in float64, and the measure of its own cells."""
    import numpy as np

    from triptych.quantization import certificate, lloyd, moments
    from triptych.stores.measure import STORE, StoredMeasure, write_measure

    rows = open_rows(context)
    state = load_state(context, "lloyd")
    offset, centers = state["offset"], state["centers"]
    populations = populations_of(rows)
    sums, total, composition = None, None, None
    for part in context.map(
        partial(_certify_chunk, rows, offset, centers, len(populations)), range(rows.n_chunks)
    ):
        sums = part.sums if sums is None else lloyd.merge(sums, part.sums)
        total = part.moments if total is None else moments.merge(total, part.moments)
        composition = part.composition if composition is None else composition + part.composition
    assert sums is not None
    assert total is not None
    assert composition is not None
    if rows.n_rows <= context.settings.n_centers:
        n = rows.n_rows
        measure = certificate.Measure(centers, np.full(n, 1.0 / n), np.zeros(n), 0.0)
        composition = _own_composition(rows, len(populations))
    else:
        measure = certificate.finish(sums, centers)
        composition = composition[sums.mass > 0]
    write_measure(
        context.path(STORE),
        StoredMeasure(
            centers=measure.centers + offset,
            weights=measure.weights,
            distortion=measure.distortion,
            epsilon=measure.epsilon,
            mean=total.mean + offset,
            covariance=total.covariance,
            features=rows.features,
            units=rows.units,
            scaling=None
            if rows.center is None or rows.scale is None
            else {"center": rows.center.tolist(), "scale": rows.scale.tolist(), "clip": rows.clip},
            events=rows.n_rows,
            content=rows.content,
            populations=populations,
            composition=composition if populations else None,
            history=tuple(float(x) / rows.n_rows for x in state["history"]),
        ),
    )


@dataclass(frozen=True)
class _Certified:
    """What the certificate pass finds in one chunk; ``composition`` (K, P) counts populations by cell."""

    sums: lloyd.CellSums
    moments: moments.Moments
    composition: NDArray[np.int64]


def _certify_chunk(
    rows: Rows, offset: NDArray[np.float64], centers: NDArray[np.float64], n_populations: int, index: int
) -> _Certified:
    import numpy as np

    from triptych.quantization import certificate, moments

    values = rows.read(index) - offset
    sums, labels = certificate.partial(values, centers)
    counts = np.zeros((len(centers), n_populations), np.int64)
    if n_populations:
        codes = population_codes(rows, index)
        flat = np.bincount(labels.astype(np.int64) * n_populations + codes, minlength=counts.size)
        counts = flat.reshape(counts.shape).astype(np.int64)
    return _Certified(sums, moments.partial(values), counts)


def _own_composition(rows: Rows, n_populations: int) -> NDArray[np.int64]:
    import numpy as np

    if not n_populations:
        return np.zeros((rows.n_rows, 0), np.int64)
    codes = np.concatenate([population_codes(rows, index) for index in range(rows.n_chunks)])
    return np.eye(n_populations, dtype=np.int64)[codes]


def _summary(context: Context) -> dict[str, Any]:
    """Counts and scores: epsilon, the share of variance it keeps, purity where the cloud has populations."""
    import numpy as np

    from triptych.stores.measure import STORE, open_measure

    measure = open_measure(context.path(STORE))
    inertia = measure.epsilon**2
    variance = float(np.trace(measure.covariance))
    scores = {"epsilon": measure.epsilon, "inertia": inertia}
    if variance > 0:
        scores["explained_variance"] = 1 - inertia / variance
    if measure.composition is not None:
        scores["purity"] = float(measure.composition.max(axis=1).sum() / measure.events)
    notes = []
    if measure.events <= context.settings.n_centers:
        notes.append("no more events than centers: the events are the measure and epsilon is 0")
    elif len(measure.weights) < context.settings.n_centers:
        notes.append(
            f"{len(measure.weights)} of {context.settings.n_centers} centers hold events; the others were left out"
        )
    counts = {
        "events": measure.events,
        "centers": len(measure.weights),
        "features": len(measure.features),
        "passes": len(measure.history),
    }
    return {"counts": counts, "scores": scores, "notes": notes}


def _owned(context: Context) -> list[str]:
    return ["measure.zarr"]


def _limit(context: Context) -> int:
    return int(context.settings.passes)


def _scaling_wanted(settings: Any, row: Mapping[str, str]) -> bool:
    return row["kind"] in settings.scaled_kinds


def _estimate(extent: Mapping[str, Any], settings: Any) -> Estimate:
    events, channels = int(extent.get("events", 65536)), int(extent.get("channels", 32))
    chunk = min(events, 65536)
    memory = 200 * 2**20 + 24 * chunk * channels + 16 * settings.subsample_size * (channels + 8)
    return Estimate(
        blocks=settings.passes + 2,
        output_bytes=8 * settings.n_centers * (channels + 2),
        memory_bytes=memory,
        files=8,
    )


STEP = Step(
    name="quantize_cloud",
    version=1,
    scope="sample",
    kinds=("volume", "cloud", "signal"),
    help="Quantize a cloud to a weighted measure with a stated error.",
    settings=QuantizeCloudSettings,
    inputs=(
        Input(
            "cloud",
            "cloud.zarr, objects.parquet or atoms.parquet",
            stores={"volume": "objects.parquet", "cloud": "cloud.zarr", "signal": "atoms.parquet"},
            producers={"volume": "measure_objects", "cloud": "import_cloud", "signal": "describe_atoms"},
        ),
        Input(
            "scaling",
            "scaling.parquet of the cohort",
            store="scaling.parquet",
            producers={"volume": "scale_features", "cloud": "scale_features", "signal": "scale_features"},
            required=False,
            when=_scaling_wanted,
        ),
    ),
    outputs=("measure.zarr",),
    phases=(
        Iterate("lloyd", _start, _advance, _finished, _limit),
        Reduce("certificate", _owned, _certify),
    ),
    summary=_summary,
    estimate=_estimate,
)
