"""What compare_samples writes of samples and pairs as tables: the numbers of its AnnData, each with its meaning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from triptych.steps.comparison_embedding import DESCRIPTIONS

if TYPE_CHECKING:
    import numpy as np
    from anndata import AnnData
    from numpy.typing import NDArray

    from triptych.stores.table import Field

    Array = NDArray[np.float64]

NAMED_PAIRS = 5
BOUNDS = "arXiv 2012.10370 (upper); Gelbrich 1990 and the triangle inequality (lower)"
LOT = "Wang et al., IJCV 101 (2013)"
CLR = "Aitchison 1986; zeros by Martin-Fernandez et al., Math. Geol. 35 (2003)"


def above_floor(w2: Array, floors: Array) -> Array:
    """W2 of pairs in units of the greater noise floor of the two; NaN where one is not known."""
    import numpy as np

    floor = np.maximum(floors[:, None], floors[None])
    return np.asarray(np.where(floor > 0, w2 / np.where(floor > 0, floor, 1.0), np.nan))


def floor_notes(names: Sequence[str], w2: Array, floors: Array) -> list[str]:
    """Pairs whose distance is no more than that of two random halves of one sample."""
    import numpy as np

    first, second = np.triu_indices(len(names), k=1)
    ratio = above_floor(w2, floors)[first, second]
    below = [
        f"{names[int(i)]} and {names[int(j)]}" for i, j, r in zip(first, second, ratio, strict=True) if r < 1
    ]
    if not below:
        return []
    more = f", and {len(below) - NAMED_PAIRS} more pairs" if len(below) > NAMED_PAIRS else ""
    return [
        f"not told apart from random halves of one sample: {'; '.join(below[:NAMED_PAIRS])}{more} "
        "(w2 below their noise floor)"
    ]


def write_distances(path: Path, annotated: AnnData) -> None:
    """All pairs a < b."""
    import numpy as np

    from triptych.stores.table import Field as Column
    from triptych.stores.table import write_table

    names = np.array([str(name) for name in annotated.obs_names], dtype=np.str_)
    first, second = np.triu_indices(len(names), k=1)
    nothing = np.full((len(names), len(names)), np.nan)
    matrices = {key: np.asarray(annotated.obsp.get(key, nothing)) for key in ("w2", "lower", "upper")}
    matrices |= {key: np.asarray(annotated.obsp.get(key, nothing)) for key in ("lot", "tree", "aitchison")}
    matrices["above_floor"] = above_floor(matrices["w2"], np.asarray(annotated.obs["noise_floor"]))
    unit = "feature units"
    write_table(
        path,
        {
            "sample_a": names[first],
            "sample_b": names[second],
            **{key: matrix[first, second] for key, matrix in matrices.items()},
        },
        {
            "sample_a": Column(role="descriptor", definition="First sample of the pair, in order of names."),
            "sample_b": Column(role="descriptor", definition="Second sample of the pair."),
            "w2": Column(unit, "distance", "Exact W2 between the two measures.", "POT, network simplex"),
            "lower": Column(unit, "distance", "Lower bound of W2 between the two clouds.", BOUNDS),
            "upper": Column(unit, "distance", "Upper bound of W2 between the two clouds.", BOUNDS),
            "lot": Column(
                unit,
                "distance",
                "Distance of linearised transport, all axes; no less than W2 of the projections.",
                LOT,
            ),
            "tree": Column(
                unit,
                "distance",
                "W1 along a spanning tree of the common centers; NaN without them.",
                "arXiv 2601.08396",
            ),
            "aitchison": Column(
                "1",
                "distance",
                "Distance of centred log-ratios of weights on common centers; NaN without them.",
                CLR,
            ),
            "above_floor": Column(
                "1",
                "distance",
                "w2 over the greater noise floor of the two samples; below 1 the pair is not told apart from random "
                "halves of one sample. NaN where a floor is not known.",
            ),
        },
    )


def write_samples(path: Path, annotated: AnnData) -> None:
    """One row per sample: what it is, how well it is represented, where it lies, and its nearest other sample."""
    import numpy as np

    from triptych.stores.table import Field as Column
    from triptych.stores.table import write_table

    obs, names = annotated.obs, [str(name) for name in annotated.obs_names]
    unit = "feature units"
    about = {
        "events": ("1", "size", "Events that the measure stands for."),
        "centers": ("1", "size", "Centers of the measure."),
        "epsilon": (unit, "error", "Upper bound of W2 between the events and their measure."),
        "noise_floor": (
            unit,
            "error",
            "W2 between measures of two random halves of the sample; NaN where not known.",
        ),
        "projection_defect": (
            f"({unit})^2",
            "error",
            "Mean squared distance between the optimal plan from the reference and its barycentric projection.",
        ),
        "lot_residual": (
            unit,
            "error",
            "Distance of the sample from the plane of the axes of linearised transport.",
        ),
        "zero_weights": (
            "1",
            "size",
            "Common centers without an event of the sample; their weight is replaced.",
        ),
    }
    columns: dict[str, Any] = {"sample": np.array(names, dtype=np.str_)}
    fields: dict[str, Field] = {"sample": Column(role="descriptor", definition="Name of the sample.")}
    for key in DESCRIPTIONS:
        columns[key] = np.array(
            [str(v) for v in obs[key]] if key in obs else [""] * len(names), dtype=np.str_
        )
        fields[key] = Column(
            role="descriptor", definition=f"The {key}, as the sample sheet says; empty where it does not."
        )
    for key, meaning in about.items():
        if key in obs:
            columns[key], fields[key] = np.asarray(obs[key]), Column(*meaning)
    for key, place, source in (("lot", unit, LOT), ("clr", "1", CLR)):
        for axis, values in enumerate(
            np.asarray(annotated.obsm[f"X_{key}"]).T if f"X_{key}" in annotated.obsm else (), 1
        ):
            columns[f"{key}_{axis}"] = np.ascontiguousarray(values)
            fields[f"{key}_{axis}"] = Column(place, "coordinate", f"Coordinate on axis {axis}.", source)
    nearest, away = _nearest(np.asarray(annotated.obsp["w2"]), names)
    columns |= {"nearest": np.array(nearest, dtype=np.str_), "nearest_w2": np.array(away)}
    fields["nearest"] = Column(
        role="descriptor", definition="The nearest other sample by w2; empty where there is none."
    )
    fields["nearest_w2"] = Column(
        unit, "distance", "w2 to the nearest other sample; NaN where there is none."
    )
    write_table(path, columns, fields)


def _nearest(w2: Array, names: Sequence[str]) -> tuple[list[str], list[float]]:
    import numpy as np

    if len(names) < 2:
        return [""] * len(names), [float("nan")] * len(names)
    others = w2 + np.diag(np.full(len(names), np.inf))
    rows = others.argmin(axis=1)
    return [names[int(k)] for k in rows], [float(others[i, k]) for i, k in enumerate(rows)]


def write_dendrogram(path: Path, annotated: AnnData) -> None:
    """Average linkage: one row per merge."""
    import numpy as np

    from triptych.stores.table import Field as Column
    from triptych.stores.table import write_table

    merges = np.asarray(annotated.uns["linkage"]).reshape(-1, 4)
    n = len(annotated.obs_names)
    node = f"samples are 0 to {n - 1} in order of names, later merges follow."
    write_table(
        path,
        {
            "cluster": np.arange(n, n + len(merges), dtype=np.int64),
            "left": merges[:, 0].astype(np.int64),
            "right": merges[:, 1].astype(np.int64),
            "height": np.ascontiguousarray(merges[:, 2]),
            "samples": merges[:, 3].astype(np.int64),
        },
        {
            "cluster": Column(role="descriptor", definition=f"The cluster made by this merge; {node}"),
            "left": Column(role="descriptor", definition=f"First cluster merged; {node}"),
            "right": Column(role="descriptor", definition=f"Second cluster merged; {node}"),
            "height": Column(
                "feature units",
                "distance",
                "Mean w2 between samples of the two clusters.",
                "Sokal, Michener 1958",
            ),
            "samples": Column("1", "size", "Samples in the new cluster."),
        },
        {"leaves": [str(annotated.obs_names[int(k)]) for k in np.asarray(annotated.uns["linkage_order"])]},
    )


def write_rows(
    path: Path,
    rows: Sequence[Mapping[str, Any]],
    text: Mapping[str, str],
    numbers: Mapping[str, Any],
    flags: Mapping[str, str],
    whole: Sequence[str],
) -> None:
    """A table of rows: text, then numbers (``whole`` ones as integers), then flags; possibly none."""
    import numpy as np

    from triptych.stores.table import Field as Column
    from triptych.stores.table import write_table

    kinds: dict[str, Any] = {
        **dict.fromkeys(text, np.str_),
        **{key: np.int64 if key in whole else np.float64 for key in numbers},
        **dict.fromkeys(flags, np.bool_),
    }
    fields = {
        key: Column(role="descriptor", definition=meaning) for key, meaning in {**text, **flags}.items()
    }
    columns = {key: np.array([row[key] for row in rows], dtype=kind) for key, kind in kinds.items()}
    write_table(path, columns, {**fields, **numbers})
