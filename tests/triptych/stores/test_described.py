"""Described things are read by any range of rows, and samples that differ are named."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from triptych.errors import InputError
from triptych.stores import described, table
from triptych.stores.described import check_alike, open_described
from triptych.stores.table import Field, write_table

ROWS = 50


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("t") / "objects.parquet"
    columns = {"id": np.arange(ROWS), "b": np.arange(ROWS) * 2.0, "a": np.arange(ROWS, dtype=np.int32)}
    fields = {"id": Field(role="descriptor"), "b": Field("nm", "size"), "a": Field("1", "shape")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table, "ROW_GROUP", 16)
        write_table(found, columns, fields)
    return found


@given(start=st.integers(0, ROWS), length=st.integers(0, ROWS))
def test_any_range_of_rows(path: Path, start: int, length: int) -> None:
    stop = min(start + length, ROWS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(described, "ROW_GROUP", 16)
        things = open_described(path)
        found = things.read(start, stop)
    assert (things.names, things.units, things.rows) == (("b", "a"), ("nm", "1"), ROWS)
    np.testing.assert_array_equal(
        found, np.stack([np.arange(start, stop) * 2.0, np.arange(start, stop)], axis=1)
    )


def test_a_table_without_features_is_refused(tmp_path: Path) -> None:
    write_table(tmp_path / "t.parquet", {"id": np.arange(3)}, {"id": Field(role="descriptor")})
    with pytest.raises(InputError, match="no feature column"):
        open_described(tmp_path / "t.parquet")


def test_another_order_of_features_is_refused(tmp_path: Path, path: Path) -> None:
    columns = {"a": np.arange(3.0), "b": np.arange(3.0)}
    write_table(tmp_path / "t.parquet", columns, {"a": Field("1", "shape"), "b": Field("nm", "size")})
    with pytest.raises(InputError, match="sample y has its features in another order than x"):
        check_alike({"x": open_described(path), "y": open_described(tmp_path / "t.parquet")})
