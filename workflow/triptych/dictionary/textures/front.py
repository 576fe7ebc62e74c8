"""The front door: atoms and activations of an image in memory (or of anything that slices like one), by the functions of blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triptych.dictionary.textures import learning, lgcd
from triptych.dictionary.textures.box import Triple, triple, whole
from triptych.dictionary.textures.events import Floats, Whole
from triptych.dictionary.textures.passes import Cut, Mapper, Passes
from triptych.dictionary.textures.pieces import Contrast, Piece, extent

BLOCK_SHAPE = (4, 256, 256)


@dataclass(frozen=True)
class Textures:
    """Atoms of an image.

    Attributes
    ----------
    atoms : (K, dz, dy, dx) float64, unit norm; most explained energy first.
    penalty, penalty_max : lambda and the lambda_max it is a fraction of, in the unit of the image.
    explained : (K,) share of the variance that each atom explains alone.
    history : (n, 3): F after coding, F after the update, atoms replaced or moved, per iteration (image in deviations).
    certificate : objective, KKT residual, duality gap, explained share (image in deviations).
    """

    atoms: Floats
    penalty: float
    penalty_max: float
    explained: Floats
    history: Floats
    certificate: dict[str, float]


def encode_image(
    image: Any,
    atoms: Floats,
    regularization: float = 0.1,
    tolerance: float = 1e-3,
    *,
    penalty: float | None = None,
    local_mean: Sequence[float] | None = None,
    block_shape: Sequence[int] = BLOCK_SHAPE,
    mapper: Mapper = map,
) -> tuple[NDArray[np.int32], Whole, Floats]:
    """The sparse positive code of a plane or volume with given atoms, exact to the tolerance.

    The mean of the image is taken off first.

    Parameters
    ----------
    image : (z, y, x) or (y, x), finite; anything that slices like an array is read block by block.
    atoms : (K, dz, dy, dx), or (K, dy, dx) for planes.
    regularization : lambda as a fraction of lambda_max of this image and these atoms.
    tolerance : largest change of an amplitude left undone, as a fraction of lambda.
    penalty : lambda itself, in the unit of the image; overrides ``regularization``.
    local_mean : standard deviations (z, y, x) in voxels of a Gaussian local mean to take off instead of the mean.
    block_shape : voxels (z, y, x) of a block; the code of blocks is that of the whole within the tolerance.
    mapper : spreads blocks over workers, e.g. ``ThreadPoolExecutor().map``.

    Returns
    -------
    atom : (n,) int32.
    place : (n, 3) int64, first voxel (z, y, x) of the atom; sorted.
    amplitude : (n,) float64, in the unit of the image.

    Raises
    ------
    ValueError
        Shapes do not fit, or the image is smaller than an atom, constant, or not finite.

    References
    ----------
    Moreau, Gramfort: DiCoDiLe, IEEE TPAMI 2022.

    Examples
    --------
    >>> import numpy as np
    >>> image = np.zeros((40, 40))
    >>> image[10, 8:13] = 1.0  # one short horizontal stroke
    >>> stroke = np.full((1, 1, 5), 5**-0.5)
    >>> atom, place, amplitude = encode_image(image, stroke, 0.5)
    >>> place.tolist()
    [[0, 10, 8]]
    """
    atoms = _with_z(atoms)
    passes, contrast = _passes(image, triple(atoms.shape[1:]), local_mean, block_shape, mapper)
    scale = contrast.deviation
    if penalty is None:
        penalty = regularization * passes.largest_correlation(atoms) * scale
    model = lgcd.model(atoms, penalty / scale, tolerance * penalty / scale)
    (events,), _ = passes.code(model)
    return events.atom, events.place, events.amplitude * scale


def learn_textures(
    image: Any,
    n_atoms: int,
    atom_shape: Sequence[int],
    regularization: float = 0.1,
    tolerance: float = 1e-2,
    *,
    max_iterations: int = 40,
    least_decrease: float = 1e-3,
    exchanges: int = 9,
    seed: int = 0,
    local_mean: Sequence[float] | None = None,
    block_shape: Sequence[int] = BLOCK_SHAPE,
    mapper: Mapper = map,
) -> Textures:
    """Atoms of a plane or volume.

    Parameters
    ----------
    image, local_mean, block_shape, mapper : as in ``encode_image``.
    n_atoms : K.
    atom_shape : (dz, dy, dx) voxels, or (dy, dx) for atoms of planes.
    regularization : lambda as a fraction of lambda_max of the first atoms.
    tolerance : of coding, as a fraction of lambda.
    max_iterations, least_decrease, exchanges, seed : see ``learning.Options``.

    Raises
    ------
    ValueError
        As in ``encode_image``, or the image holds too few different patches.

    Examples
    --------
    >>> import numpy as np
    >>> y, x = np.mgrid[:48, :48]
    >>> found = learn_textures(np.sin(x), n_atoms=2, atom_shape=(8, 8), max_iterations=2)
    >>> found.atoms.shape
    (2, 1, 8, 8)
    """
    shape = triple((1, *atom_shape)[-3:])
    passes, contrast = _passes(image, shape, local_mean, block_shape, mapper)
    options = learning.Options(
        n_atoms, regularization, tolerance, max_iterations, least_decrease, exchanges, seed
    )
    state = learning.start(passes, options)
    while not learning.finished(state, options):
        state = learning.advance(state, passes, options)
    found = learning.conclude(state, passes, options)
    return Textures(
        found.atoms,
        found.penalty * contrast.deviation,
        found.penalty_max * contrast.deviation,
        found.explained,
        found.history,
        found.certificate,
    )


def _with_z(atoms: Floats) -> Floats:
    atoms = np.asarray(atoms, dtype=np.float64)
    if atoms.ndim not in (3, 4):
        raise ValueError(f"atoms must be (K, z, y, x) or (K, y, x), they have shape {atoms.shape}")
    return atoms.reshape(len(atoms), *(1, *atoms.shape[1:])[-3:])


def _passes(
    image: Any, atom: Triple, local_mean: Sequence[float] | None, block_shape: Sequence[int], mapper: Mapper
) -> tuple[Passes, Contrast]:
    """The image in standard deviations, cut in blocks."""
    z, y, x = (0.0, 0.0, 0.0) if local_mean is None else (float(s) for s in local_mean)
    piece = Piece(image, whole(extent(image)), (z, y, x))
    blocks = triple((1, *block_shape)[-3:])
    return Passes(Cut((piece,), atom, blocks), mapper).normalised()
