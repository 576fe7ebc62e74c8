"""How events lie in the DATA segment of an FCS file: widths, types, byte order; and values from bytes.

Channels of whole bytes are taken apart by columns. Other widths (10 or 12 bits) form one stream of bits without filler: from
the highest bit of each byte where the byte order is big-endian, from the lowest where it is little-endian, which for whole
bytes is the same as the byte order itself.

References
----------
Seamer et al., Proposed new data file standard for flow cytometry, version FCS 3.0, Cytometry 28 (1997).
Spidlen et al., Data File Standard for Flow Cytometry, version FCS 3.2, Cytometry A 99 (2021): ``$PnDATATYPE``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triptych.readers.events import RejectedFile

COPY_AGAIN = "copy it again from the instrument or export it again"
FLOAT_BITS = {"F": 32, "D": 64}


@dataclass(frozen=True)
class Layout:
    """Where events lie and how they are coded.

    Attributes
    ----------
    start : byte offset of the first event.
    kinds : per channel ``"F"``, ``"D"`` or ``"I"``.
    big_endian : byte order.
    bits : per channel, its width.
    masks : per channel, bits that count; 0 for floats.
    """

    start: int
    kinds: tuple[str, ...]
    big_endian: bool
    bits: tuple[int, ...]
    masks: tuple[int, ...]

    @property
    def event_bits(self) -> int:
        """Bits of one event."""
        return sum(self.bits)

    @property
    def is_bytes(self) -> bool:
        """Whether every channel takes whole bytes."""
        return all(width % 8 == 0 for width in self.bits)

    @property
    def is_integer(self) -> bool:
        """Whether every channel is an integer."""
        return set(self.kinds) == {"I"}

    def swapped(self) -> Layout:
        """The same with the other byte order."""
        return replace(self, big_endian=not self.big_endian)

    def data_bytes(self, n_events: int) -> int:
        """Bytes that a number of events takes."""
        return -(-n_events * self.event_bits // 8)


def read_bytes(path: Path, layout: Layout, start: int, stop: int) -> NDArray[np.uint8]:
    """Bytes of some events, (events, bytes per event), or (events, bits per event) of 0 and 1 where widths are not bytes."""
    n, width = stop - start, layout.event_bits
    first, last = start * width // 8, -(-stop * width // 8)
    with open(path, "rb") as file:
        raw = np.fromfile(file, np.uint8, last - first, offset=layout.start + first)
    if raw.size != last - first:
        raise RejectedFile(
            f"{path} ends within event {(first + raw.size) * 8 // width + 1}; {COPY_AGAIN}", "truncated"
        )
    if layout.is_bytes:
        return raw.reshape(n, width // 8)
    stream = np.unpackbits(raw, bitorder="big" if layout.big_endian else "little")
    skipped = start * width - 8 * first
    return stream[skipped : skipped + n * width].reshape(n, width)


def decode(raw: NDArray[np.uint8], layout: Layout) -> NDArray[np.float64]:
    """Values (events, d) of what ``read_bytes`` gave, masks applied, each channel contiguous in memory."""
    values = np.empty((len(layout.bits), len(raw)))
    order = ">" if layout.big_endian else "<"
    first = 0
    for j, (kind, width, mask) in enumerate(zip(layout.kinds, layout.bits, layout.masks, strict=True)):
        size = width // 8 if layout.is_bytes else width
        piece = raw[:, first : first + size]
        if kind == "I":
            values[j] = integers(piece, layout, mask)
        else:
            with np.errstate(
                invalid="ignore"
            ):  # signalling NaNs; who uses a channel checks that it is finite
                values[j] = np.ascontiguousarray(piece).view(f"{order}f{size}")[:, 0]
        first += size
    return values.T


def integers(
    piece: NDArray[np.uint8], layout: Layout, mask: int | None = None
) -> NDArray[np.unsignedinteger[Any]]:
    """Integers (events,) of one channel from its bytes (events, width) or its bits; high bits included without a mask."""
    size = piece.shape[1]
    if layout.is_bytes and size in (1, 2, 4, 8):
        whole = np.ascontiguousarray(piece).view(f"{'>' if layout.big_endian else '<'}u{size}")[:, 0]
        return whole if mask is None else whole & whole.dtype.type(mask)
    shift = np.uint64(8 if layout.is_bytes else 1)
    result = np.zeros(len(piece), np.uint64)
    for place in range(size) if layout.big_endian else range(size - 1, -1, -1):
        result = (result << shift) | piece[:, place]
    return result if mask is None else result & np.uint64(mask)


def columns_of(raw: NDArray[np.uint8], layout: Layout) -> list[NDArray[np.unsignedinteger[Any]] | None]:
    """Integers of every channel, high bits included; None for channels of floats."""
    found: list[NDArray[np.unsignedinteger[Any]] | None] = []
    first = 0
    for kind, width in zip(layout.kinds, layout.bits, strict=True):
        size = width // 8 if layout.is_bytes else width
        found.append(integers(raw[:, first : first + size], layout) if kind == "I" else None)
        first += size
    return found
