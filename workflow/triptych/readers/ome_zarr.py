"""OME-Zarr volumes (0.5 and 0.4): the highest resolution of a multiscale image, or any array of the group by its path."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr

from triptych.errors import InputError
from triptych.readers.raw_volume import RawVolume, Region, Role, Spacing

# Names of UDUNITS-2, which the specification asks for.
NANOMETRES = {
    "angstrom": 0.1, "picometer": 1e-3, "nanometer": 1.0, "micrometer": 1e3, "millimeter": 1e6, "centimeter": 1e7, "meter": 1e9,
}  # fmt: skip
MAX_VOXELS = 1 << 53


def is_zarr(path: Path) -> bool:
    """Whether a folder is a Zarr group or array of either format."""
    return any((path / name).exists() for name in ("zarr.json", ".zgroup", ".zarray"))


class OmeZarr(RawVolume):
    """One array of an OME-Zarr group; axes of length one in front of z, y, x are dropped."""

    def __init__(self, path: Path, role: Role, dataset: str | None = None) -> None:
        self.path, self.role = path, role
        try:
            node = zarr.open(str(path), mode="r")
        except Exception as error:
            raise InputError(
                f"{path} is no readable Zarr ({error}): copy it again from its source"
            ) from error
        if isinstance(node, zarr.Array):
            if dataset:
                raise InputError(
                    f"{path} is one array, so it has no dataset {dataset!r}: leave the column `dataset` empty"
                )
            self._array, axes, scale = node, None, None
        else:
            self._array, axes, scale = _choose(node, path, dataset)
        self._lead = _leading_axes(self._array, axes, path)
        z, y, x = (int(n) for n in self._array.shape[-3:])
        self.shape = (z, y, x)
        if math.prod(self.shape) > MAX_VOXELS:
            raise InputError(
                f"{path} announces {z} x {y} x {x} voxels: its metadata is broken, copy it again from its source"
            )
        self.dtype = np.dtype(self._array.dtype).newbyteorder("=")
        self.voxel_size_nm = _voxel_size_nm(axes, scale)
        self.direct = True
        self._accept()

    def _read(self, region: Region) -> npt.NDArray[Any]:
        try:
            window: tuple[Any, ...] = (*(0,) * self._lead, *region)
            data = np.asarray(self._array[window])
        except Exception as error:
            corner = tuple(s.start for s in region)
            raise InputError(
                f"{self.path} cannot be read at {corner} ({error}): copy it again from its source"
            ) from error
        return np.ascontiguousarray(data, dtype=self.dtype)


def _choose(
    group: zarr.Group, path: Path, dataset: str | None
) -> tuple[zarr.Array[Any], list[dict[str, Any]] | None, list[float] | None]:
    """The array to read, with the axes and the scale that its multiscale states."""
    attributes: Any = group.attrs.asdict()
    multiscales = attributes.get("ome", attributes).get("multiscales") or []
    if len(multiscales) > 1 and not dataset:
        raise InputError(
            f"{path} holds {len(multiscales)} multiscale images: name one array in the column `dataset`"
        )
    candidates = {d["path"]: (m, d) for m in multiscales for d in m.get("datasets", [])}
    if not dataset:
        if not candidates:
            raise InputError(
                f"{path} holds no multiscale image: name one of its arrays in the column `dataset`"
            )
        arrays = {key: _array(group, path, key) for key in candidates}
        dataset = max(arrays, key=lambda key: math.prod(arrays[key].shape))
    array = _array(group, path, dataset)
    if dataset not in candidates:
        return array, None, None
    multiscale, described = candidates[dataset]
    scale = [1.0] * array.ndim
    for listed in (described, multiscale):
        for transformation in listed.get("coordinateTransformations") or []:
            if transformation.get("type") == "scale":
                scale = [a * float(b) for a, b in zip(scale, transformation["scale"], strict=True)]
    return array, multiscale.get("axes"), scale


def _array(group: zarr.Group, path: Path, key: str) -> zarr.Array[Any]:
    try:
        node = group[key]
    except Exception as error:
        raise InputError(f"{path} has no array {key!r}: correct the column `dataset`") from error
    if not isinstance(node, zarr.Array):
        raise InputError(f"{path}: {key!r} is a group: name an array in the column `dataset`")
    return node


def _leading_axes(array: zarr.Array[Any], axes: list[dict[str, Any]] | None, path: Path) -> int:
    """Number of axes in front of z, y, x; all of length one."""
    lead = array.ndim - 3
    if lead < 0:
        raise InputError(f"{path} is an image of {array.ndim} axes: a volume has three axes z, y, x")
    names = [str(a.get("name", "")).lower() for a in axes or []]
    if names and names[lead:] != ["z", "y", "x"]:
        raise InputError(f"{path} has axes {', '.join(names)}: a volume ends with z, y, x")
    if any(n > 1 for n in array.shape[:lead]):
        raise InputError(
            f"{path} has shape {array.shape}: save one channel and one time point as a volume z, y, x"
        )
    return lead


def _voxel_size_nm(axes: list[dict[str, Any]] | None, scale: list[float] | None) -> Spacing | None:
    """Scale in nm where every space axis states its unit."""
    if not axes or not scale:
        return None
    factors = [NANOMETRES.get(str(axis.get("unit", "")).lower()) for axis in axes[-3:]]
    size = [s * f for s, f in zip(scale[-3:], factors, strict=True) if f is not None]
    if len(size) < 3 or min(size) <= 0:
        return None
    z, y, x = size
    return z, y, x
