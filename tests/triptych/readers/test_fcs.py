"""FCS files of every layout, of several vendors, and broken in every way."""

import numpy as np
import pytest
from flowio import FlowData

from triptych.errors import InputError
from triptych.readers.event_files import open_events

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("order", ["1,2,3,4", "4,3,2,1"])
@pytest.mark.parametrize("datatype", ["F", "D"])
def test_floats(tmp_path, write_fcs, datatype, order):
    values = RNG.normal(1000, 500, (300, 4)).astype(np.float32)
    opened = open_events(write_fcs(tmp_path / "a.fcs", values, datatype=datatype, order=order))
    assert (opened.read(0, 300) == values).all()
    assert (opened.read(117, 203) == values[117:203]).all()


@pytest.mark.parametrize("order", ["1,2,3,4", "4,3,2,1"])
@pytest.mark.parametrize(
    "bits", [[8, 8, 8], [16, 16, 16], [24, 24, 24], [32, 32, 32], [8, 32, 16], [64, 16, 8]]
)
def test_integers_of_any_width(tmp_path, write_fcs, bits, order):
    values = np.stack([RNG.integers(0, min(2**width, 2**50), 200) for width in bits], axis=1)
    ranges = {f"$P{j}R": str(min(2**width, 2**50)) for j, width in enumerate(bits, start=1)}
    path = write_fcs(tmp_path / "a.fcs", values, datatype="I", bits=bits, order=order, keywords=ranges)
    assert (open_events(path).read(0, 200) == values).all()


def test_bits_above_the_range_do_not_count(tmp_path, write_fcs):
    values = RNG.integers(0, 1000, (50, 2))
    stored = values.copy()
    stored[3, 1] |= 0x4000
    ranges = {"$P1R": "1024", "$P2R": "1000"}
    path = write_fcs(tmp_path / "a.fcs", stored, datatype="I", order="4,3,2,1", keywords=ranges)
    assert (open_events(path).read(0, 50) == values).all()


def test_logarithmic_amplifiers_and_gains_are_undone(tmp_path, write_fcs):
    values = np.array([[0, 100, 7], [512, 200, 8], [1023, 300, 9]])
    keywords = {"$P1E": "4,1", "$P2G": "4", "$P3E": "4,0", "$P3G": "0"} | {
        f"$P{j}R": "1024" for j in (1, 2, 3)
    }
    opened = open_events(write_fcs(tmp_path / "a.fcs", values, datatype="I", keywords=keywords))
    found = opened.read(0, 3)
    assert found[:, 0] == pytest.approx(10 ** (4 * values[:, 0] / 1024))
    assert found[:, 1] == pytest.approx(values[:, 1] / 4)
    assert found[:, 2] == pytest.approx(10 ** (4 * values[:, 2] / 1024))
    assert [column.top for column in opened.columns] == [10_000, 256, 10_000]


def test_amplification_of_floats_is_ignored_with_a_note(tmp_path, write_fcs):
    values = RNG.random((5, 1)).astype(np.float32)
    opened = open_events(write_fcs(tmp_path / "a.fcs", values, keywords={"$P1E": "4,1"}))
    assert (opened.read(0, 5) == values).all()
    assert any("$PnE" in note for note in opened.notes)


def test_old_version_takes_offsets_from_the_header(tmp_path, write_fcs):
    values = RNG.integers(0, 1024, (40, 2))
    path = write_fcs(
        tmp_path / "a.fcs", values, version="2.0", datatype="I", keywords={"$P1R": "1024", "$P2R": "1024"}
    )
    assert (open_events(path).read(0, 40) == values).all()


def test_an_end_one_byte_late_is_a_note(tmp_path, write_fcs):
    opened = open_events(write_fcs(tmp_path / "a.fcs", np.ones((5, 2), np.float32), late=1))
    assert (opened.read(0, 5) == 1).all()
    assert "one byte late" in opened.notes[0]


def test_offsets_that_fit_win_over_those_that_do_not(tmp_path, write_fcs):
    path = write_fcs(tmp_path / "a.fcs", np.full((5, 2), 3, np.float32), keywords={"$BEGINDATA": "4000"})
    opened = open_events(path)
    assert (opened.read(0, 5) == 3).all()
    assert "HEADER and TEXT differ" in opened.notes[0]


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"$TOT": "6"}, "contradicts itself"),
        ({"$TOT": "0"}, "holds 0 events"),
        ({"$TOT": "many"}, "broken HEADER or TEXT"),
        ({"$PAR": "3"}, "names 2 of its 3 channels"),
        ({"$PAR": "0"}, "names 2 of its 0 channels"),
        ({"$PAR": str(10**15)}, f"names 2 of its {10**15} channels"),
        ({"$MODE": "C"}, "histograms"),
        ({"$DATATYPE": "A"}, r"\$DATATYPE A"),
        ({"$BYTEORD": "3,3,3,3"}, r"\$BYTEORD"),
        ({"$P1R": "wide"}, "broken HEADER or TEXT"),
        ({"$P1R": "inf"}, "channel 1 that means nothing"),
        ({"$P2G": "nan"}, "channel 2 that means nothing"),
        ({"$ENDDATA": "99999999", "$BEGINDATA": "1"}, "cut short"),
    ],
)
def test_contradictions_are_refused_in_one_sentence(tmp_path, write_fcs, keywords, message):
    path = write_fcs(tmp_path / "bad.fcs", np.ones((5, 2), np.float32), keywords=keywords)
    with pytest.raises(InputError, match=message) as caught:
        open_events(path)
    assert "bad.fcs" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_widths_that_are_not_bytes_are_refused(tmp_path, write_fcs):
    path = write_fcs(tmp_path / "a.fcs", np.ones((5, 2)), datatype="I", keywords={"$P2B": "10"})
    with pytest.raises(InputError, match="10 bits"):
        open_events(path)


@pytest.mark.parametrize(("datatype", "top"), [("I", "1024"), ("F", "262144")])
def test_a_wrong_byte_order_is_found(tmp_path, write_fcs, datatype, top):
    values = RNG.integers(1, 1000, (500, 3)).astype(float)
    ranges = {f"$P{j}R": top for j in (1, 2, 3)}
    path = write_fcs(tmp_path / "a.fcs", values, datatype=datatype, order="1,2,3,4", keywords=ranges)
    raw = path.read_bytes().replace(b"1,2,3,4", b"4,3,2,1")
    path.write_bytes(raw)
    with pytest.raises(InputError, match="wrong byte order"):
        open_events(path)


@pytest.mark.parametrize(
    "content", [b"", b"FCS", b"FCS3.1", b"not a recording", b"\x89PNG" * 100, b"FCS3.1" + b" " * 300]
)
def test_what_is_no_recording_is_refused(tmp_path, content):
    path = tmp_path / "a.fcs"
    path.write_bytes(content)
    with pytest.raises(InputError):
        open_events(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="not a file"):
        open_events(tmp_path / "none.fcs")


def test_any_truncation_is_refused(tmp_path, write_fcs):
    whole = write_fcs(tmp_path / "whole.fcs", RNG.random((20, 3)).astype(np.float32)).read_bytes()
    path = tmp_path / "cut.fcs"
    for length in [*range(0, 600, 7), *range(600, len(whole) - 1, 151)]:
        path.write_bytes(whole[:length])
        with pytest.raises(InputError):
            open_events(path)


def test_any_corruption_is_read_or_refused(tmp_path, write_fcs):
    whole = write_fcs(tmp_path / "whole.fcs", RNG.random((20, 3)).astype(np.float32)).read_bytes()
    rng = np.random.default_rng(1)
    path = tmp_path / "bad.fcs"
    outcomes = set()
    for _ in range(400):
        content = bytearray(whole)
        for place in rng.integers(0, 700, rng.integers(1, 5)):
            content[place] = rng.choice(list(b"0123456789/,$ \x00\xff"))
        path.write_bytes(bytes(content))
        try:
            opened = open_events(path)
            outcomes.add(opened.read(0, opened.n_events).shape[0] > 0)
        except InputError as error:
            outcomes.add(str(error).count("\n"))
    assert outcomes == {True, 0}


def test_recordings_of_several_vendors_are_read(shared_data):
    files = sorted((shared_data / "cloud" / "parsers").iterdir())
    assert len(files) == 11
    for path in files:
        opened = open_events(path)
        values = opened.read(0, opened.n_events)
        assert values.shape == (opened.n_events, len(opened.columns))
        assert np.isfinite(values).all()


@pytest.mark.parametrize(
    "name",
    [
        "cycombine__test",
        "fcsparser__FACSCaliburHTS_Sample_Well_A02",
        "flowio__data1",
        "flowio__B01_KC-A-W---91-US",
    ],
)
def test_values_are_those_of_flowio(shared_data, name):
    path = shared_data / "cloud" / "parsers" / f"{name}.fcs"
    opened = open_events(path)
    expected = FlowData(path).as_array(preprocess=False)
    assert (opened.read_stored(0, opened.n_events) == expected).all()


def test_broken_recordings_give_a_sentence_or_a_note(shared_data):
    outcome = {}
    for path in sorted((shared_data / "cloud" / "badinput").iterdir()):
        try:
            opened = open_events(path)
            finite = np.isfinite(opened.read(0, opened.n_events)).all()
            outcome[path.stem] = (
                "read" if finite and not opened.notes else "noted" if finite else "not finite"
            )
        except InputError:
            outcome[path.stem] = "refused"
    assert outcome == {
        "fcsparser__corrupted_corrupted": "refused",
        "fcsparser__fake_large_fcs_fake_large_fcs": "refused",
        "flowio__data_start_offset_discrepancy_example": "noted",
        "flowio__variable_int_example": "read",
        "made__byteord_swapped": "refused",
        "made__empty_file": "refused",
        "made__nan_inf": "not finite",
        "made__tot_too_large": "refused",
        "made__truncated_data": "refused",
        "made__zero_events_wellformed": "refused",
    }
