"""Described things of any kind by one interface: events by channels, or rows of a table by features.

A ``cloud.zarr`` holds float32 events; a table (``objects.parquet``, ``atoms.parquet``) holds float64 features. Both are
read by ranges of rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from triptych.errors import InputError
from triptych.stores.cloud import open_cloud
from triptych.stores.table import ROW_GROUP, read_info, read_row_group

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Described:
    """Rows of described things on disk.

    Attributes
    ----------
    path : the store.
    names, units, categories : of the features.
    rows : number of things.
    dtype : of what ``read`` returns.
    """

    path: Path
    names: tuple[str, ...]
    units: tuple[str, ...]
    categories: tuple[str, ...]
    rows: int
    dtype: np.dtype[Any]

    def read(self, start: int, stop: int) -> Array:
        """(stop - start, d) features of a range of rows; missing values are NaN."""
        if self.path.suffix == ".zarr":
            return np.asarray(open_cloud(self.path).events[start:stop])
        found = np.empty((max(0, stop - start), len(self.names)), dtype=np.float64)
        for group in range(start // ROW_GROUP, -(-stop // ROW_GROUP) if stop > start else 0):
            first = group * ROW_GROUP
            columns = read_row_group(self.path, group, self.names) if self.names else {}
            a, b = max(start, first), min(stop, first + ROW_GROUP)
            for j, name in enumerate(self.names):
                found[a - start : b - start, j] = columns[name][a - first : b - first]
        return found


def open_described(path: Path) -> Described:
    """Open a cloud or a table to read its features.

    Raises
    ------
    InputError : the store is missing or damaged, or it is a table without a feature.
    """
    if path.suffix == ".zarr":
        cloud = open_cloud(path)
        names, units = tuple(c.label for c in cloud.channels), tuple(c.unit for c in cloud.channels)
        roles = tuple(c.role for c in cloud.channels)
        return Described(path, names, units, roles, int(cloud.events.shape[0]), np.dtype(np.float32))
    info = read_info(path)
    names = tuple(info.features)
    if not names:
        raise InputError(f"{path} has no feature column; run the step that writes it again")
    fields = [info.fields[name] for name in names]
    units, categories = tuple(f.unit for f in fields), tuple(f.category for f in fields)
    return Described(path, names, units, categories, info.rows, np.dtype(np.float64))


def check_alike(described: dict[str, Described]) -> Described:
    """The first sample, after a check that all samples have the same features in the same order and units.

    Raises
    ------
    InputError : names the sample and the feature that differ.
    """
    first = next(iter(described))
    wanted = dict(zip(described[first].names, described[first].units, strict=True))
    for sample, things in described.items():
        found = dict(zip(things.names, things.units, strict=True))
        for name in [*wanted, *found]:
            if name not in found:
                raise InputError(_differ(sample, f"has no feature {name}, which {first} has"))
            if name not in wanted:
                raise InputError(_differ(sample, f"has feature {name}, which {first} has not"))
            if found[name] != wanted[name]:
                units = f"{found[name] or 'no unit'} in it and in {wanted[name] or 'no unit'} in {first}"
                raise InputError(_differ(sample, f"has feature {name} in {units}"))
        if things.names != described[first].names:
            raise InputError(_differ(sample, f"has its features in another order than {first}"))
    return described[first]


def _differ(sample: str, how: str) -> str:
    return (
        f"sample {sample} {how}; samples of a cohort must have the same features and units: "
        "import them with the same panel and settings, or exclude the sample in the sample sheet"
    )
