"""Panels of one volume: slices with the objects found (truth beside them), boundaries, sizes and shapes, counts, scores,
and the atoms of its texture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.colors import hsv_to_rgb
from numpy.typing import NDArray

from triptych.report import textures
from triptych.report.comparison import cohort_panels
from triptych.report.panel import Panel
from triptych.report.style import BLUE, FULL_WIDTH_CM, GREY, GREYS, SEQUENTIAL, add_scale_bar, new_figure
from triptych.segmentation.intensity import percentile
from triptych.stores.table import Table, read_table
from triptych.stores.volume import Volume, open_volume, plan_levels, read_histogram

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["cohort_panels", "panels"]

# A picture is taken from the first level of the pyramid that is no wider than this.
WIDEST = 800
GOLDEN = 0.6180339887498949
NM3_PER_UM3 = 1e9
SCORES = {
    "adapted_rand_error": "adapted Rand error",
    "voi_split": "variation of information, split [bit]",
    "voi_merge": "variation of information, merge [bit]",
    "f1_50": "F1 of objects at IoU > 0.5",
    "matched_truth": "true objects matched at IoU > 0.5",
}


@dataclass(frozen=True)
class Cut:
    """A plane through a volume.

    Attributes
    ----------
    axis : 0 for a slice (y down, x right), 1 for a section (z down, x right).
    where : position along the axis as a share of its length.
    """

    axis: int
    where: float = 0.5

    @property
    def title(self) -> str:
        """What the picture shows."""
        return "slice (x, y)" if self.axis == 0 else "section (x, z)"


CUTS = (Cut(0), Cut(1))


def panels(
    sample: str, folders: Mapping[str, Path], manifests: Mapping[str, Mapping[str, Any]]
) -> list[Panel]:
    """Panels of one sample from the folders of its finished steps."""
    if "import_volume" not in folders:
        return []
    found = [_slices(sample, folders)]
    if "predict_boundaries" in folders:
        found.append(_boundaries(sample, folders))
    if "measure_objects" in folders:
        found.append(_sizes(sample, read_table(folders["measure_objects"] / "objects.parquet")))
    if "segment_volume" in manifests:
        found.append(_numbers(sample, manifests))
    if "learn_textures" in folders:
        found.append(textures.panel(sample, folders["learn_textures"]))
    return found


def _slices(sample: str, folders: Mapping[str, Path]) -> Panel:
    """Image, objects found and true objects, in a slice and in a section across the slices."""
    stores: dict[str, Path | None] = {"image": None}
    if "segment_volume" in folders:
        stores["objects found"] = folders["segment_volume"] / "labels.ome.zarr"
    truth = folders["import_volume"] / "labels_cell.ome.zarr"
    if truth.is_dir():
        stores["true cells"] = truth
    image = folders["import_volume"] / "image.ome.zarr"
    low, high = _contrast(image)
    volume = _shown_level(image)
    heights = [_height(volume, cut) for cut in CUTS]
    figure = new_figure(FULL_WIDTH_CM, FULL_WIDTH_CM / 3.05 * sum(heights) + 1.6)
    grid = figure.subplots(2, 3, squeeze=False, height_ratios=heights)
    for row, cut in enumerate(CUTS):
        grey, extent = _plane(volume, cut)
        for column in range(3):
            axes = grid[row, column]
            axes.set_axis_off()
            if column >= len(stores):
                continue
            name, path = list(stores.items())[column]
            axes.imshow(grey, GREYS, vmin=low, vmax=high, extent=extent, aspect="equal")
            if path is not None:
                axes.imshow(_overlay(_plane(_shown_level(path), cut)[0]), extent=extent, aspect="equal")
            axes.set_title(f"{name}, {cut.title}")
            if column == 0:
                _scale_bar(axes, extent[1])
    size = " × ".join(f"{s:g}" for s in open_volume(image).voxel_size_nm)
    return Panel(
        f"{sample}: slices",
        f"The middle slice and the middle section across the slices; voxels of {size} nm (z × y × x). Grey values are shown from "
        f"{low} to {high} (percentiles 1 and 99 of the volume). Colours tell objects apart and carry no value; found and true "
        "objects are coloured independently.",
        figure,
    )


def _boundaries(sample: str, folders: Mapping[str, Path]) -> Panel:
    """Image and boundary probability of the middle slice."""
    image = folders["import_volume"] / "image.ome.zarr"
    boundaries = open_volume(folders["predict_boundaries"] / "boundaries.ome.zarr")
    volume = open_volume(image)
    z, y, x = volume.shape
    # The map has no pyramid: the central window of full resolution is shown.
    window = (
        slice(z // 2, z // 2 + 1),
        *(slice(max(0, (n - WIDEST) // 2), max(0, (n - WIDEST) // 2) + min(n, WIDEST)) for n in (y, x)),
    )
    grey, probability = volume.read(window)[0], boundaries.read(window, channel=0)[0] / 255
    height, width = (n * s / 1000 for n, s in zip(grey.shape, volume.voxel_size_nm[1:], strict=True))
    extent = (0.0, width, height, 0.0)
    figure = new_figure(FULL_WIDTH_CM, FULL_WIDTH_CM / 2.25 * height / width + 0.8)
    left, right = figure.subplots(1, 2)
    low, high = _contrast(image)
    left.imshow(grey, GREYS, vmin=low, vmax=high, extent=extent)
    left.set_title("image")
    shown = right.imshow(probability, SEQUENTIAL, vmin=0, vmax=1, extent=extent)
    right.set_title("boundary probability")
    for axes in (left, right):
        axes.set_axis_off()
    _scale_bar(left, width)
    figure.colorbar(shown, ax=right, shrink=0.8, label="probability")
    origin = boundaries.attributes.get("origin", "")
    half = boundaries.attributes.get("half_response")
    how = f"Response of probability 1/2: {half:.3f} of the grey range." if half else "The map was given."
    return Panel(
        f"{sample}: boundaries", f"Middle slice, full resolution; origin of the map: {origin}. {how}", figure
    )


def _sizes(sample: str, table: Table) -> Panel:
    """How large and how round objects are; those cut by the border apart."""
    columns = table.columns
    cut = columns["touches_border"].astype(bool)
    figure = new_figure(FULL_WIDTH_CM, 6.4)
    left, right = figure.subplots(1, 2)
    volume = columns["volume"] / NM3_PER_UM3
    if volume.size:
        edges = np.geomspace(volume.min() * 0.95, volume.max() * 1.05, 25)
        left.hist(
            [volume[~cut], volume[cut]],
            edges,
            stacked=True,
            color=[BLUE, GREY],
            label=["whole", "cut by the border"],
        )
        left.set_xscale("log")
        left.legend()
    left.set(xlabel="volume [µm³]", ylabel="objects", title="sizes")
    for chosen, color, label in ((cut, GREY, "cut by the border"), (~cut, BLUE, "whole")):
        right.scatter(
            volume[chosen], columns["sphericity"][chosen], s=10, color=color, label=label, linewidths=0
        )
    if volume.size:
        right.set_xscale("log")
    right.set(xlabel="volume [µm³]", ylabel="sphericity", title="sizes and shapes")
    whole = volume[~cut]
    median = f"their median volume is {np.median(whole):.3g} µm³" if whole.size else "none is whole"
    return Panel(
        f"{sample}: sizes and shapes",
        f"{volume.size} objects, {whole.size} of them whole; {median}. Volumes of objects that the border cuts are lower bounds. "
        "Sphericity is the surface of the ball of equal volume by the object's surface.",
        figure,
    )


def _numbers(sample: str, manifests: Mapping[str, Mapping[str, Any]]) -> Panel:
    """Counts and scores as a table."""
    segmented = manifests["segment_volume"]
    rows = [("objects", f"{segmented['counts']['objects']}")]
    if "measure_objects" in manifests:
        rows.append(("whole objects", f"{manifests['measure_objects']['counts']['whole_objects']}"))
    if "true_objects" in segmented["counts"]:
        rows.append(("true objects", f"{segmented['counts']['true_objects']}"))
    rows.append(("fragments before joining", f"{segmented['counts']['fragments']}"))
    rows.append(("voxels without object", f"{segmented['counts']['unlabelled_voxels']}"))
    rows += [(SCORES.get(k, k), f"{v:.3f}") for k, v in segmented["scores"].items()]
    notes = ". ".join(n[:1].upper() + n[1:] for n in segmented["notes"])
    return Panel(
        f"{sample}: objects and scores",
        notes + "." if notes else "No truth was given, so there is no score.",
        table=pd.DataFrame(rows, columns=["quantity", "value"]),
    )


def _contrast(image: Path) -> tuple[int, int]:
    values, counts = read_histogram(image)
    low, high = percentile(values, counts, 1), percentile(values, counts, 99)
    return low, max(high, low + 1)


def _shown_level(path: Path) -> Volume:
    """The first level of a pyramid that is small enough for a picture, else the last."""
    first = open_volume(path)
    levels = plan_levels(first.shape, first.voxel_size_nm)
    number = next((i for i, level in enumerate(levels) if max(level.shape) <= WIDEST), len(levels) - 1)
    return open_volume(path, number)


def _plane(volume: Volume, cut: Cut) -> tuple[NDArray[Any], tuple[float, float, float, float]]:
    """Voxels of a cut, and its extent in µm."""
    at = min(int(volume.shape[cut.axis] * cut.where), volume.shape[cut.axis] - 1)
    region = [slice(0, n) for n in volume.shape]
    region[cut.axis] = slice(at, at + 1)
    plane = np.squeeze(volume.read(region), axis=cut.axis)
    down, across = [a for a in range(3) if a != cut.axis]
    width, height = (volume.shape[a] * volume.voxel_size_nm[a] / 1000 for a in (across, down))
    return plane, (0.0, width, height, 0.0)


def _height(volume: Volume, cut: Cut) -> float:
    """Height of a cut by its width."""
    _, width, height, _ = _plane(volume, cut)[1]
    return height / width


def _overlay(labels: NDArray[Any]) -> NDArray[np.float64]:
    """Objects as translucent colours with opaque outlines (RGBA)."""
    hue = (labels.astype(np.float64) * GOLDEN) % 1.0
    rgb = hsv_to_rgb(np.stack([hue, np.full_like(hue, 0.75), np.full_like(hue, 0.95)], axis=-1))
    outline = np.zeros(labels.shape, bool)
    outline[1:] |= labels[1:] != labels[:-1]
    outline[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    alpha = np.where(labels > 0, 0.32, 0.0) + np.where(outline, 0.55, 0.0)
    return np.concatenate([rgb, alpha[..., None]], axis=-1)


def _scale_bar(axes: Axes, width_um: float) -> None:
    """A bar of 1, 2 or 5 times a power of ten, about a fifth of the picture."""
    wanted = width_um / 5
    power = 10.0 ** np.floor(np.log10(wanted))
    length = max(step * power for step in (1, 2, 5) if step * power <= wanted)
    label = f"{length:g} µm" if length >= 0.1 else f"{length * 1000:g} nm"
    add_scale_bar(axes, length, label)
