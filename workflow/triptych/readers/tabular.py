"""Events and labels in tables: CSV or TSV by ranges of rows, Parquet by row groups."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from triptych.errors import InputError
from triptych.readers.events import Column, Finding

INDEX_ROWS = 4096
LONGEST_LINE = 1 << 24
# What a header line of labels says, in lower case.
LABEL_WORDS = {
    "population",
    "populations",
    "label",
    "labels",
    "cluster",
    "class",
    "cell_type",
    "celltype",
    "gate",
}


@dataclass(frozen=True)
class CsvFile:
    """A CSV file of events as ``EventFile``.

    ``row_index`` holds the byte offset of every 4,096th row and, last, the end; it is found in one pass and may be kept.
    """

    path: Path
    delimiter: str
    n_events: int
    columns: tuple[Column, ...]
    row_index: NDArray[np.int64]
    text: Mapping[str, str] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    is_integer: bool = False

    def read(self, start: int, stop: int) -> NDArray[np.float64]:
        """Rows (stop - start, d) float64; an empty field is NaN."""
        first, last = start // INDEX_ROWS, min(-(-stop // INDEX_ROWS), len(self.row_index) - 2)
        begin, end = int(self.row_index[first]), int(self.row_index[last])
        with open(self.path, "rb") as file:
            file.seek(begin)
            piece = file.read(end - begin)
        names = [f"c{j}" for j in range(len(self.columns))]
        try:
            table = pacsv.read_csv(
                io.BytesIO(piece),
                read_options=pacsv.ReadOptions(column_names=names, use_threads=False),
                parse_options=pacsv.ParseOptions(delimiter=self.delimiter),
                convert_options=pacsv.ConvertOptions(
                    column_types=dict.fromkeys(names, pa.float64()), null_values=["", "NA", "NaN", "nan"]
                ),
            )
        except pa.ArrowInvalid as error:
            raise InputError(
                f"{self.path} has a row that is not {len(names)} numbers near row {start + 1} ({error}); "
                "correct or drop the row"
            ) from error
        columns = [table.column(name).to_numpy() for name in names]
        return np.stack(columns, axis=1)[start - first * INDEX_ROWS :][: stop - start]


def open_csv(path: Path, row_index: NDArray[np.int64] | None = None) -> CsvFile:
    """Open a CSV or TSV file with a header line and numeric columns.

    Raises
    ------
    InputError : it is empty, has no header or no rows, names a column twice, or holds text.
    """
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty; export it again")
    with open(path, "rb") as file:
        head = file.readline(LONGEST_LINE)
        body = file.tell()
        sample = file.readline(LONGEST_LINE)
    header = _decode(path, head)
    delimiter = _delimiter(header)
    names = [name.strip() for name in _fields(path, header, delimiter)]
    if not all(names):
        raise InputError(
            f"{path} has a column without a name in its first line; name it, or export the table without its row numbers"
        )
    if all(_is_number(name) for name in names):
        raise InputError(
            f"{path} has no header line: its first line holds numbers; add one that names the columns"
        )
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"{path} names column {twice!r} twice; rename one")
    first = _fields(path, _decode(path, sample), delimiter)
    for name, value in zip(names, first, strict=False):
        if value.strip() and not _is_number(value):
            raise InputError(
                f"{path} holds text in column {name[:40]!r} ({value[:40]!r}); drop the column, or write numbers with a point"
            )
    index = _index_rows(path, body) if row_index is None else row_index
    n_events = int(index[-1])
    if n_events == 0:
        raise InputError(f"{path} has a header line and no rows; leave it out of the sample sheet")
    return CsvFile(path, delimiter, n_events, tuple(Column(name) for name in names), index)


def _index_rows(path: Path, body: int) -> NDArray[np.int64]:
    """Offsets of every 4,096th row, then the end of the file, then the number of rows."""
    offsets = [body]
    rows, place = 0, body
    with open(path, "rb") as file:
        file.seek(body)
        for line in file:
            place += len(line)
            if line.strip():
                rows += 1
                if rows % INDEX_ROWS == 0:
                    offsets.append(place)
    if offsets[-1] != place or rows == 0:
        offsets.append(place)
    return np.array([*offsets, rows], dtype=np.int64)


def _decode(path: Path, line: bytes) -> str:
    try:
        return line.decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not text in UTF-8; export it again as CSV") from error


def _delimiter(header: str) -> str:
    """Tab or semicolon where the header has more of them than commas."""
    for candidate in "\t;":
        if header.count(candidate) > header.count(","):
            return candidate
    return ","


def _fields(path: Path, line: str, delimiter: str) -> list[str]:
    """Cells of one line; none of an empty line."""
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error as error:
        raise InputError(
            f"{path} is not a table with a line per row ({error}); export it again as CSV"
        ) from error


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


@dataclass(frozen=True)
class ParquetFile:
    """A Parquet file of events as ``EventFile``; numeric columns only."""

    path: Path
    n_events: int
    columns: tuple[Column, ...]
    row_groups: tuple[int, ...]
    text: Mapping[str, str] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    is_integer: bool = False

    def read(self, start: int, stop: int) -> NDArray[np.float64]:
        """Rows (stop - start, d) float64; a null is NaN."""
        edges = np.concatenate([[0], np.cumsum(self.row_groups)])
        groups = [g for g in range(len(self.row_groups)) if edges[g] < stop and edges[g + 1] > start]
        names = [column.name for column in self.columns]
        try:
            with pq.ParquetFile(self.path) as file:
                table = file.read_row_groups(groups, columns=names, use_threads=False)
        except (pa.ArrowException, OSError) as error:
            raise InputError(
                f"{self.path} cannot be read near row {start + 1} ({error}); export it again"
            ) from error
        begin = start - int(edges[groups[0]])
        values = [
            table.column(name).slice(begin, stop - start).cast(pa.float64()).to_numpy() for name in names
        ]
        return np.stack(values, axis=1)


def open_parquet(path: Path) -> ParquetFile:
    """Open a Parquet file of events.

    Raises
    ------
    InputError : it is broken, empty, or has no numeric column.
    """
    try:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            groups = tuple(file.metadata.row_group(g).num_rows for g in range(file.metadata.num_row_groups))
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path} is not a readable Parquet file ({error}); export it again") from error
    numeric = [f.name for f in schema if pa.types.is_floating(f.type) or pa.types.is_integer(f.type)]
    left = [f.name for f in schema if f.name not in numeric]
    if not numeric:
        raise InputError(f"{path} has no numeric column; export the events as numbers")
    if len(set(schema.names)) < len(schema.names):
        twice = next(name for name in schema.names if schema.names.count(name) > 1)
        raise InputError(f"{path} names column {twice!r} twice; rename one")
    if sum(groups) == 0:
        raise InputError(f"{path} holds no rows; leave it out of the sample sheet")
    note = f"columns that are not numbers were left out: {', '.join(left)}"
    findings = (Finding("columns", note),) if left else ()
    return ParquetFile(path, sum(groups), tuple(Column(name) for name in numeric), groups, findings=findings)


@dataclass(frozen=True)
class Labels:
    """One label per event: ``codes`` (n,) uint16 into ``names``, which are sorted."""

    codes: NDArray[np.uint16]
    names: tuple[str, ...]


def read_labels(path: Path, n_events: int) -> Labels:
    """Read one label per event from a CSV file (also ``.gz``), the last column of each line, with or without header.

    The first line is a header if its label is one of ``LABEL_WORDS``, or if there is one line more than events and its
    label is that of no other line.

    Raises
    ------
    InputError : the file is broken or its number of labels is not the number of events.
    """
    order: dict[str, int] = {}
    codes = np.empty(n_events + 1, np.uint16)
    count = 0
    opened: Any = gzip.open if path.suffix.lower() == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8-sig", newline="") as file:
            delimiter = _delimiter(file.readline(LONGEST_LINE))
            file.seek(0)
            for row in csv.reader(file, delimiter=delimiter):
                if not row:
                    continue
                if count <= n_events:
                    codes[count] = order.setdefault(row[-1].strip(), len(order))
                count += 1
                if len(order) > 60_000:
                    raise InputError(
                        f"{path} holds more than 60,000 different labels; give one population per event"
                    )
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as CSV ({error}); export it again") from error
    found = list(order)
    is_single = count > 0 and not (codes[1 : min(count, n_events + 1)] == 0).any()
    has_header = is_single and (count == n_events + 1 or found[0].lower() in LABEL_WORDS)
    if count - has_header != n_events:
        raise InputError(
            f"{path} holds {count - has_header} labels for {n_events} events; give one label per event, in order"
        )
    used = codes[1:] if has_header else codes[:n_events]
    present = sorted({found[code] for code in np.unique(used)})
    table = np.array([present.index(name) if name in present else 0 for name in found], np.uint16)
    return Labels(table[used], tuple(name or "unlabelled" for name in present))
