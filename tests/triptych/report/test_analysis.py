"""Panels of the features of a cohort: drawn from what is there, with numbers in their captions, the same bytes twice."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from triptych.analysis import Choice, analyze
from triptych.report.analysis import cohort_panels
from triptych.report.style import style, to_svg
from triptych.stores.analysis import annotate
from triptych.stores.embedding import write_embedding
from triptych.stores.rows import Rows
from triptych.stores.table import Field

MANIFEST: dict[str, Any] = {"analyze_features": {"kind": "volume", "settings": {"least_stability": 0.6}}}


def stored(folder: Path, features: int, *, groups: bool) -> dict[str, Path]:
    """An analysis of 240 objects of six samples in two kinds."""
    rng = np.random.default_rng(0)
    samples = np.repeat([f"s{i}" for i in range(6)], 40)
    values = rng.normal(size=(240, features)) + 5 * rng.integers(0, 2, 240)[:, None]
    names = [f"f{j}" for j in range(features)]
    table = {name: values[:, j] for j, name in enumerate(names)}
    rows = Rows(
        table,
        {n: Field("nm", "size" if j % 2 else "shape") for j, n in enumerate(names)},
        samples,
        np.arange(240),
        None,
        {},
    )
    sheet = {f"s{i}": {"group": "ab"[i % 2] if groups else ""} for i in range(6)}
    found = analyze(
        table,
        samples=samples,
        groups={name: fields["group"] for name, fields in sheet.items()},
        categories=rows.categories,
        choice=Choice(max_clusters=3, bootstraps=3, nulls=3),
    )
    ones, zeros = dict.fromkeys(names, 1.0), dict.fromkeys(names, 0.0)
    write_embedding(
        folder / "analysis.zarr", annotate(rows, np.arange(240), found, zeros, ones, sheet, found.notes)
    )
    return {"analyze_features": folder}


def test_every_panel_is_drawn_with_its_numbers(tmp_path: Path) -> None:
    folders = stored(tmp_path, 6, groups=True)
    with style():
        found = cohort_panels(folders, MANIFEST)
        again = [to_svg(p.figure) for p in cohort_panels(folders, MANIFEST) if p.figure]
        assert [to_svg(p.figure) for p in found if p.figure] == again
    assert [panel.title for panel in found] == [
        "Which features go together", "Components and clusters", "What the clusters are", "What tells the groups apart"
    ]  # fmt: skip
    assert "240 objects" in found[0].caption
    assert "15 pairs" in found[0].caption
    assert "stability at least 0.6" in found[1].caption
    assert "a 3, b 3 samples" in found[3].caption
    assert found[3].table is not None
    assert list(found[3].table.columns) == ["feature", "cliffs_delta", "p", "q", "first", "second"]


@pytest.mark.parametrize("features", [1, 80])
def test_few_and_many_features(tmp_path: Path, features: int) -> None:
    with style():
        found = cohort_panels(stored(tmp_path, features, groups=False), MANIFEST)
        assert all(to_svg(panel.figure) for panel in found if panel.figure)
    titles = [panel.title for panel in found]
    assert ("Which features go together" in titles) == (features > 1)
    assert "What tells the groups apart" not in titles


def test_nothing_finished_nothing_shown() -> None:
    assert cohort_panels({}, {}) == []
