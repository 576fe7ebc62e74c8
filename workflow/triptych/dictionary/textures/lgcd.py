"""Locally greedy coordinate descent on images: the exact code of one box of positions.

The positions are cut in segments of two atoms along each axis (2 d - 1 voxels), on one lattice for the whole image. Each segment
in turn takes its coordinate of largest change, and sleeps once none would change by more than the tolerance. Which
segments are awake at the beginning is given, so that a box of which most is settled costs little.

References
----------
Moreau, Oudre, Vayatis: DICOD, ICML 2018; Moreau, Gramfort: DiCoDiLe, IEEE TPAMI 2022, algorithm 2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from triptych.dictionary.textures.box import Box, Triple, triple
from triptych.dictionary.textures.events import Events, Floats, Whole, events_of
from triptych.dictionary.textures.gram import correlate, gram

UPDATES_PER_POSITION = 2000
UPDATES_PER_VISIT = 4
"""Updates of a segment before the next one has its turn: what one visit loads into the cache serves several."""


@dataclass(frozen=True)
class Model:
    """Atoms and penalty of a coding problem.

    Attributes
    ----------
    atoms : (K, dz, dy, dx) float64.
    gram : (K, K, 2 dz - 1, 2 dy - 1, 2 dx - 1) float64, see ``gram.gram``.
    penalty : lambda, in the unit of the image.
    tolerance : largest change of an amplitude that is left undone, in the unit of the image.
    """

    atoms: Floats
    gram: Floats
    penalty: float
    tolerance: float

    @property
    def shape(self) -> Triple:
        """Voxels (z, y, x) of an atom."""
        return triple(self.atoms.shape[1:])

    @property
    def norms(self) -> Floats:
        """Squared norms of the atoms, (K,)."""
        diagonal = np.arange(len(self.gram))
        z, y, x = (n - 1 for n in self.shape)
        return np.ascontiguousarray(self.gram[diagonal, diagonal, z, y, x])


def model(atoms: Floats, penalty: float, tolerance: float) -> Model:
    """A coding problem from its atoms.

    Raises
    ------
    ValueError
        Atoms are not (K, z, y, x), the penalty is negative or the tolerance is not positive.
    """
    if atoms.ndim != 4:
        raise ValueError(f"atoms {atoms.shape} must be (K, z, y, x)")
    if not penalty >= 0:
        raise ValueError(f"penalty {penalty} must not be negative")
    if not tolerance > 0:
        raise ValueError(f"tolerance {tolerance} must be positive")
    atoms = np.ascontiguousarray(atoms, dtype=np.float64)
    return Model(atoms, gram(atoms), float(penalty), float(tolerance))


@dataclass(frozen=True)
class Coded:
    """The code of a box of positions.

    Attributes
    ----------
    box : the positions.
    events : all activations of the box.
    updates : number of coordinate updates.
    leaving : (n, 3) int64, places of updates from which an atom reaches beyond the box.
    """

    box: Box
    events: Events
    updates: int
    leaving: Whole


# Rows are cut out before the inner loops: indices that count from zero let the compiler use vector instructions.
@numba.njit(nogil=True, cache=True)
def _add_atom(beta, products, z, y, x, amplitude):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add the scalar products (K, 2 dz - 1, 2 dy - 1, 2 dx - 1) of an atom at a place, which may lie outside."""
    n_atoms, nz, ny, nx = beta.shape
    rz, ry, rx = products.shape[1] // 2, products.shape[2] // 2, products.shape[3] // 2
    first, last = max(0, x - rx), min(nx, x + rx + 1)
    if first >= last:
        return
    for m in range(n_atoms):
        for i in range(max(0, z - rz), min(nz, z + rz + 1)):
            for j in range(max(0, y - ry), min(ny, y + ry + 1)):
                row = beta[m, i, j, first:last]
                product = products[m, i - z + rz, j - y + ry, first - x + rx : last - x + rx]
                for n in range(row.size):
                    row[n] += amplitude * product[n]


@numba.njit(nogil=True, cache=True)
def _add_events(beta, activation, gram, atom, place, amplitude):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add the atoms of sparse events to the gradient, and those inside to the dense code."""
    nz, ny, nx = beta.shape[1:]
    rz, ry, rx = gram.shape[2] // 2, gram.shape[3] // 2, gram.shape[4] // 2
    for e in range(atom.size):
        k, value = atom[e], amplitude[e]
        z, y, x = place[e, 0], place[e, 1], place[e, 2]
        _add_atom(beta, gram[k], z, y, x, value)
        if 0 <= z < nz and 0 <= y < ny and 0 <= x < nx:
            beta[k, z, y, x] -= value * gram[k, k, rz, ry, rx]
            activation[k, z, y, x] += value


# Positive floats order as the integers of the same bits, and compilers turn a maximum of integers, unlike one of floats, into
# vector instructions without leave to reorder arithmetic. ``bits`` views ``changes``.
@numba.njit(nogil=True, cache=True)
def _largest_change(  # type: ignore[no-untyped-def]  # pragma: no cover
    beta, activation, inverse, penalty, z0, z1, y0, y1, x0, x1, changes, bits
):
    """The coordinate of a segment whose best value is farthest from its value."""
    best, atom, z, y = np.int64(-1), 0, z0, y0
    for k in range(beta.shape[0]):
        scale = inverse[k]
        for i in range(z0, z1):
            for j in range(y0, y1):
                row, value = beta[k, i, j, x0:x1], activation[k, i, j, x0:x1]
                for n in range(row.size):
                    optimum = -row[n] - penalty
                    optimum = optimum if optimum > 0.0 else 0.0
                    changes[n] = abs(optimum * scale - value[n])
                largest = np.int64(0)
                for n in range(row.size):
                    largest = bits[n] if bits[n] > largest else largest
                if largest > best:
                    best, atom, z, y = largest, k, i, j
    row, value, scale = beta[atom, z, y, x0:x1], activation[atom, z, y, x0:x1], inverse[atom]
    for n in range(row.size):
        optimum = -row[n] - penalty
        optimum = optimum if optimum > 0.0 else 0.0
        changes[0] = abs(optimum * scale - value[n])
        if bits[0] == best:
            return atom, z, y, x0 + n, optimum * scale
    return atom, z, y, x0, value[0]


@numba.njit(nogil=True, cache=True)
def _descend(  # type: ignore[no-untyped-def]  # pragma: no cover
    beta, activation, gram, inverse, penalty, tolerance, awake, touched, limit, per_visit
):
    """Run the descent in place; returns the number of updates."""
    nz, ny, nx = beta.shape[1:]
    sz, sy, sx = gram.shape[2], gram.shape[3], gram.shape[4]
    rz, ry, rx = sz // 2, sy // 2, sx // 2
    changes = np.empty(sx)
    bits = changes.view(np.int64)
    left, updates = awake.sum(), 0
    while left > 0 and updates < limit:
        for a in range(awake.shape[0]):
            for b in range(awake.shape[1]):
                for c in range(awake.shape[2]):
                    if not awake[a, b, c]:
                        continue
                    for _ in range(per_visit):
                        k, z, y, x, optimum = _largest_change(
                            beta, activation, inverse, penalty,
                            a * sz, min(nz, (a + 1) * sz), b * sy, min(ny, (b + 1) * sy), c * sx, min(nx, (c + 1) * sx),
                            changes, bits,
                        )  # fmt: skip
                        change = optimum - activation[k, z, y, x]
                        if abs(change) <= tolerance:
                            awake[a, b, c] = False
                            left -= 1
                            break
                        own = beta[k, z, y, x]
                        _add_atom(beta, gram[k], z, y, x, change)
                        beta[k, z, y, x] = own
                        activation[k, z, y, x] = optimum
                        touched[z, y, x] = True
                        updates += 1
                        for i in range(max(0, z - rz) // sz, min(nz - 1, z + rz) // sz + 1):
                            for j in range(max(0, y - ry) // sy, min(ny - 1, y + ry) // sy + 1):
                                for n in range(max(0, x - rx) // sx, min(nx - 1, x + rx) // sx + 1):
                                    if not awake[i, j, n]:
                                        awake[i, j, n] = True
                                        left += 1
    return updates


def gradient(image: Floats, start: Triple, events: Events, model: Model) -> tuple[Floats, Floats]:
    """Gradient of the data fit without the own term of each coordinate, and the dense code.

    Returns
    -------
    beta, activation : (K, nz, ny, nx) float64.
    """
    beta = correlate(image, model.atoms)
    np.negative(beta, out=beta)
    activation = np.zeros_like(beta)
    place = events.place - np.array(start, dtype=np.int64)
    _add_events(beta, activation, model.gram, events.atom, place, events.amplitude)
    return beta, activation


def code_box(image: Floats, box: Box, awake: NDArray[np.bool_], events: Events, model: Model) -> Coded:
    """Code one box of positions to the tolerance, activations beyond its borders held as they are.

    Parameters
    ----------
    image : (nz + dz - 1, ny + dy - 1, nx + dx - 1) float64, the voxels that atoms starting in the box can reach.
    box : positions (nz, ny, nx) of the image, from a corner of a segment on.
    awake : segments of the box that are to be looked at.
    events : activations to begin from inside the box, and those that hold within d - 1 voxels outside it.
    model : atoms, penalty and tolerance.

    Raises
    ------
    ValueError
        The descent did not settle, which only images that are not finite bring about.
    """
    beta, activation = gradient(image, box.start, events, model)
    norms = model.norms
    inverse = np.divide(1.0, norms, out=np.zeros_like(norms), where=norms > 0)
    touched = np.zeros(beta.shape[1:], dtype=np.bool_)
    limit = UPDATES_PER_POSITION * touched.size
    updates = _descend(
        beta, activation, model.gram, inverse, model.penalty, model.tolerance, awake.copy(), touched, limit, UPDATES_PER_VISIT
    )  # fmt: skip
    if updates >= limit:
        raise ValueError(
            f"coding did not settle within {limit} updates: check the image for values not finite"
        )
    leaving = np.argwhere(touched & _near_the_end(touched.shape, model.shape)).astype(np.int64)
    return Coded(box, events_of(activation, box.start, events.positions), int(updates), leaving + box.start)


def _near_the_end(shape: tuple[int, ...], atom: Triple) -> NDArray[np.bool_]:
    """Positions of a box less than an atom away from what lies outside it."""
    inner = np.ones(shape, dtype=np.bool_)
    inner[tuple(slice(d - 1, max(d - 1, n - d + 1)) for n, d in zip(shape, atom, strict=True))] = False
    return inner
