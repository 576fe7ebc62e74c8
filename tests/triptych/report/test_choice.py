"""The panel of what was tried: drawn for one and several lengths, the choice named."""

import io
from pathlib import Path

import numpy as np
import pytest

from triptych.report.choice import panel
from triptych.steps.choose_atoms import _fields
from triptych.stores.table import write_table


@pytest.mark.parametrize("lengths", [(0.7,), (0.5, 0.7)])
def test_the_path_is_drawn_and_the_choice_named(tmp_path: Path, lengths: tuple[float, ...]) -> None:
    grid = [(length, number, fraction) for length in lengths for number in (5, 10) for fraction in (0.3, 0.1)]
    n = len(grid)
    columns = {
        "atom_duration_s": np.array([g[0] for g in grid]),
        "n_atoms": np.array([g[1] for g in grid]),
        "regularization": np.array([g[2] for g in grid]),
        "atoms_found": np.array([g[1] for g in grid]),
        "penalty": np.full(n, 2.0),
        "score": np.linspace(0.1, 0.4, n),
        "score_error": np.full(n, 0.01),
        "explained_variance": np.linspace(0.2, 0.5, n),
        "activation_rate_hz": np.full(n, 3.0),
        "iterations": np.full(n, 9),
        "objective": np.full(n, 100.0),
        "chosen": np.arange(n) == n - 1,
    }
    write_table(tmp_path / "path.parquet", columns, _fields())
    found = panel("S1", tmp_path)
    assert found.figure is not None
    found.figure.savefig(io.BytesIO(), format="png")
    legend = [text.get_text() for text in found.figure.axes[0].get_legend().get_texts()]
    assert any("10 atoms" in text for text in legend)
    assert any("0.5 s" in text for text in legend) is (len(lengths) > 1)
    assert "10 atoms of 0.7 s at 0.1" in found.caption
    assert found.table is not None
    assert len(found.table) == n
