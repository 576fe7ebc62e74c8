"""``measure.zarr``: a weighted measure that states its distance to the cloud it stands for.

``centers`` (K, d), ``weights`` (K,), ``distortion`` (K,) and ``spread`` (K, d) in float64; where the cloud had labels,
``composition`` (K, P), the number of events of each population in each cell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
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
    spread : (K, d) variance of the events of a cell about its mean, feature by feature; its rows sum to ``distortion``.
    split_half : W2 between the measures of two random halves of the events, each quantized alone with as many centers;
        None where it was not computed.
    left_out : name of a mask -> events that were left out because of it.
    keys : (d,) by which features of samples are matched; the features themselves where nothing else is known.
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
    spread: NDArray[np.float64] | None = None
    split_half: float | None = None
    left_out: Mapping[str, int] = field(default_factory=dict)
    keys: tuple[str, ...] = ()

    def select(self, columns: Sequence[int], names: tuple[str, ...]) -> StoredMeasure:
        """The measure of the same events seen through some of the features, in another order and spelling.

        Means of cells, weights and moments of the projected events are projections of those that are stored, and so is
        the variance within cells, feature by feature: epsilon is as true as before.
        """
        if self.spread is None:
            raise InputError("a measure of an older version cannot be matched; run quantize_cloud again")
        some = list(columns)
        spread = self.spread[:, some]
        scaling = self.scaling
        if scaling is not None:
            scaling = {**scaling, **{key: [scaling[key][j] for j in some] for key in ("center", "scale")}}
        return replace(
            self,
            centers=self.centers[:, some],
            spread=spread,
            distortion=spread.sum(axis=1),
            epsilon=float(np.sqrt(self.weights @ spread.sum(axis=1))),
            mean=self.mean[some],
            covariance=self.covariance[np.ix_(some, some)],
            features=names,
            units=tuple(self.units[j] for j in some),
            scaling=scaling,
            keys=tuple(self.keys[j] for j in some),
            split_half=None,
        )


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
            "split_half": measure.split_half,
            "left_out": dict(measure.left_out),
            "keys": list(measure.keys or measure.features),
        },
    )
    arrays: dict[str, NDArray[Any]] = {
        "centers": measure.centers,
        "weights": measure.weights,
        "distortion": measure.distortion,
    }
    if measure.spread is not None:
        arrays["spread"] = measure.spread
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


def read_arrays(group: zarr.Group) -> dict[str, NDArray[Any]]:
    """All arrays of a group whose chunks were all written: Zarr reads a chunk that is lost as zeros.

    Raises
    ------
    ValueError : a chunk is lost or damaged.
    """
    found = {}
    for name, array in group.arrays():
        if array.nchunks_initialized < array.nchunks:
            raise ValueError(f"{name} has lost a chunk")
        found[name] = np.asarray(array[...])
    return found


def check_shapes(arrays: Mapping[str, NDArray[Any]], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raise KeyError or ValueError where an array is lost, or is not of the shape that the others ask for."""
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            raise ValueError(f"{name} is {arrays[name].shape} and not {shape}")


def open_measure(path: Path) -> StoredMeasure:
    """Read a measure.

    Raises
    ------
    InputError : there is no whole measure at the path.
    """
    remedy = "give the measure.zarr that quantize_cloud wrote, or run quantize_cloud again with --verify"
    if not path.exists():
        raise InputError(f"{path} does not exist; {remedy}")
    try:
        group = zarr.open_group(path, mode="r")
        attributes: dict[str, Any] = dict(group.attrs)
        if attributes.get("triptych") != "measure":
            raise InputError(f"{path} is not a measure of triptych; {remedy}")
        read = read_arrays(group)
        features, populations = tuple(attributes["features"]), tuple(attributes["populations"])
        k, d = len(read["centers"]), len(features)
        check_shapes(read, {"centers": (k, d), "weights": (k,), "distortion": (k,)})
        if "spread" in read:
            check_shapes(read, {"spread": (k, d)})
        if populations:
            check_shapes(read, {"composition": (k, len(populations))})
        return StoredMeasure(
            centers=read["centers"],
            weights=read["weights"],
            distortion=read["distortion"],
            epsilon=float(attributes["epsilon"]),
            mean=np.array(attributes["mean"], dtype=np.float64),
            covariance=np.array(attributes["covariance"], dtype=np.float64),
            features=features,
            units=tuple(attributes["units"]),
            scaling=attributes["scaling"],
            events=int(attributes["events"]),
            content=attributes["content_sha256"],
            populations=populations,
            composition=read.get("composition"),
            history=tuple(attributes["history"]),
            spread=read.get("spread"),
            split_half=attributes["split_half"],
            left_out=attributes["left_out"],
            keys=tuple(attributes["keys"]),
        )
    except (KeyError, TypeError, ValueError, FileNotFoundError) as error:
        raise InputError(f"{path} is not a whole measure ({type(error).__name__}); {remedy}") from error
