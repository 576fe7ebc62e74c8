"""Described things of any kind by one interface: events by channels, or rows of a table by features.

A ``cloud.zarr`` holds float32 events; a table (``objects.parquet``, ``atoms.parquet``) holds float64 features. Both are
read by ranges of rows. Features of tables are the same in every sample; channels of clouds are matched by their markers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from triptych.errors import InputError
from triptych.stores.cloud import open_cloud
from triptych.stores.labels import matching_keys, natural_order
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
    keys : by which features of samples are matched: the marker for clouds, the name for tables.
    columns : places of the features among the stored channels of a cloud; None for all, in order.
    content : digest of the events of a cloud; empty for tables.
    """

    path: Path
    names: tuple[str, ...]
    units: tuple[str, ...]
    categories: tuple[str, ...]
    rows: int
    dtype: np.dtype[Any]
    keys: tuple[str, ...] = ()
    columns: tuple[int, ...] | None = None
    content: str = ""

    def select(self, columns: tuple[int, ...]) -> Described:
        """The same rows with some of the features of a cloud, in another order."""
        texts = (tuple(of[j] for j in columns) for of in (self.names, self.units, self.categories, self.keys))
        names, units, categories, keys = texts
        return replace(self, names=names, units=units, categories=categories, keys=keys, columns=columns)

    def read(self, start: int, stop: int) -> Array:
        """(stop - start, d) features of a range of rows; missing values are NaN."""
        if self.path.suffix == ".zarr":
            events = np.asarray(open_cloud(self.path).events[start:stop])
            return events if self.columns is None else events[:, list(self.columns)]
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
        keys = matching_keys(names, [c.name for c in cloud.channels])
        rows = int(cloud.events.shape[0])
        return Described(path, names, units, roles, rows, np.dtype(np.float32), keys, content=cloud.content)
    info = read_info(path)
    names = tuple(info.features)
    if not names:
        raise InputError(f"{path} has no feature column; run the step that writes it again")
    fields = [info.fields[name] for name in names]
    units, categories = tuple(f.unit for f in fields), tuple(f.category for f in fields)
    return Described(path, names, units, categories, info.rows, np.dtype(np.float64), names)


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


@dataclass(frozen=True)
class Matched:
    """The features that all samples of a cohort share, matched by key.

    Attributes
    ----------
    features : by key, in natural order of the keys: the spelling that most samples use, the first of them where several do.
    samples : each with these features in this order.
    lacking : sample -> labels of features that other samples have and it has not.
    """

    features: Mapping[str, str]
    samples: Mapping[str, Described]
    lacking: Mapping[str, tuple[str, ...]]


def match_features(described: Mapping[str, Described], least_shared: float) -> Matched:
    """Match the channels of clouds by their markers, whatever their spelling, detector, order and company.

    Parameters
    ----------
    described : sample -> all its features.
    least_shared : share of the markers of the median sample that all samples must have.

    Raises
    ------
    InputError : a marker is in different units, or fewer than two or a too small share of markers are everywhere.
    """
    labels: dict[str, Counter[str]] = {}
    for things in described.values():
        for key, name in zip(things.keys, things.names, strict=True):
            labels.setdefault(key, Counter())[name] += 1
    spelling = {key: names.most_common(1)[0][0] for key, names in labels.items()}
    order = sorted(labels, key=natural_order)
    shared = [key for key in order if all(key in things.keys for things in described.values())]
    lacking = {
        sample: tuple(spelling[key] for key in order if key not in things.keys)
        for sample, things in described.items()
    }
    lacking = {sample: names for sample, names in lacking.items() if names}
    usual = float(np.median([len(things.keys) for things in described.values()]))
    if len(shared) < min(2, usual) or len(shared) < least_shared * usual:
        listed = "; ".join(f"{sample} has no {', '.join(names)}" for sample, names in lacking.items())
        raise InputError(
            f"samples of the cohort share {len(shared)} markers ({', '.join(spelling[k] for k in shared) or 'none'}) "
            f"of about {usual:g}: {listed[:600]}; name markers alike in panel files, exclude samples in the sample "
            "sheet, or leave out the samples of another panel"
        )
    _check_units(described, {key: spelling[key] for key in shared})
    samples = {
        sample: things.select(tuple(things.keys.index(key) for key in shared))
        for sample, things in described.items()
    }
    return Matched({key: spelling[key] for key in shared}, samples, lacking)


def _check_units(described: Mapping[str, Described], features: Mapping[str, str]) -> None:
    for key, name in features.items():
        units = {sample: things.units[things.keys.index(key)] for sample, things in described.items()}
        first = next(iter(units))
        for sample, unit in units.items():
            if unit != units[first]:
                raise InputError(
                    f"sample {sample} has {name} in {unit} but {first} has it in {units[first]}: set "
                    "import_cloud.transform and its parameters to one scale for all samples and import them again, "
                    "or exclude the sample in the sample sheet"
                )


def _differ(sample: str, how: str) -> str:
    return (
        f"sample {sample} {how}; samples of a cohort must have the same features and units: "
        "import them with the same panel and settings, or exclude the sample in the sample sheet"
    )
