"""Known events from TSV files."""

from pathlib import Path

import pytest

from triptych.errors import InputError
from triptych.readers.events_table import read_truth


def test_events_come_sorted(tmp_path: Path) -> None:
    path = tmp_path / "truth.tsv"
    path.write_text("onset_s\tkind\tnote\n2.5\tblink\tx\n1\tspike\ty\n")
    onset, kind = read_truth(path, 10.0)
    assert onset.tolist() == [1.0, 2.5]
    assert kind == ["spike", "blink"]


def test_a_byte_order_mark_is_no_part_of_the_header(tmp_path: Path) -> None:
    path = tmp_path / "truth.tsv"
    path.write_bytes("\ufeffonset_s\tkind\r\n1\tspike\r\n".encode())
    assert read_truth(path, 10.0)[1] == ["spike"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "header with onset_s"),
        ("time\tkind\n1\ta\n", "header with onset_s"),
        ("onset_s\tkind\n1\ta\n99\tb\n", "line 3"),
        ("onset_s\tkind\nnan\ta\n", "line 2"),
        ("onset_s\tkind\nsoon\ta\n", "'soon'"),
        ("onset_s\tkind\n1\ta\n2\n", "line 3 has no kind"),
        ("onset_s\tkind\n1\t\n", "line 2 has no kind"),
    ],
)
def test_wrong_tables_are_refused(content: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "truth.tsv"
    path.write_text(content)
    with pytest.raises(InputError, match=words):
        read_truth(path, 10.0)
