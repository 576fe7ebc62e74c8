"""The better of atoms and families is named for each kind of known event."""

from pathlib import Path

import numpy as np

from triptych.steps.atom_truth import compare
from triptych.stores.signal import write_events

BLINKS, BEATS = np.arange(100, 2100, 200), np.arange(50, 2050, 100)


def test_a_family_is_named_where_it_is_better_and_the_atom_where_both_are_equal(tmp_path: Path) -> None:
    onsets = np.concatenate([BLINKS, BEATS]).astype(np.int64)
    kinds = ["blink"] * len(BLINKS) + ["beat"] * len(BEATS)
    write_events(tmp_path / "truth.parquet", onsets / 100, onsets, np.zeros(len(onsets)), kinds)
    atoms = [BLINKS[::2] + 3, BLINKS[1::2] + 3, BEATS + 5, np.empty(0, np.int64)]
    families = {0: np.sort(np.concatenate(atoms[:2])), 2: BEATS + 5, 3: BEATS}
    found = compare(tmp_path / "truth.parquet", atoms, families, {0: 2, 2: 2, 3: 1}, 2.0, 20, 100.0)
    assert found["blink_atom"] == 0
    assert found["blink_atoms"] == 2
    assert (found["blink_recall"], found["blink_precision"]) == (1.0, 1.0)
    assert found["blink_lag_s"] == 0.03
    assert (found["beat_atom"], found["beat_atoms"], found["beat_lag_s"]) == (2, 1, 0.05)
