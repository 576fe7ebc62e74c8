"""``link_events``: how often each atom occurs around each kind of event, and whether that is chance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import Field, model_validator

from triptych.engine.step import Context, Input, Reduce, Settings, Step
from triptych.errors import InputError

LINKS = "links.parquet"
HISTOGRAMS = "histograms.parquet"


class LinkEventsSettings(Settings):
    """What counts as an occurrence, and where it is looked for."""

    window_start_s: float = Field(
        0.0, ge=-10, le=10, description="Start of the tested window after an event (s)."
    )
    window_stop_s: float = Field(
        0.6, ge=-10, le=60, description="End of the tested window after an event (s)."
    )
    before_s: float = Field(1.0, ge=0, le=60, description="Histogram before an event (s).")
    after_s: float = Field(2.0, gt=0, le=60, description="Histogram after an event (s).")
    bin_s: float = Field(0.05, gt=0, le=10, description="Bin of the histogram (s).")
    merge_s: float = Field(
        0.25, ge=0, le=10, description="Activations of one atom nearer than this are one occurrence (s)."
    )
    least_amplitude: float = Field(
        0.2,
        ge=0,
        le=1,
        description="Least amplitude of an occurrence, as a share of the atom's 95th percentile.",
    )
    least_events: int = Field(5, ge=1, description="Kinds of events with fewer events are left out.")

    @model_validator(mode="after")
    def _ordered(self) -> LinkEventsSettings:
        if self.window_stop_s <= self.window_start_s:
            raise ValueError("window_stop_s must lie after window_start_s")
        return self


def finish(context: Context) -> None:
    """Test every atom against every kind of event, and count occurrences around events."""
    import numpy as np

    from triptych.dictionary import linking
    from triptych.dictionary.events import Events
    from triptych.dictionary.occurrences import occurrences
    from triptych.stores.dictionary import read_activations
    from triptych.stores.signal import open_signal, read_events
    from triptych.stores.table import write_table

    settings = context.settings
    table = read_activations(context.source("activations"))
    info = open_signal(context.source("signal")).info
    rate = info.sampling_rate_hz
    if abs(float(table.attributes["sampling_rate_hz"]) - rate) > 1e-6 * rate:
        raise InputError(
            f"{context.source('activations')} is at {table.attributes['sampling_rate_hz']:g} Hz and the signal at {rate:g} Hz; "
            "give the signal that was encoded"
        )
    marks = read_events(context.source("events"))
    events = Events(table.columns["atom"], table.columns["sample"], table.columns["amplitude"])
    peaks = np.array(table.attributes["peaks"], dtype=np.int64)
    found = occurrences(events, peaks, settings.merge_s * rate, settings.least_amplitude)
    good = info.good(0, info.samples)
    total = int(good.sum())
    edges_s = np.arange(
        -round(settings.before_s / settings.bin_s), round(settings.after_s / settings.bin_s) + 1
    )
    edges_s = edges_s * settings.bin_s
    edges = np.rint(edges_s * rate).astype(np.int64)
    window = (round(settings.window_start_s * rate), round(settings.window_stop_s * rate))
    links: dict[str, list[Any]] = {name: [] for name in LINK_FIELDS if name != "q"}
    bins: dict[str, list[Any]] = {name: [] for name in HISTOGRAM_FIELDS}
    for kind in sorted(set(marks.columns["kind"].tolist())):
        onsets = np.sort(marks.columns["sample"][marks.columns["kind"] == kind])
        usable = linking.good_time(onsets, good)
        if len(usable) < settings.least_events:
            continue
        for k, (samples, _) in enumerate(found):
            along = linking.good_time(samples, good)
            result = linking.link(along, usable, total, window)
            overall = len(along) / total * rate
            ratio = result.in_window / result.expected if result.expected > 0 else 1.0
            row = (
                k,
                kind,
                len(usable),
                len(along),
                overall,
                result.in_window,
                result.expected,
                ratio,
                result.p,
            )
            for name, value in zip(links, row, strict=True):
                links[name].append(value)
            counts = linking.histogram(along, usable, edges)
            spans = np.diff(edges) / rate * len(usable)
            for name, values in zip(
                bins,
                ([k] * len(counts), [kind] * len(counts), edges_s[:-1], edges_s[1:], counts, counts / spans),
                strict=True,
            ):
                bins[name].extend(values)
    columns = {name: np.array(values, dtype=LINK_TYPES[name]) for name, values in links.items()}
    columns["q"] = linking.false_discovery_rate(columns["p"]) if len(columns["p"]) else np.empty(0)
    write_table(context.path(LINKS), columns, _fields(LINK_FIELDS))
    write_table(
        context.path(HISTOGRAMS),
        {name: np.array(values, dtype=LINK_TYPES[name]) for name, values in bins.items()},
        _fields(HISTOGRAM_FIELDS),
    )


LINK_FIELDS = {
    "atom": ("", "Number of the atom."),
    "kind": ("", "Kind of event."),
    "n_events": ("1", "Events of this kind in good spans."),
    "n_occurrences": ("1", "Occurrences of the atom in good spans."),
    "rate_hz": ("Hz", "Rate of the atom over the whole recording."),
    "in_window": ("1", "Occurrences in the windows after the events."),
    "expected": ("1", "Their mean over all rotations of the trials."),
    "ratio": ("1", "Occurrences in the windows over the expected number."),
    "p": ("1", "Two-sided p-value over all rotations of the trials."),
    "q": ("1", "p-value adjusted over atoms and kinds (Benjamini-Hochberg)."),
}
HISTOGRAM_FIELDS = {
    "atom": ("", "Number of the atom."),
    "kind": ("", "Kind of event."),
    "start_s": ("s", "Start of the bin after the event."),
    "stop_s": ("s", "End of the bin after the event."),
    "count": ("1", "Occurrences in the bin, over all events."),
    "bin_rate_hz": ("Hz", "Rate of occurrences in the bin."),
}
LINK_TYPES = {
    **dict.fromkeys(("rate_hz", "expected", "ratio", "p", "start_s", "stop_s", "bin_rate_hz"), "float64"),
    **dict.fromkeys(("n_events", "n_occurrences", "in_window", "count"), "int64"),
    "atom": "int32",
    "kind": "str",
}


def _fields(named: dict[str, tuple[str, str]]) -> dict[str, Any]:
    from triptych.stores import table

    return {
        name: table.Field(unit, "link", definition, role="descriptor")
        for name, (unit, definition) in named.items()
    }


def finished(context: Context) -> Sequence[str]:
    """The two tables."""
    return [LINKS, HISTOGRAMS]


def summary(context: Context) -> dict[str, Any]:
    """How many links there are, and the strongest of each kind."""
    import numpy as np

    from triptych.stores.signal import read_events
    from triptych.stores.table import read_table

    links = read_table(context.path(LINKS)).columns
    marks = read_events(context.source("events")).columns["kind"].tolist()
    kinds = sorted(set(links["kind"].tolist()))
    notes: list[str] = []
    scores: dict[str, Any] = {}
    if not marks:
        notes.append("the recording has no events, so there is nothing to link")
    if few := sorted(set(marks) - set(kinds)):
        notes.append(f"left out for want of events: {', '.join(few)}")
    for kind in kinds:
        own = np.flatnonzero(links["kind"] == kind)
        best = own[np.argmin(links["p"][own])]
        scores |= {
            f"{kind}_atom": int(links["atom"][best]),
            f"{kind}_ratio": float(links["ratio"][best]),
            f"{kind}_p": float(links["p"][best]),
            f"{kind}_q": float(links["q"][best]),
        }
    return {
        "counts": {
            "kinds": len(kinds),
            "pairs": len(links["p"]),
            "pairs_q_below_0_05": int((links["q"] < 0.05).sum()),
        },
        "scores": scores,
        "notes": notes,
    }


STEP = Step(
    name="link_events",
    version=1,
    scope="sample",
    kinds=("signal",),
    help="Rate of each atom around each kind of event, tested against all rotations of the trials.",
    settings=LinkEventsSettings,
    inputs=(
        Input(
            "activations",
            "activations of atoms",
            store="activations.parquet",
            producers={"signal": "encode_signal"},
        ),
        Input(
            "events", "events of the recording", store="events.parquet", producers={"signal": "import_signal"}
        ),
        Input("signal", "filtered recording", store="signal.zarr", producers={"signal": "import_signal"}),
    ),
    outputs=(LINKS, HISTOGRAMS),
    phases=(Reduce("finish", finished, finish),),
    summary=summary,
)
