"""The driven point process: planted parameters lie in their intervals, gradients are right, bad time is no time."""

import numpy as np
import pytest

from triptych.dictionary import driven_rate
from triptych.dictionary import point_process as processes

SUPPORT = (0.0, 0.8)
TRUTH = (0.5, 0.6, 0.25, 0.06)
SPANS = np.array([[0.0, 200.0], [230.0, 600.0]])


def made(seed: int, gain: float = TRUTH[1]):
    """Occurrences and events of 600 s: onsets at random for odd seeds, nearly periodic for even ones."""
    generator = np.random.default_rng(seed)
    onsets = np.sort(generator.uniform(0, 600, 150))
    if seed % 2 == 0:
        onsets = np.arange(2, 598, 4.0) + generator.uniform(-0.5, 0.5, 149)
    times = driven_rate.simulate(TRUTH[0], [(onsets, gain, *TRUTH[2:])], 600.0, SUPPORT, generator)
    return times, onsets


def test_intervals_cover_the_planted_parameters() -> None:
    covered = np.zeros(4)
    for seed in range(200):
        times, onsets = made(seed)
        found = processes.fit(driven_rate.problem(times, [onsets], SPANS, SUPPORT), [(0.4, 0.2)])
        intervals = (
            found.baseline_interval, found.gain_interval[0], found.delay_interval[0], found.width_interval[0],
        )  # fmt: skip
        covered += [low <= truth <= high for truth, (low, high) in zip(TRUTH, intervals, strict=True)]
    assert (covered / 200 >= 0.90).all(), covered / 200
    assert (covered / 200 <= 0.98).all(), covered / 200


def test_the_gradient_is_that_of_the_likelihood() -> None:
    times, onsets = made(1)
    other = onsets[::3] + 0.3
    given = driven_rate.problem(times, [onsets, other], SPANS, SUPPORT)
    theta = np.array([0.5, 0.6, 0.25, 0.06, 0.1, 0.5, 0.2])
    _, slopes = driven_rate.negative_log_likelihood(given, theta)
    for j, slope in enumerate(slopes):
        ahead, behind = theta.copy(), theta.copy()
        ahead[j] += 1e-6
        behind[j] -= 1e-6
        rise = (
            driven_rate.negative_log_likelihood(given, ahead)[0]
            - driven_rate.negative_log_likelihood(given, behind)[0]
        )
        assert slope == pytest.approx(rise / 2e-6, rel=1e-4, abs=1e-4)


def test_the_integral_of_the_rate_is_the_number_of_occurrences() -> None:
    # At the maximum the baseline's slope vanishes, so the rate integrates to n: the compensator is right.
    times, onsets = made(3)
    given = driven_rate.problem(times, [onsets], SPANS, SUPPORT)
    found = processes.fit(given, [(0.4, 0.2)])
    theta = np.array([found.baseline, found.gain[0], found.delay[0], found.width[0]])
    mass = driven_rate.kernel_mass(given.drivers[0], theta[2], theta[3], SUPPORT)[0]
    assert theta[0] * given.exposure + theta[1] * mass == pytest.approx(len(given.times), rel=1e-4)
    total = theta[0] * given.before + theta[1] * processes._passed(
        given, given.drivers[0], theta[2], theta[3]
    )
    grid = np.sort(np.concatenate([given.times, np.linspace(0.0, 600.0, 400_001)]))
    good = ((grid[:, None] >= SPANS[:, 0]) & (grid[:, None] < SPANS[:, 1])).any(axis=1)
    rate = np.full(len(grid), theta[0])
    for onset in onsets:
        near = (grid >= onset) & (grid <= onset + SUPPORT[1])
        rate[near] += theta[1] * driven_rate.kernel(grid[near] - onset, theta[2], theta[3], SUPPORT)[0]
    counted = np.concatenate([[0.0], np.cumsum(np.diff(grid) * (rate * good)[1:])])
    np.testing.assert_allclose(total, counted[np.searchsorted(grid, given.times)], atol=0.1)


def test_two_kinds_are_told_apart() -> None:
    generator = np.random.default_rng(5)
    first = np.sort(generator.uniform(0, 900, 250))
    second = first + 0.3
    drivers = [(first, 0.5, 0.2, 0.04), (second, 0.0, 0.4, 0.05)]
    times = driven_rate.simulate(0.3, drivers, 900.0, SUPPORT, generator)
    given = driven_rate.problem(times, [first, second], np.array([[0.0, 900.0]]), SUPPORT)
    found = processes.fit(given, [(0.2, 0.1), (0.2, 0.1)])
    assert found.gain_interval[0, 0] > 0.2
    assert found.gain[1] < 0.15
    assert found.log_likelihood > found.constant + 50


def test_rescaled_intervals_show_what_the_model_lacks() -> None:
    times, onsets = made(7)
    good = processes.fit(driven_rate.problem(times, [onsets], SPANS, SUPPORT), [(0.3, 0.1)])
    assert good.rescaled[1] > 0.01
    regular = np.arange(0.5, 600.0, 0.8)
    bad = processes.fit(driven_rate.problem(regular, [onsets], SPANS, SUPPORT), [(0.3, 0.1)])
    assert bad.rescaled[1] < 1e-6


def test_nothing_driven_gives_no_delay_and_wide_intervals() -> None:
    generator = np.random.default_rng(8)
    times = np.sort(generator.uniform(0, 600, 3))
    found = processes.fit(
        driven_rate.problem(times, [np.array([700.0])], np.array([[0.0, 600.0]]), SUPPORT), [(0.2, 0.1)]
    )
    assert found.gain[0] == 0
    assert np.isnan(found.delay[0])
    assert found.baseline == pytest.approx(3 / 600, rel=1e-3)
    rate = processes.intensity(found, np.linspace(-0.5, 1.0, 7), 0, SUPPORT)
    np.testing.assert_allclose(rate[0], found.baseline)


def test_an_empty_support_or_no_good_time_is_an_error() -> None:
    with pytest.raises(ValueError, match="no support"):
        driven_rate.problem(np.array([1.0]), [np.array([0.5])], SPANS, (0.5, 0.5))
    with pytest.raises(ValueError, match="no good time"):
        driven_rate.problem(np.array([1.0]), [np.array([0.5])], np.empty((0, 2)), SUPPORT)
