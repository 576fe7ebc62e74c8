"""Families: atoms that share map and shape, and one occurrence for each time that they make a pattern together."""

import numpy as np
import pytest

from triptych.dictionary import families
from triptych.dictionary.events import sorted_events

T = np.arange(60)
HUMP = np.exp(-0.5 * ((T - 30) / 6) ** 2)
RING = np.hanning(60) * np.cos(2 * np.pi * (T - 30) / 6)
FRONT, BACK = np.array([1.0, 0.8, 0.1, 0.0]), np.array([0.0, 0.1, 0.9, 1.0])


def _unit(rows: list[np.ndarray]) -> np.ndarray:
    stacked = np.stack(rows)
    return stacked / np.linalg.norm(stacked, axis=1, keepdims=True)


def test_a_family_agrees_in_map_and_shape_and_bears_the_number_of_its_strongest() -> None:
    spatial = _unit([FRONT, FRONT + 0.1 * BACK, BACK, FRONT, -FRONT, FRONT])
    temporal = _unit([HUMP, np.roll(HUMP, 12), HUMP, RING, -HUMP, -HUMP])
    strength = np.array([0.1, 0.3, 0.2, 0.05, 0.01, 0.02])
    found = families.group(spatial, temporal, strength, 0.9, 0.5)
    # The fifth atom is the first with both signs turned; the last has the map of the first and the opposite wave.
    assert found.tolist() == [1, 1, 2, 3, 1, 5]
    assert families.members_of(found, 1) == [1, 0, 4]
    assert families.group(spatial, temporal, strength, 0.9, 0.0).tolist() == [1, 1, 2, 1, 1, 5]


def test_likeness_is_the_best_over_all_shifts() -> None:
    alike = families.likeness(_unit([HUMP, np.roll(HUMP, 15), RING]))
    np.testing.assert_allclose(np.diag(alike), 1.0)
    assert alike[0, 1] > 0.99
    assert alike[0, 2] < 0.3
    expected = np.correlate(HUMP, RING, "full").max() / np.linalg.norm(HUMP) / np.linalg.norm(RING)
    assert alike[0, 2] == pytest.approx(expected)


def test_a_pattern_laid_out_of_two_atoms_occurs_once_where_it_is_largest() -> None:
    spatial, temporal = _unit([FRONT, FRONT, BACK]), _unit([HUMP, HUMP**4, HUMP])
    events = sorted_events(
        np.array([0, 1, 0, 2, 1]), np.array([100, 104, 300, 305, 500]), np.array([2.0, 1.0, 1.5, 9.0, 0.1])
    )
    found = families.occurrences_of(events, [0, 1], spatial, temporal, 800, 40, 0.2)
    assert len(found.sample) == 2
    assert 131 <= found.sample[0] <= 134
    assert found.sample[1] == 330
    assert found.amplitude[1] == pytest.approx(1.5)
    assert found.amplitude[0] > 2.0
    assert found.atom.tolist() == [0, 0]
    every = families.by_family(events, np.array([0, 0, 2], np.int32), spatial, temporal, 800, 40, 0.2)
    assert list(every) == [0, 2]
    assert every[2].sample.tolist() == [335]
    assert every[2].amplitude[0] == pytest.approx(9.0)


def test_a_rhythm_occurs_once_for_each_activation() -> None:
    events = sorted_events(np.zeros(2, np.int64), np.array([50, 250]), np.array([1.0, 1.0]))
    ring = _unit([np.hanning(60) * np.cos(2 * np.pi * (T - 30) / 8)])
    found = families.occurrences_of(events, [0], np.ones((1, 1)), ring, 400, 10, 0.2)
    assert found.sample.tolist() == [80, 280]


def test_a_family_without_activations_does_not_occur() -> None:
    none = sorted_events(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
    found = families.occurrences_of(none, [0], np.ones((1, 1)), _unit([HUMP]), 100, 10, 0.2)
    assert found.sample.size == found.amplitude.size == found.atom.size == 0
