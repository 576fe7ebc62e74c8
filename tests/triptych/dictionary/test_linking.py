"""The test of links keeps its level, and finds planted links."""

import numpy as np
import pytest

from triptych.dictionary import linking


def brute(occurrences, events, samples, window, draws, seed):
    """Share of random rotations at least as extreme, by drawing."""
    generator = np.random.default_rng(seed)
    trial = int(np.median(np.diff(events)))
    starts = events + window[0]
    stops = np.append(starts[1:], min(samples, starts[-1] + trial))
    totals = np.zeros(draws)
    observed = 0
    for a, b in zip(starts, stops, strict=True):
        own = occurrences[(occurrences >= a) & (occurrences < b)] - a
        observed += int((own < window[1] - window[0]).sum())
        turned = (own[None] + generator.integers(0, b - a, draws)[:, None]) % (b - a)
        totals += (turned < window[1] - window[0]).sum(axis=1)
    return (
        observed,
        min(1.0, 2 * min((totals >= observed).mean(), (totals <= observed).mean())),
        totals.mean(),
    )


def test_the_exact_p_is_that_of_many_rotations() -> None:
    generator = np.random.default_rng(0)
    events = np.sort(generator.choice(20_000, 60, replace=False))
    occurrences = np.sort(np.concatenate([generator.choice(20_000, 80), events[:9] + 20]))
    found = linking.link(occurrences, events, 20_000, (5, 45))
    observed, p, mean = brute(occurrences, events, 20_000, (5, 45), 20_000, 1)
    assert found.in_window == observed
    assert found.expected == pytest.approx(mean, rel=0.03)
    assert found.p == pytest.approx(p, rel=0.1, abs=0.003)


def test_periodic_events_can_be_linked() -> None:
    generator = np.random.default_rng(2)
    events = np.arange(500, 60_000, 600)
    occurrences = np.sort(
        np.concatenate(
            [events[::2] + generator.integers(20, 60, len(events[::2])), generator.choice(60_000, 60)]
        )
    )
    assert linking.link(occurrences, events, 60_000, (0, 120)).p < 1e-6


def test_p_is_uniform_or_above_under_chance() -> None:
    generator = np.random.default_rng(3)
    events = np.sort(generator.choice(30_000, 80, replace=False))
    found = np.array(
        [linking.link(np.sort(generator.choice(30_000, 150)), events, 30_000, (0, 60)).p for _ in range(400)]
    )
    for level in (0.01, 0.05, 0.2):
        assert (found <= level).mean() <= level + 3 * np.sqrt(level * (1 - level) / 400)


def test_histograms_count_pairs() -> None:
    counts = linking.histogram(np.array([10, 21, 35]), np.array([10, 20]), np.array([0, 5, 20]))
    assert counts.tolist() == [2, 2]


def test_nothing_to_link_is_no_link() -> None:
    assert linking.link(np.empty(0, np.int64), np.array([3]), 100, (0, 5)).p == 1.0
