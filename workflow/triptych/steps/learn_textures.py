"""``learn_textures``: 2-D or 3-D atoms of an image, from pieces spread over it.

Reads ``--image`` of import_volume. Takes part in a study only where ``learn_textures.enabled`` says so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, Field, NonNegativeFloat

from triptych.engine.step import Context, Estimate, Input, Iterate, Reduce, Settings, Step, load_state
from triptych.errors import InputError
from triptych.steps.volume_geometry import Shape, levels_of, parse_numbers

if TYPE_CHECKING:
    import numpy as np

    from triptych.dictionary.textures.events import Events
    from triptych.dictionary.textures.learning import Concluded, Options
    from triptych.dictionary.textures.passes import Passes
    from triptych.dictionary.textures.pieces import Contrast
    from triptych.engine.step import State

AtomSize = Annotated[
    tuple[NonNegativeFloat, NonNegativeFloat, NonNegativeFloat], BeforeValidator(parse_numbers)
]

ATOMS_OF_A_PIECE = 4
MOST_GRAM_BYTES = 2**31
EXAMPLE_VOXELS = 320
NM3_PER_UM3 = 1e9


class LearnTexturesSettings(Settings):
    """Which atoms, of which size, from how much of the image."""

    enabled: bool = Field(
        False, description="Whether a study runs this step; typed by hand it runs in any case."
    )
    n_atoms: int = Field(16, ge=1, le=500, description="Number of atoms.")
    atom_size_nm: AtomSize = Field(
        (0.0, 120.0, 120.0),
        description="Size (z, y, x) of an atom in nm, or one number for all axes; one voxel at least. With 0 along z, atoms "
        "are planes.",
    )
    level: int = Field(
        0, ge=0, le=8, description="Level of the image's pyramid to learn from; 0 is full resolution."
    )
    regularization: float = Field(
        0.15, gt=0, lt=1, description="Penalty lambda as a fraction of lambda_max of the first atoms."
    )
    tolerance: float = Field(
        1e-2, gt=0, le=1, description="Largest change of an amplitude left undone, as a fraction of lambda."
    )
    local_mean_nm: float = Field(
        100.0,
        ge=0,
        le=100_000,
        description="Standard deviation (nm) of the Gaussian local mean that is taken off before; 0: the mean of the image is.",
    )
    max_pieces: int = Field(
        4, ge=1, le=100_000, description="Pieces learned from, spread evenly over the image."
    )
    piece_shape: Shape = Field(
        (1, 512, 512),
        description="Voxels (z, y, x) of a piece; at least four atoms along each axis, as far as the image holds them.",
    )
    block_shape: Shape = Field(
        (4, 256, 256),
        description="Voxels (z, y, x) of the blocks of a piece that are coded at the same time.",
    )
    max_iterations: int = Field(30, ge=1, le=10_000, description="Most iterations of coding and update.")
    least_decrease: float = Field(
        1e-3, ge=0, lt=1, description="Relative decrease of the objective below which atoms count as settled."
    )
    exchanges: int = Field(
        6,
        ge=0,
        le=1000,
        description="Once the atoms have settled, weak ones are exchanged for what the residual holds, and kept where the "
        "objective falls: this many trials at most.",
    )
    seed: int = Field(0, ge=0, description="Seed of the pieces and of the first atoms.")


def _wanted(study: Any) -> bool:
    return bool(study.learn_textures.enabled)


def _options(settings: LearnTexturesSettings) -> Options:
    from triptych.dictionary.textures.learning import Options

    return Options(
        n_atoms=settings.n_atoms,
        regularization=settings.regularization,
        tolerance=settings.tolerance,
        max_iterations=settings.max_iterations,
        least_decrease=settings.least_decrease,
        exchanges=settings.exchanges,
        seed=settings.seed,
    )


def _size_nm(context: Context) -> tuple[float, float, float]:
    """Voxel size of the level learned from."""
    levels = levels_of(context.source("image"))
    if context.settings.level >= len(levels):
        raise InputError(
            f"{context.source('image')} has no level {context.settings.level}: set learn_textures.level to {len(levels) - 1} "
            "or less"
        )
    return levels[context.settings.level].voxel_size_nm


def _passes(context: Context, contrast: Contrast | None = None) -> Passes:
    """The chosen pieces of the image, normalised by a contrast."""
    from triptych.dictionary.textures.box import triple
    from triptych.dictionary.textures.passes import Cut, Passes
    from triptych.dictionary.textures.pieces import Contrast, Piece, choose_pieces, extent
    from triptych.stores.volume import open_volume

    settings, size = context.settings, _size_nm(context)
    array = open_volume(context.source("image"), settings.level).array
    shape = extent(array)
    atom = triple(max(1, round(a / s)) for a, s in zip(settings.atom_size_nm, size, strict=True))
    if math.prod(atom) < 4:
        raise InputError(
            f"atoms of {settings.atom_size_nm} nm have {math.prod(atom)} voxels of {size} nm: "
            "set learn_textures.atom_size_nm larger"
        )
    if settings.n_atoms**2 * math.prod(2 * d - 1 for d in atom) * 8 > MOST_GRAM_BYTES:
        raise InputError(
            f"{settings.n_atoms} atoms of {atom} voxels need products of more than {MOST_GRAM_BYTES >> 30} GiB: "
            "set learn_textures.n_atoms or atom_size_nm lower, or level higher"
        )
    if any(d > n for d, n in zip(atom, shape, strict=True)):
        raise InputError(
            f"{context.source('image')} has {shape} voxels, fewer than an atom of {atom}: "
            "set learn_textures.atom_size_nm lower"
        )
    wanted = triple(
        max(p, ATOMS_OF_A_PIECE * d if d > 1 else 1) for p, d in zip(settings.piece_shape, atom, strict=True)
    )
    z, y, x = (settings.local_mean_nm / s for s in size)
    pieces = tuple(
        Piece(array, box, (z, y, x), contrast or Contrast(0.0, 1.0))
        for box in choose_pieces(shape, wanted, settings.max_pieces, settings.seed)
    )
    return Passes(Cut(pieces, atom, settings.block_shape), context.map)


def _contrast(state: State) -> Contrast:
    from triptych.dictionary.textures.pieces import Contrast

    return Contrast(*(float(value) for value in state["contrast"]))


def start(context: Context) -> State:
    """Contrast of the pieces, and first atoms drawn from them."""
    import numpy as np

    from triptych.dictionary.textures import learning

    try:
        passes, contrast = _passes(context).normalised()
        state = learning.start(passes, _options(context.settings))
    except ValueError as error:
        raise InputError(
            f"{context.source('image')}: {error}; learn from more pieces of it, or set learn_textures.n_atoms lower"
        ) from error
    return {**state, "contrast": np.array([contrast.mean, contrast.deviation])}


def advance(context: Context, state: State) -> State:
    """One coding and one update, or one trial."""
    from triptych.dictionary.textures import learning

    return learning.advance(state, _passes(context, _contrast(state)), _options(context.settings))


def done(context: Context, state: State) -> bool:
    """Whether the objective has settled."""
    from triptych.dictionary.textures import learning

    return learning.finished(state, _options(context.settings))


def limit(context: Context) -> int:
    """Most iterations."""
    most: int = context.settings.max_iterations
    return most


def finish(context: Context) -> None:
    """Code once more, order the atoms, and write them with their certificate, an example and their table."""
    import numpy as np

    from triptych.dictionary.textures import learning
    from triptych.stores import textures

    state = load_state(context, "learn")
    contrast = _contrast(state)
    passes = _passes(context, contrast)
    found = learning.conclude(state, passes, _options(context.settings))
    example, place = _example(passes, found.codes, found.atoms)
    size = _size_nm(context)
    textures.write_textures(
        context.path(textures.STORE),
        textures.Textures(
            atoms=found.atoms,
            voxel_size_nm=size,
            level=context.settings.level,
            mean=contrast.mean,
            deviation=contrast.deviation,
            local_mean_nm=context.settings.local_mean_nm,
            pieces=np.array([[piece.box.start, piece.box.stop] for piece in passes.cut.pieces]),
            penalty=found.penalty,
            penalty_max=found.penalty_max,
            history=found.history,
            certificate=found.certificate,
            example=example,
            example_place=place,
        ),
    )
    volume = sum(piece.box.size for piece in passes.cut.pieces) * math.prod(size) / NM3_PER_UM3
    textures.write_texture_table(context.path(textures.TABLE), _columns(found, size, volume), volume)


def _example(
    passes: Passes, codes: Sequence[Events], atoms: np.ndarray[Any, Any]
) -> tuple[np.ndarray[Any, Any], tuple[int, int, int]]:
    """The middle of the middle plane of the middle piece, and what the atoms explain of it."""
    import numpy as np

    from triptych.dictionary.textures.box import Box, triple
    from triptych.dictionary.textures.residual import reconstruct

    number = len(passes.cut.pieces) // 2
    piece = passes.cut.pieces[number]
    size = triple((1, *(min(n, EXAMPLE_VOXELS) for n in piece.shape[1:])))
    start = triple((n - s) // 2 for n, s in zip(piece.shape, size, strict=True))
    box = Box(start, triple(a + s for a, s in zip(start, size, strict=True)))
    both = [piece.read(box)[0], reconstruct(box, codes[number], atoms)[0]]
    place = triple(a + b for a, b in zip(start, piece.box.start, strict=True))
    return np.array(both, dtype=np.float32), place


def _columns(
    found: Concluded, size: tuple[float, float, float], volume_um3: float
) -> dict[str, np.ndarray[Any, Any]]:
    """One row per atom."""
    import numpy as np

    from triptych.dictionary.textures.description import describe

    looks = describe(found.atoms, size)
    return {
        "atom": np.arange(len(found.atoms), dtype=np.int32),
        "activations": found.count,
        "energy_share": found.explained,
        "period": looks.period,
        "orientation": looks.orientation,
        "anisotropy": looks.anisotropy,
        "density": found.count / volume_um3,
        "amplitude": found.mass / np.maximum(found.count, 1),
    }


def finished(_context: Context) -> Sequence[str]:
    """The atoms and their table."""
    return ["textures.zarr", "textures.parquet"]


def summary(context: Context) -> dict[str, Any]:
    """What was learned from, objective, certificate, and what the atoms explain."""
    from triptych.stores import textures

    found = textures.open_textures(context.path(textures.STORE))
    voxels = math.prod(levels_of(context.source("image"))[found.level].shape)
    used = int((found.pieces[:, 1] - found.pieces[:, 0]).prod(axis=1).sum())
    notes = []
    if used < voxels:
        number = len(found.pieces)
        notes.append(
            f"learned from {number} piece{'s' * (number > 1)}, {100 * used / voxels:.3g} % of the image"
        )
    rows = len(found.history)
    if rows >= context.settings.max_iterations > 1 and not found.history[-1, 2]:
        before, after = found.history[-2:, 1]
        if before - after >= context.settings.least_decrease * abs(after):
            notes.append(f"not settled within max_iterations = {context.settings.max_iterations}")
    return {
        "counts": {
            "atoms": len(found.atoms),
            "iterations": rows,
            "pieces": len(found.pieces),
            "voxels": used,
        },
        "scores": {**found.certificate, "penalty": found.penalty, "penalty_max": found.penalty_max},
        "notes": notes,
    }


def estimate(extent: Mapping[str, Any], settings: LearnTexturesSettings) -> Estimate:
    """Blocks and memory: dense codes of a block, products of atoms, activations."""
    shape = [max(1, n >> settings.level) for n in extent["shape"]]
    piece = math.prod(min(n, p) for n, p in zip(shape, settings.piece_shape, strict=True))
    pieces = min(settings.max_pieces, max(1, math.prod(shape) // piece))
    block = math.prod(min(n, b) for n, b in zip(shape, settings.block_shape, strict=True))
    blocks = max(1, piece // block) * pieces
    return Estimate(
        blocks=blocks * settings.max_iterations,
        output_bytes=2_000_000,
        memory_bytes=300_000_000 + 24 * settings.n_atoms * block + 2 * pieces * piece,
        files=6,
    )


STEP = Step(
    name="learn_textures",
    version=1,
    scope="sample",
    kinds=("volume",),
    help="Learn the patterns that recur in an image, 2-D or 3-D (convolutional dictionary learning).",
    settings=LearnTexturesSettings,
    inputs=(
        Input(
            "image", "image of import-volume", store="image.ome.zarr", producers={"volume": "import_volume"}
        ),
    ),
    outputs=("textures.zarr", "textures.parquet"),
    phases=(Iterate("learn", start, advance, done, limit), Reduce("finish", finished, finish)),
    summary=summary,
    estimate=estimate,
    wanted=_wanted,
)
