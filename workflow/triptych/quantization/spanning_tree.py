"""Transport along a tree: samples on common centers, moved only along the edges of a minimum spanning tree of the centers.

On a tree the optimal transport is known in closed form: across every edge goes what one side has more of. A path in the tree is
never shorter than the straight line, so the distance is an upper bound of W1 (Euclidean cost) between the two sets of weights,
and of W1 for the lengths of any graph that holds the tree; where centers lie on a line it is W1 itself. The optimum over a graph
is the least over all its spanning trees: this is one of them, the same for all pairs.

References
----------
Bigot, Fredes, Kantorovich distance via spanning trees, arXiv 2601.08396; Evans, Matsen, The phylogenetic Kantorovich-Rubinstein
metric, J. R. Stat. Soc. B 74 (2012), for the closed form; Prim, Shortest connection networks, Bell Syst. Tech. J. 36 (1957).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Tree:
    """A spanning tree of K centers.

    Attributes
    ----------
    parent : (K,) int64, -1 for center 0, the root.
    length : (K,) float64, Euclidean length of the edge to the parent; 0 for the root.
    order : (K,) int64, every parent before its children.
    """

    parent: NDArray[np.int64]
    length: Array
    order: NDArray[np.int64]


def spanning_tree(centers: Array) -> Tree:
    """Minimum spanning tree of centers (K, d) under Euclidean distance; of equal edges the lowest index is taken.

    Raises
    ------
    ValueError : there is no center.
    """
    points = np.asarray(centers, dtype=np.float64)
    k = len(points)
    if k == 0:
        raise ValueError("there is no center to span a tree over")
    parent, length = np.full(k, -1, dtype=np.int64), np.zeros(k)
    order = np.zeros(k, dtype=np.int64)
    nearest, gap = np.zeros(k, dtype=np.int64), np.full(k, np.inf)
    last, gap[0] = 0, -np.inf
    for step in range(1, k):
        reach = np.sqrt(((points - points[last]) ** 2).sum(axis=1))
        closer = reach < gap
        gap[closer], nearest[closer] = reach[closer], last
        last = int(np.where(gap == -np.inf, np.inf, gap).argmin())
        order[step], parent[last], length[last] = last, nearest[last], gap[last]
        gap[last] = -np.inf
    return Tree(parent, length, order)


def masses_below(tree: Tree, weights: Array) -> Array:
    """(N, K) share of each sample at or below every center, which is what crosses the edge to its parent.

    Parameters
    ----------
    weights : (N, K), rows sum to 1.
    """
    below = np.array(weights, dtype=np.float64)
    for center in tree.order[:0:-1]:
        below[:, tree.parent[center]] += below[:, center]
    return below


def distances(centers: Array, weights: Array) -> Array:
    """Transport along the tree between all pairs of samples: (N, N), in the units of the centers, O(K) for each pair.

    Parameters
    ----------
    centers : (K, d), common to all samples.
    weights : (N, K), not negative, rows sum to 1.

    Raises
    ------
    ValueError : shapes do not fit.
    """
    shares = np.asarray(weights, dtype=np.float64)
    if shares.ndim != 2 or shares.shape[1] != len(centers):
        raise ValueError(f"weights of shape {shares.shape} do not fit {len(centers)} centers")
    tree = spanning_tree(centers)
    crossing = masses_below(tree, shares) * tree.length
    return np.asarray(cdist(crossing, crossing, "cityblock"))
