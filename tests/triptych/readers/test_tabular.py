"""Events and labels in CSV and Parquet."""

import gzip

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from triptych.errors import InputError
from triptych.readers.event_files import open_events
from triptych.readers.events import Finding
from triptych.readers.tabular import open_csv, read_labels

VALUES = np.random.default_rng(0).normal(size=(10_000, 3)).round(6)


def write_csv(path, values, header="a,b,c", delimiter=",", end="\n"):
    lines = [header, *(delimiter.join(repr(float(v)) for v in row) for row in values)]
    path.write_bytes((end.join(lines) + end).encode())
    return path


@given(start=st.integers(0, 9_999), length=st.integers(1, 9_999))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_range_of_rows_of_a_csv(tmp_path, start, length):
    path = tmp_path / "a.csv"
    if not path.exists():
        write_csv(path, VALUES)
    stop = min(start + length, 10_000)
    assert (open_events(path).read(start, stop) == VALUES[start:stop]).all()


@pytest.mark.parametrize(
    ("suffix", "delimiter", "end"), [(".tsv", "\t", "\n"), (".csv", ";", "\r\n"), (".csv", ",", "\r\n")]
)
def test_other_delimiters_and_line_ends(tmp_path, suffix, delimiter, end):
    path = write_csv(tmp_path / f"a{suffix}", VALUES[:50], delimiter.join("abc"), delimiter, end)
    opened = open_events(path)
    assert [column.name for column in opened.columns] == ["a", "b", "c"]
    assert (opened.read(0, 50) == VALUES[:50]).all()


def test_an_index_found_before_serves_again(tmp_path):
    path = write_csv(tmp_path / "a.csv", VALUES)
    first = open_csv(path)
    assert (open_events(path, {"row_index": first.row_index}).read(8000, 8003) == VALUES[8000:8003]).all()


def test_gaps_are_not_numbers(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a,b\n1,2\n,3\n")
    assert np.isnan(open_events(path).read(0, 2)[1, 0])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "empty"),
        ("1,2\n3,4\n", "no header"),
        ("a,a\n1,2\n", "twice"),
        ("a,b\n1,x\n", "text in column 'b'"),
        ("a,b\n", "no rows"),
        ("\n\n", "no header"),
        (",a\n0,1\n", "without a name"),
        ("a\r1\r2\r", "not a table with a line per row"),
        ("a" * 200_000, "not a table with a line per row"),
        ("a;b\n1,5;2\n", "write numbers with a point"),
        (b"a,b\n" + b"\0" * 5000, "text in column"),
        ("\u00e9,b\n1,2\n".encode("latin-1"), "UTF-8"),
    ],
)
def test_tables_that_are_none_are_refused(tmp_path, content, message):
    path = tmp_path / "a.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=message):
        open_events(path)
    with pytest.raises(InputError) as caught:
        open_events(path)
    assert len(str(caught.value)) < 400
    assert "\n" not in str(caught.value).replace(str(path), "")


def test_a_row_that_is_short_is_refused_when_read(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a,b\n1,2\n3\n4,5\n")
    with pytest.raises(InputError, match="near row 1"):
        open_events(path).read(0, 3)


def test_parquet_by_row_groups(tmp_path):
    path = tmp_path / "a.parquet"
    table = pa.table({"a": VALUES[:, 0], "label": ["x"] * 10_000, "b": VALUES[:, 1].astype(np.float32)})
    pq.write_table(table, path, row_group_size=3000)
    opened = open_events(path)
    assert [column.name for column in opened.columns] == ["a", "b"]
    assert opened.findings == (Finding("columns", "columns that are not numbers were left out: label"),)
    found = opened.read(2999, 9001)
    assert (found[:, 0] == VALUES[2999:9001, 0]).all()
    assert (found[:, 1] == VALUES[2999:9001, 1].astype(np.float32)).all()


def test_broken_parquet_is_refused(tmp_path):
    path = tmp_path / "a.parquet"
    path.write_bytes(b"PAR1 and nothing else")
    with pytest.raises(InputError, match="not a readable Parquet"):
        open_events(path)
    pq.write_table(pa.table({"label": ["x"]}), path)
    with pytest.raises(InputError, match="no numeric column"):
        open_events(path)
    pq.write_table(pa.table({"a": pa.array([], pa.float64())}), path)
    with pytest.raises(InputError, match="no rows"):
        open_events(path)
    pq.write_table(pa.table([[1.0], [2.0]], names=["a", "a"]), path)
    with pytest.raises(InputError, match="names column 'a' twice"):
        open_events(path)


@pytest.mark.parametrize("header", ["population\n", ""])
@pytest.mark.parametrize("packed", [True, False])
def test_labels_with_or_without_header(tmp_path, header, packed):
    path = tmp_path / ("a.csv.gz" if packed else "a.csv")
    content = (header + '"T, CD4"\nB\n\n"T, CD4"\n""\n').encode()
    path.write_bytes(gzip.compress(content) if packed else content)
    found = read_labels(path, 4)
    assert found.names == ("unlabelled", "B", "T, CD4")
    assert found.codes.tolist() == [2, 1, 2, 0]


@pytest.mark.parametrize("delimiter", [";", "\t", ","])
def test_labels_are_the_last_cell_whatever_splits_them(tmp_path, delimiter):
    path = tmp_path / "a.csv"
    path.write_text("".join(delimiter.join(row) + "\n" for row in (("id", "gate"), ("1", "B"), ("2", "T"))))
    assert read_labels(path, 2).names == ("B", "T")


def test_labels_of_other_events_are_refused(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("population\na\nb\n")
    for n in (1, 3, 4, 100):
        with pytest.raises(InputError, match=f"2 labels for {n} events"):
            read_labels(path, n)
    path.write_text("a\nb\na\n")
    with pytest.raises(InputError, match="3 labels for 2 events"):
        read_labels(path, 2)
    broken = tmp_path / "a.csv.gz"
    broken.write_bytes(gzip.compress(b"a\n" * 1000)[:-20])
    with pytest.raises(InputError, match="cannot be read"):
        read_labels(broken, 1000)
