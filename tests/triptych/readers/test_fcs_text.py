"""HEADER and TEXT as writers write them: empty values, quoted delimiters, blank offsets, and what is broken."""

import numpy as np
import pytest
from flowio import FlowData

from triptych.readers.event_files import open_events
from triptych.readers.events import RejectedFile, verdict
from triptych.readers.fcs_text import read_channels, read_head

VALUES = np.arange(30, dtype=np.float32).reshape(10, 3)
START, END = 4096, 4096 + VALUES.nbytes - 1


def changed(path, *pairs):
    """The file with some bytes replaced by as many."""
    raw = path.read_bytes()
    for old, new in pairs:
        assert raw.count(old) == 1
        raw = raw.replace(old, new.ljust(len(old)))
    path.write_bytes(raw)
    return path


@pytest.mark.parametrize("empty", ["", " "])
def test_an_empty_value_costs_no_other_keyword(tmp_path, write_fcs, empty):
    labels = {"$P1S": empty, "$P2S": "CD4", "$P2G": "", "$FIL": empty, "$P3S": "CD8"}
    opened = open_events(write_fcs(tmp_path / "a.fcs", VALUES, keywords=labels))
    assert [column.label for column in opened.columns] == ["", "CD4", "CD8"]
    assert opened.findings == ()


def test_a_doubled_delimiter_in_a_value_stands_for_itself(tmp_path, write_fcs):
    labels = {"$P1S": "CD3//TCR", "$P2S": "a////b", "$P3S": "CD8"}
    opened = open_events(write_fcs(tmp_path / "a.fcs", VALUES, keywords=labels))
    assert [column.label for column in opened.columns] == ["CD3/TCR", "a//b", "CD8"]


@pytest.mark.parametrize(
    "delimiter", ["|", "\\", "*", "^", "+", ".", "?", "(", "[", "\f", "\t", "\x1e", "\x1f"]
)
def test_any_delimiter_is_one(tmp_path, write_fcs, delimiter):
    path = write_fcs(tmp_path / "a.fcs", VALUES, keywords={"$P1S": "a//b", "$P1G": "1"})
    raw = path.read_bytes()
    path.write_bytes(raw[:START].replace(b"/", delimiter.encode()) + raw[START:])
    opened = open_events(path)
    assert [column.name for column in opened.columns] == ["FL1-A", "FL2-A", "FL3-A"]
    assert opened.text["p1s"] == f"a{delimiter}b"
    assert (opened.read(0, 10) == VALUES).all()


def test_offsets_that_header_leaves_out_are_those_of_text(tmp_path, write_fcs):
    stated = f"{START:>8}{END:>8}".encode()
    zero = changed(write_fcs(tmp_path / "a.fcs", VALUES), (stated, b"       0       0"))
    assert open_events(zero).findings == ()
    blank = changed(write_fcs(tmp_path / "b.fcs", VALUES), (stated, b""))
    opened = open_events(blank)
    assert (opened.read(0, 10) == VALUES).all()
    assert verdict(opened.findings) == "warned (offsets)"


def test_offsets_that_text_leaves_out_are_those_of_header(tmp_path, write_fcs):
    left_out = {"$BEGINDATA": "", "$ENDDATA": ""}
    opened = open_events(write_fcs(tmp_path / "a.fcs", VALUES, keywords=left_out))
    assert (opened.read(0, 10) == VALUES).all()
    assert opened.findings == ()


def test_a_text_that_may_be_cut_is_a_warning(tmp_path, write_fcs):
    path = write_fcs(tmp_path / "a.fcs", VALUES)
    last = int(path.read_bytes()[18:26])
    opened = open_events(changed(path, (f"{last:>8}".encode(), f"{last - 1:>8}".encode())))
    assert verdict(opened.findings) == "warned (text)"


def test_a_broken_delimiter_is_a_warning(tmp_path, write_fcs):
    path = write_fcs(tmp_path / "a.fcs", VALUES, keywords={"$FIL": "a.fcs", "$P1S": "CD3"})
    opened = open_events(changed(path, (b"$FIL/a.fcs", b"$FIL_a.fcs")))
    assert verdict(opened.findings) == "warned (text)"


def test_an_analysis_that_is_not_there_is_no_obstacle(tmp_path, write_fcs):
    nowhere = {"$BEGINANALYSIS": "99999999", "$ENDANALYSIS": "999999999999"}
    assert open_events(write_fcs(tmp_path / "a.fcs", VALUES, keywords=nowhere)).findings == ()


@pytest.mark.parametrize(
    ("old", "new", "reason", "message"),
    [
        (b"     256", b"     257", "header", "no list of keywords at bytes 257 to"),
        (b"     256", b"      -9", "header", "places TEXT at bytes -9"),
        (b"     256", b"     2x6", "header", "'     2x6' is not an offset"),
        (b"     256", b"99999999", "header", "where it cannot be"),
        (f"{START:>8}{END:>8}".encode(), b"    40.6    9999", "header", "is not an offset"),
        (b"$PAR/3/", b"$PAX/3/", "keyword", r"no keyword \$PAR in its TEXT"),
        (b"$TOT/10/", b"$TOT/1O/", "keyword", r"\$TOT '1O', which is not a number"),
        (b"$P2E/0,0/", b"$P2E/0;0/", "keyword", r"\$P2E '0;0', which is not two numbers"),
    ],
)
def test_what_is_broken_is_named(tmp_path, write_fcs, old, new, reason, message):
    path = changed(write_fcs(tmp_path / "a.fcs", VALUES), (old, new))
    with pytest.raises(RejectedFile, match=message) as caught:
        open_events(path)
    assert caught.value.reason == reason


def test_a_text_that_would_fill_the_memory_is_not_read(tmp_path, write_fcs):
    path = write_fcs(tmp_path / "a.fcs", VALUES)
    raw = path.read_bytes()
    path.write_bytes(raw[:18] + b"60000000" + raw[26:])
    with open(path, "r+b") as file:
        file.truncate(70_000_000)
    with pytest.raises(RejectedFile, match="where it cannot be"):
        open_events(path)


def test_keywords_are_those_of_flowio(shared_data):
    for path in sorted((shared_data / "cloud" / "parsers").iterdir()):
        ours = read_head(path, 0)
        with open(path, "rb") as file:
            theirs = FlowData(
                file,
                only_text=True,
                ignore_offset_error=True,
                ignore_offset_discrepancy=True,
                nextdata_offset=0,
            )
        assert read_channels(path, ours).channels == theirs.channels
        # A key of FlowIO with two delimiters in it is a keyword without a value and the one that it lost.
        whole = {key: value for key, value in theirs.text.items() if "\\\\" not in key}
        wanted = {key: value for key, value in whole.items() if value.strip()}
        found = {key.replace("$", ""): value for key, value in ours.text.items()}
        assert wanted.items() <= found.items()
