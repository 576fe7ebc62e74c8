"""How well atoms and families meet known events: for each kind the one that meets it best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def compare(
    truth: Path,
    atoms: Sequence[NDArray[np.int64]],
    families: Mapping[int, NDArray[np.int64]],
    sizes: Mapping[int, int],
    tolerance: float,
    largest_lag: int,
    rate_hz: float,
) -> dict[str, Any]:
    """Scores of the atom or family with the largest harmonic mean of recall and precision, for each kind of event.

    Parameters
    ----------
    truth : ``truth.parquet``.
    atoms : of each atom, samples of its occurrences.
    families : of each family by its strongest atom, samples of its occurrences.
    sizes : number of atoms of each family; families of one atom are not asked, and of equals the single atom is named.
    tolerance, largest_lag : samples.

    Returns
    -------
    For every kind: ``_atom`` (of a family its strongest), ``_atoms`` (how many), ``_recall``, ``_precision``, ``_lag_s``.
    """
    import numpy as np

    from triptych.dictionary.occurrences import match
    from triptych.stores.signal import read_events

    candidates = [(k, 1, found) for k, found in enumerate(atoms)]
    candidates += [(k, sizes[k], found) for k, found in families.items() if sizes[k] > 1]
    columns = read_events(truth).columns
    scores: dict[str, Any] = {}
    for kind in sorted(set(columns["kind"].tolist())):
        wanted = np.sort(columns["sample"][columns["kind"] == kind])
        best = -1.0
        for k, size, found in candidates:
            recall, precision, lag = match(found, wanted, tolerance, largest_lag)
            mean = 2 * recall * precision / (recall + precision) if recall + precision else 0.0
            if mean > best:
                best = mean
                scores |= {
                    f"{kind}_atom": k,
                    f"{kind}_atoms": size,
                    f"{kind}_recall": recall,
                    f"{kind}_precision": precision,
                    f"{kind}_lag_s": lag / rate_hz,
                }
    return scores
