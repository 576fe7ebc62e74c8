"""Trials: changes of settled atoms that alternating minimisation does not make by itself; only what lowers F is kept.

A pattern cut by the edge of its atom stays cut, and two patterns that share an atom share it for good. So atoms are moved to the
middle of their box once, and then a weak one at a time gives way to the patch of the residual that holds the most energy.

References
----------
Dupre la Tour, Moreau, Jas, Gramfort, NeurIPS 2018, section 3.3 (atoms from the residual).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from triptych.dictionary.textures import statistics
from triptych.dictionary.textures.events import Events, Floats, Whole, sorted_events
from triptych.dictionary.textures.passes import Passes
from triptych.dictionary.textures.update import duplicates

State = dict[str, np.ndarray]

ALIKE = 0.8
OFF_CENTER = 0.1
WEAKEST = 3


@dataclass(frozen=True)
class Fit:
    """Atoms, their activations in every piece, and F."""

    atoms: Floats
    codes: list[Events]
    value: float


def moved(fit: Fit) -> tuple[Fit, int] | None:
    """Atoms whose energy lies off the middle, moved there with their activations; None where none does."""
    extent = np.array(fit.atoms.shape[1:])
    # The fourth power weighs the strokes, so that a faint ground does not draw the middle.
    power = fit.atoms**4
    mass = np.maximum(power.sum(axis=(1, 2, 3)), 1e-300)
    grid = np.indices(tuple(extent))
    middle = np.einsum("kzyx,azyx->ka", power, grid) / mass[:, None]
    shift = np.rint(middle - (extent - 1) / 2).astype(np.int64)
    shift[(np.abs(shift) < OFF_CENTER * extent).all(axis=1)] = 0
    if not shift.any():
        return None
    atoms = np.stack([_shifted(atom, by) for atom, by in zip(fit.atoms, shift, strict=True)])
    atoms /= np.maximum(np.sqrt((atoms**2).sum(axis=(1, 2, 3), keepdims=True)), 1e-300)
    codes = []
    for code in fit.codes:
        place = code.place + shift[code.atom]
        inside = ((place >= 0) & (place < code.positions)).all(axis=1)
        index = np.ravel_multi_index(tuple(place[inside].T), code.positions)
        codes.append(sorted_events(code.positions, code.atom[inside], index, code.amplitude[inside]))
    return Fit(atoms, codes, fit.value), int(shift.any(axis=1).sum())


def _shifted(atom: Floats, by: Whole) -> Floats:
    """Voxels moved towards the origin by ``by``; what comes in is zero."""
    moved = np.zeros_like(atom)
    source = tuple(slice(max(0, s), n + min(0, s)) for s, n in zip(by.tolist(), atom.shape, strict=True))
    target = tuple(slice(max(0, -s), n + min(0, -s)) for s, n in zip(by.tolist(), atom.shape, strict=True))
    moved[target] = atom[source]
    return moved


def exchanged(state: State, fit: Fit, passes: Passes, failed: int) -> tuple[Fit, int] | None:
    """A patch of the residual in the place of a weak or repeated atom; None where nothing is left to try."""
    found = passes.peaks(fit.codes, fit.atoms)
    found = [patch for patch in found if patch.strength > float(state["penalty"])]
    if failed // WEAKEST >= len(found):
        return None
    summed = passes.statistics(fit.codes, len(fit.atoms))
    share = statistics.explained(summed, fit.atoms, float(state["energy"]))
    order = np.argsort(-share, kind="stable")
    repeated = [int(order[i]) for i in duplicates(fit.atoms[order], ALIKE)]
    weak = repeated + [int(k) for k in order[::-1] if int(k) not in repeated]
    gone = weak[min(failed % WEAKEST, len(weak) - 1)]
    atoms = fit.atoms.copy()
    atoms[gone] = found[failed // WEAKEST].values
    codes = [
        Events(code.positions, code.atom[kept], code.index[kept], code.amplitude[kept])
        for code in fit.codes
        for kept in [code.atom != gone]
    ]
    return Fit(atoms, codes, fit.value), 1
