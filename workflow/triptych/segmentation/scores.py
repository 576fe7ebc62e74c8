"""How well a segmentation agrees with the truth, from a table of overlaps that adds up over blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Overlaps:
    """Voxels by true and found label.

    Attributes
    ----------
    truth, found : (m,) int64 labels, rows ascending and distinct; 0 is background.
    voxels : (m,) int64.
    """

    truth: npt.NDArray[np.int64]
    found: npt.NDArray[np.int64]
    voxels: npt.NDArray[np.int64]


def partial(truth: npt.NDArray[Any], found: npt.NDArray[Any]) -> Overlaps:
    """Overlaps of one block. Labels lie below 2^32."""
    keys, voxels = np.unique(
        (truth.astype(np.uint64) << 32 | found.astype(np.uint64)).ravel(), return_counts=True
    )
    return Overlaps(
        (keys >> 32).astype(np.int64), (keys & 0xFFFFFFFF).astype(np.int64), voxels.astype(np.int64)
    )


def merge(*parts: Overlaps) -> Overlaps:
    """Overlaps of parts of a volume together."""
    pairs = np.stack([np.concatenate([p.truth for p in parts]), np.concatenate([p.found for p in parts])])
    distinct, inverse = np.unique(pairs, axis=1, return_inverse=True)
    voxels = np.zeros(distinct.shape[1], np.int64)
    np.add.at(voxels, inverse.ravel(), np.concatenate([p.voxels for p in parts]))
    return Overlaps(distinct[0], distinct[1], voxels)


def finish(overlaps: Overlaps) -> dict[str, float]:
    """Scores of a segmentation.

    Voxels whose true label is 0 are left out; found label 0 counts as one object, as in the SNEMI3D and CREMI challenges.

    Returns
    -------
    adapted_rand_error : 1 - F1 of pairs of voxels that lie in one object.
    voi_split, voi_merge : conditional entropies H(found | truth) and H(truth | found), bits.
    f1_50 : F1 of objects matched one to one with an intersection over union above 1/2.
    matched_truth : share of true objects so matched.

    References
    ----------
    Arganda-Carreras et al. 2015, Front. Neuroanat. 9:142; Meila 2007, J. Multivar. Anal. 98:873.
    """
    kept = overlaps.truth > 0
    truth, found, n = overlaps.truth[kept], overlaps.found[kept], overlaps.voxels[kept].astype(np.float64)
    if not n.size:
        raise ValueError("the truth holds no object")
    _, row = np.unique(truth, return_inverse=True)
    _, column = np.unique(found, return_inverse=True)
    rows, columns, total = np.bincount(row, n), np.bincount(column, n), n.sum()
    pairs = (n * n).sum() - total
    in_truth, in_found = (rows * rows).sum() - total, (columns * columns).sum() - total
    f_score = 2 * pairs / (in_truth + in_found) if in_truth + in_found > 0 else 1.0
    p = n / total
    every_voxel = np.zeros(int(overlaps.found.max()) + 1)
    np.add.at(every_voxel, overlaps.found, overlaps.voxels)
    union = rows[row] + every_voxel[found] - n
    matches = int(((n > union / 2) & (found > 0)).sum())
    objects = int((np.flatnonzero(every_voxel) > 0).sum())
    return {
        "adapted_rand_error": float(1 - f_score),
        "voi_split": float(-(p * np.log2(n / rows[row])).sum()) + 0.0,
        "voi_merge": float(-(p * np.log2(n / columns[column])).sum()) + 0.0,
        "f1_50": 2 * matches / (rows.size + objects),
        "matched_truth": matches / rows.size,
    }
