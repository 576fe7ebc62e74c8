"""A raw volume of any format, read region by region; what may stand in it depends on its role."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from triptych.errors import InputError

Role = Literal["image", "labels", "probability"]
Triple = tuple[int, int, int]
Spacing = tuple[float, float, float]
Region = tuple[slice, slice, slice]

DTYPES: dict[Role, tuple[str, ...]] = {
    "image": ("uint8", "uint16"),
    "labels": ("bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64"),
    "probability": ("uint8", "float16", "float32", "float64"),
}
REMEDY: dict[Role, str] = {
    "image": "convert it to uint8 or uint16",
    "labels": "save one integer id per voxel, 0 for background",
    "probability": "save uint8 (0 to 255) or floating point numbers from 0 to 1",
}


class RawVolume(ABC):
    """Somebody's file.

    Attributes
    ----------
    shape : (z, y, x) in voxels.
    dtype : in native byte order.
    voxel_size_nm : (z, y, x), or None where the file does not say.
    direct : True where reading a small region costs no more than its own bytes.
    """

    path: Path
    role: Role
    shape: Triple
    dtype: np.dtype[Any]
    voxel_size_nm: Spacing | None = None
    direct: bool = False

    @abstractmethod
    def _read(self, region: Region) -> npt.NDArray[Any]:
        """Voxels of a region in native byte order."""

    def close(self) -> None:
        """Give files back."""
        return None

    def read(self, region: Region) -> npt.NDArray[Any]:
        """Voxels of a region, proven to be what the role allows.

        Raises
        ------
        InputError
            The data cannot be read, hold NaN or infinity, probabilities outside [0, 1] or negative ids.
        """
        data = self._read(region)
        if data.dtype.kind == "f":
            if not np.isfinite(data).all():
                raise InputError(
                    f"{self.path} holds NaN or infinity (slices {region[0].start} to {region[0].stop - 1}): "
                    "replace them by numbers"
                )
            if data.size and not 0 <= data.min() <= data.max() <= 1:
                raise InputError(
                    f"{self.path} holds probabilities from {data.min():g} to {data.max():g}: "
                    "scale them to [0, 1]"
                )
        elif data.dtype.kind == "i" and data.size and data.min() < 0:
            raise InputError(
                f"{self.path} holds the negative label {data.min()}: give every object a positive id"
            )
        return data

    def _accept(self) -> None:
        """Refuse shapes and types that the role does not allow."""
        if len(self.shape) != 3 or min(self.shape) < 1:
            raise InputError(f"{self.path} has shape {self.shape}: a volume has three axes z, y, x")
        if self.dtype.name not in DTYPES[self.role]:
            raise InputError(
                f"{self.path} holds {self.dtype.name} values: as {self.role}, {REMEDY[self.role]}"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
