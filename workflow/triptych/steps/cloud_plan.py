"""What becomes of every channel of a recording, decided before an event is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from triptych.errors import InputError, UsageError
from triptych.steps.cloud_quality import Drawn, Recording, draw, judge_masks

if TYPE_CHECKING:
    from triptych.readers.events import EventFile, Finding
    from triptych.readers.panel import Described
    from triptych.steps.cloud_settings import ImportCloudSettings

TRANSFORM_NAMES = ("logical", "logicle", "asinh", "arcsinh", "log10", "biex")


def make_plan(
    path: Path, opened: EventFile, panel: Path | None, settings: ImportCloudSettings
) -> dict[str, Any]:
    """Channels with their scales, the matrix to apply, masks, populations to come, and notes; JSON throughout."""
    from triptych.quantization.scales import unit
    from triptych.readers.events import Finding, verdict
    from triptych.readers.panel import apply_panel, describe, is_mass_cytometry, read_panel

    findings = list(opened.findings)
    notes = [finding.note for finding in findings]
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
    drawn = draw(opened)
    transformed = _is_transformed(opened, described, drawn)
    spillover, told = _spillover(path, opened, transformed, settings.compensation)
    findings.extend(told)
    notes.extend(finding.note for finding in told)
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
    if far := _scale_note(kept, channels, settings):
        findings.append(Finding("scale", far))
        notes.append(far)
    scale_of = {d.index: _scale(d, settings, mass=mass, transformed=transformed) for d in described}
    masks, judged = judge_masks(
        Recording(opened, drawn, tuple(described), scale_of, spillover, mass=mass, transformed=transformed),
        settings,
    )
    return {
        "events": opened.n_events,
        "channels": channels,
        "populations": [],
        "spillover": spillover,
        "masks": masks,
        "notes": [f"verdict: {verdict(findings)}", *notes, *judged],
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


def _is_transformed(opened: EventFile, described: Sequence[Described], drawn: Drawn) -> bool:
    """Whether the file holds transformed values: by the names of its channels, or by the range of the events drawn.

    Integers come from a converter and are never transformed.
    """
    from triptych.quantization.scales import looks_transformed

    markers = [d for d in described if d.role == "marker"] or list(described)
    if opened.is_integer:
        return False
    words = [f"{d.column.name} {d.column.label}".lower() for d in markers]
    if sum(any(name in word for name in TRANSFORM_NAMES) for word in words) * 2 >= len(words):
        return True
    return looks_transformed(drawn.values[:, [d.index for d in markers]])


def _spillover(
    path: Path, opened: EventFile, transformed: bool, wanted: str
) -> tuple[dict[str, Any] | None, list[Finding]]:
    """The matrix to apply or None, and what to say: why there is none, or that one cannot be used."""
    from triptych.readers.events import Finding
    from triptych.readers.spillover import read_spillover

    if wanted == "none":
        return None, []
    found, remark = read_spillover(path, opened.text, [column.name for column in opened.columns])
    if found is None:
        if wanted == "required":
            raise InputError(
                f"{path} has no usable spillover matrix; set import_cloud.compensation: auto or none"
            )
        return None, [] if remark is None else [Finding("spillover", remark)]
    if found.compensated:
        note = f"channel names say that {found.keyword} was applied already; it was not applied twice"
    elif transformed:
        note = f"{found.keyword} was not applied: the events are transformed already"
    elif found.is_identity:
        note = f"{found.keyword} is the identity"
    else:
        note = f"compensated by {found.keyword} ({len(found.columns)} channels)"
        matrix = {"columns": list(found.columns), "matrix": found.matrix.tolist()}
        return matrix, [Finding("", note)]
    return None, [Finding("", note)]


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


def _scale_note(
    kept: Sequence[Described], channels: Sequence[Mapping[str, Any]], settings: ImportCloudSettings
) -> str | None:
    """What to say where the file's range is far from that of the logicle scale."""
    tops = sorted(
        {
            d.column.top
            for d, channel in zip(kept, channels, strict=True)
            if channel["transform"]["name"] == "logicle" and d.column.top
        }
    )
    far = [top for top in tops if not 1 / 16 <= top / settings.logicle_top <= 64]
    if not far:
        return None
    return (
        f"the file's scale ends at {far[0]:g}, far from logicle_top {settings.logicle_top:g}; "
        "set import_cloud.logicle_top for this instrument"
    )
