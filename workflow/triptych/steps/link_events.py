"""``link_events``: how each kind of event drives each atom, how surely, and the plain histogram beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic import Field, model_validator

from triptych.engine.step import Context, Input, Reduce, Settings, Step
from triptych.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from triptych.dictionary.point_process import Fit

LINKS = "links.parquet"
PROCESSES = "processes.parquet"
HISTOGRAMS = "histograms.parquet"
INTENSITIES = "intensities.parquet"
CURVE_S = 0.01
CALLED = 0.05


class LinkEventsSettings(Settings):
    """What counts as an occurrence, and where it is looked for."""

    window_start_s: float = Field(
        0.0, ge=-10, le=10, description="Shortest delay of an answer to an event (s)."
    )
    window_stop_s: float = Field(
        0.6, ge=-10, le=60, description="Longest delay of an answer to an event (s)."
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
    shuffles: int = Field(
        9999,
        ge=1000,
        le=10_000_000,
        description="Rotations of all trials that calibrate the p-values: the smallest is 1 / (shuffles + 1).",
    )
    seed: int = Field(0, ge=0, description="Seed of the rotations.")

    @model_validator(mode="after")
    def _ordered(self) -> LinkEventsSettings:
        if self.window_stop_s <= self.window_start_s:
            raise ValueError("window_stop_s must lie after window_start_s")
        return self


@dataclass(frozen=True)
class Recorded:
    """Occurrences of every atom and events of every kind in a recording, picklable.

    Attributes
    ----------
    atoms : samples of the occurrences of each atom, sorted.
    kinds : name -> onsets in good spans (samples, sorted).
    good : (T,) bool.
    rate : Hz.
    window : shortest and longest delay, s.
    """

    atoms: tuple[NDArray[np.int64], ...]
    kinds: dict[str, NDArray[np.int64]]
    good: NDArray[np.bool_]
    rate: float
    window: tuple[float, float]


def _recorded(context: Context) -> Recorded:
    import numpy as np

    from triptych.dictionary.events import Events
    from triptych.dictionary.occurrences import occurrences
    from triptych.stores.dictionary import read_activations
    from triptych.stores.signal import open_signal, read_events

    settings = context.settings
    table = read_activations(context.source("activations"))
    info = open_signal(context.source("signal")).info
    rate = info.sampling_rate_hz
    if abs(float(table.attributes["sampling_rate_hz"]) - rate) > 1e-6 * rate:
        raise InputError(
            f"{context.source('activations')} is at {table.attributes['sampling_rate_hz']:g} Hz and the signal at {rate:g} Hz; "
            "give the signal that was encoded"
        )
    marks = read_events(context.source("events")).columns
    events = Events(table.columns["atom"], table.columns["sample"], table.columns["amplitude"])
    peaks = np.array(table.attributes["peaks"], dtype=np.int64)
    found = occurrences(events, peaks, settings.merge_s * rate, settings.least_amplitude)
    good = info.good(0, info.samples)
    kinds = {}
    for kind in sorted(set(marks["kind"].tolist())):
        onsets = np.unique(marks["sample"][marks["kind"] == kind])
        onsets = onsets[(onsets >= 0) & (onsets < len(good))]
        onsets = onsets[good[onsets]]
        if len(onsets) >= settings.least_events:
            kinds[kind] = onsets
    window = (settings.window_start_s, settings.window_stop_s)
    return Recorded(tuple(samples for samples, _ in found), kinds, good, rate, window)


def finish(context: Context) -> None:
    """Scan, fit and count every atom around every kind of event."""
    import numpy as np

    from triptych.analysis.correlation import benjamini_hochberg
    from triptych.dictionary import linking, rotations
    from triptych.stores.table import write_table

    settings, recorded = context.settings, _recorded(context)
    rate = recorded.rate
    total = int(recorded.good.sum())
    along = [linking.good_time(samples, recorded.good) for samples in recorded.atoms]
    onsets = {kind: linking.good_time(own, recorded.good) for kind, own in recorded.kinds.items()}
    window = (round(settings.window_start_s * rate), max(1, round(settings.window_stop_s * rate)))
    scan = rotations.scan(
        along, list(onsets.values()), total, window, settings.shuffles, settings.seed, context.map
    )
    starts = np.stack([scan.delay, scan.width], axis=2) / rate
    fits = list(context.map(partial(_fit, recorded, starts), range(len(recorded.atoms))))
    links: dict[str, list[Any]] = {name: [] for name in LINK_FIELDS if name != "q"}
    bins: dict[str, list[Any]] = {name: [] for name in HISTOGRAM_FIELDS}
    curves: dict[str, list[Any]] = {name: [] for name in INTENSITY_FIELDS}
    delays_s = np.arange(-round(settings.before_s / CURVE_S), round(settings.after_s / CURVE_S) + 1) * CURVE_S
    edges_s = settings.bin_s * np.arange(
        -round(settings.before_s / settings.bin_s), round(settings.after_s / settings.bin_s) + 1
    )
    edges = np.rint(edges_s * rate).astype(np.int64)
    for p, (kind, own) in enumerate(onsets.items()):
        for k, samples in enumerate(along):
            counted = linking.link(samples, own, total, window)
            row = {
                "atom": k,
                "kind": kind,
                "n_events": len(own),
                "n_occurrences": len(samples),
                "rate_hz": len(samples) / total * rate,
                "in_window": counted.in_window,
                "expected": counted.expected,
                "ratio": counted.in_window / counted.expected if counted.expected > 0 else 1.0,
                "window_p": counted.p,
                "statistic": scan.statistic[k, p],
                "direction": scan.direction[k, p],
                "p": scan.p[k, p],
                "p_corrected": scan.corrected[k, p],
                **_parameters(fits[k], p),
            }
            for name, values in links.items():
                values.append(row[name])
            counts = linking.histogram(samples, own, edges)
            spans = np.diff(edges) / rate * len(own)
            _extend(bins, k, kind, (edges_s[:-1], edges_s[1:], counts, counts / spans))
            _extend(curves, k, kind, (delays_s, *_intensity(fits[k], delays_s, p, recorded.window)))
    columns = {name: np.array(values, dtype=TYPES.get(name, "float64")) for name, values in links.items()}
    columns["q"] = benjamini_hochberg(columns["p"])
    write_table(context.path(LINKS), columns, _fields(LINK_FIELDS))
    write_table(
        context.path(PROCESSES),
        _processes([len(samples) for samples in along], fits),
        _fields(PROCESS_FIELDS),
    )
    for key, rows, fields in ((HISTOGRAMS, bins, HISTOGRAM_FIELDS), (INTENSITIES, curves, INTENSITY_FIELDS)):
        typed = {name: np.array(values, dtype=TYPES.get(name, "float64")) for name, values in rows.items()}
        write_table(context.path(key), typed, _fields(fields))


def _extend(rows: dict[str, list[Any]], atom: int, kind: str, parts: Sequence[Any]) -> None:
    """Add rows of one pair: its atom and kind, then columns of equal length."""
    n = len(parts[0])
    for name, part in zip(rows, ([atom] * n, [kind] * n, *parts), strict=True):
        rows[name].extend(part)


def _fit(recorded: Recorded, starts: NDArray[np.float64], atom: int) -> Fit | None:
    """The driven point process of one atom; None where it has no occurrence."""
    import numpy as np

    from triptych.dictionary import driven_rate, point_process

    edges = np.flatnonzero(np.diff(recorded.good.astype(np.int8), prepend=0, append=0))
    given = driven_rate.problem(
        recorded.atoms[atom] / recorded.rate,
        [onsets / recorded.rate for onsets in recorded.kinds.values()],
        edges.reshape(-1, 2) / recorded.rate,
        recorded.window,
    )
    if not len(given.times):
        return None
    return point_process.fit(given, [(float(delay), float(width)) for delay, width in starts[atom]])


def _parameters(fit: Fit | None, kind: int) -> dict[str, float]:
    import numpy as np

    found = {}
    for name, unit in (("gain", ""), ("delay", "_s"), ("width", "_s")):
        values = [np.nan] * 3
        if fit is not None:
            low, high = getattr(fit, f"{name}_interval")[kind]
            values = [getattr(fit, name)[kind], low, high]
        for end, value in zip(("", "_low", "_high"), values, strict=True):
            found[f"{name}{end}{unit}"] = float(value)
    return found


def _intensity(
    fit: Fit | None, delays: NDArray[np.float64], kind: int, window: tuple[float, float]
) -> NDArray[np.float64]:
    import numpy as np

    from triptych.dictionary import point_process

    if fit is None:
        return np.zeros((3, len(delays)))
    return point_process.intensity(fit, delays, kind, window)


def _processes(counts: Sequence[int], fits: Sequence[Fit | None]) -> dict[str, Any]:
    import numpy as np

    rows: dict[str, list[Any]] = {name: [] for name in PROCESS_FIELDS}
    for k, (count, fit) in enumerate(zip(counts, fits, strict=True)):
        row: list[Any] = [k, count]
        if fit is None:
            row += [0.0, *[np.nan] * 5]
        else:
            gained = fit.log_likelihood - fit.constant
            row += [fit.baseline, *fit.baseline_interval.tolist(), gained, *fit.rescaled]
        for values, value in zip(rows.values(), row, strict=True):
            values.append(value)
    return {name: np.array(values, dtype=TYPES.get(name, "float64")) for name, values in rows.items()}


DRIPP = "Allain, Gramfort, Moreau, DriPP, ICLR 2022"
LINK_FIELDS = {
    "atom": ("", "Number of the atom."),
    "kind": ("", "Kind of event."),
    "n_events": ("1", "Events of this kind in good spans."),
    "n_occurrences": ("1", "Occurrences of the atom in good spans."),
    "rate_hz": ("Hz", "Rate of the atom over the whole recording."),
    "in_window": ("1", "Occurrences in the windows after the events."),
    "expected": ("1", "Their mean over all rotations of the trials."),
    "ratio": ("1", "Occurrences in the windows over the expected number."),
    "window_p": ("1", "Exact two-sided p-value of in_window over all rotations of the trials."),
    "statistic": ("1", "Largest standardised excess or lack under kernels of several delays and widths."),
    "direction": ("", "1 for more occurrences than by chance, -1 for fewer."),
    "p": ("1", "Share of rotations with a statistic as large: of this pair alone."),
    "p_corrected": ("1", "The same for the largest statistic of all atoms and kinds (Westfall-Young)."),
    "gain": ("1", f"alpha: occurrences that one event brings about ({DRIPP})."),
    "gain_low": ("1", "Lower end of its 95 % interval."),
    "gain_high": ("1", "Upper end of its 95 % interval."),
    "delay_s": ("s", "m: mean of the normal kernel, truncated to the window; NaN where the gain is zero."),
    "delay_low_s": ("s", "Lower end of its 95 % interval; NaN where m is at an end of the window."),
    "delay_high_s": ("s", "Upper end of its 95 % interval."),
    "width_s": ("s", "sigma: deviation of the normal kernel before it is truncated."),
    "width_low_s": ("s", "Lower end of its 95 % interval."),
    "width_high_s": ("s", "Upper end of its 95 % interval."),
    "q": ("1", "p adjusted over atoms and kinds (Benjamini-Hochberg)."),
}
PROCESS_FIELDS = {
    "atom": ("", "Number of the atom."),
    "n_occurrences": ("1", "Occurrences in good spans."),
    "baseline_hz": ("Hz", f"mu: rate without events ({DRIPP})."),
    "baseline_low_hz": ("Hz", "Lower end of its 95 % interval."),
    "baseline_high_hz": ("Hz", "Upper end of its 95 % interval."),
    "log_likelihood_gain": ("1", "Log-likelihood above that of a constant rate."),
    "rescaled_distance": (
        "1",
        "Kolmogorov-Smirnov distance of rescaled intervals from the exponential law (Brown et al. 2002).",
    ),
    "rescaled_p": ("1", "Its p-value; small where the process does not describe the occurrences."),
}
HISTOGRAM_FIELDS = {
    "atom": ("", "Number of the atom."),
    "kind": ("", "Kind of event."),
    "start_s": ("s", "Start of the bin after the event."),
    "stop_s": ("s", "End of the bin after the event."),
    "count": ("1", "Occurrences in the bin, over all events."),
    "bin_rate_hz": ("Hz", "Rate of occurrences in the bin."),
}
INTENSITY_FIELDS = {
    "atom": ("", "Number of the atom."),
    "kind": ("", "Kind of event."),
    "delay_s": ("s", "Time from the event."),
    "intensity_hz": ("Hz", "Rate of the fitted process around a lone event."),
    "intensity_low_hz": ("Hz", "Lower end of its 95 % interval."),
    "intensity_high_hz": ("Hz", "Upper end of its 95 % interval."),
}
TYPES = {
    **dict.fromkeys(("n_events", "n_occurrences", "in_window", "count", "direction"), "int64"),
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
    """The four tables."""
    return [LINKS, PROCESSES, HISTOGRAMS, INTENSITIES]


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
        best = own[np.lexsort((own, -links["statistic"][own]))[0]]
        scores |= {f"{kind}_atom": int(links["atom"][best])}
        for name in ("ratio", "gain", "delay_s", "p", "p_corrected", "q"):
            value = float(links[name][best])
            scores |= {f"{kind}_{name}": value} if np.isfinite(value) else {}
    return {
        "counts": {
            "kinds": len(kinds),
            "pairs": len(links["p"]),
            "pairs_q_below_0_05": int((links["q"] < CALLED).sum()),
            "pairs_p_corrected_below_0_05": int((links["p_corrected"] < CALLED).sum()),
        },
        "scores": scores,
        "notes": notes,
    }


STEP = Step(
    name="link_events",
    version=2,
    scope="sample",
    kinds=("signal",),
    help="How events drive each atom: a point process with intervals, tested against rotations of the trials.",
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
    outputs=(LINKS, PROCESSES, HISTOGRAMS, INTENSITIES),
    phases=(Reduce("finish", finished, finish),),
    summary=summary,
)
