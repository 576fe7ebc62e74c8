"""The in-memory front door of morphometry."""

from __future__ import annotations

from typing import Any

import numpy as np

from triptych.morphometry.shape import Columns, Spacing, finish
from triptych.morphometry.sums import partial


def measure(labels: Any, image: Any = None, voxel_size_nm: Spacing = (1.0, 1.0, 1.0)) -> Columns:
    """Size, position, shape, orientation and intensity of every object; equal to what ``measure_objects`` finds in blocks.

    Parameters
    ----------
    labels : (z, y, x) integers, anything that can be sliced; 0 is background.
    image : (z, y, x) uint8 or uint16, or None for a table without intensities.
    voxel_size_nm : (z, y, x).

    Returns
    -------
    Columns by name, one entry per object, ascending by id; ``triptych.morphometry.PARAMETERS`` gives units and definitions.

    Raises
    ------
    ValueError
        Not three axes, shapes that differ, or types that are not whole numbers.
    """
    array = np.asarray(labels[...])
    if array.ndim != 3 or array.dtype.kind not in "bui":
        raise ValueError(
            f"labels are {array.dtype} with {array.ndim} axes; integers with axes z, y, x are needed"
        )
    if array.dtype.kind == "i" and array.size and array.min() < 0:
        raise ValueError("labels are negative")
    grey = None if image is None else np.asarray(image[...])
    if grey is not None and (grey.shape != array.shape or grey.dtype.kind != "u"):
        raise ValueError(
            f"the image is {grey.dtype} {grey.shape}; unsigned integers {array.shape} are needed"
        )
    shape = array.shape
    padded = np.pad(array.astype(np.uint64 if array.dtype.itemsize == 8 else np.uint32), 1)
    return finish(partial(padded, grey, (0, 0, 0), shape), voxel_size_nm, intensity=grey is not None)
