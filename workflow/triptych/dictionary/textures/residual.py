"""What a code leaves of an image, and how near the code is to the minimum."""

from __future__ import annotations

import numpy as np

from triptych.dictionary.certificate import Violation
from triptych.dictionary.residual import Energies
from triptych.dictionary.textures.box import Box
from triptych.dictionary.textures.events import Events, Floats, dense
from triptych.dictionary.textures.gram import rebuild
from triptych.dictionary.textures.lgcd import Model, gradient


def reconstruct(voxels: Box, events: Events, atoms: Floats) -> Floats:
    """What activations explain of a box of voxels, (nz, ny, nx) float64.

    Parameters
    ----------
    voxels : of the image.
    events : activations within d - 1 voxels before the box and in it, or more.
    atoms : (K, dz, dy, dx).
    """
    z, y, x = (a - d + 1 for a, d in zip(voxels.start, atoms.shape[1:], strict=True))
    around = Box((z, y, x), voxels.stop)
    # Activations lie at positions of the image alone; the box may begin before its first voxel.
    return rebuild(dense(events, len(atoms), around), atoms)


def energies(image: Floats, voxels: Box, positions: Box, events: Events, atoms: Floats) -> Energies:
    """Energies of the voxels that count as those of a block.

    Parameters
    ----------
    image : (nz, ny, nx) float64, the voxels of the block, each of one block only.
    voxels, positions : the block as voxels and as positions at which atoms start.
    events : activations of the block and those within d - 1 voxels of it.
    """
    left = image - reconstruct(voxels, events, atoms)
    mass = float(events.inside(positions).amplitude.sum())
    return Energies(
        float(np.vdot(image, image)), float(np.vdot(left, left)), float(np.vdot(image, left)), mass
    )


def violation(image: Floats, box: Box, events: Events, model: Model) -> Violation:
    """Extremes of the optimality conditions over a box of positions; parameters as in ``lgcd.code_box``."""
    beta, activation = gradient(image, box.start, events, model)
    norms = model.norms[:, None, None, None]
    correlation = -beta - norms * activation
    kkt = np.abs(activation - np.maximum(activation - model.penalty + correlation, 0.0))
    optimum = np.divide(
        np.maximum(-beta - model.penalty, 0.0), norms, out=np.zeros_like(beta), where=norms > 0
    )
    return Violation(float(kkt.max()), float(np.abs(optimum - activation).max()), float(correlation.max()))
