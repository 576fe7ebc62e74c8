"""Rearrangements of labels that a null hypothesis allows: what belongs to one subject moves together.

A factor that is one for all samples of a subject is a property of the subject: subjects exchange their labels. A factor that
varies within a subject exchanges its labels among the samples of that subject alone. With strata, labels are exchanged only
between samples (or subjects) of equal strata, which tests a factor beyond another one exactly.

References
----------
Anderson, ter Braak, Permutation tests for multi-factorial analysis of variance, J. Stat. Comput. Simul. 73 (2003).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import factorial, prod

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Arrangements:
    """Rearrangements of the labels of N samples.

    Attributes
    ----------
    labels : (M, N) codes. Exact: every distinct arrangement once, the observed one among them. Else: random ones, the
        observed one not among them unless drawn.
    exact : whether all of them are there.
    count : number of distinct arrangements, exact or not.
    alike : how many of these divide the samples as any one does, under other names of the levels.
    """

    labels: Codes
    exact: bool
    count: int
    alike: int

    @property
    def least_p(self) -> float:
        """The smallest p-value that these arrangements can give to a statistic that does not know the names of levels; 1 where
        all of them divide the samples alike."""
        return max(self.alike / self.count, 0.0 if self.exact else 1 / (1 + len(self.labels)))

    def p_value(self, statistics: NDArray[np.float64], observed: float) -> float:
        """Share of arrangements whose statistic (M,) reaches the observed one, which counts itself where they are random.

        References
        ----------
        Phipson, Smyth, Permutation p-values should never be zero, Stat. Appl. Genet. Mol. Biol. 9 (2010).
        """
        slack = 1e-9 * max(abs(observed), 1e-300)
        reached = int((statistics >= observed - slack).sum())
        return reached / len(statistics) if self.exact else (1 + reached) / (1 + len(statistics))


def arrange(
    labels: Codes, subjects: Sequence[str], most: int, seed: int, strata: Codes | None = None
) -> Arrangements:
    """All arrangements where there are at most ``most``, else ``most`` random ones.

    Parameters
    ----------
    labels : (N,) codes of the factor.
    subjects : (N,) names.
    strata : (N,) codes of what must stay as it is, or None.
    """
    blocks = _blocks(labels, subjects, np.zeros_like(labels) if strata is None else strata)
    count = prod(_multinomial([int(labels[slot[0]]) for slot in block]) for block in blocks)
    alike = _alike(labels, blocks)
    if count <= most:
        rows = [_place(labels, blocks, choice) for choice in _all(labels, blocks)]
        return Arrangements(np.array(rows, np.int64).reshape(len(rows), len(labels)), True, count, alike)
    generator = np.random.Generator(np.random.Philox(seed))
    drawn = []
    for _ in range(most):
        choice = [
            generator.permutation([int(labels[slot[0]]) for slot in block]).tolist() for block in blocks
        ]
        drawn.append(_place(labels, blocks, choice))
    return Arrangements(np.array(drawn, np.int64), False, count, alike)


def _blocks(labels: Codes, subjects: Sequence[str], strata: Codes) -> list[list[list[int]]]:
    """Blocks of slots that may exchange labels; a slot is a list of samples that bear one label."""
    rows: dict[str, list[int]] = {}
    for i, subject in enumerate(subjects):
        rows.setdefault(subject, []).append(i)
    blocks: dict[tuple[object, ...], list[list[int]]] = {}
    for subject, samples in rows.items():
        if len({int(labels[i]) for i in samples}) == 1:
            profile = tuple(sorted({int(strata[i]) for i in samples}))
            blocks.setdefault(("subjects", profile), []).append(samples)
        else:
            for i in samples:
                blocks.setdefault(("within", subject, int(strata[i])), []).append([i])
    return list(blocks.values())


def _alike(labels: Codes, blocks: list[list[list[int]]]) -> int:
    """Ways to rename the levels that lead to an arrangement: levels as frequent as each other in every block change places."""
    counts = [Counter(int(labels[slot[0]]) for slot in block) for block in blocks]
    profiles = Counter(tuple(count[level] for count in counts) for level in set(labels.tolist()))
    return prod(factorial(size) for size in profiles.values())


def _multinomial(labels: list[int]) -> int:
    return factorial(len(labels)) // prod(factorial(count) for count in Counter(labels).values())


def _all(labels: Codes, blocks: list[list[list[int]]]) -> Iterator[tuple[list[int], ...]]:
    return product(*(list(_distinct(Counter(int(labels[slot[0]]) for slot in block))) for block in blocks))


def _distinct(counts: Counter[int]) -> Iterator[list[int]]:
    """Distinct orders of a multiset, in the order of the labels."""
    if not counts.total():
        yield []
        return
    for label in sorted(counts):
        if counts[label]:
            counts[label] -= 1
            for rest in _distinct(counts):
                yield [label, *rest]
            counts[label] += 1


def _place(labels: Codes, blocks: list[list[list[int]]], choice: Sequence[Sequence[int]]) -> list[int]:
    placed = labels.tolist()
    for block, chosen in zip(blocks, choice, strict=True):
        for slot, label in zip(block, chosen, strict=True):
            for i in slot:
                placed[i] = label
    return placed
