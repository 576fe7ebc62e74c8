"""A driven point process: how the rate of an atom depends on events (see ``driven_rate``), with intervals and goodness of fit.

Expectation maximisation finds the basin, a quasi-Newton method the maximum; the curvature of the
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
from scipy import optimize, special, stats

from triptych.dictionary.driven_rate import (
    Driver,
    Problem,
    kernel,
    kernel_mass,
    negative_log_likelihood,
)
from triptych.dictionary.events import Floats

EM_STEPS = 30
NORMAL_95 = 1.959963984540054
NARROWEST = 1 / 200
"""Least deviation of a kernel as a share of its support."""
BOUNDARY = 1e-6
"""Share of the support within which a kernel's mean counts as at its border."""


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


def fit(given: Problem, starts: Sequence[tuple[float, float]]) -> Fit:
    """Fit the process.

    Parameters
    ----------
    starts : per kind, the delay and width (s) to begin from, e.g. those of ``linking.Scan``.
    """
    n = len(given.times)
    theta = _start(given, starts)
    for _ in range(EM_STEPS):
        theta = _em_step(given, theta)
    low, high, least = _bounds(given)
    found = optimize.minimize(
        lambda x: negative_log_likelihood(given, x),
        np.clip(theta, low, high),
        jac=True,
        method="L-BFGS-B",
        bounds=list(zip(low, high, strict=True)),
        options={"maxiter": 500, "ftol": 1e-13, "gtol": 1e-9},
    )
    theta = found.x if found.fun <= negative_log_likelihood(given, theta)[0] else np.clip(theta, low, high)
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
        log_likelihood=-float(negative_log_likelihood(given, theta)[0]),
        constant=float(constant),
        rescaled=_rescaled(given, theta),
        covariance=covariance,
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
        density, by_delay, by_width = kernel(delays[inside], theta[2], theta[3], support)
        rate[inside] += theta[1] * density
        slope[inside, 1:] = np.column_stack([density, theta[1] * by_delay, theta[1] * by_width])
    half = NORMAL_95 * np.sqrt(np.maximum(np.einsum("ni,ij,nj->n", slope, covariance, slope), 0.0))
    return np.stack([rate, np.maximum(rate - half, 0.0), rate + half])


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


def _em_step(given: Problem, theta: Floats) -> Floats:
    """One step of expectation maximisation; a kernel of few occurrences keeps its shape."""
    rate = np.full(len(given.times), theta[0])
    parts = []
    for p, (number, delays) in enumerate(given.pairs):
        gain, mean, deviation = theta[1 + 3 * p : 4 + 3 * p]
        parts.append(gain * kernel(delays, mean, deviation, given.support)[0])
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
        mass = kernel_mass(driver, new[2 + 3 * p], new[3 + 3 * p], given.support)[0]
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
        curvature[row] = (
            (negative_log_likelihood(given, ahead)[1] - negative_log_likelihood(given, behind)[1])
            / (2 * step)
        )[free]
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
