"""Which events to doubt: at the margin of the range, doublets, debris, dead cells, times at which the recording jumps.

Every ``judge_*`` looks at a subsample of the recording and gives a ``Rule``: thresholds that hold for any event, and the
sentence that states them; or, where the channels show nothing clear, no thresholds and the sentence that says why. Every
``flag_*`` applies such thresholds event by event, so that the result does not depend on the chunks. All are conservative:
where two explanations are possible the events stay.

References
----------
Emmaneel et al., PeacoQC: peak-based selection of high quality cytometry data, Cytometry A 101 (2022): margins, doublets by the
ratio of area and height, windows in time judged by their deviation from the median of all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

GAUSSIAN_MAD = 1.4826
PILE_RATIO = 5.0
PILE_LEAST = 0.001
PILE_MOST_LOW = 0.05
HEIGHT_BINS = 16
DOUBLET_LEAST_EXCESS = 0.10
MOST_DOUBLETS = 0.35
DEBRIS_MOST = 0.40
DEBRIS_FARTHEST = 0.30
DEAD_MOST = 0.50
VALLEY_DEPTH = 0.5
VALLEY_SIGMAS = 5.0
WINDOW_LEAST = 500
WINDOWS_LEAST, WINDOWS_MOST = 10, 100
DRIFT_EFFECT = 0.25
DRIFT_MOST = 0.30


@dataclass(frozen=True)
class Rule:
    """Thresholds of one mask, or None, and the sentence that states them or says why there are none."""

    thresholds: dict[str, Any] | None
    text: str


def judge_margins(
    sample: Array, names: Sequence[str], last: Sequence[float | None], has_floor: Sequence[bool]
) -> Rule:
    """Values at or beyond the end of the range, and piles of equal values at either end.

    Parameters
    ----------
    sample : (m, d) intensities as recorded, before compensation.
    names : of the channels.
    last : per channel, the greatest value its converter can give; None where it is not known or means nothing.
    has_floor : per channel, whether its lowest value stands for all dim cells (logarithmic amplifiers); a pile there stays.

    A pile is at least 0.1 % of the events, five times as many as share the next value. At the low end one of more than
    5 % stays: it is no exception.
    """
    lows: list[float | None] = []
    highs: list[float | None] = []
    said = []
    for values, name, end, floor in zip(sample.T, names, last, has_floor, strict=True):
        finite = values[np.isfinite(values)]
        low, low_share = _pile(finite)
        high, high_share = _pile(-finite)
        keep = floor or low_share > PILE_MOST_LOW
        lows.append(None if keep else low)
        top = None if high is None else -high
        if end is not None and (top is None or top >= end):
            top = end
        highs.append(top)
        if low is not None:
            kept = ", kept: the floor of dim cells or no exception" if keep else ""
            said.append(f"{low_share:.1%} of {name} pile up at {low:g}{kept}")
        if high is not None and (end is None or -high < end):
            said.append(f"{high_share:.1%} of {name} pile up at {-high:g}")
    if not len(sample) or all(x is None for x in [*lows, *highs]):
        return Rule(None, "no channel says where its range ends, and none piles up at an end")
    ends = sorted({end for end, high in zip(last, highs, strict=True) if end is not None and high == end})
    text = f"at or beyond the end of the range in any of {len(names)} intensities"
    if ends:
        text += f" ({', '.join(f'{end:g}' for end in ends[:4])}{', ...' if len(ends) > 4 else ''})"
    if said:
        text += f"; {'; '.join(said)}"
    return Rule({"low": lows, "high": highs}, text)


def _pile(values: Array) -> tuple[float | None, float]:
    """The lowest value and its share, where unusually many are equal to it."""
    if not len(values):
        return None, 0.0
    found, counts = np.unique(values, return_counts=True)
    next_count = counts[1:4].max() if len(counts) > 1 else 0
    least = max(10.0, PILE_LEAST * len(values))
    is_pile = len(found) > 2 and counts[0] >= least and counts[0] >= PILE_RATIO * next_count
    return (float(found[0]) if is_pile else None), float(counts[0] / len(values))


def flag_margins(values: Array, thresholds: dict[str, Any]) -> Flags:
    """(n,) whether an event of intensities (n, d) is at a margin."""
    flagged = np.zeros(len(values), bool)
    for j, (low, high) in enumerate(zip(thresholds["low"], thresholds["high"], strict=True)):
        if low is not None:
            flagged |= values[:, j] <= low
        if high is not None:
            flagged |= values[:, j] >= high
    return flagged


def judge_doublets(area: Array, height: Array, deviations: float) -> Rule:
    """Forward scatter whose area is too large for its height: two cells that passed together.

    The usual logarithm of area / height is a median in each of 16 bins of height; an event is a doublet where it exceeds
    that by ``deviations`` robust standard deviations and by 10 %.

    Parameters
    ----------
    area, height : (m,) linear.
    """
    good = (area > 0) & (height > 0) & np.isfinite(area) & np.isfinite(height)
    if good.sum() < 50 * HEIGHT_BINS or good.mean() < 0.5:
        return Rule(
            None, f"only {int(good.sum())} of the events looked at have both forward scatters above 0"
        )
    x, y = np.log(height[good]), np.log(area[good] / height[good])
    if np.ptp(x) == 0 or np.corrcoef(x, x + y)[0, 1] < 0.7:
        return Rule(None, "area and height of forward scatter do not rise together")
    edges = np.quantile(x, np.linspace(0, 1, HEIGHT_BINS + 1))
    place = np.clip(np.searchsorted(edges, x, side="right") - 1, 0, HEIGHT_BINS - 1)
    filled = [k for k in range(HEIGHT_BINS) if (place == k).sum() >= 20]
    middles = [float(np.median(x[place == k])) for k in filled]
    usual = [float(np.median(y[place == k])) for k in filled]
    rest = y - np.interp(x, middles, usual)
    spread = float(GAUSSIAN_MAD * np.median(np.abs(rest - np.median(rest))))
    limit = max(deviations * spread, float(np.log1p(DOUBLET_LEAST_EXCESS)))
    thresholds = {"height": middles, "ratio": usual, "limit": limit}
    share = float(flag_doublets(area, height, thresholds).mean())
    if share > MOST_DOUBLETS:
        return Rule(None, f"{share:.0%} would be doublets, too many to be the exception")
    return Rule(
        thresholds,
        f"area of forward scatter more than {np.expm1(limit):.0%} above what is usual for its height "
        f"({deviations:g} robust standard deviations, at least {DOUBLET_LEAST_EXCESS:.0%})",
    )


def flag_doublets(area: Array, height: Array, thresholds: dict[str, Any]) -> Flags:
    """(n,) whether area is too large for height; events without both are no doublets."""
    good = (area > 0) & (height > 0)
    x = np.log(np.where(good, height, 1.0))
    excess = np.log(np.where(good, area, 1.0)) - x - np.interp(x, thresholds["height"], thresholds["ratio"])
    return np.asarray(good & (excess > thresholds["limit"]))


def judge_debris(forward: Array, side: Array | None) -> Rule:
    """Forward scatter below a clear valley, far under the cells, and side scatter no higher than that of most cells.

    Parameters
    ----------
    forward, side : (m,) linear; ``side`` may be missing.
    """
    positive = forward[np.isfinite(forward) & (forward > 0)]
    if len(positive) < 1000 or len(positive) < 0.5 * len(forward):
        return Rule(None, f"only {len(positive)} of the events looked at have forward scatter above 0")
    logs = np.log10(positive)
    valley = find_valley(logs)
    if valley is None:
        return Rule(None, "forward scatter has no clear valley")
    place, low_mode, high_mode = valley
    share = float((logs < place).mean())
    if share > DEBRIS_MOST:
        return Rule(None, f"{share:.0%} lie below the valley of forward scatter, too many to be debris")
    if 10 ** (low_mode - high_mode) > DEBRIS_FARTHEST:
        return Rule(None, "the events below the valley of forward scatter are too large to be debris")
    limit = float(10**place)
    thresholds: dict[str, Any] = {"forward": limit, "side": None}
    text = f"forward scatter below {limit:.4g}, a valley between {10**low_mode:.4g} and {10**high_mode:.4g}"
    if side is not None:
        thresholds["side"] = float(np.median(side[forward >= limit]))
        text += f", and side scatter below {thresholds['side']:.4g}, the median of the other events"
    return Rule(thresholds, text)


def flag_debris(forward: Array, side: Array | None, thresholds: dict[str, Any]) -> Flags:
    """(n,) whether both scatters are low."""
    flagged = forward < thresholds["forward"]
    return flagged if side is None else flagged & (side < thresholds["side"])


def judge_dead(values: Array) -> Rule:
    """Brightness of a viability dye above a clear valley.

    Parameters
    ----------
    values : (m,) on the transformed scale.
    """
    finite = values[np.isfinite(values)]
    valley = find_valley(finite) if len(finite) >= 1000 else None
    if valley is None:
        return Rule(
            None, "the viability dye has no clear valley; set import_cloud.dead_above to state a threshold"
        )
    place = valley[0]
    share = float((finite > place).mean())
    if share > DEAD_MOST:
        return Rule(
            None,
            f"{share:.0%} are above the valley of the viability dye, too many to take them for dead; "
            "set import_cloud.dead_above to state a threshold",
        )
    return Rule({"above": place}, f"above {place:.4g}, a valley between {valley[1]:.4g} and {valley[2]:.4g}")


def find_valley(values: Array) -> tuple[float, float, float] | None:
    """The deepest valley of a density between two modes, with the modes on its sides; None where there is no clear one.

    Clear: at most half as high as the lower of both modes, and lower by five standard errors of the counts. The density is
    a Gaussian kernel estimate of Silverman's bandwidth on 512 points between the 0.05 and 99.95 percentiles.
    """
    low, high = np.quantile(values, [0.0005, 0.9995])
    q25, q75 = np.quantile(values, [0.25, 0.75])
    deviation = min(float(np.std(values)), float(q75 - q25) / 1.349) or float(np.std(values))
    if not high > low or deviation == 0:
        return None
    n, points = len(values), 512
    pad = 0.1 * (high - low)
    counts, edges = np.histogram(values, points, (low - pad, high + pad))
    width = float(edges[1] - edges[0])
    bandwidth = max(0.9 * deviation * n**-0.2, 2 * width)
    reach = int(np.ceil(4 * bandwidth / width))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) * width / bandwidth) ** 2)
    density = np.convolve(counts, kernel / kernel.sum(), mode="same")[:points]
    kernel_events = 2 * np.sqrt(np.pi) * bandwidth / width
    left, right = np.maximum.accumulate(density), np.maximum.accumulate(density[::-1])[::-1]
    ratio = np.divide(
        density, np.minimum(left, right), out=np.ones(points), where=np.minimum(left, right) > 0
    )
    clear = np.sqrt(kernel_events * np.minimum(left, right)) - np.sqrt(kernel_events * density)
    ratio[2 * clear < VALLEY_SIGMAS] = 1.0
    if ratio.min() > VALLEY_DEPTH:
        return None
    lowest = np.flatnonzero(ratio == ratio.min())
    place = int(lowest[len(lowest) // 2])
    middles = (edges[:-1] + edges[1:]) / 2
    return (
        float(middles[place]),
        float(middles[int(np.argmax(density[:place]))]),
        float(middles[place + int(np.argmax(density[place:]))]),
    )


def judge_drift(markers: Array, deviations: float) -> tuple[Rule, list[tuple[int, int]]]:
    """Stretches of a recording in which the median of a marker jumps.

    Windows of equal numbers of events, at most 100 side by side, half overlapping. The median of a marker jumps in a window
    where it is farther from the
    median of all windows than ``deviations`` robust standard deviations of the windows, than a quarter of the marker's own
    spread, and than the median of as many random events of the recording (its order statistics at as many binomial
    standard deviations, which holds for markers of two modes too). A window is odd where two markers jump, or one jumps by
    twice that many deviations.

    Parameters
    ----------
    markers : (m, k) on the transformed scale, in the order of time.

    Returns
    -------
    The rule, and the odd stretches as ranges of rows of ``markers``.
    """
    m = len(markers)
    windows = min(WINDOWS_MOST, m // WINDOW_LEAST)
    if windows < WINDOWS_LEAST:
        return Rule(None, f"{m} events are too few to judge windows in time"), []
    if not markers.shape[1]:
        return Rule(None, "there is no marker to judge windows in time"), []
    # Windows begin at every half window, so that the end of a fault is met within a quarter of one.
    edges = np.arange(2 * windows + 1) * m // (2 * windows)
    medians = np.stack([np.median(markers[a:b], axis=0) for a, b in zip(edges[:-2], edges[2:], strict=True)])
    centre = np.median(medians, axis=0)
    spread = np.diff(np.quantile(markers, [0.25, 0.75], axis=0), axis=0)[0] / 1.349
    wobble = GAUSSIAN_MAD * np.median(np.abs(medians - centre), axis=0)
    reach = min(0.5, deviations * 0.5 / np.sqrt(m / windows))
    low, high = np.quantile(markers, [0.5 - reach, 0.5 + reach], axis=0)
    away = np.abs(medians - centre)
    far = ((medians < low) | (medians > high)) & (away > DRIFT_EFFECT * spread) & (spread > 0)
    odd = ((away > deviations * wobble) & far).sum(axis=1) >= 2
    odd |= ((away > 2 * deviations * wobble) & far).any(axis=1)
    if odd.mean() > DRIFT_MOST:
        return Rule(
            None,
            f"{odd.mean():.0%} of the windows in time differ, too many to take them for faults",
        ), []
    stretches: list[tuple[int, int]] = []
    for w in np.flatnonzero(odd):
        if stretches and stretches[-1][1] >= edges[w]:
            stretches[-1] = (stretches[-1][0], int(edges[w + 2]))
        else:
            stretches.append((int(edges[w]), int(edges[w + 2])))
    text = (
        f"{int(odd.sum())} of {len(odd)} overlapping windows in time in which the medians of two markers jump by more than "
        f"{deviations:g} robust standard deviations, or that of one by more than {2 * deviations:g}"
    )
    return Rule({}, text), stretches


def flag_stretches(places: Array, stretches: Sequence[Sequence[float]]) -> Flags:
    """(n,) whether a place (row or time) lies in one of the half-open stretches."""
    flagged = np.zeros(len(places), bool)
    for start, stop in stretches:
        flagged |= (places >= start) & (places < stop)
    return flagged
