"""How figures look: one palette, one font, sizes in centimetres, and bytes that depend on the content alone.

Colours are those of Okabe and Ito, which colour-blind readers can tell apart; maps are perceptually uniform.

References
----------
Okabe M, Ito K. Color Universal Design (2008). https://jfly.uni-koeln.de/color/
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import matplotlib
from cycler import cycler
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from PIL import Image

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK = "#222222"
GREY = "#8a8a8a"
LIGHT = "#d9d9d9"
BLUE, ORANGE, GREEN, RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"
PINK, SKY, YELLOW, BLACK = "#CC79A7", "#56B4E9", "#F0E442", "#000000"

PALETTE: tuple[str, ...] = (BLUE, RED, GREEN, PINK, ORANGE, SKY, BLACK, GREY)
"""Categories, in the order in which they are given out; ``color_of`` goes on beyond the last."""

SEQUENTIAL = "viridis"
DIVERGING = "RdBu_r"
GREYS = "gray"

FULL_WIDTH_CM = 18.0
FONT_SIZE = 8.0
DPI = 150

RC: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": FONT_SIZE,
    "axes.titlesize": FONT_SIZE + 0.5,
    "axes.labelsize": FONT_SIZE,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.prop_cycle": cycler(color=PALETTE),
    "xtick.labelsize": FONT_SIZE - 1,
    "ytick.labelsize": FONT_SIZE - 1,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "lines.linewidth": 1.0,
    "lines.markersize": 3.0,
    "patch.linewidth": 0.6,
    "legend.fontsize": FONT_SIZE - 1,
    "legend.frameon": False,
    "image.cmap": SEQUENTIAL,
    "image.interpolation": "nearest",
    "text.color": INK,
    "figure.dpi": DPI,
    "savefig.dpi": DPI,
    "svg.fonttype": "path",
    "svg.hashsalt": "triptych",
    "svg.image_inline": True,
    "path.simplify": True,
    "axes.unicode_minus": True,
}


@contextmanager
def style() -> Iterator[None]:
    """Within it, everything that is drawn and saved has the style of the report."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(RC)
        yield


def new_figure(width_cm: float = FULL_WIDTH_CM, height_cm: float = 8.0) -> Figure:
    """An empty figure with constrained layout and an Agg canvas; no pyplot, no global state left behind.

    matplotlib reads most settings when axes and texts are created, so draw inside ``with style():``; the page
    calls the ``panels`` functions of the kinds within it.
    """
    figure = Figure(
        figsize=(width_cm / 2.54, height_cm / 2.54), dpi=DPI, layout="constrained", facecolor="white"
    )
    FigureCanvasAgg(figure)
    return figure


def color_of(index: int) -> str:
    """Colour of category ``index``: the palette, then hues spread around the circle by the golden angle."""
    if index < len(PALETTE):
        return PALETTE[index]
    from matplotlib.colors import hsv_to_rgb, to_hex

    hue = (index * 0.6180339887498949) % 1.0
    return to_hex(tuple(hsv_to_rgb((hue, 0.65, 0.75))))


def colors_of(categories: list[str]) -> dict[str, str]:
    """A colour for each category, in the order given."""
    return {category: color_of(index) for index, category in enumerate(categories)}


def add_scale_bar(axes: Axes, length: float, label: str, color: str = "white") -> None:
    """A scale bar at the lower right of a picture, ``length`` in data units of the horizontal axis."""
    left, right = axes.get_xlim()
    bottom, top = axes.get_ylim()
    width, height = right - left, top - bottom
    x1, y = right - 0.04 * width, bottom + 0.05 * height
    x0 = x1 - length * (1.0 if width > 0 else -1.0)
    outline = [withStroke(linewidth=1.5, foreground="black" if color == "white" else "white")]
    thick = [withStroke(linewidth=3.5, foreground="black" if color == "white" else "white")]
    axes.plot([x0, x1], [y, y], color=color, linewidth=2.5, solid_capstyle="butt", path_effects=thick)
    axes.text(
        (x0 + x1) / 2,
        y + 0.025 * height,
        label,
        color=color,
        ha="center",
        va="bottom",
        size=FONT_SIZE - 1,
        path_effects=outline,
    )
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)


def _settle(figure: Figure) -> None:
    """Lay the figure out once: matplotlib would otherwise draw it twice for every file it writes."""
    if figure.get_layout_engine() is not None:
        figure.draw_without_rendering()
        figure.set_layout_engine("none")


def to_svg(figure: Figure) -> bytes:
    """The figure as SVG, text as paths, without a date: equal figures give equal bytes."""
    buffer = io.BytesIO()
    with style():
        _settle(figure)
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def to_png(figure: Figure, dpi: float = DPI) -> bytes:
    """The figure as PNG of at most 256 colours, a third of the bytes; equal figures give equal bytes."""
    drawn, small = io.BytesIO(), io.BytesIO()
    with style():
        _settle(figure)
        figure.savefig(drawn, format="png", dpi=dpi, metadata={"Software": None})
    picture = Image.open(drawn).convert("RGB")
    picture.quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=1, dither=Image.Dither.NONE).save(
        small, "png", optimize=True, dpi=(dpi, dpi)
    )
    return small.getvalue()
