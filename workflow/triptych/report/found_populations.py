"""The populations of a cohort as its tables say: what the panels of the cohort and of every sample share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from triptych.report.comparison import shorten
from triptych.report.style import color_of
from triptych.stores import populations as store


@dataclass(frozen=True)
class Found:
    """The populations of a cohort as the tables say.

    Attributes
    ----------
    names : of population 1, 2, ...; shares and stabilities with them.
    features : names; ``heights`` (P, d) in standard deviations.
    centers, of_center, weights : (K, d), (K,) population from 0, (K,) share.
    scaling : None, or what was applied to the features.
    """

    names: tuple[str, ...]
    shares: NDArray[np.float64]
    stability: NDArray[np.float64]
    n_centers: NDArray[np.int64]
    features: tuple[str, ...]
    heights: NDArray[np.float64]
    centers: NDArray[np.float64]
    of_center: NDArray[np.int64]
    weights: NDArray[np.float64]
    scaling: Mapping[str, Any] | None
    attributes: Mapping[str, Any]

    @property
    def labels(self) -> list[str]:
        """Number and name of every population."""
        return [f"{p + 1}  {shorten(name, 40)}" for p, name in enumerate(self.names)]

    def colors(self) -> list[str]:
        """A colour for each population, the same in every panel."""
        return [color_of(p) for p in range(len(self.names))]

    def assign(self, events: NDArray[np.float32], channels: Sequence[str]) -> NDArray[np.int64] | None:
        """Population (from 0) of the nearest common center of every event; None where a channel is missing."""
        if any(name not in channels for name in self.features):
            return None
        values = events[:, [channels.index(name) for name in self.features]].astype(np.float64)
        if self.scaling is not None:
            values = (values - np.array(self.scaling["center"])) / np.array(self.scaling["scale"])
            clip = self.scaling.get("clip")
            values = values if clip is None else values.clip(-float(clip), float(clip))
        return np.asarray(self.of_center[cdist(values, self.centers, "sqeuclidean").argmin(axis=1)])


def read_found(folder: Path) -> Found:
    """The populations in the folder of ``find_populations``."""
    one, attributes = store.read(folder, store.POPULATIONS)
    center, _ = store.read(folder, store.CENTERS)
    features = tuple(attributes["features"])
    return Found(
        names=tuple(str(name) for name in one["name"]),
        shares=one["share"],
        stability=one["stability"],
        n_centers=one["n_centers"],
        features=features,
        heights=np.stack([one[f"height:{name}"] for name in features], axis=1),
        centers=np.stack([center[f"at:{name}"] for name in features], axis=1),
        of_center=center["population"].astype(np.int64) - 1,
        weights=center["share"],
        scaling=attributes["scaling"],
        attributes=attributes,
    )
