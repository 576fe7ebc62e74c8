"""The current dipole in a spherical head that explains each map best: a scan over a grid, then a search from the best places.

At a place r with lead field A(r) (P, 3), the best moment explains ||A (A^T A)^+ A^T m||^2 of a map's energy ||m||^2.

References
----------
Mosher, Lewis, Leahy: Multiple dipole modeling and localization from spatio-temporal MEG data, IEEE Trans. Biomed. Eng. 1992.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from triptych.dictionary.events import Floats

COARSE = 9  # grid steps in a radius: 10 mm in a head of 90 mm
FINEST = 0.0025  # last step of the search, as a share of the radius: a quarter of a millimetre
HOLLOW = 0.02  # share of the radius around the centre where a sphere hides every dipole
STARTS = 2
SILENT = 1e-4  # squared singular values below this share of the largest belong to directions that the sensors do not see
MOST_MOVES = 200

LeadField = Callable[[Floats], Floats]


@dataclass(frozen=True)
class Sphere:
    """A spherical head.

    Attributes
    ----------
    center : (3,) m.
    radius : of the scalp, m.
    reach : largest distance of a dipole from the centre, m.
    """

    center: Floats
    radius: float
    reach: float


@dataclass(frozen=True)
class Dipoles:
    """One dipole for each map.

    Attributes
    ----------
    places : (K, 3) m.
    fits : (K,) share of the map's energy that the dipole explains, 0 to 1.
    """

    places: Floats
    fits: Floats


def fit_dipoles(maps: Floats, lead_field: LeadField, sphere: Sphere) -> Dipoles:
    """Place a dipole for each map.

    Parameters
    ----------
    maps : (K, P) in units in which the noise of all sensors is alike.
    lead_field : of (N, 3) places in metres, (P, N, 3) in the unit of the maps per A m.
    sphere : where dipoles may lie.

    References
    ----------
    Hooke, Jeeves: "Direct search" solution of numerical and statistical problems, J. ACM 1961 (the search).
    """
    grid = _grid(sphere)
    scanned = explained(maps, lead_field(grid))
    start = np.concatenate(_starts(scanned, grid, sphere))
    places, fits = _search(np.tile(maps, (STARTS, 1)), lead_field, sphere, grid[start])
    best = fits.reshape(STARTS, -1).argmax(axis=0) * len(maps) + np.arange(len(maps))
    return Dipoles(places[best], np.clip(fits[best], 0.0, 1.0))


def explained(maps: Floats, gains: Floats) -> Floats:
    """Share of the energy of each map (K, P) that the best moment at each place explains; gains (P, N, 3), result (K, N)."""
    at_places = np.ascontiguousarray(gains.transpose(1, 0, 2))
    values, vectors = np.linalg.eigh(at_places.transpose(0, 2, 1) @ at_places)
    seen = values > SILENT * np.maximum(values[:, -1:], 1e-300)
    crossed = np.einsum("kp,npi->kni", maps, at_places, optimize=True)
    along = np.einsum("kni,nij->knj", crossed, vectors)
    energy = np.where(seen, along**2 / np.where(seen, values, 1.0), 0.0).sum(axis=2)
    share: Floats = energy / np.maximum((maps**2).sum(axis=1)[:, None], 1e-300)
    return share


def _grid(sphere: Sphere) -> Floats:
    """Places of a cubic lattice within reach, (N, 3)."""
    steps = np.arange(-COARSE, COARSE + 1) * (sphere.radius / COARSE)
    lattice = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    distance = np.linalg.norm(lattice, axis=1)
    inside = (distance <= sphere.reach) & (distance >= HOLLOW * sphere.radius)
    return np.asarray(lattice[inside] + sphere.center, dtype=np.float64)


def _starts(scanned: Floats, grid: Floats, sphere: Sphere) -> list[NDArray[np.int64]]:
    """For each map the best place of the grid, then the best one that lies apart from those before it; STARTS times (K,)."""
    left = scanned.copy()
    starts = []
    for _ in range(STARTS):
        best = left.argmax(axis=1)
        starts.append(best.astype(np.int64))
        near = np.linalg.norm(grid[None] - grid[best][:, None], axis=2) < 3.5 * sphere.radius / COARSE
        left[near] = -1.0
    return starts


def _search(maps: Floats, lead_field: LeadField, sphere: Sphere, start: Floats) -> tuple[Floats, Floats]:
    """Move every dipole to the best of its 26 neighbours; where none is better, halve the step. Places and fits."""
    offsets = np.stack(np.meshgrid(*[(-1.0, 0.0, 1.0)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    place = start.copy()
    fit = np.full(len(maps), -1.0)
    step = np.full(len(maps), 0.5 * sphere.radius / COARSE)
    for _ in range(MOST_MOVES):
        moving = np.flatnonzero(step >= FINEST * sphere.radius)
        if not len(moving):
            break
        tried = _within(place[moving, None] + step[moving, None, None] * offsets, sphere)
        gains = lead_field(tried.reshape(-1, 3)).reshape(maps.shape[1], len(moving), len(offsets), 3)
        for row, k in enumerate(moving):
            shares = explained(maps[k : k + 1], gains[:, row])[0]
            best = int(shares.argmax())
            if shares[best] > fit[k] + 1e-12:
                place[k], fit[k] = tried[row, best], shares[best]
            else:
                step[k] /= 2
    return place, fit


def _within(places: Floats, sphere: Sphere) -> Floats:
    """Places moved along the radius to where a dipole may lie."""
    away = places - sphere.center
    distance = np.linalg.norm(away, axis=-1, keepdims=True)
    allowed = np.clip(distance, HOLLOW * sphere.radius, sphere.reach)
    scaled = np.where(distance > 0, away * allowed / np.where(distance > 0, distance, 1.0), 0.0)
    scaled[..., 2] += np.where(distance > 0, 0.0, allowed)[..., 0]
    moved: Floats = sphere.center + scaled
    return moved
