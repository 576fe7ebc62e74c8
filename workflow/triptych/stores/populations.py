"""What the columns of the tables of populations mean: centers, populations, abundance, tests, gates and agreement.

Populations are numbered 1 ... P by decreasing share of the mean measure, in every table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from triptych.stores.table import Columns, Field, read_table, write_table

CENTERS, POPULATIONS, ABUNDANCE = "centers.parquet", "populations.parquet", "abundance.parquet"
TESTS, GATES, AGREEMENT = "tests.parquet", "gates.parquet", "agreement.parquet"

MONTI = "Monti 2003, Mach Learn 52:91"
WEBER = "Weber, Robinson 2016, Cytometry A 89:1084"
WELCH = "Welch 1947; more than two groups: Alexander, Govern 1994"

_NUMBER = Field(role="descriptor", definition="Number of the population, by decreasing share.")
_NAME = Field(role="descriptor", definition="Signs of the markers that part the population from the others.")
_SAMPLE = Field(role="descriptor", definition="Name of the sample.")
_LABEL = Field(role="descriptor", definition="Label that was given with the recordings.")

FIELDS: Mapping[str, Mapping[str, Field]] = {
    CENTERS: {
        "center": Field(role="descriptor", definition="Number of the common center, as in pooled.zarr, from 0."),
        "population": _NUMBER,
        "share": Field("1", "abundance", "Weight of the center in the mean measure, every sample weighing the same."),
        "consensus": Field(
            "1",
            "stability",
            "Mean share of the subsets in which the center falls together with another of its population; for one alone, "
            "1 less the greatest such share with any other center.",
            MONTI,
        ),
    },
    POPULATIONS: {
        "population": _NUMBER,
        "name": _NAME,
        "share": Field("1", "abundance", "Share of the mean measure, every sample weighing the same."),
        "stability": Field("1", "stability", "Mean consensus of its centers by weight.", MONTI),
        "n_centers": Field(role="descriptor", definition="Number of common centers."),
    },
    ABUNDANCE: {
        "sample": _SAMPLE,
        "population": _NUMBER,
        "name": _NAME,
        "group": Field(role="descriptor", definition="Group of the sample, from the sample sheet."),
        "batch": Field(role="descriptor", definition="Batch of the sample, from the sample sheet."),
        "subject": Field(role="descriptor", definition="Subject of the sample, from the sample sheet."),
        "share": Field("1", "abundance", "Share of the events of the sample."),
        "events": Field("events", "abundance", "Events of the sample in the population."),
        "low": Field(
            "1", "abundance", "Lower end of the 95 % interval of the share, events independent.", "Wilson 1927"
        ),
        "high": Field(
            "1", "abundance", "Upper end of the 95 % interval of the share, events independent.", "Wilson 1927"
        ),
        "log_ratio": Field(
            "log2",
            "abundance",
            "Log of the share over its geometric mean in the cohort, less the median of these over the populations of the "
            "sample; half an event is added to every count.",
            "Aitchison 1982; Love 2014",
        ),
    },
    TESTS: {
        "population": _NUMBER,
        "name": _NAME,
        "first": Field(role="descriptor", definition="First group of the pair that differs most."),
        "second": Field(role="descriptor", definition="Second group of that pair."),
        "statistic": Field("1", "test", "Kruskal-Wallis H of the shares of subjects.", "Kruskal, Wallis 1952"),
        "p": Field(
            "1", "test", "p of H: exact where there are few arrangements, else chi-square.", "Mann, Whitney 1947"
        ),
        "q": Field("1", "test", "False discovery rate of p over populations.", "Benjamini, Hochberg 1995"),
        "delta": Field("1", "effect", "P(second > first) - P(second < first) of shares.", "Cliff 1993"),
        "delta_low": Field("1", "effect", "Lower end of the 95 % interval of delta.", "Newcombe 2006, method 5"),
        "delta_high": Field("1", "effect", "Upper end of the 95 % interval of delta.", "Newcombe 2006, method 5"),
        "fold_change": Field(
            "1", "effect", "Mean share in the second group over that in the first; missing where that is 0."
        ),
        "log_ratio": Field("log2", "effect", "Mean log ratio in the second group less that in the first."),
        "ratio_p": Field("1", "test", "As p, of log ratios.", "Mann, Whitney 1947"),
        "ratio_q": Field("1", "test", "False discovery rate of ratio_p over populations.", "Benjamini, Hochberg 1995"),
        "welch_p": Field("1", "test", "p of unequal mean log ratios; missing for groups of fewer than three.", WELCH),
        "welch_q": Field("1", "test", "False discovery rate of welch_p over populations.", "Benjamini, Hochberg 1995"),
    },
    GATES: {
        "population": _NUMBER,
        "name": _NAME,
        "label": _LABEL,
        "events": Field("events", "agreement", "Events of all labelled samples with this population and label."),
        "share_of_label": Field("1", "agreement", "Share of the events of the label."),
        "matched": Field(role="descriptor", definition=f"Whether the label is matched with the population ({WEBER})."),
        "f1": Field("1", "agreement", "Harmonic mean of precision and recall of the pair.", WEBER),
    },
    AGREEMENT: {
        "sample": _SAMPLE,
        "events": Field("events", "agreement", "Labelled events."),
        "cell_purity": Field("1", "agreement", "Share of events with the commonest label of their center."),
        "purity": Field("1", "agreement", "Share of events with the commonest label of their population."),
        "adjusted_rand_index": Field(
            "1", "agreement", "Of populations and labels; 0 by chance, 1 for equal.", "Hubert, Arabie 1985"
        ),
        "weighted_f1": Field("1", "agreement", "F1 of the matched population, mean over events.", WEBER),
        "mean_f1": Field("1", "agreement", "F1 of the matched population, mean over labels.", WEBER),
    },
}  # fmt: skip


def coordinate_fields(features: Sequence[str], units: Sequence[str]) -> dict[str, Field]:
    """Columns ``at:FEATURE`` of the centers."""
    return {
        f"at:{name}": Field(unit, "position", f"Coordinate of the center along {name}.")
        for name, unit in zip(features, units, strict=True)
    }


def marker_fields(features: Sequence[str], units: Sequence[str]) -> dict[str, Field]:
    """Columns ``mean:``, ``spread:`` and ``height:FEATURE`` of the populations."""
    found = {}
    for name, unit in zip(features, units, strict=True):
        found[f"mean:{name}"] = Field(unit, "marker", f"Mean of {name}.")
        found[f"spread:{name}"] = Field(
            unit,
            "marker",
            f"Standard deviation of {name} over cell means of samples; what is within cells is left out.",
        )
        found[f"height:{name}"] = Field(
            "SD", "marker", f"Mean of {name} less that of the mean measure, in its standard deviations."
        )
    return found


def write(
    folder: Path,
    name: str,
    columns: Columns,
    more: Mapping[str, Field] | None = None,
    attributes: Mapping[str, Any] | None = None,
) -> None:
    """Write one of the tables; ``more`` are the fields of its feature columns."""
    write_table(folder / name, columns, {**FIELDS[name], **(more or {})}, attributes)


def read(folder: Path, name: str) -> tuple[dict[str, np.ndarray[Any, Any]], dict[str, Any]]:
    """Columns and attributes of one of the tables.

    Raises
    ------
    InputError : the file is missing or damaged.
    """
    table = read_table(folder / name)
    return dict(table.columns), dict(table.attributes)
