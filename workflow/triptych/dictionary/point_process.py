"""A driven point process: how the rate of an atom depends on events, with intervals and goodness of fit.

    lambda(t) = mu + sum_p alpha_p sum_i kappa(t - t_i^p; m_p, sigma_p)

``kappa`` is the normal density of mean m and deviation sigma, truncated to delays ``support`` and scaled to mass one, so alpha is
the mean number of occurrences that one event brings about, m when, sigma how spread. Bad spans are no time at all: they take
part in no integral. Expectation maximisation finds the basin, a quasi-Newton method the maximum; the curvature of the
log-likelihood there gives the standard errors. Under the model the integral of the rate between two occurrences is exponential,
which the Kolmogorov-Smirnov distance tests.

References
----------
Allain, Gramfort, Moreau: DriPP: Driven Point Processes to Model Stimuli Induced Patterns in M/EEG Signals, ICLR 2022.
Brown, Barbieri, Ventura, Kass, Frank: The time-rescaling theorem and its application to neural spike train data analysis, Neural
Comput. 14 (2002).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special, stats

from triptych.dictionary.events import Floats

EM_STEPS = 30
NORMAL_95 = 1.959963984540054
NARROWEST = 1 / 200
"""Least deviation of a kernel as a share of its support."""
BOUNDARY = 1e-6
"""Share of the support within which a kernel's mean counts as at its border."""


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


@dataclass(frozen=True)
class Fit:
    """The maximum of the likelihood, with 95 % intervals (low, high); NaN where the data say nothing.

    Attributes
    ----------
    baseline : mu, Hz.
    gain : (P,) alpha, occurrences per event.
    delay, width : (P,) m and sigma, s; NaN where the gain is zero.
    baseline_interval : (2,); gain_interval, delay_interval, width_interval : (P, 2).
    log_likelihood : at the maximum; constant : of the constant rate.
    rescaled : Kolmogorov-Smirnov distance of the rescaled intervals from the exponential law, and its p-value (somewhat too
        large, because the parameters were fitted to the same occurrences).
    covariance : (1 + 3 P, 1 + 3 P) of mu, then alpha, m, sigma of every kind; NaN rows where there is none.
    """

    baseline: float
    gain: Floats
    delay: Floats
    width: Floats
    baseline_interval: Floats
    gain_interval: Floats
    delay_interval: Floats
    width_interval: Floats
    log_likelihood: float
    constant: float
    rescaled: tuple[float, float]
    covariance: Floats


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


def fit(given: Problem, starts: Sequence[tuple[float, float]]) -> Fit:
    """Fit the process.

    Parameters
    ----------
    starts : per kind, the delay and width (s) to begin from, e.g. those of ``linking.Scan``.
    """
    n, kinds = len(given.times), len(given.drivers)
    theta = _start(given, starts)
    for _ in range(EM_STEPS):
        theta = _em_step(given, theta)
    low, high, least = _bounds(given)
    found = optimize.minimize(
        lambda x: _negative(given, x),
        np.clip(theta, low, high),
        jac=True,
        method="L-BFGS-B",
        bounds=list(zip(low, high, strict=True)),
        options={"maxiter": 500, "ftol": 1e-13, "gtol": 1e-9},
    )
    theta = found.x if found.fun <= _negative(given, theta)[0] else np.clip(theta, low, high)
    constant = n * np.log(n / given.exposure) - n if n else 0.0
    covariance = _covariance(given, theta, least)
    error = np.sqrt(np.diagonal(covariance))
    gain, delay, width = theta[1::3], theta[2::3].copy(), theta[3::3].copy()
    nothing = gain <= 0
    delay[nothing], width[nothing] = np.nan, np.nan
    return Fit(
        baseline=float(theta[0]),
        gain=gain,
        delay=delay,
        width=width,
        baseline_interval=_around(theta[:1], error[:1], logarithmic=True)[0],
        gain_interval=np.maximum(_around(gain, error[1::3]), 0.0),
        delay_interval=_around(delay, error[2::3]),
        width_interval=_around(width, error[3::3], logarithmic=True),
        log_likelihood=-float(_negative(given, theta)[0]),
        constant=float(constant),
        rescaled=_rescaled(given, theta),
        covariance=covariance if kinds else covariance[:1, :1],
    )


def intensity(found: Fit, delays: Floats, kind: int, support: tuple[float, float]) -> Floats:
    """Rate around a lone event of one kind, (3, n) Hz: the rate and the ends of its 95 % interval (delta method)."""
    first, last = support
    theta = np.array(
        [found.baseline, found.gain[kind], *np.nan_to_num((found.delay[kind], found.width[kind]))]
    )
    rows = np.array([0, 1 + 3 * kind, 2 + 3 * kind, 3 + 3 * kind])
    covariance = np.nan_to_num(found.covariance[np.ix_(rows, rows)])
    rate, slope = np.full(len(delays), theta[0]), np.zeros((len(delays), 4))
    slope[:, 0] = 1.0
    if found.gain[kind] > 0:
        inside = (delays >= first) & (delays <= last)
        density, by_delay, by_width = _kernel(delays[inside], theta[2], theta[3], support)
        rate[inside] += theta[1] * density
        slope[inside, 1:] = np.column_stack([density, theta[1] * by_delay, theta[1] * by_width])
    half = NORMAL_95 * np.sqrt(np.maximum(np.einsum("ni,ij,nj->n", slope, covariance, slope), 0.0))
    return np.stack([rate, np.maximum(rate - half, 0.0), rate + half])


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


def _bounds(given: Problem) -> tuple[Floats, Floats, float]:
    first, last = given.support
    least = (last - first) * NARROWEST
    floor = 1e-9 * max(len(given.times), 1) / given.exposure
    kinds = len(given.drivers)
    low = np.array([floor, *([0.0, first, least] * kinds)])
    high = np.array([np.inf, *([np.inf, last, 2 * (last - first)] * kinds)])
    return low, high, least


def _start(given: Problem, starts: Sequence[tuple[float, float]]) -> Floats:
    """Half of the excess in the support, or a tenth of what is there, comes from the events."""
    n, theta = len(given.times), [max(len(given.times), 1) / given.exposure]
    length = given.support[1] - given.support[0]
    for driver, (number, _), (delay, width) in zip(given.drivers, given.pairs, starts, strict=True):
        expected = n / given.exposure * length * driver.n_events
        excess = max(len(number) - expected, 0.1 * len(number))
        theta += [excess / max(driver.n_events, 1), delay, width]
    return np.array(theta)


def _kernel(
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


def _mass(
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


def _negative(given: Problem, theta: Floats) -> tuple[float, Floats]:
    """Negative log-likelihood and its gradient."""
    rate = np.full(len(given.times), theta[0])
    slopes, value = np.zeros_like(theta), theta[0] * given.exposure
    slopes[0] = given.exposure
    kernels = []
    for p, (driver, (number, delays)) in enumerate(zip(given.drivers, given.pairs, strict=True)):
        gain, mean, deviation = theta[1 + 3 * p : 4 + 3 * p]
        kernels.append(_kernel(delays, mean, deviation, given.support))
        rate += gain * np.bincount(number, kernels[-1][0], minlength=len(rate))
        mass, mean_slope, deviation_slope = _mass(driver, mean, deviation, given.support)
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


def _em_step(given: Problem, theta: Floats) -> Floats:
    """One step of expectation maximisation; a kernel of few occurrences keeps its shape."""
    rate = np.full(len(given.times), theta[0])
    parts = []
    for p, (number, delays) in enumerate(given.pairs):
        gain, mean, deviation = theta[1 + 3 * p : 4 + 3 * p]
        parts.append(gain * _kernel(delays, mean, deviation, given.support)[0])
        rate += np.bincount(number, parts[-1], minlength=len(rate))
    rate = np.maximum(rate, 1e-300)
    new = theta.copy()
    new[0] = max((theta[0] / rate).sum() / given.exposure, 1e-12)
    least = (given.support[1] - given.support[0]) * NARROWEST
    for p, (driver, (number, delays), part) in enumerate(zip(given.drivers, given.pairs, parts, strict=True)):
        share = part / rate[number]
        total = float(share.sum())
        if total > 1:
            mean = float(share @ delays) / total
            new[2 + 3 * p] = mean
            new[3 + 3 * p] = max(np.sqrt(float(share @ (delays - mean) ** 2) / total), least)
        mass = _mass(driver, new[2 + 3 * p], new[3 + 3 * p], given.support)[0]
        new[1 + 3 * p] = total / mass if mass > 0 else 0.0
    return new


def _covariance(given: Problem, theta: Floats, least: float) -> Floats:
    """Inverse of the curvature of the negative log-likelihood over parameters that are not at a bound."""
    first, last = given.support
    free = [0]
    for p in range(len(given.drivers)):
        gain, mean, deviation = theta[1 + 3 * p : 4 + 3 * p]
        if gain > 0:
            free.append(1 + 3 * p)
            edge = BOUNDARY * (last - first)
            if first + edge < mean < last - edge:
                free.append(2 + 3 * p)
            if least * (1 + BOUNDARY) < deviation < 2 * (last - first):
                free.append(3 + 3 * p)
    curvature = np.empty((len(free), len(free)))
    for row, j in enumerate(free):
        step = 1e-5 * max(abs(theta[j]), 1e-3 * (last - first) if j else 1e-12)
        ahead, behind = theta.copy(), theta.copy()
        ahead[j] += step
        behind[j] -= step
        curvature[row] = ((_negative(given, ahead)[1] - _negative(given, behind)[1]) / (2 * step))[free]
    covariance = np.full((len(theta), len(theta)), np.nan)
    scale = np.sqrt(np.abs(np.diagonal(curvature)))
    if (scale > 0).all():
        values, vectors = np.linalg.eigh((curvature + curvature.T) / 2 / np.outer(scale, scale))
        if values[0] > 1e-10:
            covariance[np.ix_(free, free)] = (vectors / values) @ vectors.T / np.outer(scale, scale)
    return covariance


def _around(values: Floats, errors: Floats, *, logarithmic: bool = False) -> Floats:
    """(n, 2) ends of 95 % intervals; on a logarithmic scale for what cannot be negative."""
    if logarithmic:
        with np.errstate(divide="ignore", invalid="ignore"):
            factor = np.exp(NORMAL_95 * errors / values)
        return np.stack([values / factor, values * factor], axis=1)
    return np.stack([values - NORMAL_95 * errors, values + NORMAL_95 * errors], axis=1)


def _rescaled(given: Problem, theta: Floats) -> tuple[float, float]:
    """Distance of the integrals of the rate between occurrences from the exponential law, and its p-value."""
    if len(given.times) < 2:
        return float("nan"), float("nan")
    total: Floats = np.asarray(theta[0] * given.before)
    for p, driver in enumerate(given.drivers):
        gain, mean, deviation = theta[1 + 3 * p : 4 + 3 * p]
        if gain > 0:
            total = total + gain * _passed(given, driver, mean, deviation)
    uniform = -np.expm1(-np.diff(total))
    found = stats.kstest(uniform, "uniform")
    return float(found.statistic), float(found.pvalue)


def _passed(given: Problem, driver: Driver, mean: float, deviation: float) -> Floats:
    """Integral of all kernels of a kind from the beginning to each occurrence, (n,)."""
    first, last = given.support
    ends = special.ndtr((np.array([first, last]) - mean) / deviation)
    whole = ends[1] - ends[0]
    start = special.ndtr((driver.starts - mean) / deviation)
    stop = special.ndtr((driver.stops - mean) / deviation)
    begin, end = driver.onsets + driver.starts, driver.onsets + driver.stops
    order = np.argsort(end, kind="stable")
    done = np.concatenate([[0.0], np.cumsum((stop - start)[order])])
    passed = done[np.searchsorted(end[order], given.times, side="right")]
    # Segments that an occurrence lies in: from those that began before it less those that ended.
    by_begin = np.argsort(begin, kind="stable")
    opened = np.searchsorted(begin[by_begin], given.times, side="left")
    longest = last - first
    earliest = np.searchsorted(begin[by_begin], given.times - longest, side="left")
    for j, time in enumerate(given.times.tolist()):
        for s in by_begin[earliest[j] : opened[j]].tolist():
            if end[s] > time:
                passed[j] += special.ndtr((time - driver.onsets[s] - mean) / deviation) - start[s]
    return np.asarray(passed / whole)
