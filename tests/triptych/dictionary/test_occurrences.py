"""Occurrences: one for each time a pattern occurs, and their match with known events."""

import numpy as np

from triptych.dictionary.events import sorted_events
from triptych.dictionary.occurrences import match, occurrences, peak_offsets


def test_near_activations_are_one_occurrence_at_the_strongest() -> None:
    events = sorted_events(
        np.array([0, 0, 0, 0]), np.array([100, 103, 150, 400]), np.array([1.0, 3.0, 2.0, 0.1])
    )
    ((samples, amplitudes),) = occurrences(events, np.array([7]), 20, 0.2)
    assert samples.tolist() == [110, 157]
    assert amplitudes.tolist() == [3.0, 2.0]


def test_peaks_are_the_largest_excursions() -> None:
    assert peak_offsets(np.array([[0.0, -3.0, 1.0], [0.0, 1.0, 2.0]])).tolist() == [1, 2]


def test_match_finds_the_lag_and_counts_each_event_once() -> None:
    wanted = np.array([100, 200, 300, 400])
    found = np.array([112, 213, 214, 512])
    recall, precision, lag = match(found, wanted, 3, 50)
    assert (recall, precision) == (0.5, 0.5)
    assert 9 <= lag <= 16
    assert match(np.empty(0, np.int64), wanted, 3, 50) == (0.0, 0.0, 0)
