"""Percentiles of grey values from an exact histogram."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def percentile(values: npt.NDArray[np.int64], counts: npt.NDArray[np.int64], percent: float) -> int:
    """Smallest value that at least ``percent`` of all voxels do not exceed.

    Parameters
    ----------
    values : (n,) ascending grey values that occur.
    counts : (n,) voxels of each.
    """
    below = np.cumsum(counts)
    return int(values[min(np.searchsorted(below, below[-1] * percent / 100), values.size - 1)])
