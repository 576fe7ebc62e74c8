"""The measures that compare_samples compares: of the same features, matched by marker where samples are clouds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from triptych.engine.step import Context
from triptych.errors import InputError
from triptych.steps.described_rows import LEAST_SHARED, lacking_notes

if TYPE_CHECKING:
    from triptych.stores.measure import StoredMeasure

CHECKED = "scratch/samples.json"
REMEDY = "import all samples of a cohort with one panel and the same settings"


def stored_measures(context: Context) -> dict[str, StoredMeasure]:
    """The measures of all samples as they are stored, in the order of names."""
    return {name: _stored(context, name) for name in context.collections["measures"]}


def check_measures(context: Context, measures: Mapping[str, StoredMeasure]) -> dict[str, Any]:
    """What of each measure is compared, which samples hold the same events, and what was not matched; JSON throughout.

    Raises
    ------
    InputError : there is no measure, or they are of different features, units or scalings.
    """
    if not measures:
        raise InputError("compare_samples has no measure to compare; give at least one with --measures")
    content: dict[str, list[str]] = {}
    for name, measure in measures.items():
        if measure.content:
            content.setdefault(measure.content, []).append(name)
    twins = sorted(group for group in content.values() if len(group) > 1)
    checked: dict[str, Any] = {"samples": list(measures), "duplicates": twins, "columns": None, "notes": []}
    first = next(iter(measures.values()))
    checked |= {"features": list(first.features), "keys": list(first.keys or first.features)}
    if any((m.features, m.units) != (first.features, first.units) for m in measures.values()):
        if context.kind != "cloud":
            _refuse_other_features(measures)
        checked |= _match(context, measures)
    if (first.scaling is None) != any(m.scaling is None for m in measures.values()) or (
        checked["columns"] is None and any(m.scaling != first.scaling for m in measures.values())
    ):
        other = next(name for name, m in measures.items() if m.scaling != first.scaling)
        raise InputError(
            f"samples {next(iter(measures))} and {other} were scaled differently; run quantize_cloud again with one scaling"
        )
    return checked


def compared_measure(context: Context, sample: str) -> StoredMeasure:
    """The measure of a sample, seen through the features that all samples share."""
    import json

    return seen_through(_stored(context, sample), sample, json.loads(context.path(CHECKED).read_text()))


def seen_through(measure: StoredMeasure, sample: str, checked: Mapping[str, Any]) -> StoredMeasure:
    """The measure of a sample with the features that ``check_measures`` found in all samples."""
    if checked["columns"] is None:
        return measure
    return measure.select(checked["columns"][sample], tuple(checked["features"]))


def _stored(context: Context, sample: str) -> StoredMeasure:
    from triptych.stores.measure import open_measure

    return open_measure(context.collections["measures"][sample].path)


def _match(context: Context, measures: Mapping[str, StoredMeasure]) -> dict[str, Any]:
    import numpy as np

    from triptych.stores.described import Described, match_features

    matched = match_features(
        {
            name: Described(
                context.collections["measures"][name].path,
                m.features,
                m.units,
                ("marker",) * len(m.features),
                len(m.weights),
                np.dtype(np.float64),
                m.keys or m.features,
            )
            for name, m in measures.items()
        },
        LEAST_SHARED,
    )
    return {
        "features": list(matched.features.values()),
        "keys": list(matched.features),
        "columns": {name: list(things.columns or ()) for name, things in matched.samples.items()},
        "notes": lacking_notes(matched.lacking),
    }


def _refuse_other_features(measures: Mapping[str, StoredMeasure]) -> None:
    """Tables of a cohort have the same features; name the first that differs."""
    first_name, first = next(iter(measures.items()))
    for name, other in measures.items():
        for feature in first.features:
            if feature not in other.features:
                raise InputError(
                    f"sample {name} has no feature {feature}, which sample {first_name} has; {REMEDY}"
                )
        for feature in other.features:
            if feature not in first.features:
                raise InputError(
                    f"sample {name} has a feature {feature}, which sample {first_name} lacks; {REMEDY}"
                )
        if first.features != other.features:
            raise InputError(
                f"samples {first_name} and {name} have their features in different order; {REMEDY}"
            )
        for feature, unit, other_unit in zip(first.features, first.units, other.units, strict=True):
            if unit != other_unit:
                raise InputError(
                    f"feature {feature} is in {unit!r} in sample {first_name} and in {other_unit!r} in sample {name}; "
                    f"{REMEDY}"
                )
