"""A tree of samples from their distances."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

Array = NDArray[np.float64]

ORDERED_SAMPLES = 500
"""Leaves are ordered optimally up to so many samples: the search is cubic."""


def average_linkage(distances: Array) -> tuple[Array, NDArray[np.int64]]:
    """Average linkage of an (N, N) matrix of distances.

    Returns
    -------
    merges : (N - 1, 4): the two clusters joined (below N: samples), the mean distance between them, samples in the new one.
    order : (N,) int64, samples as the leaves of the tree from left to right, neighbours as close as the tree allows.

    References
    ----------
    Sokal, Michener, A statistical method for evaluating systematic relationships, Univ. Kansas Sci. Bull. 38 (1958).
    Bar-Joseph, Gifford, Jaakkola, Fast optimal leaf ordering for hierarchical clustering, Bioinformatics 17 (2001).
    """
    n = len(distances)
    if n < 2:
        return np.zeros((0, 4)), np.zeros(n, np.int64)
    merges = linkage(squareform(distances, checks=False), "average", optimal_ordering=n <= ORDERED_SAMPLES)
    return np.asarray(merges, np.float64), np.asarray(leaves_list(merges), np.int64)
