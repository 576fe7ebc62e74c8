"""Roles of channels, by the names that instruments give them."""

import pytest

from triptych.errors import InputError
from triptych.readers.event_files import open_events
from triptych.readers.events import Column
from triptych.readers.panel import (
    apply_panel,
    describe,
    has_isotope,
    is_mass_cytometry,
    is_width,
    read_panel,
    scatter_of,
)


@pytest.mark.parametrize(
    ("name", "label", "mass", "role"),
    [
        ("Time", "", False, "time"),
        ("TIME", "", False, "time"),
        ("FSC-A", "", False, "scatter"),
        ("SSC-B-A", "", False, "scatter"),
        ("VSSC-H", "", False, "scatter"),
        ("FS Lin", "", False, "scatter"),
        ("SSC", "", False, "scatter"),
        ("FSCArea", "", False, "scatter"),
        ("Event_length", "", True, "instrument"),
        ("Event #", "", False, "instrument"),
        ("HDR-CE", "HDR-CE", False, "instrument"),
        ("Width", "", False, "instrument"),
        ("AmCyan-A", "l/d", False, "viability"),
        ("BV510-A", "Live Dead Aqua", False, "viability"),
        ("APC-Cy7-A", "Zombie NIR", False, "viability"),
        ("PI-A", "", False, "viability"),
        ("Ir191Di", "DNA1", True, "dna"),
        ("Ir193Di", "", True, "dna"),
        ("Pd105Di", "BC3", True, "barcode"),
        ("Ce140Di", "Bead", True, "bead"),
        ("FL1-H", "CD4 FITC", False, "marker"),
        ("PE-A", "CD56", False, "marker"),
        ("Nd142Di", "CD19", True, "marker"),
        ("FITC-A", "SSEA-1", False, "marker"),
        ("PE-A", "PI16", False, "marker"),
        ("FScore", "", False, "marker"),
    ],
)
def test_roles(name, label, mass, role):
    assert describe([Column(name, label)], mass)[0].role == role


def test_height_and_width_of_a_signal_with_area_are_left_out():
    roles = {
        d.column.name: d.role for d in describe([Column(n) for n in ("PE-A", "PE-H", "PE-W", "APC-H")], False)
    }
    assert roles == {"PE-A": "marker", "PE-H": "pulse", "PE-W": "pulse", "APC-H": "marker"}


def test_area_is_left_out_where_signals_are_heights():
    columns = [Column(name) for name in ("FL1-H", "FL2-H", "FL3-H", "FL2-A", "FL2-W", "FL5-W")]
    roles = {d.column.name: d.role for d in describe(columns, False)}
    assert [name for name, role in roles.items() if role == "marker"] == ["FL1-H", "FL2-H", "FL3-H", "FL5-W"]


def test_detectors_without_marker_are_left_out_where_others_have_one():
    columns = [
        Column("PE-A", "CD3"),
        Column("APC-A", "CD4"),
        Column("FITC-A", ""),
        Column("BV421-A", "BV421-A"),
    ]
    assert [d.role for d in describe(columns, False)] == ["marker", "marker", "unlabelled", "unlabelled"]
    assert [d.role for d in describe([Column("PE-A"), Column("APC-A", "CD4")], False)] == ["marker", "marker"]


@pytest.mark.parametrize("name", ["Nd142Di", "(Nd142)Di", "142Nd_CD19", "Nd142Dd", "Y89Di", "115In_CD45"])
def test_isotopes(name):
    assert has_isotope(name)


@pytest.mark.parametrize("name", ["PE-A", "BV421-A", "V450-A", "FL1-H", "APC-Cy7-A", "CD19", "Time", "R780"])
def test_what_is_no_isotope(name):
    assert not has_isotope(name)


def test_instruments_of_real_recordings(shared_data):
    cloud = shared_data / "cloud"
    for path in sorted((cloud / "cytonormpy").glob("*.fcs")):
        opened = open_events(path)
        assert is_mass_cytometry(opened.columns, opened.text)
        markers = [d.marker for d in describe(opened.columns, True) if d.role == "marker"]
        assert {"CD45", "CD3", "HLADR", "CD16"} <= set(markers)
        assert not {"DNA1", "BC1", "beadDist", ""} & set(markers)
    for path in [*(cloud / "parsers").iterdir(), *(cloud / "flowsom_py").glob("*.fcs")]:
        opened = open_events(path)
        assert not is_mass_cytometry(opened.columns, opened.text)
        assert any(d.role == "marker" for d in describe(opened.columns, False))


def test_a_panel_names_markers_and_chooses(tmp_path):
    path = tmp_path / "panel.csv"
    path.write_text("Channel,Marker,Use\nPE-A,CD3,1\nfsc-a,,1\nAPC-A,CD4,0\n")
    described = describe([Column("FSC-A"), Column("PE-A", "x"), Column("APC-A"), Column("FITC-A")], False)
    kept = apply_panel(path, described, read_panel(path))
    assert [(d.column.name, d.marker) for d in kept] == [("FSC-A", ""), ("PE-A", "CD3")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("name,marker\nPE-A,CD3\n", "needs channel, marker"),
        ("channel,marker,use\nPE-A,CD3,yes\n", "use = 'yes'"),
        ("channel,marker\nPE-A,CD3\npe-a,CD4\n", "twice"),
        ("channel,marker\nBV421-A,CD3\n", "does not have"),
        ("", "needs channel, marker"),
    ],
)
def test_panels_that_do_not_fit_are_refused(tmp_path, content, message):
    path = tmp_path / "panel.csv"
    path.write_text(content)
    with pytest.raises(InputError, match=message):
        apply_panel(path, describe([Column("PE-A")], False), read_panel(path))


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["FSC-A", "FSC-H", "FSC-W", "SSC-A"], ("FSC-A", "FSC-H", "SSC-A")),
        (["FSC-H", "SSC-H"], (None, "FSC-H", None)),
        (["FSCArea", "FSCHeight", "SSCArea"], ("FSCArea", "FSCHeight", "SSCArea")),
        (["FSC LogH", "FSC LinA", "VSSC-A"], ("FSC LinA", "FSC LogH", "VSSC-A")),
        (["FS Lin", "SS Lin"], (None, None, None)),
    ],
)
def test_scatter_is_found_by_angle_and_measure(names, found):
    described = describe([Column(name) for name in names], mass=False)
    places = [scatter_of(described, *where) for where in (("f", "a"), ("f", "h"), ("s", "a"))]
    assert tuple(d.column.name if d else None for d in places) == found
    assert [d.column.name for d in described if is_width(d)] == [
        name for name in names if name.endswith("-W")
    ]


def test_forward_scatter_without_a_measure_stands_for_both():
    described = describe([Column("FS Lin"), Column("SS Lin")], mass=False)
    forward = scatter_of(described, "f", "a-h")
    assert forward is not None
    assert forward.column.name == "FS Lin"
