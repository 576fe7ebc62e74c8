"""What compare_samples says of groups and batches: what explains the distances between samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from triptych.steps.comparison_tables import write_rows

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from triptych.quantization.permanova import Effect

    Array = NDArray[np.float64]

FACTORS = ("group", "batch")
SMALL_P = 0.05
ANDERSON = "Anderson 2001; McArdle, Anderson 2001"
Sheet = Mapping[str, Mapping[str, str]]


@dataclass
class Found:
    """Rows of a table, sentences for the notes, numbers for the manifest."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    scores: dict[str, float] = field(default_factory=dict)


def subjects_of(names: Sequence[str], sheet: Sheet) -> list[str]:
    """The subject of every sample; a sample of which the sheet names none is its own."""
    return [sheet.get(name, {}).get("subject", "") or name for name in names]


def score_neighbours(names: Sequence[str], sheet: Sheet, w2: Array) -> Found:
    """How often the nearest sample of another subject is of the same group, beside the majority."""
    from triptych.quantization.neighbours import leave_one_out

    found = Found()
    groups, subjects = [sheet.get(name, {}).get("group", "") for name in names], subjects_of(names, sheet)
    labelled = [i for i, group in enumerate(groups) if group]
    if len({groups[i] for i in labelled}) < 2:
        return found
    score = leave_one_out(
        w2[_square(labelled)], [groups[i] for i in labelled], [subjects[i] for i in labelled]
    )
    found.scores["group_nearest_neighbour_accuracy"] = score.accuracy
    found.scores["group_nearest_neighbour_lower"], found.scores["group_nearest_neighbour_upper"] = (
        score.interval
    )
    found.scores["group_majority_accuracy"] = score.majority
    if score.alone:
        found.notes.append(
            f"groups of one subject can never be found by their neighbour: {', '.join(score.alone)}"
        )
    return found


def explain_factors(names: Sequence[str], sheet: Sheet, w2: Array, permutations: int, seed: int) -> Found:
    """Test group and batch, each alone and beyond the other one."""
    from triptych.quantization.permanova import effect

    found = Found()
    subjects = subjects_of(names, sheet)
    levels = {key: [sheet.get(name, {}).get(key, "") for name in names] for key in FACTORS}
    usable = {key: _usable(key, values, found.notes) for key, values in levels.items()}
    effects: dict[tuple[str, str], Effect] = {}
    for key in FACTORS:
        rows = [i for i, value in enumerate(levels[key]) if value]
        if usable[key]:
            effects[key, ""] = effect(
                w2[_square(rows)],
                [levels[key][i] for i in rows],
                [subjects[i] for i in rows],
                permutations,
                seed,
            )
            found.rows.append(_factor_row(key, "", levels[key], subjects, rows, effects[key, ""]))
    if all(usable.values()):
        rows = [i for i in range(len(names)) if all(levels[key][i] for key in FACTORS)]
        both = {key: [levels[key][i] for i in rows] for key in FACTORS}
        if all(len(set(values)) > 1 for values in both.values()):
            for key, other in (FACTORS, FACTORS[::-1]):
                effects[key, other] = effect(
                    w2[_square(rows)], both[key], [subjects[i] for i in rows], permutations, seed, both[other]
                )
                found.rows.append(_factor_row(key, other, levels[key], subjects, rows, effects[key, other]))
            found.notes += _verdict(effects, both)
        else:
            found.notes.append(
                f"the {len(rows)} samples with a group and a batch are of one group or one batch: "
                "neither can be tested beyond the other"
            )
    if "group" in levels and any(levels["group"]) and not any(sheet.get(n, {}).get("subject") for n in names):
        found.notes.append("the sample sheet names no subjects: every sample counts as its own subject")
    for (key, other), what in effects.items():
        if not other:
            found.scores |= {f"{key}_r2": what.r2}
            found.scores |= {f"{key}_p": what.p} if what.p == what.p else {}
            found.notes += _spread_note(key, what)
    return found


def _square(rows: Sequence[int]) -> Any:
    import numpy as np

    return np.ix_(rows, rows)


def _usable(key: str, values: Sequence[str], notes: list[str]) -> bool:
    """Whether a factor can be tested; says why not where the sheet names some of its levels."""
    given = [value for value in values if value]
    if not given:
        return False
    if len(given) < len(values):
        notes.append(
            f"{len(values) - len(given)} of {len(values)} samples have no {key}; they take no part in its tests"
        )
    if len(set(given)) < 2:
        notes.append(f"all samples are of one {key} ({given[0]}): there is nothing for it to explain")
        return False
    if len(set(given)) == len(given):
        notes.append(
            f"every sample is of its own {key}: its effect cannot be told from the samples themselves"
        )
        return False
    return True


def _share(what: Effect) -> str:
    p = "not testable" if what.p != what.p else f"p = {what.p:.3g}"
    return f"{max(what.r2, 0):.0%} ({p})"


def _verdict(effects: Mapping[tuple[str, str], Effect], both: Mapping[str, list[str]]) -> list[str]:
    """Does batch explain more than group: in a sentence, where it can be said."""
    from triptych.quantization.permanova import cramers_v

    group, batch = effects["group", "batch"], effects["batch", "group"]
    alone = f"alone they explain {_share(effects['group', ''])} and {_share(effects['batch', ''])} of the squared distances"
    if not group.df and not batch.df:
        return [f"group and batch cannot be told apart: they divide the samples alike; {alone}"]
    if not group.df:
        return [f"group and batch cannot be told apart: every batch holds samples of one group; {alone}"]
    if not batch.df:
        return [f"batch and group cannot be told apart: every group was recorded in one batch; {alone}"]
    said = f"beyond the other one group explains {_share(group)} and batch {_share(batch)} of the squared distances"
    if group.df_residual < 1:
        return [f"{said}; no samples are left to judge this by"]
    more, what = ("batch", batch) if batch.omega2 > group.omega2 else ("group", group)
    if what.p <= SMALL_P:
        notes = [f"{said}: {more} explains more"]
    elif not what.least_p <= SMALL_P:
        notes = [
            f"{said}: {more} explains more of these samples, which are too few for a test (p cannot go below {what.least_p:.2g})"
        ]
    elif group.p <= SMALL_P or batch.p <= SMALL_P:
        notes = [said]
    else:
        notes = [f"{said}: neither stands out"]
    association = cramers_v(both["group"], both["batch"])
    if association > 0.5:
        notes.append(
            f"group and batch go together (Cramer's V {association:.2f}): what they share is credited to neither"
        )
    return notes


def _spread_note(key: str, what: Effect) -> list[str]:
    if what.least_p >= 1:
        return [
            f"{key}: its labels can only be arranged so that they divide the samples alike, which no test can judge"
        ]
    if what.p <= SMALL_P and what.dispersion_p <= SMALL_P:
        return [
            f"samples spread differently between levels of {key} (dispersion p = {what.dispersion_p:.3g}): "
            "its effect may be one of spread as well as of place"
        ]
    if what.p == what.p and what.least_p > SMALL_P:
        return [
            f"{key}: {what.arrangements} arrangements of its labels are possible, so p cannot go below {what.least_p:.2g}"
        ]
    return []


def _factor_row(
    key: str, other: str, values: Sequence[str], subjects: Sequence[str], rows: Sequence[int], what: Effect
) -> dict[str, Any]:
    return {
        "factor": key,
        "beyond": other,
        "levels": len({values[i] for i in rows}),
        "samples": len(rows),
        "subjects": len({subjects[i] for i in rows}),
        "df": what.df,
        "df_residual": what.df_residual,
        "r2": what.r2,
        "omega2": what.omega2,
        "pseudo_f": what.pseudo_f,
        "p": what.p,
        "null_r2_mean": what.null_r2[0],
        "null_r2_95": what.null_r2[1],
        "dispersion_f": what.dispersion_f,
        "dispersion_p": what.dispersion_p,
        "arrangements": what.arrangements,
        "exact": what.exact,
        "least_p": what.least_p,
    }


def write_factors(path: Path, found: Found) -> None:
    """One row per factor, alone and beyond the other one."""
    from triptych.stores.table import Field as Column

    text = {
        "factor": "The factor tested.",
        "beyond": "The factor that the test goes beyond (marginal sum of squares); empty for the factor alone.",
    }
    numbers = {
        "levels": Column("1", "size", "Levels of the factor."),
        "samples": Column("1", "size", "Samples that take part."),
        "subjects": Column("1", "size", "Subjects that take part."),
        "df": Column("1", "size", "Degrees of freedom of the factor; 0 where it is tied to the other one."),
        "df_residual": Column("1", "size", "Degrees of freedom of the residuals."),
        "r2": Column("1", "effect", "Share of the sum of squared distances (w2).", ANDERSON),
        "omega2": Column(
            "1", "effect", "r2 less what levels without meaning explain on average.", "Hays 1963"
        ),
        "pseudo_f": Column("1", "effect", "Mean square of the factor over that of the residuals.", ANDERSON),
        "p": Column("1", "test", "Permutation p of pseudo_f; labels of one subject move together.", ANDERSON),
        "null_r2_mean": Column("1", "test", "Mean of r2 over the arrangements."),
        "null_r2_95": Column("1", "test", "0.95 quantile of r2 over the arrangements."),
        "dispersion_f": Column("1", "effect", "F of distances to group centroids.", "Anderson 2006"),
        "dispersion_p": Column("1", "test", "Permutation p of dispersion_f.", "Anderson 2006"),
        "arrangements": Column("1", "test", "Arrangements of labels that were looked at."),
        "least_p": Column("1", "test", "The smallest p that the arrangements can give."),
    }
    flags = {"exact": "Whether all distinct arrangements were looked at."}
    whole = ("levels", "samples", "subjects", "df", "df_residual", "arrangements")
    write_rows(path, found.rows, text, numbers, flags, whole)
