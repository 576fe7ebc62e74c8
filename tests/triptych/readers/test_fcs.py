"""FCS files of every layout, of several vendors, and broken in every way."""

import pickle

import numpy as np
import pytest
from flowio import FlowData

from triptych.errors import InputError
from triptych.readers.event_files import open_events, read_rows
from triptych.readers.events import RejectedFile, verdict

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
    assert [finding.reason for finding in opened.findings] == ["amplification"]


def test_old_version_takes_offsets_from_the_header(tmp_path, write_fcs):
    values = RNG.integers(0, 1024, (40, 2))
    path = write_fcs(
        tmp_path / "a.fcs", values, version="2.0", datatype="I", keywords={"$P1R": "1024", "$P2R": "1024"}
    )
    assert (open_events(path).read(0, 40) == values).all()


def test_an_end_one_byte_late_is_a_note(tmp_path, write_fcs):
    opened = open_events(write_fcs(tmp_path / "a.fcs", np.ones((5, 2), np.float32), late=1))
    assert (opened.read(0, 5) == 1).all()
    assert "one byte late" in opened.findings[0].note


@pytest.mark.parametrize("places", [(4092, 4131), (4093, 4132)])
def test_offsets_that_differ_and_both_fit_are_a_warning(tmp_path, write_fcs, places):
    first, last = (str(place) for place in places)
    path = write_fcs(
        tmp_path / "a.fcs", np.full((5, 2), 3, np.float32), keywords={"$BEGINDATA": first, "$ENDDATA": last}
    )
    opened = open_events(path)
    assert verdict(opened.findings) == "warned (offsets)"
    assert "but so do those in HEADER" in opened.findings[0].note


def test_offsets_beyond_the_file_give_way_to_those_within(tmp_path, write_fcs):
    values = np.full((5, 2), 3, np.float32)
    for first, last in (("1", "99999999"), ("99999000", "99999039")):
        path = write_fcs(tmp_path / "a.fcs", values, keywords={"$BEGINDATA": first, "$ENDDATA": last})
        opened = open_events(path)
        assert (opened.read(0, 5) == values).all()
        assert verdict(opened.findings) == "warned (offsets)"


def test_offsets_that_fit_win_over_those_that_do_not(tmp_path, write_fcs):
    path = write_fcs(tmp_path / "a.fcs", np.full((5, 2), 3, np.float32), keywords={"$BEGINDATA": "4000"})
    opened = open_events(path)
    assert (opened.read(0, 5) == 3).all()
    assert "HEADER and TEXT differ" in opened.findings[0].note
    assert verdict(opened.findings) == "warned (offsets)"


@pytest.mark.parametrize(
    ("keywords", "message", "reason"),
    [
        ({"$TOT": "6"}, "contradicts itself", "total"),
        ({"$TOT": "0"}, "holds 0 events", "empty"),
        ({"$TOT": "many"}, r"\$TOT 'many', which is not a number", "keyword"),
        ({"$PAR": "3"}, "names 2 of its 3 channels", "channels"),
        ({"$PAR": "0"}, "names 2 of its 0 channels", "channels"),
        ({"$PAR": str(10**15)}, f"names 2 of its {10**15} channels", "channels"),
        ({"$MODE": "C"}, "histograms", "histogram"),
        ({"$DATATYPE": "A"}, r"\$DATATYPE A", "datatype"),
        ({"$P2DATATYPE": "A"}, r"\$PnDATATYPE A", "datatype"),
        ({"$BYTEORD": "3,3,3,3"}, r"\$BYTEORD", "byte_order"),
        ({"$BYTEORD": "3,4,1,2"}, r"\$BYTEORD", "byte_order"),
        ({"$P1R": "wide"}, r"\$P1R 'wide', which is not a number", "keyword"),
        ({"$P1R": "inf"}, "channel 1 that means nothing", "keyword"),
        ({"$P2G": "nan"}, "channel 2 that means nothing", "keyword"),
    ],
)
def test_contradictions_are_refused_in_one_sentence(tmp_path, write_fcs, keywords, message, reason):
    path = write_fcs(tmp_path / "bad.fcs", np.ones((5, 2), np.float32), keywords=keywords)
    with pytest.raises(RejectedFile, match=message) as caught:
        open_events(path)
    assert "bad.fcs" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.reason == reason
    assert str(caught.value).endswith(f"(rejected: {reason})")
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.reason) == (str(caught.value), reason)


@pytest.mark.parametrize("order", ["1,2,3,4", "4,3,2,1"])
@pytest.mark.parametrize("bits", [[10, 12, 10], [7, 8, 9], [1, 33, 16], [10, 10, 10]])
def test_widths_that_are_not_bytes_form_a_stream_of_bits(tmp_path, write_fcs, bits, order):
    values = np.stack([RNG.integers(0, 2**width, 333) for width in bits], axis=1)
    ranges = {f"$P{j}R": str(2**width) for j, width in enumerate(bits, start=1)}
    path = write_fcs(tmp_path / "a.fcs", values, datatype="I", bits=bits, order=order, keywords=ranges)
    opened = open_events(path)
    assert (opened.read(0, 333) == values).all()
    assert (opened.read(101, 207) == values[101:207]).all()
    assert (read_rows(opened, np.array([0, 7, 332])) == values[[0, 7, 332]]).all()
    assert opened.findings == ()


def test_values_filled_up_to_whole_bytes_are_read_with_a_note(tmp_path, write_fcs):
    values = RNG.integers(0, 1024, (90, 3))
    ranges = {f"$P{j}R": "1024" for j in (1, 2, 3)} | {f"$P{j}B": "10" for j in (1, 2, 3)}
    opened = open_events(write_fcs(tmp_path / "a.fcs", values, datatype="I", keywords=ranges))
    assert (opened.read(0, 90) == values).all()
    assert verdict(opened.findings) == "warned (width)"


@pytest.mark.parametrize("width", ["0", "65", "ten"])
def test_widths_that_mean_nothing_are_refused(tmp_path, write_fcs, width):
    path = write_fcs(tmp_path / "a.fcs", np.ones((5, 2)), datatype="I", keywords={"$P2B": width})
    with pytest.raises(RejectedFile) as caught:
        open_events(path)
    assert caught.value.reason == ("keyword" if width == "ten" else "width")


@pytest.mark.parametrize("order", ["1,2,3,4", "4,3,2,1"])
def test_channels_may_have_types_of_their_own(tmp_path, write_fcs, order):
    values = np.stack([RNG.integers(0, 1000, 80), RNG.normal(0, 9, 80), RNG.integers(0, 60_000, 80)], axis=1)
    values[:, 1] = values[:, 1].astype(np.float32)
    mark = "<" if order.startswith("1") else ">"
    kinds = np.dtype([("a", f"{mark}u2"), ("b", f"{mark}f4"), ("c", f"{mark}u4")])
    data = np.array([tuple(row) for row in values], kinds).tobytes()
    keywords = {"$P1R": "1024", "$P2DATATYPE": "F", "$P3R": "65536"}
    bits = [16, 32, 32]
    path = write_fcs(
        tmp_path / "a.fcs", values, datatype="I", bits=bits, order=order, keywords=keywords, data=data
    )
    opened = open_events(path)
    assert (opened.read(0, 80) == values).all()
    assert not opened.is_integer


def test_data_sets_are_chosen_by_number(tmp_path, write_fcs):
    first, second = RNG.random((30, 2)).astype(np.float32), RNG.integers(0, 999, (50, 3))
    a = write_fcs(tmp_path / "a.fcs", first).read_bytes()
    a = write_fcs(tmp_path / "a.fcs", first, keywords={"$NEXTDATA": str(len(a))}).read_bytes()
    b = write_fcs(
        tmp_path / "b.fcs", second, datatype="I", keywords={f"$P{j}R": "1024" for j in (1, 2, 3)}
    ).read_bytes()
    both = tmp_path / "both.lmd"
    both.write_bytes(a + b)
    assert (open_events(both).read(0, 30) == first).all()
    opened = open_events(both, data_set=2)
    assert (opened.read(0, 50) == second).all()
    assert "holds 2 data sets; number 2 was read" in opened.findings[0].note
    assert verdict(opened.findings) == "ok"
    with pytest.raises(RejectedFile, match=r"holds 2 data sets, not 3; set import_cloud\.data_set"):
        open_events(both, data_set=3)


def test_a_next_data_set_that_is_not_there_is_no_obstacle(tmp_path, write_fcs):
    path = write_fcs(tmp_path / "a.fcs", np.ones((5, 2), np.float32), keywords={"$NEXTDATA": "4100"})
    assert open_events(path).findings == ()


def test_supplemental_text_adds_what_the_primary_lacks(tmp_path, write_fcs):
    extra = b"|$P1S|CD3|$P2S|a||b|$SPILLOVER|2,A,B,1,0,0,1|"
    ends = {"$BEGINSTEXT": "4136", "$ENDSTEXT": str(4136 + len(extra) - 1), "$P2S": "CD4"}
    path = write_fcs(tmp_path / "a.fcs", np.ones((5, 2), np.float32), keywords=ends)
    path.write_bytes(path.read_bytes() + extra)
    opened = open_events(path)
    assert [column.label for column in opened.columns] == ["CD3", "CD4"]
    assert opened.text["spillover"] == "2,A,B,1,0,0,1"


def test_values_far_beyond_their_range_are_a_warning(tmp_path, write_fcs):
    values = RNG.uniform(0, 1000, (500, 2)).astype(np.float32)
    values[:50, 1] = 5000
    path = write_fcs(tmp_path / "a.fcs", values, keywords={"$P1R": "1024", "$P2R": "1024"})
    opened = open_events(path)
    assert verdict(opened.findings) == "warned (range)"
    assert "FL2-A 10%" in opened.findings[0].note
    values[:50, 1] = 999
    path = write_fcs(tmp_path / "a.fcs", values, keywords={"$P1R": "1024", "$P2R": "1024"})
    assert verdict(open_events(path).findings) == "ok"


def test_values_that_are_not_finite_are_a_warning_of_the_reader(tmp_path, write_fcs):
    values = np.ones((500, 2), np.float32)
    values[3, 1] = np.nan
    assert verdict(open_events(write_fcs(tmp_path / "a.fcs", values)).findings) == "warned (not_finite)"


@pytest.mark.parametrize(("datatype", "top"), [("I", "1024"), ("F", "262144")])
def test_a_wrong_byte_order_is_found(tmp_path, write_fcs, datatype, top):
    values = RNG.integers(1, 1000, (500, 3)).astype(float)
    ranges = {f"$P{j}R": top for j in (1, 2, 3)}
    path = write_fcs(tmp_path / "a.fcs", values, datatype=datatype, order="1,2,3,4", keywords=ranges)
    raw = path.read_bytes().replace(b"1,2,3,4", b"4,3,2,1")
    path.write_bytes(raw)
    with pytest.raises(InputError, match="wrong byte order"):
        open_events(path)


@pytest.mark.parametrize(("bits", "top"), [(16, 2**16), (24, 2**24), (32, 2**32)])
def test_a_wrong_byte_order_of_integers_that_fill_their_bits_is_a_warning(tmp_path, write_fcs, bits, top):
    values = np.minimum(RNG.lognormal(7, 1, (2000, 3)), 65535).astype(int)
    ranges = {f"$P{j}R": str(top) for j in (1, 2, 3)}
    path = write_fcs(tmp_path / "a.fcs", values, datatype="I", bits=[bits] * 3, keywords=ranges)
    assert verdict(open_events(path).findings) == "ok"
    path.write_bytes(path.read_bytes().replace(b"1,2,3,4", b"4,3,2,1"))
    opened = open_events(path)
    assert verdict(opened.findings) == "warned (byte_order)"
    assert "high bytes of FL1-A, FL2-A, FL3-A vary more" in opened.findings[0].note


@pytest.mark.parametrize("amplification", ["400,1", "-4,1", "4,-1"])
def test_amplifications_that_mean_nothing_are_refused(tmp_path, write_fcs, amplification):
    keywords = {"$P1E": amplification, "$P1R": "1024"}
    path = write_fcs(tmp_path / "a.fcs", np.ones((5, 1)), datatype="I", keywords=keywords)
    with pytest.raises(RejectedFile, match="channel 1 that means nothing"):
        open_events(path)


@pytest.mark.parametrize("top", ["0", "-1"])
def test_a_range_that_says_nothing_is_no_scale(tmp_path, write_fcs, top):
    path = write_fcs(tmp_path / "a.fcs", np.ones((5, 1), np.float32), keywords={"$P1R": top})
    assert open_events(path).columns[0].top is None
    assert open_events(path).columns[0].last is None


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


def test_every_data_set_of_a_coulter_file_is_read(shared_data):
    path = shared_data / "cloud" / "parsers" / "flowio__coulter.lmd"
    first, second = (open_events(path, data_set=number) for number in (1, 2))
    assert first.n_events == second.n_events
    values = second.read(0, second.n_events)
    assert np.isfinite(values).all()
    # The second set holds forward scatter in 20 bits, the first in 10.
    assert np.corrcoef(first.read(0, first.n_events)[:, 0], values[:, 0])[0, 1] > 0.99
    assert verdict(second.findings) == "warned (bits)"


def test_broken_recordings_end_in_a_verdict(shared_data):
    outcome = {}
    for path in sorted((shared_data / "cloud" / "badinput").iterdir()):
        try:
            opened = open_events(path)
            assert opened.read(0, opened.n_events).shape == (opened.n_events, len(opened.columns))
            outcome[path.stem] = verdict(opened.findings)
        except RejectedFile as error:
            outcome[path.stem] = error.reason
    assert outcome == {
        "fcsparser__corrupted_corrupted": "format",
        "fcsparser__fake_large_fcs_fake_large_fcs": "warned (offsets)",
        "flowio__data_start_offset_discrepancy_example": "warned (offsets)",
        "flowio__variable_int_example": "ok",
        "made__byteord_swapped": "byte_order",
        "made__empty_file": "empty",
        "made__nan_inf": "warned (not_finite)",
        "made__tot_too_large": "total",
        "made__truncated_data": "truncated",
        "made__zero_events_wellformed": "empty",
    }
