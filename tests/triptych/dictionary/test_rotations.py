"""The scan keeps its level, corrects for all pairs, finds planted answers, and gives the same numbers for any workers."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy import stats

from triptych.dictionary import rotations

SAMPLES = 60_000


def drawn(generator: np.random.Generator, count: int):
    return np.sort(generator.choice(SAMPLES, count, replace=False))


def test_p_is_uniform_under_chance_and_the_correction_holds() -> None:
    generator = np.random.default_rng(0)
    single, least = [], []
    for seed in range(60):
        events = drawn(generator, 150)
        atoms = [drawn(generator, int(generator.integers(40, 400))) for _ in range(5)]
        found = rotations.scan(atoms, [events], SAMPLES, (0, 90), 1000, seed)
        single += found.p.ravel().tolist()
        least.append(found.corrected.min())
    assert stats.kstest(single, "uniform").pvalue > 0.01
    assert stats.kstest(least, "uniform").pvalue > 0.01


def test_clustered_occurrences_keep_the_level() -> None:
    generator = np.random.default_rng(1)
    found = []
    for seed in range(120):
        centers = generator.integers(0, SAMPLES - 40, 60)
        bursts = np.unique((centers[:, None] + generator.integers(0, 40, (60, 6))).ravel())
        found.append(rotations.scan([bursts], [drawn(generator, 150)], SAMPLES, (0, 90), 1000, seed).p[0, 0])
    assert np.mean(np.array(found) <= 0.05) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 120)


def test_a_planted_answer_is_found_at_its_delay_and_a_lack_is_told() -> None:
    generator = np.random.default_rng(2)
    events = np.arange(500, SAMPLES - 500, 300)
    driven = np.unique(
        np.concatenate(
            [events[::3] + generator.normal(40, 6, len(events[::3])).astype(int), drawn(generator, 80)]
        )
    )
    everywhere = drawn(generator, 2000)
    after = (everywhere - 500) % 300
    silent = everywhere[(after < 20) | (after > 70)]
    found = rotations.scan([driven, silent, drawn(generator, 200)], [events], SAMPLES, (0, 90), 2000, 0)
    assert found.corrected[:2, 0].tolist() == [1 / 2001] * 2
    assert found.direction[:2, 0].tolist() == [1, -1]
    assert found.delay[0, 0] == pytest.approx(40, abs=8)
    assert found.corrected[2, 0] > 0.05


def test_workers_change_nothing() -> None:
    generator = np.random.default_rng(3)
    atoms, events = [drawn(generator, 100), drawn(generator, 50)], [drawn(generator, 80)]
    one = rotations.scan(atoms, events, SAMPLES, (0, 90), 1700, 4)
    with ThreadPoolExecutor(4) as pool:
        four = rotations.scan(atoms, events, SAMPLES, (0, 90), 1700, 4, pool.map)
    np.testing.assert_array_equal(one.p, four.p)
    np.testing.assert_array_equal(one.corrected, four.corrected)


def test_trials_shorter_than_the_window_and_atoms_without_occurrences() -> None:
    generator = np.random.default_rng(4)
    events = np.arange(0, SAMPLES, 50)
    found = rotations.scan(
        [drawn(generator, 500), np.empty(0, np.int64)], [events], SAMPLES, (0, 90), 1000, 0
    )
    assert found.p[1, 0] == 1.0
    assert found.direction[1, 0] == 0
    assert 0 < found.p[0, 0] <= 1


def test_an_empty_window_is_an_error() -> None:
    with pytest.raises(ValueError, match="empty"):
        rotations.scan([np.array([1])], [np.array([1])], 100, (5, 5), 1000, 0)
