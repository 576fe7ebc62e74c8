"""Figures of the report: equal content gives equal bytes, without a date, and no global state is left."""

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from triptych.report.style import PALETTE, add_scale_bar, color_of, new_figure, style, to_png, to_svg


def draw() -> Figure:
    with style():
        figure = new_figure(9, 6)
        left, right = figure.subplots(1, 2)
        left.plot([0, 1], [1, -1])
        left.set_xlabel("time (s)")
        right.imshow(np.arange(64.0).reshape(8, 8))
        add_scale_bar(right, 3, "300 nm")
    return figure


def test_equal_figures_give_equal_bytes() -> None:
    assert to_svg(draw()) == to_svg(draw())
    assert to_png(draw()) == to_png(draw())
    svg = to_svg(draw()).decode()
    assert "<dc:date>" not in svg
    assert "data:image/png;base64" in svg
    assert "http" not in svg.split("<image", maxsplit=1)[1].split("/>", maxsplit=1)[0]


def test_style_leaves_no_trace() -> None:
    before = dict(matplotlib.rcParams)
    draw()
    assert dict(matplotlib.rcParams) == before


def test_size_is_in_centimetres() -> None:
    figure = new_figure(18, 8)
    np.testing.assert_allclose(figure.get_size_inches() * 2.54, [18, 8])


def test_colours_never_run_out_nor_repeat() -> None:
    colours = [color_of(i) for i in range(40)]
    assert colours[: len(PALETTE)] == list(PALETTE)
    assert len(set(colours)) == 40
