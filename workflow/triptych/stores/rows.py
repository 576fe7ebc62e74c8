"""Described things of all samples, one below the other: rows of tables, or centers of measures with their weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from triptych.stores.described import Described, check_alike, open_described
from triptych.stores.measure import open_measure
from triptych.stores.table import Field, Table, read_table

Array = np.ndarray[Any, Any]

IDENTIFIERS = ("id", "atom", "label")


@dataclass(frozen=True)
class Rows:
    """Things of all samples.

    Attributes
    ----------
    features : feature -> (n,) float64; missing values are NaN.
    fields : feature -> unit, category, definition, source.
    samples : (n,) text, the sample of each row.
    ids : (n,) number of each row in its sample.
    weights : (n,) float64, the rows of each sample sum to 1 / N; None for rows of equal weight.
    descriptors : column -> (n,), those that every sample has.
    """

    features: dict[str, Array]
    fields: dict[str, Field]
    samples: Array
    ids: Array
    weights: Array | None
    descriptors: dict[str, Array]

    @property
    def categories(self) -> dict[str, str]:
        """Feature -> category."""
        return {name: field.category for name, field in self.fields.items()}


def read_rows(paths: Mapping[str, Path]) -> Rows:
    """Read the things of every sample, in the order given.

    Parameters
    ----------
    paths : sample -> table (``objects.parquet``, ``atoms.parquet``) or measure (``measure.zarr``), all of one kind.

    Raises
    ------
    InputError : samples differ in their features or units, or a store is damaged.
    """
    return _read_measures(paths) if _first(paths).suffix == ".zarr" else _read_tables(paths)


def _first(paths: Mapping[str, Path]) -> Path:
    return next(iter(paths.values()))


def _read_tables(paths: Mapping[str, Path]) -> Rows:
    things = check_alike({name: open_described(path) for name, path in paths.items()})
    tables = {name: read_table(path) for name, path in paths.items()}
    first = next(iter(tables.values()))
    shared = [n for n, f in first.fields.items() if f.role == "descriptor" and _everywhere(n, tables)]
    return Rows(
        {n: np.concatenate([t.columns[n].astype(np.float64) for t in tables.values()]) for n in things.names},
        {n: first.fields[n] for n in things.names},
        _repeat(list(tables), [len(t) for t in tables.values()]),
        np.concatenate([_ids(table) for table in tables.values()]),
        None,
        {n: np.concatenate([t.columns[n] for t in tables.values()]) for n in shared},
    )


def _everywhere(name: str, tables: Mapping[str, Table]) -> bool:
    return all(name in t.columns and t.fields[name].role == "descriptor" for t in tables.values())


def _ids(table: Table) -> Array:
    for name in IDENTIFIERS:
        if name in table.columns:
            return table.columns[name]
    return np.arange(len(table))


def _read_measures(paths: Mapping[str, Path]) -> Rows:
    """Centers of the cells that hold anything, in the units of the features."""
    measures = {name: open_measure(path) for name, path in paths.items()}
    marker, float64 = "marker", np.dtype(np.float64)
    things = check_alike(
        {
            name: Described(
                paths[name], m.features, m.units, (marker,) * len(m.features), len(m.weights), float64
            )
            for name, m in measures.items()
        }
    )
    centers, weights, ids = [], [], []
    for m in measures.values():
        some = m.weights > 0
        scale = np.array(m.scaling["scale"]) if m.scaling else 1.0
        center = np.array(m.scaling["center"]) if m.scaling else 0.0
        centers.append(m.centers[some] * scale + center)
        weights.append(m.weights[some] / m.weights[some].sum() / len(measures))
        ids.append(np.flatnonzero(some))
    matrix = np.concatenate(centers)
    return Rows(
        {name: matrix[:, j] for j, name in enumerate(things.names)},
        {n: Field(unit, marker) for n, unit in zip(things.names, things.units, strict=True)},
        _repeat(list(measures), [len(w) for w in weights]),
        np.concatenate(ids),
        np.concatenate(weights),
        {},
    )


def _repeat(names: list[str], times: list[int]) -> Array:
    return np.repeat(np.array(names, dtype=np.str_), times)
