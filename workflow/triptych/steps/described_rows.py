"""The described things of one sample as rows of features, read by chunks: a cloud, or the feature columns of a table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from triptych.engine.step import Context
from triptych.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Rows:
    """The rows of a sample, read by chunks in float64, scaled where a scaling is given.

    ``kept`` are the columns in use, ``center`` and ``scale`` (d,) belong to them; ``clip`` is None without a scaling.
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

    @property
    def n_chunks(self) -> int:
        """Number of chunks."""
        return -(-self.n_rows // self.chunk)

    def stretch(self, index: int) -> tuple[int, int]:
        """First row of a chunk, and the one after its last."""
        return index * self.chunk, min((index + 1) * self.chunk, self.n_rows)

    def read(self, index: int) -> NDArray[np.float64]:
        """One chunk of rows; with a scaling, missing values stand at the cohort's median."""
        import numpy as np

        values = self._stored(index)[:, list(self.kept)]
        if self.center is not None and self.scale is not None and self.clip is not None:
            values = (values - self.center) / self.scale
            return np.clip(
                np.nan_to_num(values, nan=0.0, posinf=self.clip, neginf=-self.clip), -self.clip, self.clip
            )
        if not np.isfinite(values).all():
            row, j = (int(i) for i in np.argwhere(~np.isfinite(values))[0])
            raise InputError(
                f"{self.path} has no finite {self.features[j]} in row {self.stretch(index)[0] + row + 1}; "
                "add the kind to quantize_cloud.scaled_kinds, which puts missing values at the cohort's median"
            )
        return values

    def _stored(self, index: int) -> NDArray[np.float64]:
        import numpy as np

        if self.path.suffix == ".parquet":
            from triptych.stores.table import read_row_group

            columns = read_row_group(self.path, index)
            return np.stack([np.asarray(columns[name], np.float64) for name in self._all()], axis=1)
        from triptych.stores.cloud import open_cloud

        start, stop = self.stretch(index)
        return np.asarray(open_cloud(self.path).events[start:stop], dtype=np.float64)

    def _all(self) -> list[str]:
        from triptych.stores.table import read_info

        return read_info(self.path).features


def open_rows(context: Context) -> Rows:
    """The rows of the sample with the scaling of the cohort, where one is given."""
    source = context.inputs["cloud"]
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
    if n_rows < 1 or not names:
        raise InputError(
            f"{source.path} describes {n_rows} things by {len(names)} features; leave the sample out"
        )
    if "scaling" not in context.inputs:
        return Rows(source.path, n_rows, chunk, names, units, tuple(range(len(names))), content)
    return _scaled(context, Rows(source.path, n_rows, chunk, names, units, (), content))


def _scaled(context: Context, rows: Rows) -> Rows:
    """Keep the features that vary over the cohort, with their center and scale."""
    import numpy as np

    from triptych.stores.table import read_table

    path = context.source("scaling")
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
    return Rows(
        rows.path,
        rows.n_rows,
        rows.chunk,
        tuple(rows.features[j] for j in kept),
        tuple(rows.units[j] for j in kept),
        tuple(kept),
        rows.content,
        np.asarray(table["center"], np.float64)[order],
        np.asarray(table["scale"], np.float64)[order],
        context.settings.clip,
    )


def populations_of(rows: Rows) -> tuple[str, ...]:
    """Names of the populations; empty where the rows carry no labels."""
    if rows.path.suffix == ".parquet":
        return ()
    from triptych.stores.cloud import open_cloud

    return open_cloud(rows.path).populations


def population_codes(rows: Rows, index: int) -> NDArray[np.int64]:
    """Population of every row of a chunk."""
    import numpy as np

    from triptych.stores.cloud import open_cloud

    start, stop = rows.stretch(index)
    stored = open_cloud(rows.path).population
    assert stored is not None
    return np.asarray(stored[start:stop], dtype=np.int64)
