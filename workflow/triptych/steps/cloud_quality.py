"""Quality masks of a recording: thresholds from a subsample of all of it, then flags chunk by chunk.

No event is deleted: a mask is a bit per event, and who reads the cloud decides which masks to leave out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from triptych.steps.cloud_settings import MASKS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from triptych.quantization.quality import Rule
    from triptych.readers.events import EventFile
    from triptych.readers.panel import Described
    from triptych.steps.cloud_settings import ImportCloudSettings

    Array = NDArray[np.float64]

LOOKED_AT = 50_000
SEED = 0


@dataclass(frozen=True)
class Drawn:
    """Events drawn from a recording: ``rows`` (m,) of the file, and their linear ``values`` (m, d) as recorded."""

    rows: NDArray[np.int64]
    values: Array


@dataclass(frozen=True)
class Recording:
    """A file with what its channels are: ``scale_of`` is the transform of every channel by its index."""

    opened: EventFile
    drawn: Drawn
    described: tuple[Described, ...]
    scale_of: Mapping[int, Mapping[str, Any]]
    spillover: Mapping[str, Any] | None
    mass: bool
    transformed: bool


@dataclass(frozen=True)
class Sample:
    """The events that the thresholds come from: rows, linear values as recorded, and compensated."""

    rows: NDArray[np.int64]
    values: Array
    compensated: Array


def judge_masks(
    recording: Recording, settings: ImportCloudSettings
) -> tuple[list[dict[str, Any]], list[str]]:
    """Masks in the order of their bits (name, rule, channels, thresholds), and notes on those that cannot be judged.

    The subsample is stratified over the recording and depends on nothing but its length, so the masks are those of the
    recording, whatever its chunks.
    """
    wanted = [name for name in MASKS if name in settings.masks]
    if not wanted:
        return [], []
    sample = _finite_sample(recording)
    judges = {
        "margin": _margin,
        "doublet": _doublet,
        "debris": _debris,
        "dead": _dead,
        "drift": _drift,
    }
    masks, notes = [], []
    for name in wanted:
        rule, channels = judges[name](recording, sample, settings)
        if rule.thresholds is None:
            notes.append(f"mask {name} was not judged: {rule.text}")
        else:
            masks.append({"name": name, "rule": rule.text, "channels": channels, **rule.thresholds})
    return masks, notes


def flag_events(
    masks: Sequence[Mapping[str, Any]], values: Array, compensated: Array, first_row: int
) -> NDArray[np.uint8]:
    """(n,) bits of some events in order: linear values (n, d) as recorded and compensated, and the first one's row."""
    import numpy as np

    from triptych.quantization import quality
    from triptych.quantization.scales import transform

    bits = np.zeros(len(values), np.uint8)
    for bit, mask in enumerate(masks):
        columns = [values[:, j] for j in mask["channels"]]
        match mask["name"]:
            case "margin":
                flagged = quality.flag_margins(values[:, mask["channels"]], dict(mask))
            case "doublet":
                flagged = quality.flag_doublets(columns[0], columns[1], dict(mask))
            case "debris":
                flagged = quality.flag_debris(
                    columns[0], columns[1] if len(columns) > 1 else None, dict(mask)
                )
            case "dead":
                flagged = np.zeros(len(values), bool)
                for j, scale, above in zip(mask["channels"], mask["scales"], mask["above"], strict=True):
                    flagged |= transform(compensated[:, j], scale) > above
            case _:
                rows = np.arange(first_row, first_row + len(values), dtype=np.float64)
                flagged = quality.flag_stretches(columns[0] if columns else rows, mask["stretches"])
        bits |= flagged.astype(np.uint8) << np.uint8(bit)
    return bits


def draw(opened: EventFile) -> Drawn:
    """The subsample of a recording, in one pass over the file, a piece at a time."""
    from triptych.quantization.seeding import subsample_rows
    from triptych.readers.event_files import read_rows

    rows = subsample_rows(opened.n_events, LOOKED_AT, SEED)
    return Drawn(rows, read_rows(opened, rows))


def _finite_sample(recording: Recording) -> Sample:
    import numpy as np

    from triptych.quantization.scales import compensate

    rows, values = recording.drawn.rows, recording.drawn.values
    finite = np.isfinite(values).all(axis=1)
    if not finite.all():
        rows, values = rows[finite], values[finite]
    spillover = recording.spillover
    if spillover is None:
        return Sample(rows, values, values)
    return Sample(rows, values, compensate(values, spillover["columns"], np.array(spillover["matrix"])))


def _margin(recording: Recording, sample: Sample, settings: ImportCloudSettings) -> tuple[Rule, list[int]]:
    from triptych.quantization.quality import Rule, judge_margins
    from triptych.readers.panel import is_width

    if recording.mass:
        return Rule(None, "counts of mass cytometry have no end of range"), []
    used = [
        d for d in recording.described if d.role in ("scatter", "marker", "viability") and not is_width(d)
    ]
    channels = [d.index for d in used]
    last = [_end_of_range(d, sample, transformed=recording.transformed) for d in used]
    floors = [d.column.is_log and d.role != "scatter" for d in used]
    names = [d.column.name for d in used]
    return judge_margins(sample.values[:, channels], names, last, floors), channels


def _end_of_range(d: Described, sample: Sample, *, transformed: bool) -> float | None:
    """The last value of the converter; None where values are transformed, or where many lie well beyond it."""
    last = d.column.last
    if last is None or (transformed and d.role != "scatter"):
        return None
    values = sample.values[:, d.index]
    return last if len(values) and float((values > 1.05 * last).mean()) < 0.001 else None


def _doublet(recording: Recording, sample: Sample, settings: ImportCloudSettings) -> tuple[Rule, list[int]]:
    from triptych.quantization.quality import Rule, judge_doublets
    from triptych.readers.panel import scatter_of

    pair = [scatter_of(recording.described, "f", measure) for measure in "ah"]
    channels = [d.index for d in pair if d is not None]
    if len(channels) < 2:
        return Rule(None, "the file has no forward scatter by area and by height"), []
    area, height = (sample.values[:, j] for j in channels)
    return judge_doublets(area, height, settings.doublet_deviations), channels


def _debris(recording: Recording, sample: Sample, settings: ImportCloudSettings) -> tuple[Rule, list[int]]:
    from triptych.quantization.quality import Rule, judge_debris
    from triptych.readers.panel import scatter_of

    forward, side = (scatter_of(recording.described, letter, "a-h") for letter in "fs")
    if forward is None:
        return Rule(None, "the file has no forward scatter"), []
    if recording.transformed:
        return Rule(None, "in a file of transformed values the scale of scatter is not known"), []
    channels = [forward.index] + ([side.index] if side is not None else [])
    columns = [sample.values[:, j] for j in channels]
    return judge_debris(columns[0], columns[1] if len(columns) > 1 else None), channels


def _dead(recording: Recording, sample: Sample, settings: ImportCloudSettings) -> tuple[Rule, list[int]]:
    from triptych.quantization.quality import Rule, judge_dead
    from triptych.quantization.scales import transform

    dyes = [d for d in recording.described if d.role == "viability"]
    if not dyes:
        return Rule(None, "the file has no channel of a viability dye"), []
    channels, scales, above, said, why = [], [], [], [], ""
    for d in dyes:
        name = d.marker or d.column.name
        if settings.dead_above is not None:
            scale: Mapping[str, Any] = {"name": "none"}
            limit, text = (
                settings.dead_above,
                f"above {settings.dead_above:g} as import_cloud.dead_above states",
            )
        else:
            scale = recording.scale_of[d.index]
            rule = judge_dead(transform(sample.compensated[:, d.index], scale))
            if rule.thresholds is None:
                why = rule.text
                continue
            limit, text = rule.thresholds["above"], f"{rule.text} ({scale['name']} scale)"
        channels.append(d.index)
        scales.append(dict(scale))
        above.append(limit)
        said.append(f"{name} {text}")
    if not channels:
        return Rule(None, why), []
    return Rule({"scales": scales, "above": above}, "; ".join(said)), channels


def _drift(recording: Recording, sample: Sample, settings: ImportCloudSettings) -> tuple[Rule, list[int]]:
    import numpy as np

    from triptych.quantization.quality import Rule, judge_drift
    from triptych.quantization.scales import transform

    time = next((d for d in recording.described if d.role == "time"), None)
    if time is None:
        # Exported and merged files without one are often sorted by population or by tube.
        return Rule(
            None, "the file has no time channel, and the order of its events may not be that of time"
        ), []
    markers = [d.index for d in recording.described if d.role == "marker"]
    matrix = np.empty((len(sample.rows), len(markers)))
    for place, j in enumerate(markers):
        matrix[:, place] = transform(sample.compensated[:, j], recording.scale_of[j])
    places: Array = sample.rows.astype(np.float64)
    end, channels = float(recording.opened.n_events), []
    moments = sample.values[:, time.index]
    if len(places) and (np.diff(moments) < 0).mean() > 0.001:
        order = np.argsort(moments, kind="stable")
        matrix, places, channels = matrix[order], moments[order], [time.index]
        end = float(np.nextafter(places[-1], np.inf))
    rule, stretches = judge_drift(matrix, settings.drift_deviations)
    if rule.thresholds is None:
        return rule, []
    found = [
        (float(places[a]) if a else float(min(0.0, places[0])), float(places[b]) if b < len(places) else end)
        for a, b in stretches
    ]
    by = "in the order of the time channel" if channels else "in the order of events"
    return Rule({"stretches": found}, f"{rule.text}, {by}"), channels
