"""Quantize the clouds of a cohort on common centers: the mean measure of all samples, each sample weighing the same.

Reads the described things of every sample and, where the study gives it, ``--scaling``. The passes are those of
quantize_cloud on all samples together; beside the common centers the mean of the events of every sample in every cell is
kept, so that each sample is a measure with a small error of its own whose centers still correspond to those of the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from triptych.engine.step import Context, Estimate, Input, Iterate, Reduce, Step, load_state
from triptych.errors import InputError
from triptych.steps import quantization_passes as passes
from triptych.steps.described_rows import Rows, match_rows, open_rows
from triptych.steps.quantization_passes import WHOLE, QuantizationSettings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from triptych.engine.step import State
    from triptych.quantization import lloyd, moments

STORE = "pooled.zarr"
FEWEST_DRAWN = 64


class QuantizeCohortSettings(QuantizationSettings):
    """Settings of quantize_cohort."""


def _samples(context: Context) -> dict[str, Rows]:
    """Rows of every sample with the features that all of them have, in the order of names."""
    settings: QuantizeCohortSettings = context.settings
    scaling = context.inputs["scaling"].path if "scaling" in context.inputs else None
    found = {
        name: open_rows(source, scaling, settings.clip, settings.leave_out)
        for name, source in context.collections["clouds"].items()
    }
    if not found:
        raise InputError("quantize_cohort has no sample; give at least one with --inputs-from")
    return match_rows(found)[0]


def _chunks(samples: Mapping[str, Rows]) -> list[tuple[str, int]]:
    return [(name, index) for name, rows in samples.items() for index in range(rows.n_chunks)]


@dataclass(frozen=True)
class _Shared:
    """What every chunk of a pass needs."""

    samples: Mapping[str, Rows]
    state: State
    seed: int
    device: str


def _start(context: Context) -> State:
    """Common centers from a subsample to which every sample gives as many events, or all it has."""
    import numpy as np

    from triptych.quantization import front
    from triptych.quantization.seeding import subsample_rows

    settings: QuantizeCohortSettings = context.settings
    samples = _samples(context)
    size = max(settings.subsample_size // len(samples), FEWEST_DRAWN, -(-settings.n_centers // len(samples)))
    drawn = {name: subsample_rows(rows.n_rows, size, settings.seed) for name, rows in samples.items()}
    pieces = context.map(partial(_draw, samples, drawn, settings.seed), _chunks(samples))
    counts = dict.fromkeys(samples, 0)
    values: dict[str, list[Any]] = {name: [] for name in samples}
    for (name, _), piece in zip(_chunks(samples), pieces, strict=True):
        counts[name] += piece.counts[WHOLE]
        values[name].append(piece.values)
    for name, count in counts.items():
        if not count:
            raise InputError(
                f"{samples[name].path} has no event left: quality masks leave out all of sample {name}; "
                "exclude it in the sample sheet or name fewer masks in quantize_cohort.leave_out"
            )
    blocks = [np.concatenate(values[name]) for name in samples]
    weights = np.concatenate([np.full(len(b), 1.0 / max(len(b), 1)) for b in blocks])
    pooled = np.concatenate(blocks)
    order = np.argsort(_rank(blocks), kind="stable")  # every stretch of the subsample holds all samples
    offset, centers = front.start(
        pooled[order], settings.n_centers, settings.seed, settings.subsample_passes, weights[order]
    )
    return passes.started(offset, centers) | {"events": np.array(list(counts.values()), np.int64)}


def _rank(blocks: list[NDArray[Any]]) -> NDArray[np.float64]:
    """Place of every row in its own sample, between 0 and 1."""
    import numpy as np

    return np.concatenate([(np.arange(len(b)) + 0.5) / max(len(b), 1) for b in blocks])


def _draw(
    samples: Mapping[str, Rows], drawn: Mapping[str, NDArray[np.int64]], seed: int, chunk: tuple[str, int]
) -> passes.Drawn:
    name, index = chunk
    return passes.draw(samples[name], drawn[name], seed, index)


def _advance(context: Context, state: State) -> State:
    """One exact pass over all samples: sums of chunks merged within each sample, samples in the order of names."""
    from triptych.quantization import lloyd

    settings: QuantizeCohortSettings = context.settings
    samples = _samples(context)
    shared = _Shared(samples, state, settings.seed, context.device)
    of_sample: dict[str, lloyd.CellSums] = {}
    for (name, _), sums in zip(
        _chunks(samples), context.map(partial(_pass, shared), _chunks(samples)), strict=True
    ):
        of_sample[name] = lloyd.merge(of_sample[name], sums) if name in of_sample else sums
    share = {name: 1.0 / (len(samples) * int(n)) for name, n in zip(samples, state["events"], strict=True)}
    total = lloyd.merge_all(of_sample[name].times(share[name]) for name in samples)
    return {**state, **passes.moved(state, total)}


def _pass(shared: _Shared, chunk: tuple[str, int]) -> lloyd.CellSums:
    name, index = chunk
    found = passes.sums_of_chunk(
        shared.samples[name], shared.state, (WHOLE,), shared.seed, shared.device, index
    )
    return found[0]


def _finished(context: Context, state: State) -> bool:
    return passes.is_settled(state, context.settings.tolerance)


@dataclass(frozen=True)
class _Certified:
    """What the last pass finds in one chunk; ``composition`` (K, P) counts populations by cell."""

    sums: lloyd.CellSums
    moments: moments.Moments
    composition: NDArray[np.int64]

    def and_then(self, other: _Certified) -> _Certified:
        """Both, of stretches of one sample in order."""
        from triptych.quantization import lloyd, moments

        return _Certified(
            lloyd.merge(self.sums, other.sums),
            moments.merge(self.moments, other.moments) if other.moments.count else self.moments,
            self.composition + other.composition,
        )


def _certify(context: Context) -> None:
    """The last pass in float64: weights, cell means and error of every sample."""
    import numpy as np

    from triptych.stores.pooled import write_pooled

    samples = _samples(context)
    state = load_state(context, "lloyd")
    shared = _Shared(samples, state, context.settings.seed, context.device)
    populations = tuple(sorted({p for rows in samples.values() for p in rows.populations()}))
    found: dict[str, _Certified] = {}
    chunks = _chunks(samples)
    for (name, _), part in zip(
        chunks, context.map(partial(_certify_chunk, shared, populations), chunks), strict=True
    ):
        found[name] = found[name].and_then(part) if name in found else part
    centers = state[f"{WHOLE}_centers"]
    mass = np.stack([one.sums.mass for one in found.values()])
    kept = mass.sum(axis=0) > 0
    write_pooled(context.path(STORE), _pooled(samples, state, found, centers, kept, populations))


def _pooled(
    samples: Mapping[str, Rows],
    state: State,
    found: Mapping[str, _Certified],
    centers: NDArray[np.float64],
    kept: NDArray[np.bool_],
    populations: tuple[str, ...],
) -> Any:
    """The store's content from the sums of every sample; cells without an event anywhere are left out."""
    import numpy as np

    from triptych.stores.pooled import StoredPooled

    n = len(samples)
    weights = np.stack([one.sums.mass[kept] / one.sums.mass.sum() for one in found.values()])
    filled = np.maximum(np.stack([one.sums.mass[kept] for one in found.values()]), 1.0)[:, :, None]
    step = np.stack([one.sums.shift[kept] for one in found.values()]) / filled
    common = (weights[:, :, None] * step).sum(axis=0) / weights.sum(axis=0)[
        :, None
    ]  # to the mean of the mean measure
    square = np.stack([one.sums.square[kept] for one in found.values()]) / filled
    spread = np.maximum(square - step**2, 0.0)
    occupied = weights[:, :, None] > 0
    about_common = np.where(occupied, spread + (step - common) ** 2, 0.0)
    offset = state[f"{WHOLE}_offset"]
    first = next(iter(samples.values()))
    moments_of = [one.moments for one in found.values()]
    return StoredPooled(
        centers=centers[kept] + common + offset,
        weights=weights,
        means=centers[kept] + np.where(occupied, step, common) + offset,
        distortion=spread.sum(axis=2),
        epsilon=np.sqrt((weights * spread.sum(axis=2)).sum(axis=1)),
        common_epsilon=np.sqrt((weights * about_common.sum(axis=2)).sum(axis=1)),
        mean=np.stack([m.mean for m in moments_of]),
        covariance=np.stack([m.covariance for m in moments_of]),
        events=np.asarray(state["events"], np.int64),
        samples=tuple(samples),
        features=first.features,
        units=first.units,
        content=tuple(rows.content for rows in samples.values()),
        populations=populations,
        history=tuple(float(x) for x in state[f"{WHOLE}_history"]),
        scaling=None
        if first.center is None or first.scale is None
        else {"center": first.center.tolist(), "scale": first.scale.tolist(), "clip": first.clip},
        composition=np.stack([one.composition[kept] for one in found.values()]).reshape(
            n, -1, len(populations)
        )
        if populations
        else None,
    )


def _certify_chunk(shared: _Shared, populations: tuple[str, ...], chunk: tuple[str, int]) -> _Certified:
    import numpy as np

    from triptych.quantization import lloyd, moments

    name, index = chunk
    rows = shared.samples[name]
    values = rows.read(index)
    centers, offset = shared.state[f"{WHOLE}_centers"], shared.state[f"{WHOLE}_offset"]
    sums, labels = lloyd.certified(values, centers, offset, shared.device)
    counts = np.zeros((len(centers), len(populations)), np.int64)
    if own := rows.populations():
        place = np.array([populations.index(p) for p in own], np.int64)
        flat = np.bincount(
            labels.astype(np.int64) * len(populations) + place[rows.codes(index)], minlength=counts.size
        )
        counts = flat.reshape(counts.shape).astype(np.int64)
    d = centers.shape[1]
    empty = moments.Moments(0, np.zeros(d), np.zeros((d, d)))
    return _Certified(sums, moments.partial(values) if len(values) else empty, counts)


def _summary(context: Context) -> dict[str, Any]:
    """Counts, and the error of the samples on common centers and on their own cell means."""
    import numpy as np

    from triptych.stores.pooled import open_pooled

    pooled = open_pooled(context.path(STORE))
    settings: QuantizeCohortSettings = context.settings
    scaling = context.inputs["scaling"].path if "scaling" in context.inputs else None
    given = {
        name: open_rows(source, scaling, settings.clip, settings.leave_out)
        for name, source in context.collections["clouds"].items()
    }
    notes = match_rows(given)[1]
    if len(pooled.centers) < settings.n_centers:
        notes.append(
            f"{len(pooled.centers)} of {settings.n_centers} centers hold events; the others were left out"
        )
    scores = {
        "mean_epsilon": float(pooled.epsilon.mean()),
        "mean_common_epsilon": float(pooled.common_epsilon.mean()),
        "empty_cells": float((pooled.weights == 0).mean()),
    }
    if pooled.composition is not None:
        counts = pooled.composition.sum(axis=0)
        scores["purity"] = float(counts.max(axis=1).sum() / np.maximum(counts.sum(), 1))
    return {
        "counts": {
            "samples": len(pooled.samples),
            "events": int(pooled.events.sum()),
            "centers": len(pooled.centers),
            "features": len(pooled.features),
            "passes": len(pooled.history),
        },
        "scores": scores,
        "notes": notes,
    }


def _owned(context: Context) -> list[str]:
    return [STORE]


def _limit(context: Context) -> int:
    return int(context.settings.passes)


def _estimate(extent: Mapping[str, Any], settings: Any) -> Estimate:
    samples, channels = int(extent.get("samples", 100)), int(extent.get("channels", 32))
    cells = samples * settings.n_centers * channels
    memory = 220 * 2**20 + 16 * 65536 * channels + 16 * settings.subsample_size * (channels + 8) + 80 * cells
    return Estimate(blocks=settings.passes + 2, output_bytes=24 * cells, memory_bytes=memory, files=14)


STEP = Step(
    name="quantize_cohort",
    version=1,
    scope="cohort",
    kinds=("volume", "cloud", "signal"),
    help="Quantize all samples of a cohort on common centers.",
    settings=QuantizeCohortSettings,
    inputs=(
        Input(
            "clouds",
            "cloud.zarr, objects.parquet or atoms.parquet of every sample",
            stores={"volume": "objects.parquet", "cloud": "cloud.zarr", "signal": "atoms.parquet"},
            producers={"volume": "measure_objects", "cloud": "import_cloud", "signal": "describe_atoms"},
            many=True,
        ),
        passes.SCALING,
    ),
    outputs=(STORE,),
    phases=(
        Iterate("lloyd", _start, _advance, _finished, _limit),
        Reduce("certificate", _owned, _certify),
    ),
    summary=_summary,
    estimate=_estimate,
    devices=("cpu", "cuda"),
)
