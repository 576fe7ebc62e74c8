"""Center and scale of every feature over the cohort: median and interquartile range, every sample weighing the same.

Reads the described things of every sample (``objects.parquet``, ``cloud.zarr`` or ``atoms.parquet``) in ranges of rows, two
or four times; each pass narrows the exact quantiles by 16 bits and is kept as a checkpoint. Writes ``scaling.parquet``. Channels
of clouds are matched by their markers; ``matching.parquet`` says which channel of which sample became which feature.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from triptych.engine.step import Context, Input, Iterate, Reduce, Settings, Step, load_state

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from triptych.analysis.scaling import Counts, Search
    from triptych.engine.step import State
    from triptych.stores.described import Described

OUTPUT = "scaling.parquet"
MATCHING = "matching.parquet"
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
    least_shared: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Clouds: share of the markers of the median sample that all samples must have; other markers are "
        "left out and listed.",
    )


def _open(context: Context) -> dict[str, Described]:
    """Every sample with the same features in the same order."""
    from triptych.stores.described import check_alike, match_features

    samples = _open_all(context)
    if _is_cloud(samples):
        return dict(match_features(samples, context.settings.least_shared).samples)
    check_alike(samples)
    return samples


def _open_all(context: Context) -> dict[str, Described]:
    from triptych.stores.described import open_described

    return {name: open_described(source.path) for name, source in context.collections["tables"].items()}


def _is_cloud(samples: dict[str, Described]) -> bool:
    return all(things.path.suffix == ".zarr" for things in samples.values())


def _search(state: State) -> Search:
    from triptych.analysis.scaling import Search

    return Search(int(state["passed"]), state["prefix"], state["below"])


def _state(search: Search) -> State:
    import numpy as np

    return {"passed": np.array(search.passed), "prefix": search.prefix, "below": search.below}


def start(context: Context) -> State:
    """Check that the samples have the same features, and begin with nothing known."""
    from triptych.analysis import scaling

    return _state(scaling.start(len(next(iter(_open(context).values())).names)))


def count_part(part: tuple[Described, int, int, Search]) -> Counts:
    """Counts of one range of rows of one sample."""
    from triptych.analysis import scaling

    things, first, last, search = part
    return scaling.partial(things.read(first, last), search)


def _parts(things: Described, rows: int, search: Search) -> Iterator[tuple[Described, int, int, Search]]:
    for first in range(0, things.rows, rows):
        yield things, first, min(first + rows, things.rows), search


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
    from triptych.stores.described import match_features
    from triptych.stores.table import Field as Column
    from triptych.stores.table import write_table

    scaling = _result(context)
    samples = _open_all(context)
    things = next(iter(_open(context).values()))
    features = things.names
    if _is_cloud(samples):
        matched = match_features(samples, context.settings.least_shared)
        features = tuple(matched.features.values())
        _write_matching(context, samples, matched.features)
    source = f"IQR / {GAUSSIAN_IQR:.4f}"
    columns = {
        "feature": (np.array(features, dtype=object), "name of the feature", ""),
        "key": (
            np.array(things.keys, dtype=object),
            "by which the channels of samples are matched: the marker for clouds, the name for tables",
            "",
        ),
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


def _write_matching(context: Context, samples: dict[str, Described], features: Mapping[str, str]) -> None:
    """Write ``matching.parquet``: a row per channel of each sample, then one per marker that a sample lacks."""
    import numpy as np

    from triptych.stores.labels import natural_order
    from triptych.stores.table import Field as Column
    from triptych.stores.table import write_table

    units = {
        key: unit for things in samples.values() for key, unit in zip(things.keys, things.units, strict=True)
    }
    rows = []
    for sample, things in samples.items():
        for key, label, unit in zip(things.keys, things.names, things.units, strict=True):
            rows.append((sample, key, label, unit, features.get(key, ""), True))
        for key in sorted(set(units) - set(things.keys), key=natural_order):
            rows.append((sample, key, "", units[key], "", False))
    texts = {
        "sample": "name of the sample",
        "key": "what the label says about the marker, without dye, isotope and spelling",
        "label": "the channel's label in this sample; empty where the sample has none of this key",
        "unit": "unit of the channel",
        "feature": "the feature it became; empty where not all samples have it",
    }
    columns = {name: np.array([row[i] for row in rows], dtype=object) for i, name in enumerate(texts)}
    columns["present"] = np.array([row[5] for row in rows], dtype=bool)
    fields = {name: Column("", "", text, "", role="descriptor") for name, text in texts.items()}
    fields["present"] = Column("", "", "the sample has a channel of this key", "", role="descriptor")
    write_table(context.path(MATCHING), columns, fields, {"kind": "cloud", "samples": sorted(samples)})


def _owned(context: Context) -> tuple[str, ...]:
    return (OUTPUT, MATCHING) if _is_cloud(_open_all(context)) else (OUTPUT,)


def _result(context: Context) -> Any:
    from triptych.analysis.scaling import Scaling

    state = load_state(context, "passes")
    prefix = "result_"
    return Scaling(**{name.removeprefix(prefix): v for name, v in state.items() if name.startswith(prefix)})


def summary(context: Context) -> dict[str, Any]:
    """Counts, and the features that cannot be scaled."""
    from triptych.stores.table import read_table

    table = read_table(context.path(OUTPUT)).columns
    notes = _notes_of_samples(context)
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


def _notes_of_samples(context: Context) -> list[str]:
    """Clouds: samples that hold the same events, and markers that some samples lack."""
    from triptych.stores.described import match_features

    samples = _open_all(context)
    if not _is_cloud(samples):
        return []
    groups: dict[str, list[str]] = {}
    for name, things in samples.items():
        if things.content:
            groups.setdefault(things.content, []).append(name)
    notes = [
        f"samples {', '.join(group)} hold the same events" for group in groups.values() if len(group) > 1
    ]
    matched = match_features(samples, context.settings.least_shared)
    if matched.lacking:
        listed = "; ".join(f"{name} has no {', '.join(labels)}" for name, labels in matched.lacking.items())
        notes.append(f"markers that not all samples have were left out ({MATCHING} lists them): {listed}")
    return notes


STEP = Step(
    name="scale_features",
    version=2,
    scope="cohort",
    kinds=("volume", "cloud", "signal"),
    help="Median and interquartile range of every feature over the cohort.",
    settings=ScaleFeaturesSettings,
    inputs=(TABLES,),
    outputs=(OUTPUT, MATCHING),
    phases=(
        Iterate("passes", start, advance, finished, limit=lambda context: MOST_PASSES),
        Reduce("write", owns=_owned, work=write),
    ),
    summary=summary,
)
