"""Two synthetic SBF-SEM stacks of packed cells with nuclei and mitochondria, and their true labels.

Grey values are painted from geometry: walls of a warped power diagram, nuclear envelopes with pores, chromatin, mitochondria
with cristae; then come the blur, the shot noise, the drift between slices and the fine texture that such stacks have.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile
from scipy import ndimage
from scipy.spatial import cKDTree

Array = npt.NDArray[np.float32]
Labels = npt.NDArray[np.uint16]

SHAPE = (48, 192, 192)
VOXEL_NM = (80.0, 40.0, 40.0)
# A slice shows the upper part of what is cut off; two planes stand for it.
PLANES_NM = (-20.0, 20.0)


@dataclass(frozen=True)
class Tissue:
    """What differs between the two groups.

    Attributes
    ----------
    spacing_nm : mean distance of cell centres.
    mitochondria : mean number per cell.
    length_nm : mean length of a mitochondrion.
    """

    group: str
    spacing_nm: float
    mitochondria: float
    length_nm: float


TISSUES = (Tissue("control", 2300.0, 7.0, 900.0), Tissue("treated", 2600.0, 5.0, 550.0))


@dataclass(frozen=True)
class Stack:
    """A painted stack: grey values and true labels, all (z, y, x)."""

    image: npt.NDArray[np.uint8]
    cells: Labels
    nuclei: Labels
    mitochondria: Labels


def make(folder: Path, seed: int = 0) -> list[dict[str, str]]:
    """Write the stacks and their labels as multipage TIFF below ``folder``; returns rows of the sample sheet."""
    rows = []
    for number, tissue in enumerate(TISSUES):
        stack = paint(tissue, np.random.Generator(np.random.PCG64([seed, number])))
        name = f"stack-{tissue.group}"
        place = Path("raw") / "volume" / name
        (folder / place).mkdir(parents=True, exist_ok=True)
        row = {
            "sample": name,
            "kind": "volume",
            "path": str(place / "stack.tif"),
            "group": tissue.group,
            "voxel_size_nm": ",".join(f"{s:g}" for s in VOXEL_NM),
        }
        tifffile.imwrite(folder / row["path"], stack.image, photometric="minisblack", metadata=None)
        truth = {"cell": stack.cells, "nucleus": stack.nuclei, "mitochondrion": stack.mitochondria}
        for kind, labels in truth.items():
            row[f"labels_{kind}"] = str(place / f"labels_{kind}.tif")
            tifffile.imwrite(
                folder / row[f"labels_{kind}"],
                labels,
                photometric="minisblack",
                metadata=None,
                compression="zlib",
            )
        rows.append(row)
    return rows


def paint(tissue: Tissue, random: np.random.Generator, shape: tuple[int, int, int] = SHAPE) -> Stack:
    """One stack of a tissue."""
    scene = Scene(tissue, random, shape)
    planes = [scene.planes(offset) for offset in PLANES_NM]
    grey = np.mean([grey for grey, _ in planes], axis=0)
    _, labels = scene.planes(0.0)
    return Stack(_expose(grey, random), *labels)


class Scene:
    """Geometry of a tissue in nanometres, from which planes are painted at any depth."""

    def __init__(self, tissue: Tissue, random: np.random.Generator, shape: tuple[int, int, int]) -> None:
        self.shape = shape
        extent = np.asarray(shape) * VOXEL_NM
        self.centres, self.powers = _cell_centres(tissue, random, extent)
        # Smooth displacement fields bend the walls; amplitudes in nm.
        self.warp = np.stack([180 * _smooth_noise(random, shape, 700.0) for _ in range(3)])
        self.near = _nearest_cells(self._points(0.0) + self.warp, self.centres, self.powers)
        self.chromatin = _smooth_noise(random, shape, 170.0)
        self.pores = _smooth_noise(random, shape, 110.0)
        self.granules = _smooth_noise(random, shape, 60.0)
        self.reticulum = _smooth_noise(random, shape, 130.0)
        self.nuclei = _nuclei(tissue, random, self.centres)
        self.mitochondria = _mitochondria(tissue, random, self.centres, self.nuclei)

    def planes(self, offset_nm: float) -> tuple[Array, tuple[Labels, Labels, Labels]]:
        """Grey values and labels (cells, nuclei, mitochondria) at the slices shifted by ``offset_nm`` in depth."""
        points = self._points(offset_nm)
        bent = points + self.warp
        cell, wall = _power_diagram(bent, self.centres, self.powers, self.near)
        grey = 168 + 9 * self.granules + 7 * np.abs(self.reticulum)
        grey -= 34 * np.exp(-((self.reticulum / 0.16) ** 2)) * (np.abs(self.granules) < 0.9)
        nucleus = self._paint_nuclei(bent, cell, wall, grey)
        mitochondrion = self._paint_mitochondria(points, cell, wall, nucleus, grey)
        grey -= (grey - 52) * np.exp(-((wall / 42) ** 2))
        return grey.astype(np.float32), (cell.astype(np.uint16), nucleus, mitochondrion)

    def _points(self, offset_nm: float) -> Array:
        """Positions of the voxel centres in nm, (3, z, y, x), shifted in depth."""
        axes = [(np.arange(n, dtype=np.float32) + 0.5) * s for n, s in zip(self.shape, VOXEL_NM, strict=True)]
        axes[0] = axes[0] + np.float32(offset_nm)
        return np.stack(np.meshgrid(*axes, indexing="ij")).astype(np.float32)

    def _paint_nuclei(self, bent: Array, cell: npt.NDArray[np.int32], wall: Array, grey: Array) -> Labels:
        labels = np.zeros(self.shape, np.uint16)
        for number, (centre, radii) in enumerate(self.nuclei, start=1):
            box = self._box(centre, float(radii.max()) + 500)
            if box is None:
                continue
            scaled = (bent[(slice(None), *box)] - centre[:, None, None, None]) / radii[:, None, None, None]
            radius = np.sqrt((scaled**2).sum(axis=0))
            depth = (1 - radius) * radii.min()
            mine = (cell[box] == number) & (wall[box] > 130)
            inside = mine & (depth > 0)
            chromatin = np.clip(self.chromatin[box] + 0.9 * np.exp(-depth / 130) - 0.55, 0, 0.7) / 0.7
            nucleolus = np.exp(-((np.maximum(radius - 0.3, 0) / 0.08) ** 2)) if number % 3 else 0.0
            level = 150 + 5 * self.granules[box] - 48 * chromatin - 50 * np.asarray(nucleolus)
            grey[box] = np.where(inside, level, grey[box])
            envelope = np.exp(-((depth / 34) ** 2)) * np.where(self.pores[box] > 0.7, 0.15, 0.62) * mine
            grey[box] -= (grey[box] - 70) * envelope
            labels[box][inside] = number
        return labels

    def _paint_mitochondria(
        self, points: Array, cell: npt.NDArray[np.int32], wall: Array, nucleus: Labels, grey: Array
    ) -> Labels:
        labels = np.zeros(self.shape, np.uint16)
        for number, (owner, centre, axis, half, radius) in enumerate(self.mitochondria, start=1):
            box = self._box(centre, half + radius + 150)
            if box is None:
                continue
            relative = points[(slice(None), *box)] - centre[:, None, None, None]
            along = np.einsum("i,izyx->zyx", axis, relative)
            across = np.sqrt(np.maximum((relative**2).sum(axis=0) - along**2, 0))
            depth = radius - np.hypot(across, np.maximum(np.abs(along) - half, 0))
            free = (cell[box] == owner + 1) & (wall[box] > 110) & (nucleus[box] == 0) & (labels[box] == 0)
            inside = free & (depth > 0)
            cristae = np.sin(2 * np.pi * along / 125 + 0.012 * across + number) * np.clip(depth / 60, 0, 1)
            grey[box] = np.where(inside, 104 + 22 * cristae + 4 * self.granules[box], grey[box])
            skin = 0.55 * np.exp(-((depth / 26) ** 2)) * free
            grey[box] -= (grey[box] - 70) * skin
            labels[box][inside] = number
        return labels

    def _box(self, centre: npt.NDArray[np.float64], reach: float) -> tuple[slice, slice, slice] | None:
        """Voxels within reach of a place, or None outside the stack."""
        box = []
        for c, s, n in zip(centre, VOXEL_NM, self.shape, strict=True):
            start, stop = max(0, int((c - reach) / s)), min(n, int((c + reach) / s) + 1)
            if start >= stop:
                return None
            box.append(slice(start, stop))
        z, y, x = box
        return z, y, x


def _cell_centres(
    tissue: Tissue, random: np.random.Generator, extent: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Jittered body-centred lattice around and inside the stack, and the powers that make cells differ in size."""
    step = tissue.spacing_nm * 2 / np.sqrt(3)
    ranges = [np.arange(-1, int(e / step) + 3) for e in extent]
    corners = np.stack(np.meshgrid(*ranges, indexing="ij"), axis=-1).reshape(-1, 3) * step
    centres = np.concatenate([corners, corners + step / 2]) - step / 2 * random.random(3)
    centres += random.uniform(-0.2, 0.2, centres.shape) * tissue.spacing_nm
    near = ((centres > -tissue.spacing_nm) & (centres < extent + tissue.spacing_nm)).all(axis=1)
    centres = centres[near]
    return centres, random.uniform(-0.12, 0.12, len(centres)) * tissue.spacing_nm**2


def _nearest_cells(
    points: Array, centres: npt.NDArray[np.float64], powers: npt.NDArray[np.float64]
) -> npt.NDArray[np.int32]:
    """The four cells of smallest power distance |p - c|^2 - w of every point, (4, z, y, x).

    Power distance is a distance in four dimensions, with sqrt(max w - w) as fourth coordinate of a centre.
    """
    lifted = np.concatenate([centres, np.sqrt(powers.max() - powers)[:, None]], axis=1)
    flat = np.concatenate([points.reshape(3, -1).T, np.zeros((points[0].size, 1), np.float32)], axis=1)
    _, order = cKDTree(lifted).query(flat, k=4)
    return np.moveaxis(order.astype(np.int32).reshape(*points.shape[1:], 4), -1, 0)


def _power_diagram(
    points: Array,
    centres: npt.NDArray[np.float64],
    powers: npt.NDArray[np.float64],
    near: npt.NDArray[np.int32],
) -> tuple[npt.NDArray[np.int32], Array]:
    """Cell (from 1) of every point, and its distance to the nearest wall in nm; ``near`` holds the cells that matter."""
    places, weights = centres.astype(np.float32), powers.astype(np.float32)
    power = np.stack(
        [sum(np.square(points[a] - places[:, a][cells]) for a in range(3)) - weights[cells] for cells in near]
    )
    best = power.argmin(axis=0)[None]
    cell, least = np.take_along_axis(near, best, 0)[0], np.take_along_axis(power, best, 0)[0]
    apart = np.linalg.norm(centres[:, None] - centres[None], axis=-1).astype(np.float32)
    np.fill_diagonal(apart, np.float32(1e-6))
    wall = np.full(cell.shape, np.inf, np.float32)
    for other, distance in zip(near, power, strict=True):
        gap = (distance - least) / (2 * apart[cell, other])
        wall = np.minimum(wall, np.where(other == cell, np.float32(np.inf), gap))
    return cell + 1, wall


def _nuclei(
    tissue: Tissue, random: np.random.Generator, centres: npt.NDArray[np.float64]
) -> list[tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]]:
    """Centre and semi-axes (nm) of the nucleus of every cell."""
    size = 0.29 * tissue.spacing_nm
    return [
        (centre + random.normal(0, 0.05, 3) * tissue.spacing_nm, size * random.uniform(0.85, 1.15, 3))
        for centre in centres
    ]


def _mitochondria(
    tissue: Tissue,
    random: np.random.Generator,
    centres: npt.NDArray[np.float64],
    nuclei: list[tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]],
) -> list[tuple[int, npt.NDArray[np.float64], npt.NDArray[np.float64], float, float]]:
    """Owner, centre, axis, half length and radius (nm) of rods that lie around the nuclei."""
    found = []
    for owner, (centre, radii) in enumerate(nuclei):
        for _ in range(random.poisson(tissue.mitochondria)):
            outward, axis = (v / np.linalg.norm(v) for v in random.normal(size=(2, 3)))
            axis = axis - 0.8 * (axis @ outward) * outward
            place = centre + outward * (radii.mean() + random.uniform(190, 330))
            half = max(40.0, random.normal(tissue.length_nm, 0.25 * tissue.length_nm) / 2)
            found.append((owner, place, axis / np.linalg.norm(axis), half, random.uniform(120, 170)))
    return found


def _smooth_noise(random: np.random.Generator, shape: tuple[int, int, int], scale_nm: float) -> Array:
    """Gaussian random field of unit variance with a correlation length in nm."""
    noise = random.standard_normal(shape, dtype=np.float32)
    smooth = ndimage.gaussian_filter(noise, [scale_nm / s for s in VOXEL_NM], mode="reflect", truncate=3)
    return np.asarray(smooth / smooth.std(), dtype=np.float32)


def _expose(grey: Any, random: np.random.Generator) -> npt.NDArray[np.uint8]:
    """The microscope: beam width, shot noise, fine texture, drift of brightness and contrast from slice to slice."""
    blurred = ndimage.gaussian_filter(grey, (0, 0.55, 0.55))
    texture = ndimage.gaussian_filter(random.standard_normal(grey.shape), (0, 0.7, 0.7))
    seen = blurred + 12 * texture + random.standard_normal(grey.shape) * np.sqrt(np.maximum(blurred, 1)) * 0.8
    slices = (grey.shape[0], 1, 1)
    seen = (seen - 128) * random.normal(1, 0.02, slices) + 128 + random.normal(0, 2.0, slices)
    return np.clip(np.rint(seen), 0, 255).astype(np.uint8)
