"""Nearest neighbours of groups."""

import numpy as np

from triptych.quantization.neighbours import leave_one_out


def test_two_pairs_and_one_alone():
    places = np.array([0.0, 1.0, 10.0, 11.5, 13.0])
    score = leave_one_out(np.abs(places[:, None] - places[None]), ["a", "a", "b", "b", "c"])
    assert score.correct == (True, True, True, True, False)
    assert score.accuracy == 0.8
    assert score.majority == 0.4
    assert score.alone == ("c",)
