"""``textures.zarr``: atoms of an image with how they were learned, and ``textures.parquet``: one row per atom."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import Crc32cCodec, ZstdCodec

from triptych.errors import InputError
from triptych.stores.table import Field, write_table

STORE = "textures.zarr"
TABLE = "textures.parquet"
REMEDY = "give the textures.zarr that learn_textures wrote, or run learn_textures again"

FIELDS = {
    "atom": Field("", "texture", "Number of the atom; most energy first.", role="descriptor"),
    "activations": Field(
        "", "texture", "Number of activations in the pieces learned from.", role="descriptor"
    ),
    "energy_share": Field(
        "1",
        "texture",
        "Share of the energy of the image that the atom explains alone.",
        "1 - ||X - D * z||^2 / ||X||^2",
    ),
    "period": Field("nm", "texture", "Period at the largest power of the atom less its mean."),
    "orientation": Field(
        "degree",
        "orientation",
        "Direction along the stripes of the atom in the plane: 0 along x, 90 along y (downwards).",
        "Bigun, Granlund, ICCV 1987",
    ),
    "anisotropy": Field(
        "1",
        "texture",
        "From 0 (no direction) to 1 (straight stripes): difference of the eigenvalues of the structure tensor by their sum.",
        "Bigun, Granlund, ICCV 1987",
    ),
    "density": Field("1/um^3", "texture", "Activations per volume learned from."),
    "amplitude": Field("1", "texture", "Mean amplitude of the activations, in deviations of the image."),
}


@dataclass(frozen=True)
class Textures:
    """Atoms of an image and how they were learned.

    Attributes
    ----------
    atoms : (K, dz, dy, dx) float64, unit norm; most energy first.
    voxel_size_nm : (z, y, x) of the level learned from.
    level : of the image's pyramid.
    mean, deviation : grey values the image was normalised by; the mean is 0 where local means were taken off.
    local_mean_nm : standard deviation of the Gaussian local mean, 0 for none.
    pieces : (n, 2, 3) first and past-the-last voxel (z, y, x) of every piece learned from.
    penalty, penalty_max : lambda and lambda_max, in deviations of the image.
    history : (n, 3) F after coding, F after the update, atoms replaced or moved.
    certificate : objective, KKT residual, duality gap, explained share of the last code.
    example : (2, y, x) float32, a plane of a piece in deviations of the image, and what the atoms explain of it.
    example_place : first voxel (z, y, x) of the example.
    """

    atoms: NDArray[np.float64]
    voxel_size_nm: tuple[float, float, float]
    level: int
    mean: float
    deviation: float
    local_mean_nm: float
    pieces: NDArray[np.int64]
    penalty: float
    penalty_max: float
    history: NDArray[np.float64]
    certificate: dict[str, float]
    example: NDArray[np.float32]
    example_place: tuple[int, int, int]


def write_textures(path: Path, textures: Textures) -> None:
    """Write atoms, example and attributes."""
    attributes = {
        "triptych": "textures",
        "voxel_size_nm": list(textures.voxel_size_nm),
        "level": textures.level,
        "mean": textures.mean,
        "deviation": textures.deviation,
        "local_mean_nm": textures.local_mean_nm,
        "pieces": textures.pieces.tolist(),
        "penalty": textures.penalty,
        "penalty_max": textures.penalty_max,
        "history": textures.history.tolist(),
        "certificate": textures.certificate,
        "example_place": list(textures.example_place),
    }
    for name, values, axes in (
        ("atoms", np.asarray(textures.atoms, dtype=np.float64), ("atom", "z", "y", "x")),
        ("example", np.asarray(textures.example, dtype=np.float32), ("kind", "y", "x")),
    ):
        zarr.create_array(
            store=path / name,
            data=np.ascontiguousarray(values),
            chunks=values.shape,
            compressors=[ZstdCodec(level=3), Crc32cCodec()],
            dimension_names=axes,
        )
    zarr.create_group(path, attributes=attributes)


def open_textures(path: Path) -> Textures:
    """Read the atoms of an image.

    Raises
    ------
    InputError : there is no whole store at the path.
    """
    if not path.exists():
        raise InputError(f"{path} does not exist; {REMEDY}")
    try:
        group = zarr.open_group(path, mode="r")
        stored: dict[str, Any] = dict(group.attrs)
        if stored.get("triptych") != "textures":
            raise InputError(f"{path} holds no textures of triptych; {REMEDY}")
        atoms: Any = group["atoms"]
        example: Any = group["example"]
        size, place = stored["voxel_size_nm"], stored["example_place"]
        return Textures(
            atoms=np.asarray(atoms[:], dtype=np.float64),
            voxel_size_nm=(float(size[0]), float(size[1]), float(size[2])),
            level=int(stored["level"]),
            mean=float(stored["mean"]),
            deviation=float(stored["deviation"]),
            local_mean_nm=float(stored["local_mean_nm"]),
            pieces=np.array(stored["pieces"], dtype=np.int64).reshape(-1, 2, 3),
            penalty=float(stored["penalty"]),
            penalty_max=float(stored["penalty_max"]),
            history=np.array(stored["history"], dtype=np.float64).reshape(-1, 3),
            certificate=dict(stored["certificate"]),
            example=np.asarray(example[:], dtype=np.float32),
            example_place=(int(place[0]), int(place[1]), int(place[2])),
        )
    except (KeyError, IndexError, TypeError, ValueError, FileNotFoundError) as error:
        raise InputError(f"{path} is not a whole store ({type(error).__name__}); {REMEDY}") from error


def write_texture_table(path: Path, columns: dict[str, NDArray[Any]], volume_um3: float) -> None:
    """Write one row per atom; ``columns`` are those of ``FIELDS`` and ``volume_um3`` is the volume learned from."""
    write_table(path, {name: columns[name] for name in FIELDS}, FIELDS, {"volume_um3": volume_um3})
