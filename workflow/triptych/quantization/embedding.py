"""Measures as points of a linear space: linearised transport with its principal axes, and classical scaling of distances."""

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


@dataclass(frozen=True)
class LinearSpace:
    """What a sample needs to be placed among others that are not there any more.

    Attributes
    ----------
    reference : (K, d) centers of the reference measure; reference_weights : (K,), positive, sum 1.
    mean : (K, d) mean displacement of the samples that the axes were fitted to.
    axes : (q, K, d) principal axes, orthonormal in L2 of the reference; zero where there is no variance left.
    explained : (q,) share of the variance of those samples.
    """

    reference: Array
    reference_weights: Array
    mean: Array
    axes: Array
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


def fit_axes(fields: Sequence[Array], reference: Array, reference_weights: Array, n_axes: int) -> LinearSpace:
    """Principal axes of displacement fields (K, d) in L2 of the reference.

    References
    ----------
    Gachon, Bigot, Cazelles et al., Low dimensional representation of multi-patient flow cytometry datasets, arXiv 2407.17329.
    """
    root = _root(reference_weights)
    vectors = (np.stack(fields) * root).reshape(len(fields), -1)
    mean, directions, explained = principal_directions(vectors, n_axes)
    shape = reference.shape
    axes = directions.reshape(len(directions), *shape) / root
    return LinearSpace(reference, reference_weights, mean.reshape(shape) / root, axes, explained)


def project(space: LinearSpace, fields: Sequence[Array]) -> tuple[Array, Array]:
    """Place samples on the axes of a space, each by itself: the others do not move.

    Parameters
    ----------
    fields : displacements (K, d) from the reference of the space.

    Returns
    -------
    coordinates : (N, q), in the units of the distance.
    residual : (N,), distance in L2 of the reference from the plane of the axes.
    """
    root = _root(space.reference_weights)
    directions = (space.axes * root).reshape(len(space.axes), -1)
    coordinates, residual = np.zeros((len(fields), len(directions))), np.zeros(len(fields))
    for i, field in enumerate(fields):
        vector = ((field - space.mean) * root).ravel()
        coordinates[i] = (directions * vector).sum(axis=1)
        residual[i] = np.linalg.norm(vector - coordinates[i] @ directions)
    return coordinates, residual


def linear_distances(fields: Sequence[Array], reference_weights: Array) -> Array:
    """(N, N) distances of displacement fields in L2 of the reference: no less than W2 of the projected measures."""
    vectors = (np.stack(fields) * _root(reference_weights)).reshape(len(fields), -1)
    squares = (vectors**2).sum(axis=1)
    found = squares[:, None] + squares[None] - 2 * vectors @ vectors.T
    np.fill_diagonal(found, 0.0)
    return np.sqrt(np.clip((found + found.T) / 2, 0, None))


def principal_directions(rows: Array, n_axes: int) -> tuple[Array, Array, Array]:
    """Mean of rows, and orthonormal directions of decreasing variance about it.

    Parameters
    ----------
    rows : (N, p).
    n_axes : axes wanted; no more than N or p come back.

    Returns
    -------
    mean : (p,).
    directions : (q, p); each points so that the row that lies farthest along it lies on the positive side, and is zero
        where rounding is all that is left.
    explained : (q,) share of the total variance.
    """
    mean = rows.mean(axis=0)
    left, values, directions = np.linalg.svd(rows - mean, full_matrices=False)
    q = min(n_axes, len(values))
    total, floor = float((values**2).sum()), 1e-12 * float(np.linalg.norm(rows))
    left, values, directions = left[:, :q], values[:q], directions[:q]
    real = values > floor
    signs = np.sign(left[np.abs(left).argmax(axis=0), np.arange(q)])
    explained = np.where(real, values**2, 0.0) / (total if real.any() else 1.0)
    return mean, directions * (signs * real)[:, None], explained


def classical_scaling(distances: Array, n_axes: int) -> Coordinates:
    """Classical multidimensional scaling of an (N, N) matrix of distances.

    References
    ----------
    Torgerson, Multidimensional scaling: I. Theory and method, Psychometrika 17 (1952).
    """
    values, vectors = np.linalg.eigh(gower(distances))
    order = np.argsort(-values, kind="stable")[: min(n_axes, len(distances))]
    values, vectors = np.clip(values, 0, None), vectors[:, order]
    total = float(values.sum()) or 1.0
    signs = np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(vectors.shape[1])])
    return Coordinates(vectors * signs * np.sqrt(values[order]), values[order] / total)


def gower(distances: Array) -> Array:
    """Inner products of centred points that lie at these distances: ``-1/2 C D^2 C`` with the centring C; (N, N).

    References
    ----------
    Gower, Some distance properties of latent root and vector methods, Biometrika 53 (1966).
    """
    n = len(distances)
    centring = np.eye(n) - 1.0 / n
    found = -0.5 * centring @ distances**2 @ centring
    return np.asarray((found + found.T) / 2)


def _root(reference_weights: Array) -> Array:
    return np.asarray(np.sqrt(reference_weights / reference_weights.sum())[:, None])
