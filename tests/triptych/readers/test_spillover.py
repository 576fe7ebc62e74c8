"""Spillover matrices in keywords."""

from pathlib import Path

import numpy as np
import pytest

from triptych.errors import InputError
from triptych.readers.spillover import read_spillover

PATH = Path("a.fcs")
NAMES = ["FSC-A", "FITC-A", "PE-A"]


@pytest.mark.parametrize("keyword", ["spillover", "spill"])
def test_a_matrix_names_its_channels(keyword):
    found, remark = read_spillover(PATH, {keyword: "2,PE-A,FITC-A,1,0.1,0.2,1"}, NAMES)
    assert remark is None
    assert found.columns == (2, 1)
    assert found.matrix.tolist() == [[1, 0.1], [0.2, 1]]
    assert not found.compensated
    assert not found.is_identity


def test_channels_by_number_and_without_case():
    found, _ = read_spillover(PATH, {"spillover": "2,2,pe-a,1,0,0,1"}, NAMES)
    assert found.columns == (1, 2)
    assert found.is_identity


@pytest.mark.parametrize("names", [["Comp-FITC-A", "Comp-PE-A"], ["<FITC-A>", "<PE-A>"]])
def test_compensated_channels_are_recognised(names):
    for labels in (["FITC-A", "PE-A"], names):
        found, _ = read_spillover(PATH, {"spill": f"2,{','.join(labels)},1,0.1,0,1"}, names)
        assert found.compensated


def test_an_unnamed_matrix_may_be_spillover_or_its_inverse():
    matrix = np.array([[1, 0, 0], [0, 1, 0.3], [0, 0.1, 1]])
    for given in (matrix, np.linalg.inv(matrix)):
        text = {"comp": "3," + ",".join(str(x) for x in given.ravel())}
        found, _ = read_spillover(PATH, text, NAMES)
        assert found.matrix == pytest.approx(matrix)
    assert read_spillover(PATH, {"comp": "2,1,0,0,1"}, NAMES)[1] is not None


@pytest.mark.parametrize("value", ["6,FITC-A,PE-A", "FITC-A", "2,FITC-A,PE-A,1,0,0", "0"])
def test_what_is_no_matrix_is_remarked(value):
    found, remark = read_spillover(PATH, {"spillover": value}, NAMES)
    assert found is None
    assert "SPILLOVER" in remark


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("2,FITC-A,APC-A,1,0,0,1", "'APC-A', which the file does not have"),
        ("2,FITC-A,FITC-A,1,0,0,1", "twice"),
        ("2,FITC-A,PE-A,1,1,1,1", "cannot be inverted"),
        ("2,FITC-A,PE-A,1,nan,0,1", "cannot be inverted"),
    ],
)
def test_a_matrix_that_does_not_fit_is_refused(value, message):
    with pytest.raises(InputError, match=message):
        read_spillover(PATH, {"spill": value}, NAMES)


def test_no_matrix():
    assert read_spillover(PATH, {}, NAMES) == (None, None)
