"""The described things of one sample as rows of features, read by chunks: a cloud, or the feature columns of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from triptych.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from triptych.engine.step import Source


LEAST_SHARED = 0.5
"""Share of the markers of the median sample that all samples of a cohort must have."""


@dataclass(frozen=True)
class Rows:
    """The rows of a sample, read by chunks, scaled where a scaling is given, without those that masks leave out.

    ``kept`` are the columns in use, ``center`` and ``scale`` (d,) belong to them; ``clip`` is None without a scaling.
    ``omitted`` are the bits of the quality masks whose events are left out.
    """

    path: Path
    n_rows: int
    chunk: int
    features: tuple[str, ...]
    units: tuple[str, ...]
    kept: tuple[int, ...]
    content: str
    center: NDArray[np.float64] | None = None
    scale: NDArray[np.float64] | None = None
    clip: float | None = None
    omitted: int = 0

    @property
    def n_chunks(self) -> int:
        """Number of chunks."""
        return -(-self.n_rows // self.chunk)

    def stretch(self, index: int) -> tuple[int, int]:
        """First row of a chunk as stored, and the one after its last."""
        return index * self.chunk, min((index + 1) * self.chunk, self.n_rows)

    def numbers(self, index: int) -> NDArray[np.int64]:
        """Numbers of the rows of a chunk that take part."""
        import numpy as np

        start, stop = self.stretch(index)
        rows = np.arange(start, stop, dtype=np.int64)
        if not self.omitted:
            return rows
        from triptych.stores.cloud import open_cloud

        quality = open_cloud(self.path).quality
        assert quality is not None
        return rows[(np.asarray(quality[start:stop]) & np.uint8(self.omitted)) == 0]

    def read(self, index: int) -> NDArray[np.floating[Any]]:
        """The rows of a chunk that take part; with a scaling, missing values stand at the cohort's median."""
        import numpy as np

        start, _ = self.stretch(index)
        values = self._stored(index)
        if self.kept != tuple(range(values.shape[1])):
            values = values[:, list(self.kept)]
        if self.omitted:
            values = values[self.numbers(index) - start]
        if self.center is not None and self.scale is not None and self.clip is not None:
            values = (values - self.center) / self.scale
            return np.clip(
                np.nan_to_num(values, nan=0.0, posinf=self.clip, neginf=-self.clip), -self.clip, self.clip
            )
        if not np.isfinite(values).all():
            row, j = (int(i) for i in np.argwhere(~np.isfinite(values))[0])
            raise InputError(
                f"{self.path} has no finite {self.features[j]} in row {self.numbers(index)[row] + 1}; "
                "add the kind to quantize_cloud.scaled_kinds, which puts missing values at the cohort's median"
            )
        return values

    def keys(self) -> tuple[str, ...]:
        """By which the features are matched with those of other samples."""
        from triptych.stores.described import open_described

        keys = open_described(self.path).keys
        return tuple(keys[j] for j in self.kept)

    def populations(self) -> tuple[str, ...]:
        """Names of the populations; empty where the rows carry no labels."""
        if self.path.suffix == ".parquet":
            return ()
        from triptych.stores.cloud import open_cloud

        return open_cloud(self.path).populations

    def codes(self, index: int) -> NDArray[np.int64]:
        """Population of every row of a chunk that takes part."""
        import numpy as np

        from triptych.stores.cloud import open_cloud

        start, stop = self.stretch(index)
        stored = open_cloud(self.path).population
        assert stored is not None
        return np.asarray(stored[start:stop], dtype=np.int64)[self.numbers(index) - start]

    def _stored(self, index: int) -> NDArray[np.floating[Any]]:
        import numpy as np

        if self.path.suffix == ".parquet":
            from triptych.stores.table import read_row_group

            columns = read_row_group(self.path, index)
            return np.stack([np.asarray(columns[name], np.float64) for name in self._all()], axis=1)
        from triptych.stores.cloud import open_cloud

        start, stop = self.stretch(index)
        return np.asarray(open_cloud(self.path).events[start:stop])

    def _all(self) -> list[str]:
        from triptych.stores.table import read_info

        return read_info(self.path).features


def open_rows(source: Source, scaling: Path | None, clip: float, leave_out: Sequence[str]) -> Rows:
    """The rows of a sample.

    Parameters
    ----------
    source : ``cloud.zarr``, ``objects.parquet`` or ``atoms.parquet``.
    scaling : ``scaling.parquet`` of the cohort; None for features as they are.
    clip : scaled features end here.
    leave_out : masks of a cloud whose events take no part; those that the cloud does not have are passed over.

    Raises
    ------
    InputError : the source describes nothing, or does not fit the scaling.
    """
    omitted = 0
    if source.path.suffix == ".parquet":
        from triptych.stores.table import ROW_GROUP, read_info

        info = read_info(source.path)
        names = tuple(info.features)
        units = tuple(info.fields[name].unit for name in names)
        n_rows, chunk, content = info.rows, ROW_GROUP, source.digest
    else:
        from triptych.stores.cloud import open_cloud

        cloud = open_cloud(source.path)
        names = tuple(channel.label for channel in cloud.channels)
        units = tuple(channel.unit for channel in cloud.channels)
        n_rows, chunk, content = int(cloud.events.shape[0]), cloud.chunk_events, cloud.content
        omitted = sum(2**bit for bit, mask in enumerate(cloud.masks) if mask.name in leave_out)
    if n_rows < 1 or not names:
        raise InputError(
            f"{source.path} describes {n_rows} things by {len(names)} features; leave the sample out"
        )
    everything = tuple(range(len(names)))
    rows = Rows(source.path, n_rows, chunk, names, units, everything, content, omitted=omitted)
    return rows if scaling is None else _scaled(scaling, rows, clip)


def match_rows(samples: Mapping[str, Rows]) -> tuple[dict[str, Rows], list[str]]:
    """Rows of every sample with the features that all of them have, in one order; and what was not matched, in words.

    Samples with the same features in the same order stay as they are. Markers of clouds are matched however they are
    spelt, whatever their detector and place; tables must agree.

    Raises
    ------
    InputError : samples share too few features, or one is in different units, or tables differ.
    """
    from triptych.stores.described import check_alike, match_features, open_described

    first = next(iter(samples.values()))
    if all((r.features, r.units) == (first.features, first.units) for r in samples.values()):
        return dict(samples), []
    described = {name: open_described(rows.path) for name, rows in samples.items()}
    if first.path.suffix != ".zarr":
        check_alike(described)
    matched = match_features(described, LEAST_SHARED)
    names = tuple(matched.features.values())
    found = {}
    for name, things in matched.samples.items():
        rows = samples[name]
        columns = things.columns or ()
        scaled = rows.center is not None and rows.scale is not None
        order = [rows.kept.index(j) for j in columns] if scaled else []
        found[name] = replace(
            rows,
            features=names,
            units=things.units,
            kept=columns,
            center=rows.center[order] if scaled and rows.center is not None else None,
            scale=rows.scale[order] if scaled and rows.scale is not None else None,
        )
    return found, lacking_notes(matched.lacking)


def lacking_notes(lacking: Mapping[str, Sequence[str]]) -> list[str]:
    """What to say of markers that not all samples have."""
    if not lacking:
        return []
    listed = "; ".join(f"{name} has no {', '.join(labels)}" for name, labels in lacking.items())
    return [f"markers that not all samples have take no part: {listed}"]


def mask_counts(rows: Rows) -> dict[str, int]:
    """Events of every mask that is left out, by name."""
    if not rows.omitted:
        return {}
    from triptych.stores.cloud import open_cloud

    masks = enumerate(open_cloud(rows.path).masks)
    return {mask.name: mask.events for bit, mask in masks if rows.omitted & (1 << bit)}


def _scaled(path: Path, rows: Rows, clip: float) -> Rows:
    """Keep the features that vary over the cohort, with their center and scale."""
    import numpy as np

    from triptych.stores.table import read_table

    table = read_table(path, ["feature", "unit", "center", "scale"]).columns
    place = {str(name): i for i, name in enumerate(table["feature"])}
    kept = []
    for j, (name, unit) in enumerate(zip(rows.features, rows.units, strict=True)):
        if name not in place:
            raise InputError(
                f"{path} has no scaling of feature {name} of {rows.path}; run scale_features again"
            )
        if str(table["unit"][place[name]]) != unit:
            raise InputError(
                f"{path} scales {name} in {table['unit'][place[name]]} but {rows.path} has it in {unit}; "
                "run scale_features again"
            )
        scale = float(table["scale"][place[name]])
        if np.isfinite(scale) and scale > 0:
            kept.append(j)
    if not kept:
        raise InputError(
            f"{path} has no feature that varies over the cohort; check the features of {rows.path}"
        )
    order = [place[rows.features[j]] for j in kept]
    return replace(
        rows,
        features=tuple(rows.features[j] for j in kept),
        units=tuple(rows.units[j] for j in kept),
        kept=tuple(kept),
        center=np.asarray(table["center"], np.float64)[order],
        scale=np.asarray(table["scale"], np.float64)[order],
        clip=clip,
    )
