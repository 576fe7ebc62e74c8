"""Labels of one marker share a key, whatever the spelling, dye or isotope; different markers never do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triptych.stores.labels import matching_key, matching_keys, natural_order

MARKERS = (
    "CD3",
    "CD45",
    "CD45RA",
    "CD8",
    "HLA-DR",
    "PD-1",
    "Ki-67",
    "IL-17A",
    "CD11b",
    "TCRgd",
    "p38",
    "CD106",
)
DYES = (
    "FITC",
    "PE",
    "PE-Cy7",
    "PE/Dazzle 594",
    "PerCP-Cy5.5",
    "PerCP-Cy5-5",
    "APC-H7",
    "BV421",
    "BUV395",
    "AF700",
    "Alexa Fluor 488",
    "Pacific Blue",
    "V500",
    "PE-Vio770",
    "APC-eFluor 780",
    "Qdot 605",
)
SPELLINGS = (
    "{m} {d}",
    "{d} {m}",
    "{m}.{d}",
    "{m} ({d})",
    "{m}_{d}",
    "{m}:{d}",
    "{m}-{d}",
    "anti-{m} {d}",
    "Comp-{m} {d}",
)


@given(st.sampled_from(MARKERS), st.sampled_from(DYES), st.sampled_from(SPELLINGS), st.booleans())
def test_dyes_and_spellings_change_no_key(marker: str, dye: str, spelling: str, lower: bool) -> None:
    label = spelling.format(m=marker, d=dye)
    assert matching_key(label.lower() if lower else label) == matching_key(marker)


@pytest.mark.parametrize(
    "label", ["142Nd_CD19", "CD19_142Nd", "142Nd-CD19", "CD19 (Nd142)Di", "cd-19", "CD19-A"]
)
def test_isotopes_and_pulses_change_no_key(label: str) -> None:
    assert matching_key(label) == "cd19"


def test_different_markers_have_different_keys() -> None:
    labels = [*MARKERS, "CD8a", "CD8 B", "CD45RO", "CD4", "CD38", "IL-17F", "HLA-A", "S6", "b2 microglobulin"]
    assert len({matching_key(label) for label in labels}) == len(labels)


def test_a_dye_alone_is_its_own_key_and_the_detector_stands_for_an_empty_label() -> None:
    assert matching_key("PE-Cy7-A") == "pecy7a"
    assert matching_key("", "Comp-FITC-A") == matching_key("FITC-A") == "fitca"
    assert matching_key("CD3 Newdye", "Newdye-A") == "cd3"
    assert matching_key("TCR γδ") == "tcrgd"


@given(st.lists(st.tuples(st.text(max_size=6), st.text(max_size=6)), max_size=6))
def test_keys_of_a_sample_are_unique(channels: list[tuple[str, str]]) -> None:
    keys = matching_keys([a for a, _ in channels], [b for _, b in channels])
    assert len(set(keys)) == len(keys) == len(channels)


def test_channels_that_share_a_marker_keep_apart() -> None:
    assert matching_keys(["CD3 (PE-A)", "CD3 (FITC-A)", "CD4"], ["PE-A", "FITC-A", "APC-A"]) == (
        "cd3pea",
        "cd3fitca",
        "cd4",
    )


def test_numbers_are_sorted_as_numbers() -> None:
    assert sorted(["cd14", "cd4", "bcl2", "cd11b"], key=natural_order) == ["bcl2", "cd4", "cd11b", "cd14"]
