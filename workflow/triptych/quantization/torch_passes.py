"""A Lloyd pass by torch, for CUDA: scores by one matrix product, near ties and sums in float64.

Cells are those of ``kernels.lloyd_pass``; sums differ from it by the rounding of another order. Every operation is
deterministic on CUDA: sums per cell are products with the 0/1 matrix of cells, not scattered additions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

ROWS = 32_768
"""Points at a time: bounds the memory of the scores and of the matrix of cells."""

ROUNDING = 2.0**-24


def lloyd_pass(
    points: NDArray[Any],
    weights: NDArray[np.float64],
    offset: NDArray[np.float64],
    centers: NDArray[np.float64],
    *,
    exact: bool,
    device: str,
) -> tuple[NDArray[Any], ...]:
    """What ``kernels.lloyd_pass`` returns, computed on a torch device (``"cuda:0"``, or ``"cpu"`` to check it)."""
    with torch.no_grad():
        at = torch.device(device)
        means = torch.as_tensor(centers, dtype=torch.float64, device=at)
        origin = torch.as_tensor(offset, dtype=torch.float64, device=at)
        k = len(means)
        numbers = torch.arange(k, device=at)
        mass = torch.zeros(k, dtype=torch.float64, device=at)
        shift, square = torch.zeros_like(means), torch.zeros_like(means)
        far = torch.full((k,), -1.0, dtype=torch.float64, device=at)
        far_row = torch.full((k,), -1, dtype=torch.int64, device=at)
        found = []
        for first in range(0, len(points), ROWS):
            block = torch.as_tensor(points[first : first + ROWS], device=at).to(torch.float64) - origin
            labels = _nearest(block, means, exact=exact)
            found.append(labels.to(torch.int32).cpu())
            gap = block - means[labels]
            distance = (gap**2).sum(dim=1)
            cells = (labels[:, None] == numbers).to(torch.float64)
            w = torch.ones_like(distance)
            if len(weights):
                w = torch.as_tensor(weights[first : first + ROWS], device=at)
            heavy = cells.T * w
            mass += heavy.sum(dim=1)
            shift += heavy @ gap
            square += heavy @ gap**2
            farthest = torch.where(cells > 0, distance[:, None], -1.0).max(dim=0).values
            rows = torch.arange(first, first + len(block), device=at)
            attains = (cells > 0) & (distance[:, None] == farthest)
            row = torch.where(attains, rows[:, None], len(points)).min(dim=0).values
            farther = farthest > far
            far, far_row = torch.where(farther, farthest, far), torch.where(farther, row, far_row)
        sums = [values.cpu().numpy() for values in (mass, shift, square, far, far_row)]
        return (torch.cat(found).numpy(), *sums)


def _nearest(block: torch.Tensor, centers: torch.Tensor, *, exact: bool) -> torch.Tensor:
    """Nearest center of every point, ties to the lowest index; with ``exact``, near ties settled in float64."""
    halves = 0.5 * (centers**2).sum(dim=1)
    x, c = block.to(torch.float32), centers.to(torch.float32)
    scores = halves.to(torch.float32) - x @ c.T
    labels = scores.argmin(dim=1)
    if not exact or len(centers) == 1:
        return labels
    least = scores.topk(2, dim=1, largest=False).values
    longest = halves.max()
    length = (block**2).sum(dim=1).sqrt()
    doubt = 2 * (block.shape[1] + 8) * ROUNDING * (longest + length * (2 * longest).sqrt())
    near = ((least[:, 1] - least[:, 0]).to(torch.float64) <= doubt).nonzero()[:, 0]
    for some in near.split(1024):
        gaps = block[some][:, None, :] - centers[None]
        labels[some] = (gaps**2).sum(dim=2).argmin(dim=1)
    return labels
