"""From sums to the table of objects: sizes, position, axes of inertia, surface, intensity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from triptych.morphometry.sums import PAIRS, Sums
from triptych.morphometry.surface import surface_nm2

Spacing = tuple[float, float, float]
Columns = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Parameter:
    """What a column of the table means; ``feature`` is False for ids, flags and boxes."""

    unit: str
    category: str
    definition: str
    source: str = ""
    feature: bool = True


_INERTIA = "ellipsoid with the object's second moments: semi-axes sqrt(5 x eigenvalue)"
_CROFTON = "Lehmann & Legland 2012, Insight J."
PARAMETERS: dict[str, Parameter] = {
    "id": Parameter("", "identity", "Label of the object in labels.ome.zarr.", feature=False),
    **{
        f"bbox_{axis}_{end}": Parameter("voxel", "identity", f"{text} of the bounding box along {axis}.", feature=False)
        for axis in "zyx"
        for end, text in (("start", "First voxel"), ("stop", "One past the last voxel"))
    },
    "touches_border": Parameter("", "identity", "Whether the object is cut by the border of the volume.", feature=False),
    **{
        f"centroid_{axis}": Parameter("nm", "position", f"Mean position of the voxel centres along {axis}.", feature=False)
        for axis in "zyx"
    },
    "voxels": Parameter("voxel", "size", "Number of voxels.", feature=False),
    "volume": Parameter("nm^3", "size", "Number of voxels times the volume of one."),
    "surface": Parameter("nm^2", "size", "Surface area; what the border of the volume cuts counts as surface.", _CROFTON),
    "equivalent_diameter": Parameter("nm", "size", "Diameter of the ball of equal volume."),
    "sphericity": Parameter("1", "shape", "Surface of the ball of equal volume by the object's: pi^(1/3) (6 V)^(2/3) / S."),
    "axis_major": Parameter("nm", "shape", "Longest axis of the " + _INERTIA + "."),
    "axis_middle": Parameter("nm", "shape", "Middle axis of the " + _INERTIA + "."),
    "axis_minor": Parameter("nm", "shape", "Shortest axis of the " + _INERTIA + "."),
    "elongation": Parameter("1", "shape", "Longest by middle axis of inertia; 1 for a ball."),
    "flatness": Parameter("1", "shape", "Middle by shortest axis of inertia; 1 for a ball."),
    "extent": Parameter("1", "shape", "Share of the bounding box that the object fills."),
    **{
        f"{name}_{axis}": Parameter(
            "1", "orientation", f"Component along {axis} of the unit vector of the {text} axis (its largest component "
            "is positive).", feature=False,
        )
        for name, text in (("direction_major", "longest"), ("direction_minor", "shortest"))
        for axis in "zyx"
    },
    "inclination": Parameter("degree", "orientation", "Angle of the longest axis with the slices: 0 in the plane, 90 along z."),
    "intensity_mean": Parameter("grey value", "intensity", "Mean grey value."),
    "intensity_std": Parameter("grey value", "intensity", "Standard deviation of the grey value."),
    "intensity_min": Parameter("grey value", "intensity", "Darkest voxel."),
    "intensity_max": Parameter("grey value", "intensity", "Brightest voxel."),
}  # fmt: skip


def finish(sums: Sums, voxel_size_nm: Spacing, *, intensity: bool = True) -> Columns:
    """Parameters of every object, as ``PARAMETERS`` describes them; intensities only with an image.

    Sums of coordinates count from the object's bounding box, so the result does not depend on blocks.
    """
    size = np.asarray(voxel_size_nm)
    voxels = sums.voxels.astype(np.float64)
    columns: Columns = {"id": sums.ids}
    for a, axis in enumerate("zyx"):
        columns[f"bbox_{axis}_start"], columns[f"bbox_{axis}_stop"] = sums.lower[:, a], sums.upper[:, a]
    columns["touches_border"] = sums.border > 0
    mean = sums.first / voxels[:, None]
    for a, axis in enumerate("zyx"):
        columns[f"centroid_{axis}"] = (sums.lower[:, a] + mean[:, a] + 0.5) * size[a]
    columns["voxels"] = sums.voxels
    volume = voxels * np.prod(size)
    surface = surface_nm2(sums.crossings, voxel_size_nm)
    axes, directions = _axes(sums, mean, size)
    box = np.prod(sums.upper - sums.lower, axis=1)
    columns |= {
        "volume": volume,
        "surface": surface,
        "equivalent_diameter": np.cbrt(6 * volume / np.pi),
        "sphericity": np.cbrt(np.pi) * np.cbrt(6 * volume) ** 2 / surface,
        "axis_major": axes[:, 2],
        "axis_middle": axes[:, 1],
        "axis_minor": axes[:, 0],
        "elongation": axes[:, 2] / axes[:, 1],
        "flatness": axes[:, 1] / axes[:, 0],
        "extent": voxels / box,
    }
    for name, column in (("direction_major", 2), ("direction_minor", 0)):
        for a, axis in enumerate("zyx"):
            columns[f"{name}_{axis}"] = directions[:, a, column]
    columns["inclination"] = np.degrees(np.arcsin(np.clip(np.abs(directions[:, 0, 2]), 0, 1)))
    if intensity:
        columns["intensity_mean"] = sums.intensity / voxels
        columns["intensity_std"] = _deviation(sums)
        columns["intensity_min"] = sums.darkest.astype(np.float64)
        columns["intensity_max"] = sums.brightest.astype(np.float64)
    return columns


def _deviation(sums: Sums) -> npt.NDArray[np.float64]:
    """Standard deviation of grey values from exact sums: the difference is taken in whole numbers of any length."""
    exact = [
        n * q - s * s
        for n, q, s in zip(sums.voxels.tolist(), sums.squares.tolist(), sums.intensity.tolist(), strict=True)
    ]
    return np.sqrt(np.asarray(exact, dtype=np.float64)) / sums.voxels


def _axes(
    sums: Sums, mean: npt.NDArray[np.float64], size: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Lengths (nm, ascending) and unit vectors (columns) of the axes of the ellipsoid of equal second moments.

    A voxel adds its own second moment, size^2 / 12, so that one voxel is no point.
    """
    covariance = np.zeros((sums.ids.size, 3, 3))
    for column, (a, b) in enumerate(PAIRS):
        value = (sums.second[:, column] / sums.voxels - mean[:, a] * mean[:, b]) * size[a] * size[b]
        covariance[:, a, b] = covariance[:, b, a] = value + (size[a] ** 2 / 12 if a == b else 0.0)
    values, vectors = np.linalg.eigh(covariance)
    strongest = np.take_along_axis(vectors, np.abs(vectors).argmax(axis=1)[:, None, :], axis=1)
    return 2 * np.sqrt(5 * np.maximum(values, 0)), vectors * np.where(strongest < 0, -1.0, 1.0)
