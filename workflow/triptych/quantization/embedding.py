"""Measures as points of a linear space: linearised transport with PCA, and classical scaling of distances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from triptych.quantization.exact_transport import plan
from triptych.quantization.lloyd import lloyd, partial
from triptych.quantization.seeding import seed_centers

Array = NDArray[np.float64]

REFERENCE_PASSES = 50


@dataclass(frozen=True)
class Coordinates:
    """Coordinates of samples, and what each axis explains.

    Attributes
    ----------
    coordinates : (N, q), in the units of the distance; each axis points so that its largest entry is positive.
    explained : (q,) share of the total variance.
    """

    coordinates: Array
    explained: Array


def mean_reference(
    centers: Sequence[Array], weights: Sequence[Array], n_centers: int, seed: int
) -> tuple[Array, Array]:
    """The mean of the measures, each of equal mass, quantized to ``n_centers`` points.

    Returns
    -------
    reference : (K, d); reference_weights : (K,), positive, sum 1.
    """
    pooled = np.concatenate(centers)
    masses = np.concatenate([w / w.sum() for w in weights]) / len(weights)
    kept = masses > 0
    pooled, masses = pooled[kept], masses[kept]
    offset = (masses[:, None] * pooled).sum(axis=0)
    start = seed_centers(pooled - offset, n_centers, seed, masses)
    moved, _ = lloyd(pooled - offset, start, REFERENCE_PASSES, 1e-6, masses)
    mass = partial(pooled - offset, moved, masses).mass
    return moved[mass > 0] + offset, mass[mass > 0] / mass.sum()


def displacements(
    reference: Array, reference_weights: Array, centers: Array, weights: Array
) -> tuple[Array, float]:
    """Barycentric projection of the optimal plan from the reference, minus the identity.

    Returns
    -------
    field : (K, d), ``T - id``.
    defect : mean squared distance between where the mass goes and the map; 0 where the plan is a map.

    References
    ----------
    Wang, Slepcev, Basu, Ozolek, Rohde, A linear optimal transportation framework, IJCV 101 (2013).
    """
    coupling, cost = plan(reference, reference_weights, centers, weights)
    mass = coupling.sum(axis=1, keepdims=True)
    field = coupling @ centers / mass - reference
    mapped = float((mass[:, 0] * (field**2).sum(axis=1)).sum())
    return field, max(cost - mapped, 0.0)


def principal(fields: Sequence[Array], reference_weights: Array, n_axes: int) -> Coordinates:
    """PCA of displacement fields in L2 of the reference, from their N x N Gram matrix.

    References
    ----------
    Gachon, Bigot, Cazelles et al., Low dimensional representation of multi-patient flow cytometry datasets, arXiv 2407.17329.
    """
    scale = np.sqrt(reference_weights / reference_weights.sum())[:, None]
    vectors = np.stack([(field * scale).ravel() for field in fields])
    vectors -= vectors.mean(axis=0)
    return _from_gram(vectors @ vectors.T, n_axes)


def classical_scaling(distances: Array, n_axes: int) -> Coordinates:
    """Classical multidimensional scaling of an (N, N) matrix of distances.

    References
    ----------
    Torgerson, Multidimensional scaling: I. Theory and method, Psychometrika 17 (1952).
    """
    n = len(distances)
    centring = np.eye(n) - 1.0 / n
    return _from_gram(-0.5 * centring @ distances**2 @ centring, n_axes)


def _from_gram(gram: Array, n_axes: int) -> Coordinates:
    """Coordinates whose inner products are the Gram matrix, axes by decreasing variance."""
    values, vectors = np.linalg.eigh((gram + gram.T) / 2)
    order = np.argsort(-values, kind="stable")[: min(n_axes, len(gram))]
    values, vectors = np.clip(values, 0, None), vectors[:, order]
    total = float(values.sum()) or 1.0
    signs = np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(vectors.shape[1])])
    return Coordinates(vectors * signs * np.sqrt(values[order]), values[order] / total)
