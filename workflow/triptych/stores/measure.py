"""``measure.zarr``: a weighted measure that states its distance to the cloud it stands for.

``centers`` (K, d), ``weights`` (K,), ``distortion`` (K,) in float64 and, where the cloud had labels, ``composition``
(K, P), the number of events of each population in each cell.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import Crc32cCodec, ZstdCodec

from triptych.errors import InputError

STORE = "measure.zarr"


@dataclass(frozen=True)
class StoredMeasure:
    """A measure as it lies on disk.

    Attributes
    ----------
    centers, weights, distortion : see ``triptych.quantization.certificate.Measure``.
    epsilon : upper bound of W2 between cloud and measure, in the units of the (scaled) features.
    mean, covariance : of the cloud's events, (d,) and (d, d).
    features, units : names and units, (d,) each.
    scaling : None, or ``{"center": [...], "scale": [...]}`` that was applied to the features.
    events : events the measure stands for.
    content : sha256 of the cloud's events; equal clouds have equal content.
    populations, composition : names (P,) and counts (K, P); empty where the cloud had no labels.
    history : inertia per event at the start of every exact pass.
    """

    centers: NDArray[np.float64]
    weights: NDArray[np.float64]
    distortion: NDArray[np.float64]
    epsilon: float
    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]
    features: tuple[str, ...]
    units: tuple[str, ...]
    scaling: dict[str, Any] | None
    events: int
    content: str = ""
    populations: tuple[str, ...] = ()
    composition: NDArray[np.int64] | None = None
    history: tuple[float, ...] = ()


def write_measure(path: Path, measure: StoredMeasure) -> None:
    """Write a whole measure into a folder that is not there yet."""
    codecs = [ZstdCodec(level=3), Crc32cCodec()]
    group = zarr.create_group(
        path,
        attributes={
            "triptych": "measure",
            "epsilon": measure.epsilon,
            "mean": measure.mean.tolist(),
            "covariance": measure.covariance.tolist(),
            "features": list(measure.features),
            "units": list(measure.units),
            "scaling": measure.scaling,
            "events": measure.events,
            "content_sha256": measure.content,
            "populations": list(measure.populations),
            "history": list(measure.history),
        },
    )
    arrays: dict[str, NDArray[Any]] = {
        "centers": measure.centers,
        "weights": measure.weights,
        "distortion": measure.distortion,
    }
    if measure.composition is not None:
        arrays["composition"] = measure.composition
    for name, values in arrays.items():
        stored = group.create_array(
            name,
            shape=values.shape,
            chunks=values.shape,
            dtype=values.dtype,
            compressors=codecs,
            config={"write_empty_chunks": True},
        )
        stored[...] = values


def open_measure(path: Path) -> StoredMeasure:
    """Read a measure.

    Raises
    ------
    InputError : there is no whole measure at the path.
    """
    remedy = "give the measure.zarr that quantize_cloud wrote, or run quantize_cloud again"
    if not path.exists():
        raise InputError(f"{path} does not exist; {remedy}")
    try:
        group = zarr.open_group(path, mode="r")
        attributes: dict[str, Any] = dict(group.attrs)
        if attributes.get("triptych") != "measure":
            raise InputError(f"{path} is not a measure of triptych; {remedy}")
        read = {name: np.asarray(array[...]) for name, array in group.arrays()}
        return StoredMeasure(
            centers=read["centers"],
            weights=read["weights"],
            distortion=read["distortion"],
            epsilon=float(attributes["epsilon"]),
            mean=np.array(attributes["mean"], dtype=np.float64),
            covariance=np.array(attributes["covariance"], dtype=np.float64),
            features=tuple(attributes["features"]),
            units=tuple(attributes["units"]),
            scaling=attributes["scaling"],
            events=int(attributes["events"]),
            content=attributes["content_sha256"],
            populations=tuple(attributes["populations"]),
            composition=read.get("composition"),
            history=tuple(attributes["history"]),
        )
    except (KeyError, TypeError, ValueError, FileNotFoundError) as error:
        raise InputError(f"{path} is not a whole measure ({type(error).__name__}); {remedy}") from error
