"""Rows of all samples: an atom is known by its number, whatever its label."""

from pathlib import Path

import numpy as np

from triptych.stores.rows import read_rows
from triptych.stores.table import Field, write_table


def test_the_number_of_a_thing_identifies_it_and_not_its_label(tmp_path: Path) -> None:
    fields = {
        "atom": Field(role="descriptor"),
        "label": Field(role="descriptor"),
        "rate": Field("1/min", "occurrence"),
    }
    paths = {}
    for sample, numbers in (("a", [0, 1]), ("b", [0])):
        columns = {
            "atom": np.array(numbers, np.int32),
            "label": np.array(["brain"] * len(numbers)),
            "rate": np.ones(len(numbers)),
        }
        paths[sample] = tmp_path / f"{sample}.parquet"
        write_table(paths[sample], columns, fields)
    rows = read_rows(paths)
    assert rows.ids.tolist() == [0, 1, 0]
    assert rows.samples.tolist() == ["a", "a", "b"]
    assert rows.descriptors["label"].tolist() == ["brain"] * 3
