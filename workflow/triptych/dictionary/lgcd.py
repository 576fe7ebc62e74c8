"""Locally greedy coordinate descent: the exact code of one window of a signal.

Minimises over z >= 0

    F(z) = 1/2 || X - sum_k D_k * z_k ||^2 + lambda sum_k |z_k|_1

by updates of one coordinate at a time. The window is cut in segments of two waveforms; each segment in turn takes its
coordinate of largest change, and sleeps once none would change by more than the tolerance.

References
----------
Moreau, Oudre, Vayatis: DICOD: Distributed Convolutional Coordinate Descent, ICML 2018.
Dupre la Tour, Moreau, Jas, Gramfort: Multivariate Convolutional Sparse Coding, NeurIPS 2018, algorithm 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from triptych.dictionary.events import Events, Floats, events_of
from triptych.dictionary.gram import correlate, gram

UPDATES_PER_POSITION = 20_000


@dataclass(frozen=True)
class Model:
    """Atoms and penalty of a coding problem.

    Attributes
    ----------
    spatial : (K, P) float64.
    temporal : (K, L) float64.
    gram : (K, K, 2L - 1) float64, see ``triptych.dictionary.gram.gram``.
    penalty : lambda, in the unit of the signal.
    tolerance : largest change of an amplitude that is left undone, in the unit of the signal.
    """

    spatial: Floats
    temporal: Floats
    gram: Floats
    penalty: float
    tolerance: float

    @property
    def length(self) -> int:
        """Samples L of a waveform."""
        return int(self.temporal.shape[1])

    @property
    def norms(self) -> Floats:
        """Squared norms of the atoms, (K,)."""
        diagonal = np.arange(len(self.gram))
        norms: Floats = self.gram[diagonal, diagonal, self.length - 1]
        return np.ascontiguousarray(norms)


def model(spatial: Floats, temporal: Floats, penalty: float, tolerance: float) -> Model:
    """A coding problem from its atoms.

    Raises
    ------
    ValueError
        The numbers of atoms differ, the penalty is negative or the tolerance is not positive.
    """
    if spatial.ndim != 2 or temporal.ndim != 2 or len(spatial) != len(temporal):
        raise ValueError(f"spatial {spatial.shape} and temporal {temporal.shape} must be (K, P) and (K, L)")
    if not penalty >= 0:
        raise ValueError(f"penalty {penalty} must not be negative")
    if not tolerance > 0:
        raise ValueError(f"tolerance {tolerance} must be positive")
    spatial = np.ascontiguousarray(spatial, dtype=np.float64)
    temporal = np.ascontiguousarray(temporal, dtype=np.float64)
    return Model(spatial, temporal, gram(spatial, temporal), float(penalty), float(tolerance))


@dataclass(frozen=True)
class Coded:
    """The code of a window.

    Attributes
    ----------
    start, stop : the window, in samples of the recording.
    events : all activations of the window.
    updates : number of coordinate updates.
    first, last : the first and last sample whose activation was updated; ``first > last`` when none was.
    """

    start: int
    stop: int
    events: Events
    updates: int
    first: int
    last: int


# Rows are cut out before the inner loops: indices that count from zero let the compiler use vector instructions.
@numba.njit(nogil=True, cache=True)
def _add_atom(beta, products, first, last, offset, amplitude):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add the scalar products (K, 2L - 1) of an atom from lag ``offset`` on to columns first .. last."""
    for m in range(beta.shape[0]):
        row = beta[m, first:last]
        product = products[m, offset : offset + last - first]
        for i in range(row.size):
            row[i] += amplitude * product[i]


@numba.njit(nogil=True, cache=True)
def _add_events(  # type: ignore[no-untyped-def]  # pragma: no cover
    beta, activation, gram, atom, position, amplitude
):
    """Add the atoms of sparse events to the gradient; positions may lie up to L - 1 outside the window."""
    width = beta.shape[1]
    reach = (gram.shape[2] - 1) // 2
    for e in range(atom.size):
        k, t, z = atom[e], position[e], amplitude[e]
        first, last = max(0, t - reach), min(width, t + reach + 1)
        if first >= last:
            continue
        _add_atom(beta, gram[k], first, last, first - t + reach, z)
        if 0 <= t < width:
            beta[k, t] -= z * gram[k, k, reach]
            activation[k, t] += z


# Positive floats order as the integers of the same bits, and compilers turn a maximum of integers, unlike one of floats, into
# vector instructions without leave to reorder arithmetic. ``bits`` views ``changes``.
@numba.njit(nogil=True, cache=True)
def _largest_change(  # type: ignore[no-untyped-def]  # pragma: no cover
    beta, activation, inverse, penalty, first, last, changes, bits
):
    """The coordinate of columns first .. last whose best value is farthest from its value."""
    best, best_atom = np.int64(-1), 0
    for k in range(beta.shape[0]):
        row, value, scale = beta[k, first:last], activation[k, first:last], inverse[k]
        for i in range(row.size):
            optimum = -row[i] - penalty
            optimum = optimum if optimum > 0.0 else 0.0
            changes[i] = abs(optimum * scale - value[i])
        largest = np.int64(0)
        for i in range(row.size):
            largest = bits[i] if bits[i] > largest else largest
        if largest > best:
            best, best_atom = largest, k
    row, value, scale = beta[best_atom, first:last], activation[best_atom, first:last], inverse[best_atom]
    for i in range(row.size):
        optimum = -row[i] - penalty
        optimum = optimum if optimum > 0.0 else 0.0
        changes[0] = abs(optimum * scale - value[i])
        if bits[0] == best:
            return best_atom, first + i, optimum * scale
    return best_atom, first, value[0]


@numba.njit(nogil=True, cache=True)
def _descend(  # type: ignore[no-untyped-def]  # pragma: no cover
    beta, activation, gram, inverse, penalty, tolerance, limit
):
    """Run the descent in place; returns the number of updates and the first and last column updated."""
    width = beta.shape[1]
    length = (gram.shape[2] + 1) // 2
    size = min(width, 2 * length - 1)
    segments = (width + size - 1) // size
    awake = np.ones(segments, dtype=np.bool_)
    changes = np.empty(size)
    bits = changes.view(np.int64)
    left, updates, low, high = segments, 0, width, -1
    while left > 0 and updates < limit:
        for s in range(segments):
            if not awake[s]:
                continue
            k, t, optimum = _largest_change(
                beta, activation, inverse, penalty, s * size, min(width, (s + 1) * size), changes, bits
            )
            change = optimum - activation[k, t]
            if abs(change) <= tolerance:
                awake[s] = False
                left -= 1
                continue
            first, last = max(0, t - length + 1), min(width, t + length)
            own = beta[k, t]
            _add_atom(beta, gram[k], first, last, first - t + length - 1, change)
            beta[k, t] = own
            activation[k, t] = optimum
            updates += 1
            low, high = min(low, t), max(high, t)
            for n in range(first // size, (last - 1) // size + 1):
                if not awake[n]:
                    awake[n] = True
                    left += 1
    return updates, low, high


def gradient(
    signal: Floats, allowed: NDArray[np.bool_], start: int, events: Events, model: Model
) -> tuple[Floats, Floats]:
    """Gradient of the data fit without the own term of each coordinate, and the dense code.

    Returns
    -------
    beta, activation : (K, W) float64; beta is +inf where no activation is allowed.
    """
    beta = -correlate(signal, model.spatial, model.temporal)
    activation = np.zeros_like(beta)
    _add_events(beta, activation, model.gram, events.atom, events.sample - start, events.amplitude)
    beta[:, ~allowed] = np.inf
    return beta, activation


def code_window(
    signal: Floats,
    allowed: NDArray[np.bool_],
    start: int,
    events: Events,
    model: Model,
    *,
    refit: bool = False,
) -> Coded:
    """Code one window to the tolerance, activations beyond its borders held as they are.

    Parameters
    ----------
    signal : (P, W + L - 1) float64, the samples that atoms starting in the window can reach.
    allowed : (W,) bool, where an atom may start.
    start : sample of the recording at which the window starts.
    events : activations to begin from inside the window, and those that hold within L - 1 samples outside it.
    model : atoms, penalty and tolerance.
    refit : fit the amplitudes of the activations given, and of no others, without the penalty, which undoes its shrinkage. Where
        activations of like atoms crowd, least squares settle slowly: the descent then ends at its limit, short of the minimum.

    Raises
    ------
    ValueError
        The descent did not settle, which only signals that are not finite bring about.
    """
    beta, activation = gradient(signal, allowed, start, events, model)
    if refit:
        beta[activation == 0] = np.inf
    width = beta.shape[1]
    norms = model.norms
    inverse = np.divide(1.0, norms, out=np.zeros_like(norms), where=norms > 0)
    limit = UPDATES_PER_POSITION * width
    updates, low, high = _descend(
        beta, activation, model.gram, inverse, 0.0 if refit else model.penalty, model.tolerance, limit
    )
    if updates >= limit and not refit:
        raise ValueError(
            f"coding did not settle within {limit} updates: check the signal for values not finite"
        )
    return Coded(start, start + width, events_of(activation, start), updates, start + low, start + high)
