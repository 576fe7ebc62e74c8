"""What compare_samples says of groups: whether that of a subject can be predicted from the other subjects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from triptych.steps.comparison_factors import SMALL_P, Found, Sheet, subjects_of
from triptych.steps.comparison_tables import write_rows

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from triptych.quantization.classification import Fold, Plan, Samples, Score
    from triptych.stores.measure import StoredMeasure

    Predict = Callable[["Samples", NDArray[np.int64], "Plan", Iterable[NDArray[np.int64]]], Iterator["Fold"]]


def classify(
    names: Sequence[str],
    stored: Sequence[StoredMeasure],
    sheet: Sheet,
    predict: Predict,
    *,
    folds: int,
    axes: int,
    permutations: int,
    seed: int,
) -> tuple[Found, Found]:
    """Predict the group of held-out subjects.

    Returns
    -------
    samples : one row per sample and view; scores : one row per view, and one for always naming the largest group.
    """
    import numpy as np

    from triptych.quantization import classification
    from triptych.quantization.arrangements import arrange

    samples, views = Found(), Found()
    subjects, groups = subjects_of(names, sheet), [sheet.get(name, {}).get("group", "") for name in names]
    kept = _enough(groups, subjects, views.notes)
    if not kept:
        return samples, views
    subjects, groups = [subjects[i] for i in kept], [groups[i] for i in kept]
    levels = sorted(set(groups))
    labels = np.array([levels.index(group) for group in groups], np.int64)
    arranged = arrange(labels, subjects, permutations, seed)
    rows = np.vstack([labels, arranged.labels])
    data, scaled = _raw_samples([stored[i] for i in kept])
    plan = classification.Plan(scaled, max(len(w) for w in data.weights), axes, seed)
    held_out = classification.subject_folds(subjects, folds, seed)
    predicted = np.zeros((len(classification.VIEWS), *rows.shape), np.int64)
    probability = np.zeros((len(classification.VIEWS), len(kept), len(levels)))
    for fold in predict(data, rows, plan, held_out):
        predicted[:, :, fold.held_out], probability[:, fold.held_out] = fold.predicted, fold.probability
    scores = {}
    for v, view in enumerate(classification.VIEWS):
        scores[view] = classification.score(predicted[v], rows, subjects, arranged.exact)
        views.rows.append(_score_row(view, scores[view], len(rows) - 1, arranged.exact))
        views.scores |= {
            f"{view}_accuracy": scores[view].accuracy,
            f"{view}_balanced_accuracy": scores[view].balanced,
        }
        for k, i in enumerate(kept):
            guess = int(predicted[v, 0, k])
            samples.rows.append(
                {
                    "view": view,
                    "sample": names[i],
                    "subject": subjects[k],
                    "group": groups[k],
                    "predicted": levels[guess],
                    "probability": float(probability[v, k, guess]),
                    "correct": levels[guess] == groups[k],
                }
            )
    units = sorted({(s, g) for s, g in zip(subjects, groups, strict=True)})
    largest = max(sum(g == level for _, g in units) for level in levels)
    views.rows.append(_majority_row(largest, len(units), len(levels)))
    views.notes.append(_verdict(scores, largest / len(units), len(levels), len(held_out), arranged.exact))
    if stored[0].scaling is not None and "clip" in stored[0].scaling:
        views.notes.append(
            "features were cut at the cohort's clip before they were quantized; classification undoes the scaling, not the cut"
        )
    return samples, views


def _enough(groups: Sequence[str], subjects: Sequence[str], notes: list[str]) -> list[int]:
    """Rows of groups of at least two subjects; none where there are fewer than two such groups."""
    members: dict[str, set[str]] = {}
    for group, subject in zip(groups, subjects, strict=True):
        if group:
            members.setdefault(group, set()).add(subject)
    small = sorted(group for group, who in members.items() if len(who) < 2)
    if len(members) - len(small) < 2:
        if members:
            notes.append("no classification: it needs two groups of at least two subjects each")
        return []
    if small:
        notes.append(f"classification leaves out groups of one subject: {', '.join(small)}")
    return [i for i, group in enumerate(groups) if group and group not in small]


def _raw_samples(stored: Sequence[StoredMeasure]) -> tuple[Samples, bool]:
    """Measures in the units of the features, and whether a scaling of the whole cohort had been applied to them."""
    import numpy as np

    from triptych.quantization.classification import Samples

    scaling = stored[0].scaling
    d = len(stored[0].features)
    center = np.zeros(d) if scaling is None else np.asarray(scaling["center"], np.float64)
    scale = np.ones(d) if scaling is None else np.asarray(scaling["scale"], np.float64)
    found = Samples(
        tuple(m.centers * scale + center for m in stored),
        tuple(m.weights for m in stored),
        np.stack([m.mean * scale + center for m in stored]),
        np.stack([np.diagonal(m.covariance) * scale**2 for m in stored]),
        np.array([m.events for m in stored], np.int64),
    )
    return found, scaling is not None


def _score_row(view: str, score: Score, arrangements: int, exact: bool) -> dict[str, Any]:
    return {
        "view": view,
        "units": score.units,
        "accuracy": score.accuracy,
        "accuracy_lower": score.interval[0],
        "accuracy_upper": score.interval[1],
        "balanced_accuracy": score.balanced,
        "balanced_lower": score.balanced_interval[0],
        "balanced_upper": score.balanced_interval[1],
        "p": score.p,
        "null_mean": score.null[0],
        "null_95": score.null[1],
        "arrangements": arrangements,
        "exact": exact,
    }


def _majority_row(largest: int, units: int, levels: int) -> dict[str, Any]:
    from triptych.quantization.neighbours import binomial_interval

    low, high = binomial_interval(largest, units)
    nothing = float("nan")
    return {
        "view": "majority",
        "units": units,
        "accuracy": largest / units,
        "accuracy_lower": low,
        "accuracy_upper": high,
        "balanced_accuracy": 1 / levels,
        "balanced_lower": 1 / levels,
        "balanced_upper": 1 / levels,
        "p": nothing,
        "null_mean": nothing,
        "null_95": nothing,
        "arrangements": 0,
        "exact": False,
    }


def _verdict(scores: Mapping[str, Score], majority: float, levels: int, folds: int, exact: bool) -> str:
    from triptych.quantization.classification import p_of_best

    def said(view: str) -> str:
        s = scores[view]
        return f"{s.accuracy:.0%} [{s.interval[0]:.0%}, {s.interval[1]:.0%}]"

    ours = ("transport", "weights")
    best = max(ours, key=lambda view: scores[view].balanced)
    text = (
        f"groups of held-out subjects ({scores[best].units} in {folds} folds): transport names {said('transport')} rightly, "
        f"weights {said('weights')}, means and deviations of features {said('moments')}, the largest group {majority:.0%}"
    )
    if scores[best].balanced <= max(scores["moments"].balanced, 1 / levels):
        return f"{text}; neither transport nor weights beats the trivial baselines (by balanced accuracy)"
    p = p_of_best([scores[view] for view in ours], exact)
    chance = "" if p <= SMALL_P else ", but rearranged labels often do as well"
    return (
        f"{text}; {best} is ahead of the trivial baselines by balanced accuracy{chance} "
        f"(permutation p of the better one: {p:.3g})"
    )


def write_classification(path: Path, found: Found) -> None:
    """One row per sample and view."""
    from triptych.stores.table import Field as Column

    text = {
        "view": "What of the sample was looked at: transport, weights, or moments (the trivial baseline).",
        "sample": "Name of the sample.",
        "subject": "Its subject, held out as a whole; the sample itself where the sheet names none.",
        "group": "Its group.",
        "predicted": "The group predicted by what was fitted to other subjects.",
    }
    source = "nearest group mean; Friedman 1989"
    numbers = {
        "probability": Column("1", "prediction", "Of the predicted group, equal priors; cautious.", source)
    }
    write_rows(path, found.rows, text, numbers, {"correct": "Whether the prediction is right."}, ())


def write_scores(path: Path, found: Found) -> None:
    """One row per view, and one for always naming the largest group."""
    from triptych.stores.table import Field as Column

    exact = "Clopper, Pearson 1934"
    numbers = {
        "units": Column("1", "size", "Subjects (within groups) that were predicted."),
        "accuracy": Column("1", "score", "Share of units of which more than half of the samples are right."),
        "accuracy_lower": Column("1", "score", "Lower end of its 95 % interval.", exact),
        "accuracy_upper": Column("1", "score", "Upper end of its 95 % interval.", exact),
        "balanced_accuracy": Column("1", "score", "Mean over groups of their accuracy."),
        "balanced_lower": Column("1", "score", "Lower end of its interval of at least 95 %.", exact),
        "balanced_upper": Column("1", "score", "Upper end of its interval of at least 95 %.", exact),
        "p": Column(
            "1",
            "test",
            "Share of rearranged labels whose balanced accuracy is as high.",
            "Ojala, Garriga 2010",
        ),
        "null_mean": Column("1", "test", "Mean balanced accuracy over rearranged labels."),
        "null_95": Column("1", "test", "0.95 quantile of balanced accuracy over rearranged labels."),
        "arrangements": Column("1", "test", "Arrangements of labels that were looked at."),
    }
    text = {"view": "transport, weights, moments, or majority (the largest group is always named)."}
    flags = {"exact": "Whether all distinct arrangements were looked at."}
    write_rows(path, found.rows, text, numbers, flags, ("units", "arrangements"))
