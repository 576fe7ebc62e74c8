"""Center and scale of every feature over the cohort: median and interquartile range, every sample weighing the same.

Reads the described things of every sample (``objects.parquet``, ``cloud.zarr`` or ``atoms.parquet``) in ranges of rows, two
or four times; each pass narrows the exact quantiles by 16 bits and is kept as a checkpoint. Writes ``scaling.parquet``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from triptych.engine.step import Context, Input, Iterate, Reduce, Settings, Step, load_state

if TYPE_CHECKING:
    from collections.abc import Iterator

    from triptych.analysis.scaling import Counts, Search
    from triptych.engine.step import State
    from triptych.stores.described import Described

OUTPUT = "scaling.parquet"
MOST_PASSES = 4

TABLES = Input(
    name="tables",
    help="described things of every sample: objects.parquet, cloud.zarr or atoms.parquet",
    stores={"volume": "objects.parquet", "cloud": "cloud.zarr", "signal": "atoms.parquet"},
    producers={"volume": "measure_objects", "cloud": "import_cloud", "signal": "describe_atoms"},
    many=True,
)


class ScaleFeaturesSettings(Settings):
    """Settings of scale_features."""

    rows_per_part: int = Field(
        262_144, ge=1024, le=4_194_304, description="Rows of one sample that a worker reads at once."
    )


def _open(context: Context) -> dict[str, Described]:
    from triptych.stores.described import open_described

    return {name: open_described(source.path) for name, source in context.collections["tables"].items()}


def _search(state: State) -> Search:
    from triptych.analysis.scaling import Search

    return Search(int(state["passed"]), state["prefix"], state["below"])


def _state(search: Search) -> State:
    import numpy as np

    return {"passed": np.array(search.passed), "prefix": search.prefix, "below": search.below}


def start(context: Context) -> State:
    """Check that the samples have the same features, and begin with nothing known."""
    from triptych.analysis import scaling
    from triptych.stores.described import check_alike

    return _state(scaling.start(len(check_alike(_open(context)).names)))


def count_part(part: tuple[Path, int, int, Search]) -> Counts:
    """Counts of one range of rows of one sample."""
    from triptych.analysis import scaling
    from triptych.stores.described import open_described

    path, first, last, search = part
    return scaling.partial(open_described(path).read(first, last), search)


def _parts(things: Described, rows: int, search: Search) -> Iterator[tuple[Path, int, int, Search]]:
    for first in range(0, things.rows, rows):
        yield things.path, first, min(first + rows, things.rows), search


def advance(context: Context, state: State) -> State:
    """One pass over every row of every sample, parts in order."""
    from dataclasses import asdict

    from triptych.analysis import scaling

    search, samples = _search(state), _open(context)
    dtype = next(iter(samples.values())).dtype
    found = scaling.Pass(search)
    parts = {name: list(_parts(s, context.settings.rows_per_part, search)) for name, s in samples.items()}
    counts = context.map(count_part, [part for of_sample in parts.values() for part in of_sample])
    for of_sample in parts.values():
        whole: Counts | None = None
        for _ in of_sample:
            piece = next(counts)
            whole = piece if whole is None else scaling.merge(whole, piece)
        if whole is not None:
            found.add(whole)
    narrowed = _state(found.narrow())
    if int(narrowed["passed"]) == scaling.passes(dtype):
        narrowed |= {f"result_{name}": values for name, values in asdict(found.finish(dtype)).items()}
    return narrowed


def finished(context: Context, state: State) -> bool:
    """Whether the quantiles are exact."""
    return "result_center" in state


def write(context: Context) -> None:
    """Write ``scaling.parquet`` from the last pass."""
    import numpy as np

    from triptych.analysis.scaling import GAUSSIAN_IQR
    from triptych.stores.described import check_alike
    from triptych.stores.table import Field as Column
    from triptych.stores.table import write_table

    scaling = _result(context)
    things = check_alike(_open(context))
    source = f"IQR / {GAUSSIAN_IQR:.4f}"
    columns = {
        "feature": (np.array(things.names, dtype=object), "name of the feature", ""),
        "unit": (
            np.array(things.units, dtype=object),
            "unit of the feature and of the numbers of its row",
            "",
        ),
        "category": (np.array(things.categories, dtype=object), "category of the feature", ""),
        "center": (scaling.center, "median over the cohort, every sample weighing the same", ""),
        "scale": (scaling.scale, "robust standard deviation over the cohort", source),
        "q25": (scaling.lower, "first quartile", ""),
        "q75": (scaling.upper, "third quartile", ""),
        "minimum": (scaling.minimum, "smallest finite value", ""),
        "maximum": (scaling.maximum, "greatest finite value", ""),
        "n": (scaling.n, "finite values over all samples", ""),
        "n_nonfinite": (scaling.n_nonfinite, "missing or infinite values", ""),
        "n_samples": (scaling.n_samples, "samples with a finite value", ""),
        "constant": (scaling.constant, "the feature has no two different values", ""),
        "included": (scaling.included, "the feature can be scaled: its scale is above 0", ""),
    }
    fields = {name: Column("", "", text, ref, role="descriptor") for name, (_, text, ref) in columns.items()}
    attributes = {"kind": context.kind, "samples": sorted(context.collections["tables"])}
    write_table(context.path(OUTPUT), {name: entry[0] for name, entry in columns.items()}, fields, attributes)


def _result(context: Context) -> Any:
    from triptych.analysis.scaling import Scaling

    state = load_state(context, "passes")
    prefix = "result_"
    return Scaling(**{name.removeprefix(prefix): v for name, v in state.items() if name.startswith(prefix)})


def summary(context: Context) -> dict[str, Any]:
    """Counts, and the features that cannot be scaled."""
    from triptych.stores.table import read_table

    table = read_table(context.path(OUTPUT)).columns
    notes = []
    for name, constant, n in zip(table["feature"], table["constant"], table["n"], strict=True):
        included = bool(table["included"][table["feature"] == name][0])
        reason = "it has no finite value" if n == 0 else "it is constant"
        if not included:
            reason = reason if constant else "its interquartile range over the cohort is 0"
            notes.append(f"{name} is left out: {reason}.")
    counts = {
        "samples": len(context.collections["tables"]),
        "features": len(table["feature"]),
        "features_included": int(table["included"].sum()),
        "values": int(table["n"].sum()),
        "nonfinite": int(table["n_nonfinite"].sum()),
    }
    return {"counts": counts, "scores": {}, "notes": notes}


STEP = Step(
    name="scale_features",
    version=1,
    scope="cohort",
    kinds=("volume", "cloud", "signal"),
    help="Median and interquartile range of every feature over the cohort.",
    settings=ScaleFeaturesSettings,
    inputs=(TABLES,),
    outputs=(OUTPUT,),
    phases=(
        Iterate("passes", start, advance, finished, limit=lambda context: MOST_PASSES),
        Reduce("write", owns=lambda context: (OUTPUT,), work=write),
    ),
    summary=summary,
)
