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

from triptych.engine.step import Context, Estimate, Input, Iterate, Reduce, Step, load_state
from triptych.errors import InputError
from triptych.steps import quantization_passes as passes
from triptych.steps.described_rows import Rows, mask_counts, open_rows
from triptych.steps.quantization_passes import HALVES, WHOLE, Part, QuantizationSettings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from triptych.engine.step import State
    from triptych.quantization import lloyd, moments
    from triptych.quantization.certificate import Measure


class QuantizeCloudSettings(QuantizationSettings):
    """Settings of quantize_cloud."""

    split_half: bool = Field(
        True,
        description="Also quantize two random halves of the events, each alone: their distance is the noise floor of the "
        "sample. Doubles the work of the passes.",
    )


def _rows(context: Context) -> Rows:
    settings: QuantizeCloudSettings = context.settings
    scaling = context.inputs["scaling"].path if "scaling" in context.inputs else None
    return open_rows(context.inputs["cloud"], scaling, settings.clip, settings.leave_out)


def _parts(context: Context, state: State) -> tuple[Part, ...]:
    """Parts that are quantized: those that were started."""
    return tuple(part for part in (WHOLE, *HALVES) if f"{part}_centers" in state)


def _start(context: Context) -> State:
    """Centers of every part from the subsample; a part of at most K events is its own measure and needs no pass."""
    import numpy as np

    from triptych.quantization import front
    from triptych.quantization.seeding import subsample_rows

    settings: QuantizeCloudSettings = context.settings
    rows = _rows(context)
    drawn = subsample_rows(rows.n_rows, max(settings.subsample_size, settings.n_centers), settings.seed)
    pieces = list(context.map(partial(passes.draw, rows, drawn, settings.seed), range(rows.n_chunks)))
    counts = {part: sum(piece.counts[part] for piece in pieces) for part in (WHOLE, *HALVES)}
    if not counts[WHOLE]:
        raise InputError(
            f"{rows.path} has no event left: quality masks leave out all {rows.n_rows:,}; "
            "name fewer masks in quantize_cloud.leave_out"
        )
    parts: tuple[Part, ...] = (WHOLE,)
    if settings.split_half and min(counts[half] for half in HALVES) > 0:
        parts = (WHOLE, *HALVES)
    values, in_b = np.concatenate([p.values for p in pieces]), np.concatenate([p.in_b for p in pieces])
    state: State = {f"{part}_events": np.array(counts[part]) for part in parts}
    for part in parts:
        some = passes.select(values, in_b, part)
        if counts[part] <= settings.n_centers or len(some) < settings.n_centers:
            read = list(context.map(partial(_read_part, rows, part, settings.seed), range(rows.n_chunks)))
            some = np.concatenate(read)
        if counts[part] <= settings.n_centers:
            own = passes.started(np.zeros(some.shape[1]), some.astype(np.float64), part)
            state |= own | {f"{part}_gain": np.array(0.0)}
        else:
            offset, centers = front.start(some, settings.n_centers, settings.seed, settings.subsample_passes)
            state |= passes.started(offset, centers, part)
    return state


def _read_part(rows: Rows, part: Part, seed: int, index: int) -> NDArray[np.floating[Any]]:
    """All rows of a part in one chunk."""
    from triptych.quantization.seeding import half_of

    start, stop = rows.stretch(index)
    return passes.select(
        passes.read_rows(rows, index), half_of(start, stop, seed)[rows.numbers(index) - start], part
    )


def _advance(context: Context, state: State) -> State:
    """One exact pass: sums of chunks on the workers, merged in the order of chunks."""
    from triptych.quantization import lloyd

    settings: QuantizeCloudSettings = context.settings
    rows = _rows(context)
    active = tuple(p for p in _parts(context, state) if not passes.is_settled(state, settings.tolerance, p))
    chunk = partial(passes.sums_of_chunk, rows, state, active, settings.seed, context.device)
    totals: list[lloyd.CellSums] = []
    for found in context.map(chunk, range(rows.n_chunks)):
        totals = found if not totals else [lloyd.merge(a, b) for a, b in zip(totals, found, strict=True)]
    result = dict(state)
    for part, sums in zip(active, totals, strict=True):
        result |= passes.moved(state, sums, part)
    return result


def _finished(context: Context, state: State) -> bool:
    tolerance = context.settings.tolerance
    return all(passes.is_settled(state, tolerance, part) for part in _parts(context, state))


def _certify(context: Context) -> None:
    """The last pass, in float64, and the measure of its own cells."""
    from triptych.quantization import lloyd, moments
    from triptych.stores.measure import STORE, StoredMeasure, write_measure

    rows = _rows(context)
    state = load_state(context, "lloyd")
    parts = _parts(context, state)
    populations = rows.populations()
    last = partial(
        _certify_chunk, rows, state, parts, len(populations), context.settings.seed, context.device
    )
    total: _Certified | None = None
    for part in context.map(last, range(rows.n_chunks)):
        if part.moments.count == 0:
            continue
        total = (
            part
            if total is None
            else _Certified(
                [lloyd.merge(a, b) for a, b in zip(total.sums, part.sums, strict=True)],
                moments.merge(total.moments, part.moments),
                total.composition + part.composition,
            )
        )
    assert total is not None
    events = int(state[f"{WHOLE}_events"])
    measure = _measure(context, state, WHOLE, total.sums[0])
    composition = total.composition
    if events <= context.settings.n_centers:
        composition = _own_composition(rows, len(populations))
    else:
        composition = composition[total.sums[0].mass > 0]
    write_measure(
        context.path(STORE),
        StoredMeasure(
            centers=measure.centers,
            weights=measure.weights,
            distortion=measure.distortion,
            spread=measure.spread,
            epsilon=measure.epsilon,
            mean=total.moments.mean,
            covariance=total.moments.covariance,
            features=rows.features,
            units=rows.units,
            scaling=None
            if rows.center is None or rows.scale is None
            else {"center": rows.center.tolist(), "scale": rows.scale.tolist(), "clip": rows.clip},
            events=events,
            content=rows.content,
            populations=populations,
            composition=composition if populations else None,
            history=tuple(float(x) / events for x in state[f"{WHOLE}_history"]),
            split_half=_split_half(context, state, parts, total.sums),
            left_out=mask_counts(rows),
            keys=rows.keys(),
        ),
    )


def _measure(context: Context, state: State, part: Part, sums: lloyd.CellSums) -> Measure:
    """The measure of a part, in feature units; its events themselves where they are few."""
    import numpy as np

    from triptych.quantization import certificate

    offset, centers = state[f"{part}_offset"], state[f"{part}_centers"]
    if (n := int(state[f"{part}_events"])) <= context.settings.n_centers:
        return certificate.Measure(centers, np.full(n, 1.0 / n), np.zeros_like(centers), 0.0)
    found = certificate.finish(sums, centers)
    return certificate.Measure(found.centers + offset, found.weights, found.spread, found.epsilon)


def _split_half(
    context: Context, state: State, parts: tuple[Part, ...], sums: list[lloyd.CellSums]
) -> float | None:
    from triptych.quantization.exact_transport import wasserstein

    if len(parts) == 1:
        return None
    a, b = (_measure(context, state, part, sums[parts.index(part)]) for part in HALVES)
    return wasserstein(a.centers, a.weights, b.centers, b.weights)


@dataclass(frozen=True)
class _Certified:
    """What the certificate pass finds in one chunk; ``composition`` (K, P) counts populations by cell."""

    sums: list[lloyd.CellSums]
    moments: moments.Moments
    composition: NDArray[np.int64]


def _certify_chunk(
    rows: Rows, state: State, parts: tuple[Part, ...], n_populations: int, seed: int, device: str, index: int
) -> _Certified:
    import numpy as np

    from triptych.quantization import lloyd, moments
    from triptych.quantization.seeding import half_of

    start, stop = rows.stretch(index)
    values = rows.read(index)
    centers = state[f"{WHOLE}_centers"]
    sums, labels = lloyd.certified(values, centers, state[f"{WHOLE}_offset"], device)
    found = [sums]
    if len(parts) > 1:
        in_b = half_of(start, stop, seed)[rows.numbers(index) - start]
        for part in HALVES:
            own = passes.select(values, in_b, part)
            found.append(lloyd.certified(own, state[f"{part}_centers"], state[f"{part}_offset"], device)[0])
    counts = np.zeros((len(centers), n_populations), np.int64)
    if n_populations:
        flat = np.bincount(labels.astype(np.int64) * n_populations + rows.codes(index), minlength=counts.size)
        counts = flat.reshape(counts.shape).astype(np.int64)
    empty = moments.Moments(0, np.zeros(centers.shape[1]), np.zeros((centers.shape[1],) * 2))
    return _Certified(found, moments.partial(values) if len(values) else empty, counts)


def _own_composition(rows: Rows, n_populations: int) -> NDArray[np.int64]:
    import numpy as np

    if not n_populations:
        return np.zeros((rows.n_rows, 0), np.int64)
    codes = np.concatenate([rows.codes(index) for index in range(rows.n_chunks)])
    return np.eye(n_populations, dtype=np.int64)[codes]


def _summary(context: Context) -> dict[str, Any]:
    """Counts and scores: epsilon, the share of variance it keeps, the noise floor, purity where there are populations."""
    import numpy as np

    from triptych.stores.measure import STORE, open_measure

    measure = open_measure(context.path(STORE))
    rows = _rows(context)
    inertia = measure.epsilon**2
    variance = float(np.trace(measure.covariance))
    scores = {"epsilon": measure.epsilon, "inertia": inertia}
    if variance > 0:
        scores["explained_variance"] = 1 - inertia / variance
    if measure.split_half is not None:
        scores["split_half_w2"] = measure.split_half
    if measure.composition is not None:
        scores["purity"] = float(measure.composition.max(axis=1).sum() / measure.events)
    notes = []
    if measure.events < rows.n_rows:
        named = ", ".join(f"{name} {count:,}" for name, count in measure.left_out.items())
        share = 1 - measure.events / rows.n_rows
        notes.append(
            f"{rows.n_rows - measure.events:,} events ({share:.1%}) take no part because of masks: {named}"
        )
        if share > 0.5:
            notes.append(
                "masks leave out more than half of the events: look at them before trusting this sample"
            )
    if measure.events <= context.settings.n_centers:
        notes.append("no more events than centers: the events are the measure and epsilon is 0")
    elif len(measure.weights) < context.settings.n_centers:
        notes.append(
            f"{len(measure.weights)} of {context.settings.n_centers} centers hold events; the others were left out"
        )
    counts = {
        "events": measure.events,
        "events_left_out": rows.n_rows - measure.events,
        "centers": len(measure.weights),
        "features": len(measure.features),
        "passes": len(measure.history),
    }
    return {"counts": counts, "scores": scores, "notes": notes}


def _owned(context: Context) -> list[str]:
    return ["measure.zarr"]


def _limit(context: Context) -> int:
    return int(context.settings.passes)


def _estimate(extent: Mapping[str, Any], settings: Any) -> Estimate:
    events, channels = int(extent.get("events", 65536)), int(extent.get("channels", 32))
    chunk = min(events, 65536)
    memory = 200 * 2**20 + 16 * chunk * channels + 16 * settings.subsample_size * (channels + 8)
    return Estimate(
        blocks=settings.passes + 2,
        output_bytes=16 * settings.n_centers * (channels + 2),
        memory_bytes=memory,
        files=9,
    )


STEP = Step(
    name="quantize_cloud",
    version=2,
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
        passes.SCALING,
    ),
    outputs=("measure.zarr",),
    phases=(
        Iterate("lloyd", _start, _advance, _finished, _limit),
        Reduce("certificate", _owned, _certify),
    ),
    summary=_summary,
    estimate=_estimate,
    devices=("cpu", "cuda"),
)
