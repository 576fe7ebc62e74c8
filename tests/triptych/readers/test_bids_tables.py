"""Tables of BIDS datasets that are read, and those that are refused."""

from pathlib import Path

import pytest

from triptych.errors import InputError
from triptych.readers.bids_tables import check_events, read_json, read_participants, read_tsv


def write(folder: Path, text: str) -> Path:
    path = folder / "table.tsv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_table_is_read_whatever_its_line_ends(tmp_path: Path) -> None:
    path = write(tmp_path, "\ufeffname\ttype\r\nFp1\tEEG\r\n\r\nheart \tECG\r\n")
    assert read_tsv(path, ("name",)) == {"name": ["Fp1", "heart"], "type": ["EEG", "ECG"]}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("nom\nFp1\n", "has no column name"),
        ("name,type\nFp1,EEG\n", "split by tabs"),
        ("name\ttype\nFp1\n", "line 2 has 1 cells for 2 columns"),
    ],
)
def test_broken_tables_are_refused(text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words):
        read_tsv(write(tmp_path, text), ("name",))
    with pytest.raises(InputError, match="cannot be read"):
        read_tsv(tmp_path / "none.tsv")


def test_participants_keep_what_is_known(tmp_path: Path) -> None:
    text = "participant_id\tgroup\tage\nsub-01\tpatient\tn/a\nsub-02\tn/a\t30\n"
    found = read_participants(write(tmp_path, text))
    assert found["sub-01"] == {"participant_id": "sub-01", "group": "patient"}
    assert "group" not in found["sub-02"]
    with pytest.raises(InputError, match="two rows for sub-01"):
        read_participants(write(tmp_path, text + "sub-01\tcontrol\t7\n"))


def test_events_that_are_whole_need_no_note(tmp_path: Path) -> None:
    assert check_events(write(tmp_path, "onset\tduration\ttrial_type\n1\tn/a\ta\n2.5\t0.1\tb\n")) == []
    assert check_events(write(tmp_path, "onset\tduration\ttrial_type\tvalue\n1\t0\tn/a\t3\n")) == []
    assert check_events(write(tmp_path, "onset\tduration\ttrial_type\n")) == []


def test_json_is_an_object(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"Name": "x"}')
    assert read_json(path) == {"Name": "x"}
    path.write_text("{'Name'}")
    with pytest.raises(InputError, match="is not JSON"):
        read_json(path)
