"""Parquet tables: meaning of columns survives, bytes are equal, damage is said."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triptych.errors import InputError
from triptych.stores import table as tables
from triptych.stores.table import (
    Field,
    check_table,
    features,
    iterate_table,
    read_info,
    read_table,
    write_table,
)

FIELDS = {
    "id": Field(role="descriptor", definition="object number"),
    "class": Field(role="descriptor"),
    "inside": Field(role="descriptor"),
    "volume": Field("nm³", "size", "volume of the object", "voxel count times voxel volume"),
    "turns": Field("1", "shape"),
}


def columns(n: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "id": np.arange(n, dtype=np.uint64),
        "class": np.array(["cell", "nucleus µ"], dtype=object)[rng.integers(0, 2, n)],
        "inside": rng.random(n) > 0.5,
        "volume": np.where(rng.random(n) > 0.1, rng.random(n), np.nan),
        "turns": rng.integers(0, 9, n).astype(np.int32),
    }


def test_everything_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "objects.parquet"
    written = columns(100)
    write_table(path, written, FIELDS, {"voxel_size_nm": [8, 4, 4]})
    found = read_table(path)
    assert found.fields == FIELDS
    assert list(found.columns) == list(FIELDS)
    assert found.attributes == {"voxel_size_nm": [8, 4, 4]}
    for name, values in written.items():
        np.testing.assert_array_equal(found.columns[name], values)
    assert found.columns["id"].dtype == np.uint64
    assert found.columns["inside"].dtype == np.bool_
    names, units, matrix = features(found)
    assert (names, units) == (["volume", "turns"], ["nm³", "1"])
    assert matrix.dtype == np.float64
    np.testing.assert_array_equal(matrix[:, 0], written["volume"])


@pytest.mark.parametrize("n", [0, 1])
def test_small_tables(tmp_path: Path, n: int) -> None:
    path = tmp_path / "t.parquet"
    write_table(path, columns(n), FIELDS)
    assert len(read_table(path)) == n
    assert features(read_table(path))[2].shape == (n, 2)
    assert check_table(path).rows == n


@settings(max_examples=15, deadline=None)
@given(cuts=st.lists(st.integers(0, 100), max_size=5))
def test_bytes_do_not_depend_on_how_rows_arrive(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("t")
    whole = columns(100)
    edges = [0, *sorted(cuts), 100]
    pieces = [{k: v[a:b] for k, v in whole.items()} for a, b in itertools.pairwise(edges)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "ROW_GROUP", 32)
        tables.write_batches(folder / "pieces.parquet", pieces, FIELDS)
        write_table(folder / "whole.parquet", whole, FIELDS)
        assert [len(g["id"]) for g in iterate_table(folder / "whole.parquet")] == [32, 32, 32, 4]
    assert (folder / "pieces.parquet").read_bytes() == (folder / "whole.parquet").read_bytes()
    assert sorted(p.name for p in folder.iterdir()) == ["pieces.parquet", "whole.parquet"]


def test_wrong_columns_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    with pytest.raises(ValueError, match="turns"):
        write_table(path, columns(3), {k: v for k, v in FIELDS.items() if k != "turns"})
    with pytest.raises(ValueError, match="length"):
        write_table(path, {**columns(3), "id": np.arange(4)}, FIELDS)
    with pytest.raises(ValueError, match="a feature is a number"):
        write_table(path, {"a": np.array(["x"])}, {"a": Field("nm")})
    assert list(tmp_path.iterdir()) == []


def test_damage_is_an_input_error(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    with pytest.raises(InputError, match="missing"):
        read_table(path)
    write_table(path, columns(1000), FIELDS)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"t\.parquet is not a whole Parquet table"):
        read_info(path)
    place = len(whole) // 3
    path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
    with pytest.raises(InputError, match=r"t\.parquet"):
        check_table(path)
    path.write_bytes(whole)
    with pytest.raises(InputError, match="no column 'area'"):
        check_table(path, ["area"])
