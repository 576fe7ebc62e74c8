"""``pooled.zarr``: the samples of a cohort on common centers, with the cell means of each sample beside them.

Arrays in float64, samples in the order of their names: ``centers`` (K, d), ``weights`` (N, K), ``means`` (N, K, d),
``distortion`` (N, K), ``epsilon`` (N,), ``common_epsilon`` (N,), ``mean`` (N, d), ``covariance`` (N, d, d), and ``events``
(N,) int64; where samples had labels, ``composition`` (N, K, P) int64, the events of each population in each cell.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import Crc32cCodec, ZstdCodec

from triptych.errors import InputError
from triptych.stores.measure import check_shapes, read_arrays

STORE = "pooled.zarr"
ATTRIBUTES = ("samples", "features", "units", "content", "populations", "history")


@dataclass(frozen=True)
class StoredPooled:
    """The mean measure of a cohort, quantized, and every sample on its centers.

    Attributes
    ----------
    centers : (K, d), common to all samples, in the units of the (scaled) features.
    weights : (N, K), share of the events of a sample in each cell; rows sum to 1.
    means : (N, K, d), mean of the events of a sample in a cell; the common center where it has none there.
    distortion : (N, K), mean squared distance of the events of a sample in a cell to their mean.
    epsilon : (N,), upper bound of W2 between a sample and its weights on its own cell means.
    common_epsilon : (N,), upper bound of W2 between a sample and its weights on the common centers.
    mean, covariance : (N, d) and (N, d, d), of the events of each sample.
    events : (N,), events of each sample that take part.
    samples : names, sorted.
    features, units : names and units, (d,) each.
    content : (N,) sha256 of the events of each sample.
    populations, composition : names (P,) and counts (N, K, P); no names and None where no sample had labels. A sample
        without labels has zeros.
    history : inertia of the mean measure at the start of every exact pass.
    scaling : None, or ``{"center": [...], "scale": [...], "clip": c}`` that was applied to the features.
    """

    centers: NDArray[np.float64]
    weights: NDArray[np.float64]
    means: NDArray[np.float64]
    distortion: NDArray[np.float64]
    epsilon: NDArray[np.float64]
    common_epsilon: NDArray[np.float64]
    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]
    events: NDArray[np.int64]
    samples: tuple[str, ...]
    features: tuple[str, ...]
    units: tuple[str, ...]
    content: tuple[str, ...] = ()
    populations: tuple[str, ...] = ()
    history: tuple[float, ...] = ()
    scaling: dict[str, Any] | None = None
    composition: NDArray[np.int64] | None = None


def write_pooled(path: Path, pooled: StoredPooled) -> None:
    """Write a whole pooled measure into a folder that is not there yet."""
    attributes = {name: list(getattr(pooled, name)) for name in ATTRIBUTES}
    group = zarr.create_group(
        path, attributes={"triptych": "pooled", "scaling": pooled.scaling, **attributes}
    )
    for field in fields(pooled):
        values = getattr(pooled, field.name)
        if isinstance(values, np.ndarray):
            stored = group.create_array(
                field.name,
                shape=values.shape,
                chunks=values.shape,
                dtype=values.dtype,
                compressors=[ZstdCodec(level=3), Crc32cCodec()],
                config={"write_empty_chunks": True},
            )
            stored[...] = values


def open_pooled(path: Path) -> StoredPooled:
    """Read a pooled measure.

    Raises
    ------
    InputError : there is no whole pooled measure at the path.
    """
    remedy = "give the pooled.zarr that quantize_cohort wrote, or run quantize_cohort again with --verify"
    if not path.exists():
        raise InputError(f"{path} does not exist; {remedy}")
    try:
        group = zarr.open_group(path, mode="r")
        attributes: dict[str, Any] = dict(group.attrs)
        if attributes.get("triptych") != "pooled":
            raise InputError(f"{path} is not a pooled measure of triptych; {remedy}")
        named: dict[str, Any] = {name: tuple(attributes[name]) for name in ATTRIBUTES}
        arrays: dict[str, Any] = read_arrays(group)
        check_shapes(arrays, _shapes(len(arrays["centers"]), named))
        return StoredPooled(**arrays, **named, scaling=attributes["scaling"])
    except (KeyError, TypeError, ValueError, FileNotFoundError) as error:
        raise InputError(
            f"{path} is not a whole pooled measure ({type(error).__name__}); {remedy}"
        ) from error


def _shapes(k: int, named: dict[str, tuple[str, ...]]) -> dict[str, tuple[int, ...]]:
    """The shape of every array of K centers, from the names of samples, features and populations."""
    n, d, p = (len(named[name]) for name in ("samples", "features", "populations"))
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(("epsilon", "common_epsilon", "events"), (n,))
    shapes |= {"centers": (k, d), "weights": (n, k), "distortion": (n, k), "means": (n, k, d)}
    shapes |= {"mean": (n, d), "covariance": (n, d, d)}
    return shapes | ({"composition": (n, k, p)} if p else {})
