"""Read one cytometry recording into ``cloud.zarr``: linear scale, compensation, transform, choice of channels.

Reads ``--raw`` (FCS, LMD, CSV, Parquet), a panel file and one label per event where they are given. Its main work is a map
over chunks of rows; nothing holds more than a few chunks in memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from triptych.engine.step import Context, Estimate, Input, Map, Reduce, Settings, Step
from triptych.errors import InputError, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from triptych.readers.events import EventFile
    from triptych.readers.panel import Described

PLAN = "scratch/plan.json"
ROWS = "scratch/rows.npz"
TRANSFORM_NAMES = ("logical", "logicle", "asinh", "arcsinh", "log10", "biex")


class ImportCloudSettings(Settings):
    """Settings of import_cloud.

    Parameters of transforms hold for the whole cohort: parameters of single files would make distances false.
    """

    compensation: Literal["auto", "none", "required"] = Field(
        "auto",
        description="auto: apply the file's spillover matrix unless it was applied already; "
        "none: never; required: an error where the file has none.",
    )
    transform: Literal["auto", "logicle", "arcsinh", "none"] = Field(
        "auto",
        description="Transform of marker channels; auto: none where they are transformed already, arcsinh for mass "
        "cytometry, else logicle.",
    )
    logicle_top: float = Field(262144.0, gt=0, description="Top of the linear scale that logicle maps to 1.")
    logicle_decades: float = Field(4.5, gt=0, le=20, description="Decades of the logicle scale.")
    logicle_width: float = Field(0.5, ge=0, le=5, description="Decades of its nearly linear part.")
    logicle_negative: float = Field(0.0, ge=0, le=5, description="Additional decades of negative values.")
    cofactor_mass: float = Field(5.0, gt=0, description="Cofactor of arcsinh for mass cytometry.")
    cofactor_flow: float = Field(150.0, gt=0, description="Cofactor of arcsinh for flow cytometry.")
    include: tuple[str, ...] = Field(
        (), description="Channels or markers to keep besides the default ones, e.g. FSC-A."
    )
    exclude: tuple[str, ...] = Field((), description="Channels or markers to leave out.")
    chunk_events: int = Field(
        65536, ge=1024, le=4194304, description="Events of a chunk: one block, one file."
    )


def _prepare(context: Context) -> None:
    """Decide what becomes of every channel, before any event is written."""
    import numpy as np

    from triptych.engine.files import save_arrays, write_json
    from triptych.readers.events import open_events
    from triptych.readers.tabular import read_labels
    from triptych.stores.cloud import STORE, create_arrays

    path = context.source("raw")
    opened = open_events(path)
    plan = _plan(context, path, opened)
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
    )


def _plan(context: Context, path: Path, opened: EventFile) -> dict[str, Any]:
    from triptych.quantization.scales import unit
    from triptych.readers.panel import apply_panel, describe, is_mass_cytometry, read_panel

    settings: ImportCloudSettings = context.settings
    notes = list(opened.notes)
    mass = is_mass_cytometry(opened.columns, opened.text)
    described = describe(opened.columns, mass)
    if "panel" in context.inputs:
        panel = context.source("panel")
        kept = apply_panel(panel, described, read_panel(panel))
    else:
        kept = _choose(described, settings)
        if left := [f"{d.column.name} ({d.role})" for d in described if d not in kept]:
            notes.append(f"channels left out: {', '.join(left)}")
    if not kept:
        names = ", ".join(d.column.name for d in described)
        raise InputError(
            f"{path} has no channel left of {names}; name some in import_cloud.include or in a panel"
        )
    transformed = _is_transformed(opened, described)
    spillover = _spillover(path, opened, transformed, settings.compensation, notes)
    channels = []
    for d, label in zip(kept, _labels(kept), strict=True):
        scale = _scale(d, settings, mass=mass, transformed=transformed)
        channels.append(
            {
                "index": d.index,
                "name": d.column.name,
                "marker": label,
                "role": d.role,
                "unit": unit(scale),
                "transform": scale,
            }
        )
    if transformed and settings.transform == "auto":
        notes.append("marker channels are transformed already and were left as recorded")
    _warn_of_range(kept, channels, settings, notes)
    return {
        "events": opened.n_events,
        "channels": channels,
        "populations": [],
        "spillover": spillover,
        "notes": notes,
    }


def _choose(described: Sequence[Described], settings: ImportCloudSettings) -> list[Described]:
    """Marker channels, with those that settings add and without those they exclude."""

    def named(wanted: str) -> list[int]:
        low = wanted.strip().lower()
        found = [d.index for d in described if low in (d.column.name.lower(), d.marker.lower())]
        if not found:
            raise UsageError(
                f"import_cloud names channel {wanted!r}, which the recording does not have; "
                f"its channels are {', '.join(d.column.name for d in described)}"
            )
        return found

    added = {index for name in settings.include for index in named(name)}
    removed = {index for name in settings.exclude for index in named(name)}
    return [d for d in described if (d.role == "marker" or d.index in added) and d.index not in removed]


def _labels(kept: Sequence[Described]) -> list[str]:
    """Markers, made unique by the detector, and by its number, where channels show the same one."""
    labels = [d.marker or d.column.name for d in kept]
    for marks in ([f" ({d.column.name})" for d in kept], [f" #{d.index + 1}" for d in kept]):
        labels = [
            label if labels.count(label) == 1 else label + mark
            for label, mark in zip(labels, marks, strict=True)
        ]
    return labels


def _is_transformed(opened: EventFile, described: Sequence[Described]) -> bool:
    """Whether the file holds transformed values: by the names of its channels, or by their range.

    Integers come from a converter and are never transformed. The range is judged on the first, middle and last 65,536
    events.
    """
    import numpy as np

    from triptych.quantization.scales import looks_transformed

    markers = [d for d in described if d.role == "marker"] or list(described)
    if opened.is_integer:
        return False
    words = [f"{d.column.name} {d.column.label}".lower() for d in markers]
    if sum(any(name in word for name in TRANSFORM_NAMES) for word in words) * 2 >= len(words):
        return True
    n, size = opened.n_events, 65_536
    starts = sorted({0, max(0, n // 2 - size // 2), max(0, n - size)})
    probed = [opened.read(start, min(n, start + size))[:, [d.index for d in markers]] for start in starts]
    return looks_transformed(np.concatenate(probed))


def _spillover(
    path: Path, opened: EventFile, transformed: bool, wanted: str, notes: list[str]
) -> dict[str, Any] | None:
    """The matrix to apply, or None with a note that says why."""
    from triptych.readers.spillover import read_spillover

    if wanted == "none":
        return None
    found, remark = read_spillover(path, opened.text, [column.name for column in opened.columns])
    if remark is not None:
        notes.append(remark)
    if found is None:
        if wanted == "required":
            raise InputError(
                f"{path} has no usable spillover matrix; set import_cloud.compensation: auto or none"
            )
        return None
    if found.compensated:
        notes.append(f"channel names say that {found.keyword} was applied already; it was not applied twice")
    elif transformed:
        notes.append(f"{found.keyword} was not applied: the events are transformed already")
    elif found.is_identity:
        notes.append(f"{found.keyword} is the identity")
    else:
        notes.append(f"compensated by {found.keyword} ({len(found.columns)} channels)")
        return {"columns": list(found.columns), "matrix": found.matrix.tolist()}
    return None


def _scale(
    channel: Described, settings: ImportCloudSettings, *, mass: bool, transformed: bool
) -> dict[str, Any]:
    """Transform of one channel with its parameters."""
    wanted = settings.transform
    if wanted == "auto":
        wanted = "none" if transformed else "arcsinh" if mass else "logicle"
    if wanted == "none":
        return {"name": "none"}
    if channel.role in ("scatter", "time", "instrument"):
        return {"name": "linear", "top": channel.column.top or settings.logicle_top}
    if wanted == "arcsinh":
        return {"name": "arcsinh", "cofactor": settings.cofactor_mass if mass else settings.cofactor_flow}
    return {
        "name": "logicle",
        "top": settings.logicle_top,
        "decades": settings.logicle_decades,
        "width": settings.logicle_width,
        "negative": settings.logicle_negative,
    }


def _warn_of_range(
    kept: Sequence[Described],
    channels: Sequence[Mapping[str, Any]],
    settings: ImportCloudSettings,
    notes: list[str],
) -> None:
    tops = sorted(
        {
            d.column.top
            for d, channel in zip(kept, channels, strict=True)
            if channel["transform"]["name"] == "logicle" and d.column.top
        }
    )
    far = [top for top in tops if not 1 / 16 <= top / settings.logicle_top <= 64]
    if far:
        notes.append(
            f"the file's scale ends at {far[0]:g}, far from logicle_top {settings.logicle_top:g}; "
            "set import_cloud.logicle_top for this instrument"
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

    return [*chunk_keys(index, population="population" in context.inputs), _moments_key(index)]


def _import_chunk(context: Context, index: int) -> None:
    """Read, check, compensate, transform and write one chunk of events."""
    import numpy as np

    from triptych.engine.files import load_arrays, save_arrays
    from triptych.quantization import moments
    from triptych.quantization.scales import compensate, transform
    from triptych.readers.events import open_events
    from triptych.stores.cloud import STORE, write_chunk

    plan = _load_plan(context)
    size = context.settings.chunk_events
    start, stop = index * size, min((index + 1) * size, plan["events"])
    rows = load_arrays(context.path(ROWS))
    path = context.source("raw")
    values = open_events(path, rows if len(rows["row_index"]) else None).read(start, stop)
    used = [channel["index"] for channel in plan["channels"]]
    spillover = plan["spillover"]
    _check_finite(path, plan, values, start, sorted({*used, *(spillover["columns"] if spillover else ())}))
    if spillover:
        values = compensate(values, spillover["columns"], np.array(spillover["matrix"]))
    events = np.stack(
        [transform(values[:, channel["index"]], channel["transform"]) for channel in plan["channels"]], axis=1
    ).astype(np.float32)
    population = rows["population"][start:stop] if "population" in rows else None
    write_chunk(context.path(STORE), index, events, population)
    part = moments.partial(events)
    digest = hashlib.sha256(np.ascontiguousarray(events, dtype="<f4").tobytes()).digest()
    save_arrays(
        context.path(_moments_key(index)),
        {
            "count": np.array(part.count),
            "mean": part.mean,
            "scatter": part.scatter,
            "sha256": np.frombuffer(digest, np.uint8),
        },
    )


def _check_finite(
    path: Path, plan: Mapping[str, Any], values: NDArray[np.float64], start: int, columns: Sequence[int]
) -> None:
    import numpy as np

    bad = ~np.isfinite(values[:, list(columns)])
    if not bad.any():
        return
    event, place = (int(i) for i in np.argwhere(bad)[0])
    index = columns[place]
    name = next((c["name"] for c in plan["channels"] if c["index"] == index), f"number {index + 1}")
    raise InputError(
        f"{path} holds {values[event, index]} in channel {name} of event {start + event + 1}; "
        "export it without such events or exclude the channel"
    )


def _describe(context: Context) -> None:
    """Merge the moments in the order of chunks and write the attributes of the cloud."""
    import numpy as np

    from triptych.engine.files import load_arrays
    from triptych.quantization import moments
    from triptych.stores.cloud import STORE, Channel, write_attributes

    plan = _load_plan(context)
    total, content = None, hashlib.sha256()
    for index in range(_count(context)):
        stored = load_arrays(context.path(_moments_key(index)))
        part = moments.Moments(int(stored["count"]), stored["mean"], stored["scatter"])
        total = part if total is None else moments.merge(total, part)
        content.update(np.asarray(stored["sha256"], np.uint8).tobytes())
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
    )


def _summary(context: Context) -> dict[str, Any]:
    plan = _load_plan(context)
    counts = {"events": plan["events"], "channels": len(plan["channels"])}
    if plan["populations"]:
        counts["populations"] = len(plan["populations"])
    return {"counts": counts, "scores": {}, "notes": plan["notes"]}


def _probe(path: Path, settings: Any) -> Mapping[str, Any]:
    from triptych.readers.events import open_events

    opened = open_events(path)
    return {"events": opened.n_events, "channels": len(opened.columns)}


def _estimate(extent: Mapping[str, Any], settings: Any) -> Estimate:
    events, channels, size = int(extent["events"]), int(extent["channels"]), int(settings.chunk_events)
    blocks = -(-events // size)
    # Raw bytes, float64 values, their compensated copy, transformed columns and the stored chunk live at once.
    return Estimate(
        blocks=blocks,
        output_bytes=4 * events * channels,
        memory_bytes=120 * 2**20 + 40 * min(events, 3 * size) * channels,
        files=blocks + 4,
    )


def _owned_by_prepare(context: Context) -> list[str]:
    from triptych.stores.cloud import array_metadata

    return [*array_metadata(population="population" in context.inputs), PLAN, ROWS]


def _owned_by_describe(context: Context) -> list[str]:
    return ["cloud.zarr/zarr.json"]


STEP = Step(
    name="import_cloud",
    version=1,
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
