"""The spillover matrix of an FCS file: ``$SPILLOVER``, ``SPILL`` or ``$COMP``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from triptych.readers.events import RejectedFile


@dataclass(frozen=True)
class Spillover:
    """A matrix and the channels it speaks of.

    Attributes
    ----------
    keyword : where it stood.
    columns : indices of the file's channels, in the order of the matrix.
    matrix : (c, c) float64, row = dye, column = detector.
    compensated : whether channel names say that it was applied already (``Comp-FITC-A``, ``<FITC-A>``).
    """

    keyword: str
    columns: tuple[int, ...]
    matrix: NDArray[np.float64]
    compensated: bool

    @property
    def is_identity(self) -> bool:
        """Whether there is nothing to remove."""
        return bool(np.allclose(self.matrix, np.eye(len(self.matrix)), rtol=0, atol=1e-12))


def read_spillover(
    path: Path, text: Mapping[str, str], names: Sequence[str]
) -> tuple[Spillover | None, str | None]:
    """The matrix of a file, and a remark where there is one that cannot be used.

    ``names`` are the channel names (``$PnN``). A matrix without numbers is a remark; one that names channels which the file
    does not have is an error, because silence would leave the events uncompensated.
    """
    keyword = next((key for key in ("spillover", "spill", "comp") if text.get(key, "").strip()), None)
    if keyword is None:
        return None, None
    parts = [part.strip() for part in text[keyword].replace("\n", "").split(",")]
    try:
        count = int(parts[0])
        labels = [] if keyword == "comp" else parts[1 : 1 + count]
        numbers = [float(part) for part in parts[1 + len(labels) :]]
    except ValueError:
        return None, f"keyword {keyword.upper()} is not a matrix and was ignored"
    if count < 1 or len(numbers) != count**2:
        return (
            None,
            f"keyword {keyword.upper()} lists {count} channels but {len(numbers)} numbers and was ignored",
        )
    matrix = np.array(numbers).reshape(count, count)
    if not np.isfinite(matrix).all() or np.linalg.cond(matrix) > 1e8:
        raise RejectedFile(
            f"{path} has a {keyword.upper()} matrix that cannot be inverted; set import_cloud.compensation: none",
            "spillover",
        )
    if keyword == "comp":
        return _unnamed(path, matrix, names)
    columns, compensated = _match(path, keyword, labels, names)
    return Spillover(keyword.upper(), columns, matrix, compensated), None


def _unnamed(
    path: Path, matrix: NDArray[np.float64], names: Sequence[str]
) -> tuple[Spillover | None, str | None]:
    """``$COMP`` names no channels: it covers all of them. Negative entries mean that it is an inverse already."""
    if len(matrix) != len(names):
        return None, f"keyword COMP has {len(matrix)} rows for {len(names)} channels and was ignored"
    spillover: NDArray[np.float64] = np.asarray(
        np.linalg.inv(matrix) if (matrix < 0).any() else matrix, np.float64
    )
    return Spillover("COMP", tuple(range(len(names))), spillover, False), None


def _match(
    path: Path, keyword: str, labels: Sequence[str], names: Sequence[str]
) -> tuple[tuple[int, ...], bool]:
    """Channels of the labels of a matrix: by name, by the name a compensated channel has, or by number."""
    exact = {name.lower(): j for j, name in enumerate(names)}
    bare = {_bare(name): j for j, name in enumerate(names)}
    columns: list[int] = []
    compensated = False
    for label in labels:
        key = label.lower()
        if key in exact:
            columns.append(exact[key])
            compensated |= _bare(label) != key
        elif _bare(label) in bare:
            columns.append(bare[_bare(label)])
            compensated |= _bare(names[columns[-1]]) != names[columns[-1]].lower()
        elif label.isdigit() and 1 <= int(label) <= len(names):
            columns.append(int(label) - 1)
        else:
            raise RejectedFile(
                f"{path} has a {keyword.upper()} matrix for channel {label!r}, which the file does not have; "
                "set import_cloud.compensation: none",
                "spillover",
            )
    if len(set(columns)) < len(columns):
        raise RejectedFile(
            f"{path} has a {keyword.upper()} matrix that names a channel twice; set import_cloud.compensation: none",
            "spillover",
        )
    return tuple(columns), compensated


def _bare(name: str) -> str:
    """A name without the marks of a compensated channel."""
    low = name.lower().strip()
    if low.startswith("<") and low.endswith(">"):
        low = low[1:-1]
    for prefix in ("comp-", "comp_", "comp "):
        low = low.removeprefix(prefix)
    return low
