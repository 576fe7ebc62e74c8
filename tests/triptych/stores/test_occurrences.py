"""Occurrences come back sorted, with what their columns mean, and equal ones give equal bytes."""

from pathlib import Path

import numpy as np
import pytest

from triptych.errors import InputError
from triptych.stores.occurrences import OCCURRENCE_FIELDS, OCCURRENCES, read_occurrences, write_occurrences

FAMILY, ATOM = np.array([4, 0, 0], np.int32), np.array([5, 0, 2], np.int32)
SAMPLE, AMPLITUDE = np.array([30, 30, 10], np.int64), np.array([1.0, 2.0, 3.0])


def test_occurrences_come_back_by_sample_then_family(tmp_path: Path) -> None:
    path = tmp_path / OCCURRENCES
    write_occurrences(path, FAMILY, ATOM, SAMPLE, AMPLITUDE, 10.0)
    table = read_occurrences(path)
    assert table.columns["sample"].tolist() == [10, 30, 30]
    assert table.columns["family"].tolist() == [0, 0, 4]
    assert table.columns["atom"].tolist() == [2, 0, 5]
    assert table.columns["amplitude"].tolist() == [3.0, 2.0, 1.0]
    np.testing.assert_allclose(table.columns["time_s"], [1.0, 3.0, 3.0])
    assert table.fields == OCCURRENCE_FIELDS
    order = [2, 0, 1]
    other = tmp_path / "other.parquet"
    write_occurrences(other, FAMILY[order], ATOM[order], SAMPLE[order], AMPLITUDE[order], 10.0)
    assert other.read_bytes() == path.read_bytes()


def test_none_are_an_empty_table_and_a_missing_table_is_named(tmp_path: Path) -> None:
    path = tmp_path / OCCURRENCES
    with pytest.raises(InputError, match=r"occurrences\.parquet is missing"):
        read_occurrences(path)
    write_occurrences(path, FAMILY[:0], ATOM[:0], SAMPLE[:0], AMPLITUDE[:0], 10.0)
    assert len(read_occurrences(path)) == 0
