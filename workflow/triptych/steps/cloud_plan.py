"""What becomes of every channel of a recording, decided before an event is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from triptych.errors import InputError, UsageError

if TYPE_CHECKING:
    from triptych.readers.events import EventFile
    from triptych.readers.panel import Described
    from triptych.steps.import_cloud import ImportCloudSettings

TRANSFORM_NAMES = ("logical", "logicle", "asinh", "arcsinh", "log10", "biex")


def make_plan(
    path: Path, opened: EventFile, panel: Path | None, settings: ImportCloudSettings
) -> dict[str, Any]:
    """Channels with their scales, the matrix to apply, populations to come, and notes; JSON throughout."""
    from triptych.quantization.scales import unit
    from triptych.readers.panel import apply_panel, describe, is_mass_cytometry, read_panel

    notes = list(opened.notes)
    mass = is_mass_cytometry(opened.columns, opened.text)
    described = describe(opened.columns, mass)
    if panel is not None:
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
        notes.append(
            "marker channels are transformed already, by their names or their range, and were left as recorded"
        )
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
