"""Parquet tables whose columns say what they are: ``objects.parquet``, ``atoms.parquet``, and the like.

One row per thing. Every column carries its unit, category, definition and source as Arrow field metadata; a
column is a feature (a number that describes the thing and is compared) or a descriptor (an id, a flag, a
bounding box, a label).

Equal tables give equal bytes: one writer thread, zstd, row groups of ``ROW_GROUP`` rows however the rows
arrive, no time, host or pandas metadata. Pages carry checksums, which are verified when read.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from triptych.errors import InputError

Array = np.ndarray[Any, Any]
Columns = Mapping[str, Array]

ROW_GROUP = 65_536
ATTRIBUTES = b"triptych"
REMEDY = "run the step that writes it again"


@dataclass(frozen=True)
class Field:
    """What a column means.

    Attributes
    ----------
    unit : e.g. ``"nm"``, ``"s"``, ``"Hz"``; ``"1"`` for a pure number, ``""`` for text and flags.
    category : e.g. ``"size"``, ``"shape"``, ``"distance"``, ``"orientation"``, ``"texture"``.
    definition : one sentence.
    source : paper or formula.
    role : ``"feature"`` (described and compared) or ``"descriptor"`` (id, flag, bounding box, label).
    """

    unit: str = ""
    category: str = ""
    definition: str = ""
    source: str = ""
    role: Literal["feature", "descriptor"] = "feature"


@dataclass(frozen=True)
class Table:
    """Columns of equal length with their meaning, in order.

    Attributes
    ----------
    columns : 1-D arrays: numbers, booleans or text.
    fields : one ``Field`` per column, same keys.
    attributes : JSON values that hold for the whole table.
    """

    columns: dict[str, Array]
    fields: dict[str, Field]
    attributes: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()))) if self.columns else 0


@dataclass(frozen=True)
class TableInfo:
    """What the footer of a table says, read without reading rows."""

    rows: int
    row_groups: int
    fields: dict[str, Field]
    attributes: dict[str, Any]

    @property
    def features(self) -> list[str]:
        """Names of the feature columns, in order."""
        return [name for name, f in self.fields.items() if f.role == "feature"]


def write_table(
    path: Path, columns: Columns, fields: Mapping[str, Field], attributes: Mapping[str, Any] | None = None
) -> None:
    """Write a table beside and rename it; equal content gives equal bytes.

    Parameters
    ----------
    path : file to write.
    columns : 1-D arrays of one length: bool, integer, float or text (``str`` or object of ``str``).
    fields : a ``Field`` for every column.
    attributes : JSON values of the whole table.

    Raises
    ------
    ValueError : columns and fields have different names, or columns differ in length or are not 1-D.
    """
    write_batches(path, [columns], fields, attributes)


def write_batches(
    path: Path,
    batches: Iterable[Columns],
    fields: Mapping[str, Field],
    attributes: Mapping[str, Any] | None = None,
) -> None:
    """Write a table that arrives in pieces; the bytes do not depend on how it was cut.

    At least one piece must come, possibly without rows: it sets the types. Memory: a piece and a row group.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{os.getpid()}.partial")
    writer: pq.ParquetWriter | None = None
    try:
        pending: pa.Table | None = None
        for batch in batches:
            piece = _to_arrow(batch, fields, attributes or {})
            if writer is None:
                writer = _open_writer(beside, piece.schema)
            pending = piece if pending is None else pa.concat_tables([pending, piece.cast(pending.schema)])
            while len(pending) >= ROW_GROUP:
                writer.write_table(pending.slice(0, ROW_GROUP).combine_chunks(), row_group_size=ROW_GROUP)
                pending = pending.slice(ROW_GROUP)
        if writer is None or pending is None:
            raise ValueError(f"no rows and no types were given for {path.name}")
        if len(pending):
            writer.write_table(pending.combine_chunks(), row_group_size=ROW_GROUP)
        writer.close()
        with open(beside, "rb") as file:
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:
        if writer is not None:
            writer.close()
        beside.unlink(missing_ok=True)
        raise


def read_table(path: Path, columns: Sequence[str] | None = None) -> Table:
    """Read a table, or some of its columns, into memory.

    Raises
    ------
    InputError : the file is missing or damaged, is no table of triptych, or lacks a column.
    """
    info = read_info(path)
    names = list(info.fields) if columns is None else list(columns)
    _require(path, info, names)
    with _reading(path), _open(path) as file:
        arrow = file.read(columns=names, use_threads=False)
        found = {name: _to_numpy(arrow.column(name)) for name in names}
    return Table(found, {name: info.fields[name] for name in names}, info.attributes)


def iterate_table(path: Path, columns: Sequence[str] | None = None) -> Iterator[dict[str, Array]]:
    """The row groups of a table, one after the other (``ROW_GROUP`` rows each, the last one smaller)."""
    for index in range(read_info(path).row_groups):
        yield read_row_group(path, index, columns)


def read_row_group(path: Path, index: int, columns: Sequence[str] | None = None) -> dict[str, Array]:
    """One row group of a table."""
    info = read_info(path)
    names = list(info.fields) if columns is None else list(columns)
    _require(path, info, names)
    with _reading(path), _open(path) as file:
        arrow = file.read_row_group(index, columns=names, use_threads=False)
        return {name: _to_numpy(arrow.column(name)) for name in names}


def read_info(path: Path) -> TableInfo:
    """Fields, attributes and size of a table, from its footer alone."""
    if not path.is_file():
        raise InputError(f"{path} is missing; {REMEDY}")
    with _reading(path), _open(path) as file:
        schema, metadata = file.schema_arrow, file.metadata
        stored = json.loads((schema.metadata or {}).get(ATTRIBUTES, b"{}"))
        fields = {column.name: _field_of(column) for column in schema}
        return TableInfo(metadata.num_rows, metadata.num_row_groups, fields, stored)


def check_table(path: Path, required: Sequence[str] = ()) -> TableInfo:
    """Read every row of a table, which verifies its page checksums, and that the required columns are there.

    Raises
    ------
    InputError : the file is missing or damaged, or lacks a column.
    """
    info = read_info(path)
    _require(path, info, required)
    for _ in iterate_table(path):
        pass
    return info


def features(table: Table) -> tuple[list[str], list[str], np.ndarray[Any, np.dtype[np.float64]]]:
    """The feature columns of a table.

    Returns
    -------
    names, units : of the feature columns, in order.
    matrix : (n, d) float64, one row per thing; missing values are NaN.
    """
    names = [name for name, f in table.fields.items() if f.role == "feature"]
    matrix = np.empty((len(table), len(names)), dtype=np.float64)
    for j, name in enumerate(names):
        matrix[:, j] = table.columns[name]
    return names, [table.fields[name].unit for name in names], matrix


def _to_arrow(columns: Columns, fields: Mapping[str, Field], attributes: Mapping[str, Any]) -> pa.Table:
    if set(columns) != set(fields):
        raise ValueError(
            f"columns without a field or fields without a column: {sorted(set(columns) ^ set(fields))}"
        )
    if len({len(c) for c in columns.values()}) > 1:
        raise ValueError(f"columns differ in length: { {name: len(c) for name, c in columns.items()} }")
    arrays, schema = [], []
    for name, column in columns.items():
        values = np.asarray(column)
        if values.ndim != 1:
            raise ValueError(f"column {name} has {values.ndim} dimensions; a column has one")
        if fields[name].role == "feature" and values.dtype.kind not in "biuf":
            raise ValueError(f"feature {name} is of type {values.dtype}; a feature is a number")
        text = values.dtype.kind in "UOST"
        array = (
            pa.array([str(v) for v in values], pa.string())
            if text
            else pa.array(np.ascontiguousarray(values))
        )
        arrays.append(array)
        schema.append(pa.field(name, array.type, nullable=False, metadata=asdict(fields[name])))
    stored = json.dumps(dict(attributes), sort_keys=True, allow_nan=False)
    return pa.Table.from_arrays(arrays, schema=pa.schema(schema, metadata={ATTRIBUTES: stored}))


def _to_numpy(column: pa.ChunkedArray) -> Array:
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return np.array(column.to_pylist(), dtype=np.str_)
    return np.ascontiguousarray(column.to_numpy())


def _field_of(column: pa.Field) -> Field:
    stored = {key.decode(): value.decode() for key, value in (column.metadata or {}).items()}
    known = {key: stored.get(key, "") for key in ("unit", "category", "definition", "source")}
    return Field(**known, role="feature" if stored.get("role") == "feature" else "descriptor")


def _open_writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    return pq.ParquetWriter(
        path,
        schema,
        version="2.6",
        compression="zstd",
        compression_level=3,
        use_dictionary=True,
        write_statistics=True,
        write_page_checksum=True,
    )


def _open(path: Path) -> pq.ParquetFile:
    return pq.ParquetFile(path, page_checksum_verification=True)


def _require(path: Path, info: TableInfo, names: Sequence[str]) -> None:
    absent = [name for name in names if name not in info.fields]
    if absent:
        raise InputError(f"{path} has no column {absent[0]!r} (it has {', '.join(info.fields)}); {REMEDY}")


class _reading:  # noqa: N801  # reads as a word at its uses: with _reading(path)
    """Turns what Arrow raises on a damaged file into an ``InputError``."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, pa.ArrowException | OSError | ValueError | KeyError) and not isinstance(
            error, InputError
        ):
            reason = str(error).split("\n", maxsplit=1)[0].rstrip(".")
            raise InputError(f"{self.path} is not a whole Parquet table ({reason}); {REMEDY}") from error
