"""Exact Lloyd passes over chunks: ``partial`` on a chunk, ``merge`` in chunk order, ``finish`` to new centers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triptych.quantization.kernels import Floats, lloyd_pass

UNIT_WEIGHTS = np.empty(0)
RELAXATION = 1.8
ROWS = 8192

Over = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]


@dataclass(frozen=True)
class CellSums:
    """What one chunk, or many merged, says about each cell (float64).

    ``mass`` (K,) weights, ``shift`` (K, d) sums of x - c, ``square`` (K, d) sums of (x - c)^2 feature by feature, ``far``
    (K,) the largest |x - c|^2 and ``far_point`` (K, d) the event that attains it, relative to the offset.
    """

    mass: NDArray[np.float64]
    shift: NDArray[np.float64]
    square: NDArray[np.float64]
    far: NDArray[np.float64]
    far_point: NDArray[np.float64]

    @property
    def inertia(self) -> float:
        """Weighted sum of |x - c|^2 over all events."""
        return float(self.square.sum())

    @property
    def gain(self) -> float:
        """What moving the centers to the means of these cells takes from the inertia, as a share of it."""
        filled = self.mass > 0
        taken = float(((self.shift[filled] ** 2).sum(axis=1) / self.mass[filled]).sum())
        return taken / self.inertia if self.inertia > 0 else 0.0

    def times(self, factor: float) -> CellSums:
        """The same with every weight multiplied by a factor."""
        return replace(self, mass=self.mass * factor, shift=self.shift * factor, square=self.square * factor)


def partial(
    points: Floats,
    centers: NDArray[np.float64],
    weights: NDArray[np.float64] | None = None,
    offset: NDArray[np.float64] | None = None,
    device: str = "cpu",
) -> CellSums:
    """Sums of one chunk, its events given to their nearest centers in float32.

    Parameters
    ----------
    points : (n, d) float32 or float64.
    centers : (K, d) float64, relative to the offset.
    weights : (n,) float64; one each where None.
    offset : (d,) float64, near the mean of the points; zero where None.
    device : ``"cpu"`` or a CUDA device of torch.
    """
    return _pass(points, centers, weights, offset, device, exact=False)[0]


def certified(
    points: Floats,
    centers: NDArray[np.float64],
    offset: NDArray[np.float64] | None = None,
    device: str = "cpu",
) -> tuple[CellSums, NDArray[np.int32]]:
    """Sums of one chunk for the last pass, and the cell of every event: (n,) int32.

    Cells are those of float64 distances; ties go to the lowest index.
    """
    return _pass(points, centers, None, offset, device, exact=True)


def _pass(
    points: Floats,
    centers: NDArray[np.float64],
    weights: NDArray[np.float64] | None,
    offset: NDArray[np.float64] | None,
    device: str,
    *,
    exact: bool,
) -> tuple[CellSums, NDArray[np.int32]]:
    points = np.ascontiguousarray(points)
    masses = UNIT_WEIGHTS if weights is None else np.asarray(weights, dtype=np.float64)
    origin = np.zeros(points.shape[1]) if offset is None else offset
    if device == "cpu" or not len(points):
        labels, mass, shift, square, far, row = lloyd_pass(
            points, masses, origin, centers, *_table(centers), exact
        )
    else:
        from triptych.quantization import torch_passes  # torch takes seconds to import

        labels, mass, shift, square, far, row = torch_passes.lloyd_pass(
            points, masses, origin, centers, exact=exact, device=device
        )
    far_point = np.zeros_like(centers)
    filled = row >= 0
    far_point[filled] = np.asarray(points[row[filled]], np.float64) - origin
    return CellSums(mass, shift, square, far, far_point), labels


def _table(centers: NDArray[np.float64]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Centers as the kernel wants them: transposed, float32, both sides padded to a multiple of 4."""
    k, d = centers.shape
    table = np.zeros((-(-d // 4) * 4, -(-k // 4) * 4), np.float32)
    table[:d, :k] = centers.T
    half_norms = np.full(table.shape[1], np.inf, np.float32)
    half_norms[:k] = 0.5 * (centers**2).sum(axis=1)
    return table, half_norms


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


def finish(
    sums: CellSums, centers: NDArray[np.float64], relaxation: float = RELAXATION
) -> NDArray[np.float64]:
    """New centers: beyond the cell means; an empty cell moves to the farthest event of the cell of largest cost.

    With 0 < relaxation < 2 the inertia of the present cells falls, as it does with 1 (the cell means themselves): at
    ``c + r (m - c)`` it is that at the mean plus ``(1 - r)^2 |m - c|^2`` per unit of mass. A step beyond the mean
    anticipates where the next cells will be, so the inertia falls further in as many passes.

    Several empty cells take the farthest events of the cells in order of decreasing cost (lower index first at equal
    cost), so the result is the same whatever the chunks.
    """
    new = centers.copy()
    filled = sums.mass > 0
    new[filled] += relaxation * sums.shift[filled] / sums.mass[filled, None]
    empty = np.flatnonzero(~filled)
    costly = [k for k in np.argsort(-sums.square.sum(axis=1), kind="stable") if sums.far[k] > 0]
    for k, donor in zip(empty, costly, strict=False):
        new[k] = sums.far_point[donor]
    return new


def check_fall(history: NDArray[np.float64], sums: CellSums, centers: NDArray[np.float64]) -> None:
    """Raise ValueError where the last pass raised the inertia beyond the rounding of float32 scores: a defect.

    Scores are rounded at the size of the events' distance from the offset, not from their center, so that counts too.
    """
    if len(history) < 2:
        return
    scale = history[-1] + float(sums.mass @ (centers**2).sum(axis=1))
    if history[-1] > history[-2] * (1 + 1e-5) + 1e-6 * scale:
        raise ValueError(f"inertia rose from {history[-2]:.9g} to {history[-1]:.9g} in a Lloyd pass")


def lloyd(
    points: Floats,
    centers: NDArray[np.float64],
    passes: int,
    tolerance: float,
    weights: NDArray[np.float64] | None = None,
    relaxation: float = RELAXATION,
    over: Over = map,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Passes in memory, on points and centers relative to one offset, until the gain is at most ``tolerance``.

    ``over`` maps a function over pieces of ROWS points, in order: ``map``, or that of a pool of threads.

    Returns
    -------
    centers : (K, d) float64, means of the cells of the last pass.
    history : inertia at the start of each pass.

    References
    ----------
    Lloyd, Least squares quantization in PCM, IEEE Trans. Inf. Theory 28 (1982).
    """
    pieces = [slice(first, first + ROWS) for first in range(0, len(points), ROWS)]
    history: list[float] = []
    for number in range(passes):

        def one(piece: slice, centers: NDArray[np.float64] = centers) -> CellSums:
            return partial(points[piece], centers, None if weights is None else weights[piece])

        sums = merge_all(over(one, pieces))
        history.append(sums.inertia)
        check_fall(np.array(history), sums, centers)
        last = number == passes - 1 or sums.gain <= tolerance
        centers = finish(sums, centers, 1.0 if last else relaxation)
        if last:
            break
    return centers, np.array(history)
