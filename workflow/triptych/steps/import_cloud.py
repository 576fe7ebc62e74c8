"""Read one cytometry recording into ``cloud.zarr``: linear scale, compensation, transform, choice of channels.

Reads ``--raw`` (FCS, LMD, CSV, Parquet), a panel file and one label per event where they are given. Its main work is a map
over chunks of rows; nothing holds more than a few chunks in memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from triptych.engine.step import Context, Estimate, Input, Map, Reduce, Step
from triptych.steps.cloud_settings import ImportCloudSettings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from triptych.readers.events import EventFile

PLAN = "scratch/plan.json"
ROWS = "scratch/rows.npz"
SLAB_EVENTS = 8192
"""Events that are decoded and transformed at once: their values fit the second-level cache."""


def _open(context: Context, index: Mapping[str, Any] | None = None) -> EventFile:
    """The raw file, opened once per process: its keywords are the same for every chunk."""
    from triptych.readers.event_files import open_events

    path = context.source("raw")
    key = (str(path), context.inputs["raw"].digest, context.settings.data_set)
    if key not in _OPENED:
        _OPENED.clear()
        _OPENED[key] = open_events(path, index, context.settings.data_set)
    return _OPENED.get(key) or open_events(path, index, context.settings.data_set)


_OPENED: dict[tuple[Any, ...], EventFile] = {}


def _prepare(context: Context) -> None:
    """Decide what becomes of every channel, before any event is written."""
    import numpy as np

    from triptych.engine.files import save_arrays, write_json
    from triptych.readers.tabular import read_labels
    from triptych.steps.cloud_plan import make_plan
    from triptych.stores.cloud import STORE, create_arrays

    path = context.source("raw")
    opened = _open(context)
    panel = context.source("panel") if "panel" in context.inputs else None
    plan = make_plan(path, opened, panel, context.settings)
    has_population = "population" in context.inputs
    rows: dict[str, NDArray[Any]] = {"row_index": getattr(opened, "row_index", np.empty(0, np.int64))}
    if has_population:
        labels = read_labels(context.source("population"), opened.n_events)
        rows["population"] = labels.codes
        plan["populations"] = list(labels.names)
    save_arrays(context.path(ROWS), rows)
    write_json(context.path(PLAN), plan)
    create_arrays(
        context.path(STORE),
        opened.n_events,
        len(plan["channels"]),
        context.settings.chunk_events,
        population=has_population,
        quality=bool(plan["masks"]),
    )


def _load_plan(context: Context) -> dict[str, Any]:
    import json

    plan: dict[str, Any] = json.loads(context.path(PLAN).read_text())
    return plan


def _count(context: Context) -> int:
    return -(-int(_load_plan(context)["events"]) // int(context.settings.chunk_events))


def _moments_key(index: int) -> str:
    return f"scratch/moments/{index:06d}.npz"


def _owns_chunk(context: Context, index: int) -> list[str]:
    from triptych.stores.cloud import chunk_keys

    keys = chunk_keys(index, population="population" in context.inputs, quality=bool(context.settings.masks))
    return [*keys, _moments_key(index)]


def _import_chunk(context: Context, index: int) -> None:
    """Read, check, compensate, transform, judge and write one chunk of events, a slab at a time."""
    import numpy as np

    from triptych.engine.files import load_arrays, save_arrays
    from triptych.quantization import moments
    from triptych.quantization.scales import compensate, transform
    from triptych.steps.cloud_quality import flag_events
    from triptych.stores.cloud import STORE, write_chunk

    plan = _load_plan(context)
    size = context.settings.chunk_events
    start, stop = index * size, min((index + 1) * size, plan["events"])
    rows = load_arrays(context.path(ROWS))
    opened = _open(context, rows if len(rows["row_index"]) else None)
    channels, masks, spillover = plan["channels"], plan["masks"], plan["spillover"]
    used = sorted({*(c["index"] for c in channels), *(spillover["columns"] if spillover else ())})
    events = np.empty((stop - start, len(channels)), np.float32)
    quality = np.zeros(stop - start, np.uint8) if masks else None
    # A table is parsed once for the chunk; an FCS file gives any rows at the same price.
    slab = SLAB_EVENTS if hasattr(opened, "layout") else size
    for first in range(start, stop, slab):
        last = min(first + slab, stop)
        inside = slice(first - start, last - start)
        values = opened.read(first, last)
        _check_finite(context.source("raw"), plan, values, first, used)
        true = values
        if spillover:
            true = compensate(values, spillover["columns"], np.array(spillover["matrix"]))
        for place, channel in enumerate(channels):
            events[inside, place] = transform(true[:, channel["index"]], channel["transform"])
        if quality is not None:
            quality[inside] = flag_events(masks, values, true, first)
    population = rows["population"][start:stop] if "population" in rows else None
    write_chunk(context.path(STORE), index, events, population, quality)
    part = moments.partial(events)
    digest = hashlib.sha256(events.astype("<f4", copy=False).data).digest()
    masked = [] if quality is None else [np.count_nonzero(quality >> bit & 1) for bit in range(len(masks))]
    save_arrays(
        context.path(_moments_key(index)),
        {
            "count": np.array(part.count),
            "mean": part.mean,
            "scatter": part.scatter,
            "sha256": np.frombuffer(digest, np.uint8),
            "masked": np.array(masked, np.int64),
        },
    )


def _check_finite(
    path: Path, plan: Mapping[str, Any], values: NDArray[np.float64], start: int, columns: Sequence[int]
) -> None:
    import numpy as np

    from triptych.readers.events import RejectedFile

    # The store is float32: what it cannot hold is as good as infinite.
    most = float(np.finfo(np.float32).max)
    bad = {index: ~(np.abs(values[:, index]) <= most) for index in columns}
    firsts = {index: int(np.argmax(found)) for index, found in bad.items() if found.any()}
    if not firsts:
        return
    event, index = min((event, index) for index, event in firsts.items())
    name = next((c["name"] for c in plan["channels"] if c["index"] == index), f"number {index + 1}")
    raise RejectedFile(
        f"{path} holds {values[event, index]} in channel {name} of event {start + event + 1}; "
        "export it without such events or exclude the channel",
        "not_finite",
    )


def _describe(context: Context) -> None:
    """Merge the moments in the order of chunks and write the attributes of the cloud."""
    import numpy as np

    from triptych.engine.files import load_arrays
    from triptych.quantization import moments
    from triptych.stores.cloud import STORE, Channel, Mask, write_attributes

    plan = _load_plan(context)
    total, content = None, hashlib.sha256()
    masked = np.zeros(len(plan["masks"]), np.int64)
    for index in range(_count(context)):
        stored = load_arrays(context.path(_moments_key(index)))
        part = moments.Moments(int(stored["count"]), stored["mean"], stored["scatter"])
        total = part if total is None else moments.merge(total, part)
        content.update(np.asarray(stored["sha256"], np.uint8).tobytes())
        masked += stored["masked"]
    assert total is not None
    channels = tuple(
        Channel(c["name"], c["marker"], c["role"], c["unit"], c["transform"]) for c in plan["channels"]
    )
    write_attributes(
        context.path(STORE),
        channels,
        tuple(plan["populations"]),
        content.hexdigest(),
        total.mean,
        total.covariance,
        tuple(
            Mask(mask["name"], mask["rule"], int(n)) for mask, n in zip(plan["masks"], masked, strict=True)
        ),
    )


def _summary(context: Context) -> dict[str, Any]:
    """Counts, events of each mask, and notes: the verdict on the file first, the rules of masks last."""
    from triptych.stores.cloud import STORE, open_cloud

    plan = _load_plan(context)
    counts = {"events": plan["events"], "channels": len(plan["channels"])}
    if plan["populations"]:
        counts["populations"] = len(plan["populations"])
    masks = open_cloud(context.path(STORE)).masks
    counts |= {f"masked_{mask.name}": mask.events for mask in masks}
    told = [
        f"mask {mask.name} marks {mask.events} events ({mask.events / plan['events']:.2%}): {mask.rule}"
        for mask in masks
    ]
    return {"counts": counts, "scores": {}, "notes": [*plan["notes"], *told]}


def _probe(path: Path, settings: Any) -> Mapping[str, Any]:
    from triptych.readers.event_files import open_events

    opened = open_events(path, data_set=settings.data_set)
    return {"events": opened.n_events, "channels": len(opened.columns)}


def _estimate(extent: Mapping[str, Any], settings: Any) -> Estimate:
    events, channels, size = int(extent["events"]), int(extent["channels"]), int(settings.chunk_events)
    blocks = -(-events // size)
    # The chunk, its compressed copy and the squares of its moments live at once; FCS slabs are small beside them.
    return Estimate(
        blocks=blocks,
        output_bytes=4 * events * channels,
        memory_bytes=120 * 2**20 + 40 * min(events, 3 * size) * channels,
        files=blocks + 4,
    )


def _owned_by_prepare(context: Context) -> list[str]:
    from triptych.stores.cloud import array_metadata

    keys = array_metadata(population="population" in context.inputs, quality=bool(context.settings.masks))
    return [*keys, PLAN, ROWS]


def _owned_by_describe(context: Context) -> list[str]:
    return ["cloud.zarr/zarr.json"]


STEP = Step(
    name="import_cloud",
    version=2,
    scope="sample",
    kinds=("cloud",),
    help="Read a cytometry recording: compensate, transform, choose channels.",
    settings=ImportCloudSettings,
    inputs=(
        Input("raw", "FCS, LMD, CSV or Parquet file of events", sheet="path"),
        Input("panel", "CSV file: channel, marker, use (1 or 0)", required=False, sheet="panel"),
        Input(
            "population", "CSV file (.gz too): one label per event", required=False, sheet="labels_population"
        ),
    ),
    outputs=("cloud.zarr",),
    phases=(
        Reduce("prepare", _owned_by_prepare, _prepare),
        Map("events", _count, _owns_chunk, _import_chunk),
        Reduce("describe", _owned_by_describe, _describe),
    ),
    summary=_summary,
    probe=_probe,
    estimate=_estimate,
)
