"""What tiles of pairs need of all measures, in one file that is mapped into memory: opening a store costs as much as ten pairs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from triptych.engine.step import Context

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from triptych.stores.measure import StoredMeasure

    Array = NDArray[np.float64]

PACKED = "scratch/measures.npy"


@dataclass(frozen=True)
class PackedMeasure:
    """Centers (K, d), weights (K,), mean (d,), covariance (d, d) and epsilon of one sample."""

    centers: Array
    weights: Array
    mean: Array
    covariance: Array
    epsilon: float


def pack(context: Context, measures: Iterable[StoredMeasure]) -> None:
    """Write the measures one after the other: their starts and d, then of each epsilon, mean, covariance, weights, centers."""
    import io

    import numpy as np

    from triptych.engine.files import write_bytes

    pieces, lengths, d = [], [], 0
    for measure in measures:
        d = len(measure.mean)
        parts = (measure.mean, measure.covariance, measure.weights, measure.centers)
        pieces.append(np.concatenate([[measure.epsilon], *(np.ravel(part) for part in parts)]))
        lengths.append(len(pieces[-1]))
    starts = np.concatenate([[0], np.cumsum(lengths)]) + len(lengths) + 3
    buffer = io.BytesIO()
    np.save(buffer, np.concatenate([[len(lengths), d], starts, *pieces]), allow_pickle=False)
    write_bytes(context.path(PACKED), buffer.getvalue())


def digests(context: Context) -> list[str]:
    """sha256 of what is compared of every sample, in the order of names: equal digests, equal pairs."""
    import hashlib
    import itertools

    import numpy as np

    stored = np.load(context.path(PACKED), mmap_mode="r", allow_pickle=False)
    head = f"{int(stored[1])} features ".encode()
    starts = np.array(stored[2 : 3 + int(stored[0])], dtype=np.int64)
    return [
        hashlib.sha256(head + stored[start:stop].tobytes()).hexdigest()
        for start, stop in itertools.pairwise(starts)
    ]


def unpack(context: Context, index: int) -> PackedMeasure:
    """The measure of the sample of this place in the order of names."""
    import numpy as np

    stored = np.load(context.path(PACKED), mmap_mode="r", allow_pickle=False)
    d, start, stop = int(stored[1]), int(stored[2 + index]), int(stored[3 + index])
    values = np.array(stored[start:stop])
    head, k = 1 + d + d * d, (stop - start - 1 - d - d * d) // (d + 1)
    return PackedMeasure(
        values[head + k :].reshape(k, d),
        values[head : head + k],
        values[1 : 1 + d],
        values[1 + d : head].reshape(d, d),
        float(values[0]),
    )
