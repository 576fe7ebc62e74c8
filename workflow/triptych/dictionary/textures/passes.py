"""Passes over the pieces of an image: the same per-block functions for an array in memory and for a store."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial, reduce
from typing import Any

import numpy as np

from triptych.dictionary import certificate
from triptych.dictionary.certificate import Violation
from triptych.dictionary.residual import Energies
from triptych.dictionary.textures import coding, initial, lgcd, residual, statistics
from triptych.dictionary.textures.blocks import Blocks
from triptych.dictionary.textures.box import Box, Triple, triple
from triptych.dictionary.textures.coding import Window
from triptych.dictionary.textures.events import Events, Floats, no_events
from triptych.dictionary.textures.gram import correlate
from triptych.dictionary.textures.pieces import Contrast, Piece, Sums

Mapper = Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]


@dataclass(frozen=True)
class Block:
    """A block of a piece with the activations in it and within an atom of it."""

    image: int
    box: Box
    events: Events


@dataclass(frozen=True)
class Cut:
    """The pieces of an image and how they are cut in blocks; what a worker needs."""

    pieces: tuple[Piece, ...]
    atom: Triple
    block_shape: Triple

    @cached_property
    def blocks(self) -> tuple[Blocks, ...]:
        return tuple(Blocks(piece.shape, self.atom, self.block_shape) for piece in self.pieces)

    def read(self, image: int, box: Box) -> Floats:
        """The voxels that atoms starting in a box of positions can reach."""
        return self.pieces[image].read(self.blocks[image].voxels(box))


def code_window(cut: Cut, model: lgcd.Model, window: Window) -> lgcd.Coded:
    """``lgcd.code_box`` on a piece."""
    image = cut.read(window.image, window.box)
    return lgcd.code_box(image, window.box, window.awake, window.events, model)


def _sums(cut: Cut, block: Block) -> Sums:
    return cut.pieces[block.image].sums(cut.blocks[block.image].own(block.box))


def _energy(cut: Cut, block: Block) -> float:
    own = cut.pieces[block.image].read(cut.blocks[block.image].own(block.box))
    return float(np.vdot(own, own))


def _largest(cut: Cut, atoms: Floats, block: Block) -> float:
    return float(correlate(cut.read(block.image, block.box), atoms).max())


def _patch(cut: Cut, where: tuple[int, Triple]) -> initial.Patch:
    image, place = where
    stop = triple(p + d for p, d in zip(place, cut.atom, strict=True))
    return initial.unit_patch(image, place, cut.pieces[image].read(Box(place, stop)))


def _statistics(cut: Cut, n_atoms: int, block: Block) -> statistics.Statistics:
    return statistics.partial(cut.read(block.image, block.box), block.box, block.events, n_atoms, cut.atom)


def _certify(cut: Cut, model: lgcd.Model, block: Block) -> tuple[Violation, Energies]:
    image, own = cut.read(block.image, block.box), cut.blocks[block.image].own(block.box)
    inside = image[own.seen_from(block.box.start).slices]
    return (
        residual.violation(image, block.box, block.events, model),
        residual.energies(inside, own, block.box, block.events, model.atoms),
    )


def _peaks(cut: Cut, atoms: Floats, block: Block) -> list[initial.Patch]:
    voxels = cut.blocks[block.image].voxels(block.box)
    left = cut.pieces[block.image].read(voxels) - residual.reconstruct(voxels, block.events, atoms)
    return initial.peaks(left, block.image, block.box, cut.atom)


@dataclass(frozen=True)
class Passes:
    """Pieces, how they are cut, and what spreads the blocks over workers (results in order).

    Sums run over blocks in their order, so the result is the same bits for any mapper.
    """

    cut: Cut
    mapper: Mapper = map

    def blocks(self, codes: Sequence[Events] | None = None) -> list[Block]:
        """Every block with the activations that matter to it."""
        codes = self.no_code() if codes is None else codes
        return [
            Block(i, box, code.inside(blocks.near(box)))
            for i, (blocks, code) in enumerate(zip(self.cut.blocks, codes, strict=True))
            for box in blocks.cores()
        ]

    def no_code(self) -> list[Events]:
        return [no_events(blocks.positions) for blocks in self.cut.blocks]

    def normalised(self) -> tuple[Passes, Contrast]:
        """The same pieces, divided by one contrast.

        Raises
        ------
        ValueError
            The image is constant or not finite.
        """
        contrast = reduce(operator.add, self.mapper(partial(_sums, self.cut), self.blocks())).contrast()
        pieces = tuple(replace(piece, contrast=contrast) for piece in self.cut.pieces)
        return replace(self, cut=replace(self.cut, pieces=pieces)), contrast

    def energy(self) -> float:
        """||X||^2."""
        return sum(self.mapper(partial(_energy, self.cut), self.blocks()))

    def patches(self, where: list[tuple[int, Triple]]) -> list[initial.Patch]:
        return list(self.mapper(partial(_patch, self.cut), where))

    def largest_correlation(self, atoms: Floats) -> float:
        """The smallest penalty at which no atom is used (lambda_max)."""
        return max(self.mapper(partial(_largest, self.cut, atoms), self.blocks()))

    def code(self, model: lgcd.Model, codes: Sequence[Events] | None = None) -> tuple[list[Events], int]:
        """Activations of every piece, and the number of updates."""
        work = partial(code_window, self.cut, model)
        start = self.no_code() if codes is None else codes
        found, updates, _ = coding.code(self.cut.blocks, lambda windows: self.mapper(work, windows), start)
        return found, updates

    def statistics(self, codes: Sequence[Events], n_atoms: int) -> statistics.Statistics:
        work = partial(_statistics, self.cut, n_atoms)
        return reduce(statistics.merge, self.mapper(work, self.blocks(codes)))

    def certify(self, model: lgcd.Model, codes: Sequence[Events]) -> tuple[Violation, Energies]:
        """Extremes and energies of all pieces."""
        found = list(self.mapper(partial(_certify, self.cut, model), self.blocks(codes)))
        return (
            reduce(certificate.merge, (violation for violation, _ in found)),
            reduce(operator.add, (energies for _, energies in found)),
        )

    def peaks(self, codes: Sequence[Events], atoms: Floats) -> list[initial.Patch]:
        """Patches of the residual, strongest first, no two overlapping."""
        work = partial(_peaks, self.cut, atoms)
        found = [patch for part in self.mapper(work, self.blocks(codes)) for patch in part]
        return initial.apart(found, self.cut.atom)
