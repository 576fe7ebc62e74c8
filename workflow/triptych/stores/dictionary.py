"""``dictionary.zarr``: rank-1 atoms, and ``activations.parquet``: when and how strongly they occur."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import Crc32cCodec, ZstdCodec

from triptych.errors import InputError
from triptych.stores.table import Field, Table, read_table, write_table

STORE = "dictionary.zarr"
ACTIVATIONS = "activations.parquet"
REMEDY = "give the dictionary.zarr that learn_atoms wrote, or run learn_atoms again"

ACTIVATION_FIELDS = {
    "atom": Field("", "activation", "Number of the atom.", role="descriptor"),
    "sample": Field(
        "", "activation", "Sample of signal.zarr at which the waveform starts.", role="descriptor"
    ),
    "time_s": Field("s", "activation", "The same in seconds from the first sample.", role="descriptor"),
    "amplitude": Field("", "activation", "Amplitude in scaled units.", role="descriptor"),
}


@dataclass(frozen=True)
class Dictionary:
    """Atoms and how they were learned.

    Attributes
    ----------
    spatial : (K, P) float64, unit norm, on channels divided by the scale of their type.
    temporal : (K, L) float64, unit norm.
    sampling_rate_hz : of the waveforms.
    names, types, scales : channels of ``spatial``, their sensor types, and the scale of each (SI units).
    penalty, penalty_max : lambda and lambda_max in scaled units; a channel's own unit is this times its scale.
    explained : (K,) share of the variance that each atom explains alone.
    history : (n, 3) F after coding, F after the update, atoms replaced or moved.
    certificate : objective, KKT residual, duality gap of the last code.
    """

    spatial: NDArray[np.float64]
    temporal: NDArray[np.float64]
    sampling_rate_hz: float
    names: tuple[str, ...]
    types: tuple[str, ...]
    scales: NDArray[np.float64]
    penalty: float
    penalty_max: float
    explained: NDArray[np.float64]
    history: NDArray[np.float64]
    certificate: dict[str, float]


def write_dictionary(path: Path, dictionary: Dictionary) -> None:
    """Write atoms and attributes."""
    attributes = {
        "triptych": "dictionary",
        "sampling_rate_hz": dictionary.sampling_rate_hz,
        "names": list(dictionary.names),
        "types": list(dictionary.types),
        "scales": dictionary.scales.tolist(),
        "penalty": dictionary.penalty,
        "penalty_max": dictionary.penalty_max,
        "explained": dictionary.explained.tolist(),
        "history": dictionary.history.tolist(),
        "certificate": dictionary.certificate,
    }
    for name, values, axes in (
        ("spatial", dictionary.spatial, ("atom", "channel")),
        ("temporal", dictionary.temporal, ("atom", "time")),
    ):
        zarr.create_array(
            store=path / name,
            data=np.ascontiguousarray(values, dtype=np.float64),
            chunks=values.shape,
            compressors=[ZstdCodec(level=3), Crc32cCodec()],
            dimension_names=axes,
        )
    zarr.create_group(path, attributes=attributes)


def open_dictionary(path: Path) -> Dictionary:
    """Read a dictionary.

    Raises
    ------
    InputError : there is no whole dictionary at the path.
    """
    if not path.exists():
        raise InputError(f"{path} does not exist; {REMEDY}")
    try:
        group = zarr.open_group(path, mode="r")
        stored: dict[str, Any] = dict(group.attrs)
        if stored.get("triptych") != "dictionary":
            raise InputError(f"{path} is not a dictionary of triptych; {REMEDY}")
        spatial: Any = group["spatial"]
        temporal: Any = group["temporal"]
        return Dictionary(
            spatial=np.asarray(spatial[:], dtype=np.float64),
            temporal=np.asarray(temporal[:], dtype=np.float64),
            sampling_rate_hz=float(stored["sampling_rate_hz"]),
            names=tuple(stored["names"]),
            types=tuple(stored["types"]),
            scales=np.array(stored["scales"], dtype=np.float64),
            penalty=float(stored["penalty"]),
            penalty_max=float(stored["penalty_max"]),
            explained=np.array(stored["explained"], dtype=np.float64),
            history=np.array(stored["history"], dtype=np.float64).reshape(-1, 3),
            certificate=dict(stored["certificate"]),
        )
    except (KeyError, TypeError, ValueError, FileNotFoundError) as error:
        raise InputError(f"{path} is not a whole dictionary ({type(error).__name__}); {REMEDY}") from error


def write_activations(
    path: Path,
    atom: NDArray[np.int32],
    sample: NDArray[np.int64],
    amplitude: NDArray[np.float64],
    sampling_rate_hz: float,
    peaks: NDArray[np.int64],
) -> None:
    """Write activations sorted by sample, then atom.

    ``peaks`` (K,) is the sample of each waveform's largest excursion, so that a reader knows when an activation peaks.
    """
    columns: dict[str, NDArray[Any]] = {
        "atom": np.asarray(atom, np.int32),
        "sample": np.asarray(sample, np.int64),
        "time_s": np.asarray(sample, np.float64) / sampling_rate_hz,
        "amplitude": np.asarray(amplitude, np.float64),
    }
    attributes = {"sampling_rate_hz": sampling_rate_hz, "peaks": peaks.tolist()}
    write_table(path, columns, ACTIVATION_FIELDS, attributes)


def read_activations(path: Path) -> Table:
    """Read activations written by ``write_activations``."""
    return read_table(path, list(ACTIVATION_FIELDS))
