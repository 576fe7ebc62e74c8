"""The demo's recordings: native, reproducible, truth beside them."""

import numpy as np

from triptych.demo.cloud import DETECTORS, EVENTS, MARKERS, make, spillover
from triptych.readers.event_files import open_events
from triptych.readers.spillover import read_spillover
from triptych.readers.tabular import read_labels


def test_recordings_are_whole_and_the_same_each_time(tmp_path):
    rows = make(tmp_path / "a", seed=3)
    assert make(tmp_path / "b", seed=3) == rows
    assert [row["group"] for row in rows] == ["control"] * 3 + ["treated"] * 3
    for row in rows:
        first, second = tmp_path / "a" / row["path"], tmp_path / "b" / row["path"]
        assert first.read_bytes() == second.read_bytes()
        labels = tmp_path / "a" / row["labels_population"]
        assert labels.read_bytes() == (tmp_path / "b" / row["labels_population"]).read_bytes()
        opened = open_events(first)
        assert opened.n_events == EVENTS
        assert opened.findings == ()
        assert len(read_labels(labels, EVENTS).names) == 7
        found, _ = read_spillover(first, opened.text, [column.name for column in opened.columns])
        assert np.allclose(found.matrix, spillover())
    assert [column.label for column in opened.columns[2:10]] == list(MARKERS)
    assert [column.name for column in opened.columns[2:10]] == list(DETECTORS)
    values = opened.read(0, EVENTS)[:, 2:10]
    assert 0.005 < (values < 0).mean() < 0.4


def test_another_seed_gives_other_events(tmp_path):
    first, second = make(tmp_path / "a", seed=0)[0], make(tmp_path / "b", seed=1)[0]
    assert (tmp_path / "a" / first["path"]).read_bytes() != (tmp_path / "b" / second["path"]).read_bytes()
