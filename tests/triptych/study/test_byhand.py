"""What a step typed by hand is given."""

from pathlib import Path

import pytest

from triptych.errors import InputError, UsageError
from triptych.steps import load_step
from triptych.study.byhand import read_inputs, read_part, settings_with


def test_settings_with_and_without_the_name_of_the_step() -> None:
    step = load_step("quantize_cloud")
    assert settings_with(step, ["n_centers=7"]) == settings_with(step, ["quantize_cloud.n_centers=7"])
    with pytest.raises(UsageError, match="did you mean n_centers"):
        settings_with(step, ["n_center=7"])


def test_lists_of_inputs(tmp_path: Path) -> None:
    step, path = load_step("compare_samples"), tmp_path / "inputs.tsv"
    path.write_text("measures\tA\ta/quantize_cloud\n\nmeasures\tB\tb/quantize_cloud\n")
    assert read_inputs(step, path) == {
        "measures": {"A": Path("a/quantize_cloud"), "B": Path("b/quantize_cloud")}
    }
    for text, message in (
        ("measures\tA\n", "split by tabs"),
        ("measure\tA\tx\n", "no input 'measure'"),
        ("measures\tA\tx\nmeasures\tA\ty\n", "twice"),
    ):
        path.write_text(text)
        with pytest.raises(UsageError, match=message):
            read_inputs(step, path)
    with pytest.raises(InputError, match="cannot be read"):
        read_inputs(step, tmp_path / "no.tsv")


def test_parts() -> None:
    assert read_part(None) is None
    assert read_part("2/3") == (2, 3)
    with pytest.raises(UsageError, match="i/n"):
        read_part("4/3")
