"""``occurrences.parquet``: each time that a pattern occurs, whichever atoms of its family it is laid out of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triptych.stores.table import Field, Table, read_table, write_table

OCCURRENCES = "occurrences.parquet"

OCCURRENCE_FIELDS = {
    "family": Field("", "occurrence", "Number of the strongest atom of the family.", role="descriptor"),
    "atom": Field("", "occurrence", "Atom of the family that makes most of the peak.", role="descriptor"),
    "sample": Field("", "occurrence", "Sample of signal.zarr at the peak.", role="descriptor"),
    "time_s": Field("s", "occurrence", "The same in seconds from the first sample.", role="descriptor"),
    "amplitude": Field(
        "",
        "occurrence",
        "Amplitude at which the family's strongest atom alone would reach the peak, in scaled units.",
        role="descriptor",
    ),
}


def write_occurrences(
    path: Path,
    family: NDArray[np.int32],
    atom: NDArray[np.int32],
    sample: NDArray[np.int64],
    amplitude: NDArray[np.float64],
    sampling_rate_hz: float,
) -> None:
    """Write occurrences; they are sorted by sample, then family."""
    order = np.lexsort((family, sample))
    columns: dict[str, NDArray[Any]] = {
        "family": np.asarray(family, np.int32)[order],
        "atom": np.asarray(atom, np.int32)[order],
        "sample": np.asarray(sample, np.int64)[order],
        "time_s": np.asarray(sample, np.float64)[order] / sampling_rate_hz,
        "amplitude": np.asarray(amplitude, np.float64)[order],
    }
    write_table(path, columns, OCCURRENCE_FIELDS, {"sampling_rate_hz": sampling_rate_hz})


def read_occurrences(path: Path) -> Table:
    """Read occurrences written by ``write_occurrences``."""
    return read_table(path, list(OCCURRENCE_FIELDS))
