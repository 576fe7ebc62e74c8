"""The rate of an atom that events drive: its parts, and the likelihood of occurrences under it.

    lambda(t) = mu + sum_p alpha_p sum_i kappa(t - t_i^p; m_p, sigma_p)

``kappa`` is the normal density of mean m and deviation sigma, truncated to delays ``support`` and scaled to mass one, so alpha is
the mean number of occurrences that one event brings about, m when, sigma how spread. Bad spans are no time at all: they take
part in no integral.

References
----------
Allain, Gramfort, Moreau: DriPP: Driven Point Processes to Model Stimuli Induced Patterns in M/EEG Signals, ICLR 2022.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from triptych.dictionary.events import Floats


@dataclass(frozen=True)
class Driver:
    """Events of one kind, cut to good time.

    Attributes
    ----------
    onsets : (S,) s, event of each segment; an event whose support meets bad time has several segments or none.
    starts, stops : (S,) s, delays that lie in good time.
    n_events : events of the kind.
    """

    onsets: Floats
    starts: Floats
    stops: Floats
    n_events: int


@dataclass(frozen=True)
class Problem:
    """Occurrences of one atom and the events that may drive them.

    Attributes
    ----------
    times : (n,) s, occurrences in good time, sorted.
    exposure : s, good time in all.
    before : (n,) s, good time up to each occurrence.
    drivers : per kind.
    pairs : per kind (number of the occurrence, delay in s) of every occurrence within the support of an event.
    support : first and last delay, s.
    """

    times: Floats
    exposure: float
    before: Floats
    drivers: tuple[Driver, ...]
    pairs: tuple[tuple[NDArray[np.int64], Floats], ...]
    support: tuple[float, float]


def problem(
    occurrences: Floats,
    events: Sequence[Floats],
    good_spans: Floats,
    support: tuple[float, float],
) -> Problem:
    """Occurrences and events in seconds, made ready for a fit.

    Parameters
    ----------
    occurrences : (n,) s, sorted; those in bad time are left out.
    events : per kind (N,) s, sorted.
    good_spans : (S, 2) s, sorted, disjoint.
    support : first and last delay of the kernels, s.

    Raises
    ------
    ValueError
        The support is empty, or there is no good time.
    """
    first, last = support
    if not last > first:
        raise ValueError(f"kernels from {first} to {last} s have no support")
    lengths = good_spans[:, 1] - good_spans[:, 0]
    if not lengths.sum() > 0:
        raise ValueError("there is no good time")
    gone = np.concatenate([[0.0], np.cumsum(lengths)])
    place = np.searchsorted(good_spans[:, 0], occurrences, side="right") - 1
    inside = (place >= 0) & (occurrences < good_spans[np.maximum(place, 0), 1])
    times, place = occurrences[inside], place[inside]
    before = gone[place] + times - good_spans[place, 0]
    pairs, drivers = [], []
    for onsets in events:
        low, high = (
            np.searchsorted(times, onsets + first),
            np.searchsorted(times, onsets + last, side="right"),
        )
        count = high - low
        number = np.repeat(low - np.concatenate([[0], np.cumsum(count)[:-1]]), count) + np.arange(count.sum())
        pairs.append((number.astype(np.int64), times[number] - np.repeat(onsets, count)))
        drivers.append(_segments(onsets, good_spans, support))
    return Problem(times, float(lengths.sum()), before, tuple(drivers), tuple(pairs), support)


def _segments(onsets: Floats, good_spans: Floats, support: tuple[float, float]) -> Driver:
    low = np.searchsorted(good_spans[:, 1], onsets + support[0], side="right")
    high = np.searchsorted(good_spans[:, 0], onsets + support[1], side="left")
    count = np.maximum(high - low, 0)
    event = np.repeat(np.arange(len(onsets)), count)
    span = np.repeat(low - np.concatenate([[0], np.cumsum(count)[:-1]]), count) + np.arange(count.sum())
    at = onsets[event]
    starts = np.maximum(good_spans[span, 0] - at, support[0])
    stops = np.minimum(good_spans[span, 1] - at, support[1])
    return Driver(at, starts, stops, len(onsets))


def simulate(
    baseline: float,
    drivers: Sequence[tuple[Floats, float, float, float]],
    duration: float,
    support: tuple[float, float],
    generator: np.random.Generator,
) -> Floats:
    """Occurrences (s, sorted) of the process; ``drivers`` are (onsets, gain, delay, width) per kind."""
    parts = [generator.uniform(0, duration, generator.poisson(baseline * duration))]
    for onsets, gain, delay, width in drivers:
        count = generator.poisson(gain, len(onsets))
        ends = stats.norm.cdf((np.array(support) - delay) / width)
        drawn = delay + width * stats.norm.ppf(generator.uniform(ends[0], ends[1], count.sum()))
        parts.append(np.repeat(onsets, count) + drawn)
    times = np.sort(np.concatenate(parts))
    return times[(times >= 0) & (times < duration)]


def kernel(
    delays: Floats, mean: float, deviation: float, support: tuple[float, float]
) -> tuple[Floats, Floats, Floats]:
    """Density and its derivatives by mean and deviation."""
    first, last = support
    z, ends = (delays - mean) / deviation, (np.array([first, last]) - mean) / deviation
    mass = special.ndtr(ends[1]) - special.ndtr(ends[0])
    edge = np.exp(-0.5 * ends**2) / np.sqrt(2 * np.pi)
    density = np.exp(-0.5 * z**2) / (np.sqrt(2 * np.pi) * deviation * mass)
    by_mean = (edge[0] - edge[1]) / (deviation * mass)
    by_deviation = (ends[0] * edge[0] - ends[1] * edge[1]) / (deviation * mass)
    return (
        density,
        density * (z / deviation - by_mean),
        density * ((z**2 - 1) / deviation - by_deviation),
    )


def kernel_mass(
    driver: Driver, mean: float, deviation: float, support: tuple[float, float]
) -> tuple[float, float, float]:
    """Integral of all kernels over good time, and its derivatives by mean and deviation."""
    first, last = support
    ends = (np.array([first, last]) - mean) / deviation
    whole = special.ndtr(ends[1]) - special.ndtr(ends[0])
    edge = np.exp(-0.5 * ends**2) / np.sqrt(2 * np.pi)
    cut = (driver.starts > first) | (driver.stops < last)
    a, b = (driver.starts[cut] - mean) / deviation, (driver.stops[cut] - mean) / deviation
    part = (special.ndtr(b) - special.ndtr(a)) / whole
    at_a, at_b = (np.exp(-0.5 * x**2) / np.sqrt(2 * np.pi) / (deviation * whole) for x in (a, b))
    by_mean = at_a - at_b - part * (edge[0] - edge[1]) / (deviation * whole)
    by_deviation = a * at_a - b * at_b - part * (ends[0] * edge[0] - ends[1] * edge[1]) / (deviation * whole)
    full = float((~cut).sum())
    return full + float(part.sum()), float(by_mean.sum()), float(by_deviation.sum())


def negative_log_likelihood(given: Problem, theta: Floats) -> tuple[float, Floats]:
    """Negative log-likelihood and its gradient."""
    rate = np.full(len(given.times), theta[0])
    slopes, value = np.zeros_like(theta), theta[0] * given.exposure
    slopes[0] = given.exposure
    kernels = []
    for p, (driver, (number, delays)) in enumerate(zip(given.drivers, given.pairs, strict=True)):
        gain, mean, deviation = theta[1 + 3 * p : 4 + 3 * p]
        kernels.append(kernel(delays, mean, deviation, given.support))
        rate += gain * np.bincount(number, kernels[-1][0], minlength=len(rate))
        mass, mean_slope, deviation_slope = kernel_mass(driver, mean, deviation, given.support)
        value += gain * mass
        slopes[1 + 3 * p : 4 + 3 * p] = mass, gain * mean_slope, gain * deviation_slope
    rate = np.maximum(rate, 1e-300)
    slopes[0] -= (1 / rate).sum()
    for p, ((number, _), (density, by_mean, by_deviation)) in enumerate(
        zip(given.pairs, kernels, strict=True)
    ):
        gain, share = theta[1 + 3 * p], 1 / rate[number]
        slopes[1 + 3 * p] -= density @ share
        slopes[2 + 3 * p] -= gain * (by_mean @ share)
        slopes[3 + 3 * p] -= gain * (by_deviation @ share)
    return float(value - np.log(rate).sum()), slopes
