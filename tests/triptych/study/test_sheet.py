"""The sample sheet: what is wrong is said with file, line and remedy."""

from pathlib import Path

import pytest

from triptych.errors import InputError, UsageError
from triptych.study.sheet import read_sheet

GOOD = "sample\tkind\tpath\tgroup\nA\tcloud\ta.fcs\tx\nB\tvolume\tb.tif\ty\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "samples.tsv"
    path.write_text(text)
    return path


def test_rows_keep_what_is_filled(tmp_path: Path) -> None:
    sheet = read_sheet(write(tmp_path, GOOD + "C\tsignal\tc.fif\t\n# a remark\n\n"))
    assert list(sheet.rows) == ["A", "B", "C"]
    assert "group" not in sheet.rows["C"]
    assert sheet.raw("A", "path") == tmp_path / "a.fcs"
    assert sheet.raw("A", "probability") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sample\tkind\nA\tcloud\n", "no column path"),
        ("sample\tkind\tpath\tpath\nA\tcloud\ta\tb\n", "column path twice"),
        ("sample\tkind\tpath\tgruop\nA\tcloud\ta\tx\n", "did you mean group"),
        (GOOD + "A\tcloud\tz.fcs\n", "line 4: sample A is there twice"),
        (GOOD + "cohort\tcloud\tz.fcs\n", "'cohort' is reserved"),
        (GOOD + "all\tcloud\tz.fcs\n", "'all' is reserved"),
        (GOOD + "C\tcytometry\tz.fcs\n", "'cytometry' is none of volume, cloud, signal"),
        (GOOD + "C\tcloud\t\n", "line 4 has no path"),
        (GOOD + "../C\tcloud\tz\n", "must start with a letter or digit"),
        (GOOD + "$(rm)\tcloud\tz\n", "must start with a letter or digit"),
        (GOOD + "a b\tcloud\tz\n", "must start with a letter or digit"),
        (GOOD + f"{'x' * 201}\tcloud\tz\n", "at most 200"),
        (GOOD + "C\tcloud\tz\tg\textra\n", "5 cells for 4 columns"),
        (GOOD + "C\tcloud\ta{b}.fcs\tg\n", "line 4: path has a brace"),
    ],
)
def test_wrong_sheets_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message.replace("$", r"\$").replace("(", r"\(")):
        read_sheet(write(tmp_path, text))


def test_missing_and_empty_sheets_are_inputs(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read_sheet(tmp_path / "samples.tsv")
    with pytest.raises(InputError, match="is empty"):
        read_sheet(write(tmp_path, ""))
    with pytest.raises(InputError, match="names no sample"):
        read_sheet(write(tmp_path, "sample\tkind\tpath\n"))
    (tmp_path / "samples.tsv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="UTF-8"):
        read_sheet(tmp_path / "samples.tsv")
