"""Events on a scale where distance means something: spillover removed, then logicle, arcsinh or linear.

References
----------
Moore, Parks, Update for the logicle data scale including operational code implementations, Cytometry A 81A (2012).
Bagwell, Adams, Fluorescence spectral overlap compensation for any number of flow cytometry parameters, Ann. N.Y. Acad.
Sci. 677 (1993).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from flowutils.transforms import logicle
from numpy.typing import NDArray

Array = NDArray[np.float64]

TRANSFORMED_BELOW = 12.0
"""Logicle, decades and arcsinh end below this; raw fluorescence and ion counts of any marker panel go far beyond."""


def compensate(values: Array, columns: Sequence[int], spillover: Array) -> Array:
    """Remove spillover: solve ``observed = true @ spillover`` for the given columns.

    Parameters
    ----------
    values : (n, d) on the linear scale.
    columns : the columns that the matrix speaks of, in its order.
    spillover : (c, c), row = dye, column = detector, unit diagonal.

    Returns
    -------
    (n, d), other columns unchanged.
    """
    result = values.copy()
    result[:, list(columns)] = np.linalg.solve(spillover.T, values[:, list(columns)].T).T
    return result


def transform(values: Array, scale: Mapping[str, Any]) -> Array:
    """Put one channel (n,) on its scale.

    ``scale`` is one of ``{"name": "logicle", "top": T, "decades": M, "width": W, "negative": A}`` (result 1 at T),
    ``{"name": "arcsinh", "cofactor": c}``, ``{"name": "linear", "top": T}`` (result 1 at T), ``{"name": "none"}``.
    """
    match scale["name"]:
        case "logicle":
            return np.asarray(
                logicle(
                    np.ascontiguousarray(values),
                    None,
                    t=scale["top"],
                    m=scale["decades"],
                    w=scale["width"],
                    a=scale["negative"],
                )
            )
        case "arcsinh":
            return np.arcsinh(values / scale["cofactor"])
        case "linear":
            return values / scale["top"]
        case "none":
            return values
        case other:
            raise ValueError(f"unknown scale {other}")


def unit(scale: Mapping[str, Any]) -> str:
    """The unit of a transformed channel: equal units mean comparable numbers."""
    match scale["name"]:
        case "logicle":
            t, m, w, a = scale["top"], scale["decades"], scale["width"], scale["negative"]
            return f"logicle(T={t:g}, M={m:g}, W={w:g}, A={a:g})"
        case "arcsinh":
            return f"arcsinh(x/{scale['cofactor']:g})"
        case "linear":
            return f"x/{scale['top']:g}"
        case _:
            return "as recorded"


def looks_transformed(values: Array) -> bool:
    """Whether raw-looking marker channels (n, d) are on a compressed scale already, judged by their 99.9th percentile."""
    finite = np.abs(values[np.isfinite(values)])
    return finite.size > 0 and float(np.quantile(finite, 0.999)) <= TRANSFORMED_BELOW
