"""Where the centers of a cohort stand on paper: their minimum spanning tree, laid out so that path lengths are kept.

References
----------
Van Gassen S et al. Cytometry A 87:636-645 (2015): the tree of centers.
Gansner ER, Koren Y, North S. Graph drawing by stress majorization. Graph Drawing, LNCS 3383:239-250 (2004).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import shortest_path

from triptych.quantization.spanning_tree import spanning_tree

Floats = NDArray[np.float64]

ROUNDS = 200


def tree_edges(points: Floats) -> NDArray[np.int64]:
    """(K - 1, 2) edges of the minimum spanning tree of (K, d) points, K > 0."""
    parent = spanning_tree(points).parent
    edges = np.sort(np.stack([np.arange(1, len(points)), parent[1:]], axis=1), axis=1)
    return np.asarray(edges[np.lexsort((edges[:, 1], edges[:, 0]))])


def lay_out(edges: NDArray[np.int64], number: int) -> Floats:
    """(K, 2) places whose distances come near the numbers of edges between the centers; the longest axis lies flat."""
    if number < 3:
        return np.stack([np.arange(number, dtype=np.float64), np.zeros(number)], axis=1)
    graph: NDArray[Any] = np.zeros((number, number))
    graph[edges[:, 0], edges[:, 1]] = 1.0
    paths = shortest_path(graph, directed=False, unweighted=True)
    weight = np.zeros_like(paths)
    apart = ~np.eye(number, dtype=bool)
    weight[apart] = paths[apart] ** -2.0
    laplacian = np.diag(weight.sum(axis=1)) - weight
    inverse = np.linalg.inv(laplacian + 1.0 / number)
    places = _principal(paths)
    for _ in range(ROUNDS):
        gap = places[:, None] - places
        length = np.sqrt((gap**2).sum(axis=2))
        ratio = np.where(length > 1e-12, weight * paths / np.maximum(length, 1e-12), 0.0)
        places = inverse @ ((np.diag(ratio.sum(axis=1)) - ratio) @ places)
    places -= places.mean(axis=0)
    _, _, axes = np.linalg.svd(places, full_matrices=False)
    axes *= np.sign(axes[np.arange(2), np.abs(axes).argmax(axis=1)])[:, None]
    return np.asarray(places @ axes.T)


def _principal(paths: Floats) -> Floats:
    """First two axes of classical scaling, with a small turn by index so that no two centers coincide."""
    centred = paths**2
    centred = centred - centred.mean(axis=0)
    centred = -0.5 * (centred - centred.mean(axis=1, keepdims=True))
    value, axes = np.linalg.eigh((centred + centred.T) / 2)
    chosen = np.argsort(-value, kind="stable")[:2]
    axes = axes[:, chosen] * np.sign(axes[np.abs(axes[:, chosen]).argmax(axis=0), chosen])
    turn = 2.399963 * np.arange(len(paths))
    aside = 0.05 * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    return np.asarray(axes * np.sqrt(value[chosen].clip(0)) + aside)
