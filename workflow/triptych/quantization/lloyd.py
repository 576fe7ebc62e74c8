"""Exact Lloyd passes over chunks: ``partial`` on a chunk, ``merge`` in chunk order, ``finish`` to new centers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from triptych.quantization.kernels import Floats, cell_sums, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable

UNIT_WEIGHTS = np.empty(0)


@dataclass(frozen=True)
class CellSums:
    """What one chunk, or many merged, says about each cell (arrays of length K, float64).

    ``mass`` weights, ``shift`` (K, d) sums of x - c, ``square`` sums of |x - c|^2, ``far`` the largest |x - c|^2 and
    ``far_point`` (K, d) the event that attains it, relative to the offset.
    """

    mass: NDArray[np.float64]
    shift: NDArray[np.float64]
    square: NDArray[np.float64]
    far: NDArray[np.float64]
    far_point: NDArray[np.float64]


def assign(points: Floats, centers: NDArray[np.float64]) -> NDArray[np.int32]:
    """Nearest center of every point, in the dtype of the points; ties go to the lowest index.

    ``points`` (n, d) and ``centers`` (K, d) are relative to one offset near the mean.
    """
    transposed = np.ascontiguousarray(centers.T, dtype=points.dtype)
    half_norms = (0.5 * (centers**2).sum(axis=1)).astype(points.dtype)
    return nearest(np.ascontiguousarray(points), transposed, half_norms)


def partial(
    points: Floats, centers: NDArray[np.float64], weights: NDArray[np.float64] | None = None
) -> CellSums:
    """Sums of one chunk.

    Parameters
    ----------
    points : (n, d) float32 for speed or float64 for the certificate, relative to the offset.
    centers : (K, d) float64, relative to the same offset.
    weights : (n,) float64; one each where None.
    """
    labels = assign(points, centers)
    return sums_about(points, labels, centers, weights)


def sums_about(
    points: Floats,
    labels: NDArray[np.int32],
    centers: NDArray[np.float64],
    weights: NDArray[np.float64] | None = None,
) -> CellSums:
    """Sums of one chunk for a given assignment."""
    masses = UNIT_WEIGHTS if weights is None else np.asarray(weights, dtype=np.float64)
    mass, shift, square, far, row = cell_sums(np.ascontiguousarray(points), masses, labels, centers)
    far_point = np.zeros_like(centers)
    filled = row >= 0
    far_point[filled] = points[row[filled]]
    return CellSums(mass, shift, square, far, far_point)


def merge(first: CellSums, second: CellSums) -> CellSums:
    """Sums of two stretches; the first stands before the second, so that equal ties keep the earlier event."""
    farther = second.far > first.far
    return CellSums(
        first.mass + second.mass,
        first.shift + second.shift,
        first.square + second.square,
        np.where(farther, second.far, first.far),
        np.where(farther[:, None], second.far_point, first.far_point),
    )


def merge_all(parts: Iterable[CellSums]) -> CellSums:
    """Merge in the order given: the order of chunks, whatever the workers."""
    total: CellSums | None = None
    for part in parts:
        total = part if total is None else merge(total, part)
    if total is None:
        raise ValueError("a Lloyd pass needs at least one chunk")
    return total


def finish(sums: CellSums, centers: NDArray[np.float64]) -> NDArray[np.float64]:
    """New centers: cell means; an empty cell moves to the farthest event of the cell of largest cost.

    Several empty cells take the farthest events of the cells in order of decreasing cost (lower index first at equal
    cost), so the result is the same whatever the chunks.
    """
    new = centers.copy()
    filled = sums.mass > 0
    new[filled] += sums.shift[filled] / sums.mass[filled, None]
    empty = np.flatnonzero(~filled)
    costly = [k for k in np.argsort(-sums.square, kind="stable") if sums.far[k] > 0]
    for k, donor in zip(empty, costly, strict=False):
        new[k] = sums.far_point[donor]
    return new


def settled(history: NDArray[np.float64], tolerance: float) -> bool:
    """Whether the last pass lowered the inertia by less than ``tolerance`` of it.

    An increase beyond rounding of float32 distances would be a defect and raises ValueError.
    """
    if len(history) < 2:
        return False
    before, now = float(history[-2]), float(history[-1])
    if now > before * (1 + 1e-5):
        raise ValueError(f"inertia rose from {before:.9g} to {now:.9g} in a Lloyd pass")
    return before - now <= tolerance * before


def lloyd(
    points: Floats,
    centers: NDArray[np.float64],
    passes: int,
    tolerance: float,
    weights: NDArray[np.float64] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Passes in memory, on points and centers relative to one offset.

    Returns
    -------
    centers : (K, d) float64.
    history : inertia at the start of each pass.

    References
    ----------
    Lloyd, Least squares quantization in PCM, IEEE Trans. Inf. Theory 28 (1982).
    """
    history: list[float] = []
    for _ in range(passes):
        sums = partial(points, centers, weights)
        history.append(float(sums.square.sum()))
        centers = finish(sums, centers)
        if settled(np.array(history), tolerance):
            break
    return centers, np.array(history)
