"""``dictionary.zarr``: rank-1 atoms, of one recording or of several, and ``activations.parquet``: when they occur and how strongly.

Where recordings share atoms, the store holds one dictionary for each group of them, ``0``, ``1``, ..., and says which recordings a
group has by the digests of their signals.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    "amplitude_unbiased": Field(
        "",
        "activation",
        "The same fitted again on the support without the penalty, which shrinks the other by about lambda.",
        role="descriptor",
    ),
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


@dataclass(frozen=True)
class Member:
    """The dictionary of one group of recordings.

    Attributes
    ----------
    name : ``"cohort"`` or the subject.
    signals : sample name -> digest of its signal.
    dictionary : their atoms.
    """

    name: str
    signals: dict[str, str]
    dictionary: Dictionary


def write_dictionaries(path: Path, members: Sequence[Member]) -> None:
    """Write the dictionaries of groups into a folder that is not there yet."""
    described = [{"name": member.name, "signals": member.signals} for member in members]
    for number, member in enumerate(members):
        write_dictionary(path / str(number), member.dictionary)
    zarr.create_group(path, attributes={"triptych": "dictionaries", "members": described})


def open_dictionaries(path: Path) -> list[Member]:
    """Read the dictionaries of all groups.

    Raises
    ------
    InputError : there are no whole dictionaries of groups at the path.
    """
    described = _members(path)
    if described is None:
        raise InputError(f"{path} holds no dictionaries of groups; {REMEDY}")
    return [
        Member(str(one["name"]), dict(one["signals"]), _open_one(path / str(number)))
        for number, one in enumerate(described)
    ]


def _members(path: Path) -> list[dict[str, Any]] | None:
    """What a store says of its groups; None where it is a dictionary by itself, or nothing that can be read."""
    try:
        stored: dict[str, Any] = dict(zarr.open_group(path, mode="r").attrs)
        return list(stored["members"]) if stored.get("triptych") == "dictionaries" else None
    except (KeyError, TypeError, ValueError, FileNotFoundError):
        return None


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


def open_dictionary(path: Path, signal: str = "") -> Dictionary:
    """Read a dictionary.

    Parameters
    ----------
    signal : digest of the signal that it is for; tells the group where there are several.

    Raises
    ------
    InputError : there is no whole dictionary at the path, or none for this signal.
    """
    described = _members(path)
    if described is None:
        return _open_one(path)
    own = [number for number, one in enumerate(described) if signal in one["signals"].values()]
    if len(described) == 1:
        own = [0]
    if not own:
        raise InputError(
            f"{path} has atoms of {', '.join(str(one['name']) for one in described)}, and the signal is of none of them; "
            "run learn_cohort_atoms again with it, or give the dictionary of one group (its folder 0, 1, ...)"
        )
    return _open_one(path / str(own[0]))


def _open_one(path: Path) -> Dictionary:
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
    unbiased: NDArray[np.float64],
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
        "amplitude_unbiased": np.asarray(unbiased, np.float64),
    }
    attributes = {"sampling_rate_hz": sampling_rate_hz, "peaks": peaks.tolist()}
    write_table(path, columns, ACTIVATION_FIELDS, attributes)


def read_activations(path: Path) -> Table:
    """Read activations written by ``write_activations``."""
    return read_table(path, list(ACTIVATION_FIELDS))
