"""Panel of the atoms of an image: the atoms as tiles, and below a piece of the image, what they explain of it, and the rest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from triptych.report.panel import Panel
from triptych.report.style import FULL_WIDTH_CM, GREYS, add_scale_bar, new_figure
from triptych.stores.table import Table, read_table
from triptych.stores.textures import STORE, TABLE, Textures, open_textures

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import SubFigure

ATOMS_SHOWN = 24
TILES_PER_ROW = 8
PERCENTILE = 99.5
PICTURES = ("image", "explained by the atoms", "residual")
ROUNDED = {"energy_share": 4, "period": 1, "orientation": 0, "anisotropy": 2, "density": 1, "amplitude": 2}


def panel(sample: str, folder: Path) -> Panel:
    """The panel of a finished ``learn_textures``."""
    found, table = open_textures(folder / STORE), read_table(folder / TABLE)
    shown = min(len(found.atoms), ATOMS_SHOWN)
    rows = -(-shown // TILES_PER_ROW)
    tile = FULL_WIDTH_CM / TILES_PER_ROW
    height, width = (n * s for n, s in zip(found.example.shape[1:], found.voxel_size_nm[1:], strict=True))
    dz, dy, dx = _extent_nm(found)
    depth = dz if found.atoms.shape[1] > 1 else 0.0
    tiles_cm = rows * (tile * (dy + depth) / dx + 0.35 + 0.1 * bool(depth)) + 0.6
    pictures_cm = FULL_WIDTH_CM / 3.35 * height / width + 0.9
    figure = new_figure(FULL_WIDTH_CM, tiles_cm + pictures_cm)
    parts: Any = figure.subfigures(2, 1, height_ratios=[tiles_cm, pictures_cm])
    _tiles(parts[0], found, table, shown, rows)
    _pictures(parts[1], found)
    return Panel(f"{sample}: texture atoms", _caption(found, table, shown), figure, _rows(table))


def _tiles(figure: SubFigure, found: Textures, table: Table, shown: int, rows: int) -> None:
    """Each atom as its middle plane, and below it, where it has depth, its middle section."""
    dz, dy, dx = _extent_nm(found)
    heights = [dy, dz] if found.atoms.shape[1] > 1 else [dy]
    grid = figure.subplots(rows * len(heights), TILES_PER_ROW, squeeze=False, height_ratios=heights * rows)
    _, nz, ny, _ = found.atoms.shape
    for place in range(rows * TILES_PER_ROW):
        column = grid[len(heights) * (place // TILES_PER_ROW) :, place % TILES_PER_ROW][: len(heights)]
        for axes in column:
            axes.set_axis_off()
        if place >= shown:
            continue
        atom = found.atoms[place] / max(float(np.abs(found.atoms[place]).max()), 1e-12)
        for axes, cut, height in zip(column, (atom[nz // 2], atom[:, ny // 2]), heights, strict=False):
            axes.imshow(cut, GREYS, vmin=-1, vmax=1, extent=(0.0, dx, height, 0.0))
        share = 100 * table.columns["energy_share"][place]
        column[0].set_title(f"{place}", fontsize=6.5, pad=2)
        column[0].set_title(f"{share:.1f} %", fontsize=6.5, loc="right", fontweight="normal", pad=2)
        if place == 0:
            _bar(column[0], dx, 1.8)


def _extent_nm(found: Textures) -> tuple[float, float, float]:
    """Size (z, y, x) of an atom."""
    dz, dy, dx = (n * s for n, s in zip(found.atoms.shape[1:], found.voxel_size_nm, strict=True))
    return dz, dy, dx


def _pictures(part: SubFigure, found: Textures) -> None:
    image, explained = (np.asarray(plane, dtype=np.float64) for plane in found.example)
    limit = max(float(np.percentile(np.abs(image), PERCENTILE)), 1e-12)
    height, width = (n * s for n, s in zip(image.shape, found.voxel_size_nm[1:], strict=True))
    grid = part.subplots(1, 3, squeeze=False)
    for axes, title, plane in zip(grid[0], PICTURES, (image, explained, image - explained), strict=True):
        axes.set_axis_off()
        shown = axes.imshow(plane, GREYS, vmin=-limit, vmax=limit, extent=(0.0, width, height, 0.0))
        axes.set_title(title)
    _bar(grid[0, 0], width, 5.0)
    part.colorbar(
        shown,
        ax=list(grid[0]),
        shrink=0.85,
        aspect=30,
        pad=0.01,
        label="grey value (deviations from the mean)",
    )


def _bar(axes: Axes, width_nm: float, share: float) -> None:
    """A bar of 1, 2 or 5 times a power of ten, about 1 / ``share`` of the picture."""
    power = 10.0 ** np.floor(np.log10(width_nm / share))
    length = max(step * power for step in (1, 2, 5) if step * power <= width_nm / share)
    add_scale_bar(axes, length, f"{length / 1000:g} µm" if length >= 1000 else f"{length:g} nm")


def _caption(found: Textures, table: Table, shown: int) -> str:
    dz, dy, dx = found.atoms.shape[1:]
    size = " × ".join(f"{s:g}" for s in found.voxel_size_nm)
    flat = (
        "planes"
        if dz == 1
        else "volumes: above the middle plane (x, y), below the middle section (x, z, downwards)"
    )
    local = (
        f"a Gaussian local mean of {found.local_mean_nm:g} nm was taken off"
        if found.local_mean_nm
        else "the mean of the image was taken off"
    )
    score = found.certificate
    piece = " × ".join(str(n) for n in found.pieces[0, 1] - found.pieces[0, 0])
    place = ", ".join(str(n) for n in found.example_place)
    number = "1 piece" if len(found.pieces) == 1 else f"{len(found.pieces)} pieces"
    return (
        f"The {shown} of {len(found.atoms)} atoms that explain most, in that order; number, and share of the energy that the atom "
        f"explains alone. Atoms have {dz} × {dy} × {dx} voxels of {size} nm (z × y × x) and are {flat}. Each tile is scaled to its "
        "own largest value; middle grey is the mean of the image. Below: the image from voxel "
        f"({place}) on, what all atoms explain of it (amplitudes shrunk by lambda), and the difference, on one scale. "
        f"Learned from {number} of "
        f"{piece} voxels; {local}. All atoms explain {100 * score['explained_energy']:.1f} % of the energy at lambda = "
        f"{found.penalty:.3g} deviations ({100 * found.penalty / found.penalty_max:.0f} % of lambda_max); {len(found.history)} "
        f"iterations; the objective of the code is within {100 * score['duality_gap'] / score['objective']:.2g} % of its minimum. "
        f"{int(table.columns['activations'].sum()):,} activations."
    )


def _rows(table: Table) -> pd.DataFrame:
    columns: dict[str, NDArray[Any]] = {
        name: np.round(column, ROUNDED[name]) if name in ROUNDED else column
        for name, column in table.columns.items()
    }
    units = {name: field.unit for name, field in table.fields.items()}
    return pd.DataFrame(
        {
            name.replace("_", " ") + (f" ({units[name]})" if units[name] not in ("", "1") else ""): column
            for name, column in columns.items()
        }
    )
