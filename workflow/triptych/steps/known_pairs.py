"""Pairs that compare_samples need not compute again when a sample was added, removed or renamed.

``known/pairs.npz`` in the folder of the step outlives the fingerprint. A pair is known by the digests of what is compared of its
two measures, so a name means nothing, and a measure that changed, or is seen through other features, is never taken for the old
one. The file is a cache: a damaged one, or one of another version or setting of the bounds, is ignored, and the result has the
same bytes with and without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from triptych.engine.step import Context
from triptych.steps.packed_measures import digests

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PAIRS = "known/pairs.npz"
KNOWN = "scratch/known.npy"


def recall(context: Context, version: int) -> None:
    """Write the known pairs of the samples at hand as (N, N, 3), NaN where a pair is not known; nothing where none is."""
    import io

    import numpy as np

    from triptych.engine.files import write_bytes

    pairs = _read(context, version)
    if not pairs:
        return
    present = digests(context)
    found = np.full((len(present), len(present), 3), np.nan)
    for i, first in enumerate(present):
        for j in range(i + 1, len(present)):
            entry = pairs.get(_key(first, present[j]))
            if entry is not None:
                found[i, j] = entry
    buffer = io.BytesIO()
    np.save(buffer, found, allow_pickle=False)
    write_bytes(context.path(KNOWN), buffer.getvalue())


def known_tile(context: Context, row: int, rows: int, column: int, columns: int) -> NDArray[np.float64]:
    """(3, rows, columns): what is known of a tile of pairs, NaN elsewhere."""
    import numpy as np

    path = context.path(KNOWN)
    if not path.exists():
        return np.full((3, rows, columns), np.nan)
    stored = np.load(path, mmap_mode="r", allow_pickle=False)
    return np.array(stored[row : row + rows, column : column + columns].transpose(2, 0, 1))


def remember(context: Context, version: int, found: NDArray[np.float64]) -> None:
    """Keep all pairs of the samples at hand; ``found`` is (3, N, N)."""
    import numpy as np

    from triptych.engine.files import save_arrays

    first, second = np.triu_indices(found.shape[1], k=1)
    arrays = {
        "made_by": np.array([version, context.settings.bound_rounds], dtype=np.int64),
        "digests": np.array(digests(context), dtype=np.str_),
        "first": first.astype(np.int32),
        "second": second.astype(np.int32),
        "interval": found[:, first, second].T.copy(),
    }
    save_arrays(context.path(PAIRS), arrays)


def _key(first: str, second: str) -> tuple[str, str]:
    return (first, second) if first <= second else (second, first)


def _read(context: Context, version: int) -> dict[tuple[str, str], NDArray[np.float64]]:
    """Pairs of an earlier run by their digests; none where the file is missing, damaged or of another version."""
    import io
    import zipfile

    import numpy as np

    path = context.path(PAIRS)
    if not path.exists():
        return {}
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as entries:
            stored = {name: entries[name] for name in entries.files}
        if stored["made_by"].tolist() != [version, context.settings.bound_rounds]:
            return {}
        names = stored["digests"].tolist()
        rows = zip(stored["first"].tolist(), stored["second"].tolist(), stored["interval"], strict=True)
        return {_key(names[i], names[j]): entry for i, j, entry in rows}
    except (
        zipfile.BadZipFile,
        OSError,
        EOFError,
        ValueError,
        KeyError,
        IndexError,
        TypeError,
        RuntimeError,  # zipfile: encrypted, or packed in a way that it does not know
    ):
        return {}
