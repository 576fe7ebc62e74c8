"""FCS 2.0, 3.0, 3.1 and LMD: keywords through FlowIO, events chunk by chunk from where they lie in the file.

Whatever the file says twice is compared: ``$TOT`` times the width of an event against the DATA segment, offsets in HEADER
against those in TEXT, the bits above ``$PnR`` against the byte order.

References
----------
Spidlen et al., Data File Standard for Flow Cytometry, version FCS 3.1, Cytometry A 77A (2010).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from flowio import FlowData
from flowio.exceptions import FCSParsingError
from numpy.typing import NDArray

from triptych.errors import InputError
from triptych.readers.events import Column

COPY_AGAIN = "copy it again from the instrument or export it again"
PROBED_EVENTS = 4096


@dataclass(frozen=True)
class Layout:
    """Where events lie and how they are coded.

    Attributes
    ----------
    start : byte offset of the first event.
    datatype : ``"F"``, ``"D"`` or ``"I"``.
    big_endian : byte order.
    widths : bytes of each channel.
    masks : per channel, bits that count (integers only).
    """

    start: int
    datatype: str
    big_endian: bool
    widths: tuple[int, ...]
    masks: tuple[int, ...]

    @property
    def event_bytes(self) -> int:
        """Bytes of one event."""
        return sum(self.widths)

    def swapped(self) -> Layout:
        """The same with the other byte order."""
        return Layout(self.start, self.datatype, not self.big_endian, self.widths, self.masks)


@dataclass(frozen=True)
class FcsFile:
    """The first data set of an FCS file, as ``EventFile``."""

    path: Path
    n_events: int
    columns: tuple[Column, ...]
    text: Mapping[str, str]
    notes: tuple[str, ...]
    layout: Layout
    decades: tuple[float, ...]
    floors: tuple[float, ...]
    ranges: tuple[float, ...]
    gains: tuple[float, ...]

    @property
    def is_integer(self) -> bool:
        """Whether the events are integers."""
        return self.layout.datatype == "I"

    def read(self, start: int, stop: int) -> NDArray[np.float64]:
        """Rows on a linear scale: logarithmic amplification (``$PnE``) undone, linear gain (``$PnG``) divided out."""
        values = self.read_stored(start, stop)
        for j, (decades, gain) in enumerate(zip(self.decades, self.gains, strict=True)):
            if decades > 0:
                values[:, j] = self.floors[j] * 10 ** (decades * values[:, j] / self.ranges[j])
            elif gain != 1.0:
                values[:, j] /= gain
        return values

    def read_stored(self, start: int, stop: int) -> NDArray[np.float64]:
        """Rows as they are stored, ``$PnR`` masks applied, (stop - start, d) float64."""
        return decode(read_bytes(self.path, self.layout, start, stop), self.layout)


def read_bytes(path: Path, layout: Layout, start: int, stop: int) -> NDArray[np.uint8]:
    """Bytes of some events, (events, bytes per event)."""
    width = layout.event_bytes
    with open(path, "rb") as file:
        raw = np.fromfile(file, np.uint8, (stop - start) * width, offset=layout.start + start * width)
    if raw.size != (stop - start) * width:
        raise InputError(f"{path} ends within event {start + raw.size // width}; {COPY_AGAIN}")
    return raw.reshape(stop - start, width)


def decode(raw: NDArray[np.uint8], layout: Layout) -> NDArray[np.float64]:
    """Values of events from their bytes, masks applied."""
    if layout.datatype != "I":
        code = f"{'>' if layout.big_endian else '<'}f{layout.widths[0]}"
        with np.errstate(invalid="ignore"):  # signalling NaNs; who uses a channel checks that it is finite
            return raw.view(code).astype(np.float64)
    values = np.empty((len(raw), len(layout.widths)))
    for j, whole in enumerate(integers(raw, layout)):
        values[:, j] = whole & np.uint64(layout.masks[j])
    return values


def integers(raw: NDArray[np.uint8], layout: Layout) -> list[NDArray[np.uint64]]:
    """Integer of every channel from its bytes, high bits included."""
    columns = []
    first = 0
    for width in layout.widths:
        order = range(width) if layout.big_endian else range(width - 1, -1, -1)
        whole = np.zeros(len(raw), np.uint64)
        for byte in order:
            whole = (whole << np.uint64(8)) | raw[:, first + byte]
        columns.append(whole)
        first += width
    return columns


def open_fcs(path: Path) -> FcsFile:
    """Open the first data set of an FCS file.

    Raises
    ------
    InputError : the file is broken, contradicts itself, or holds no list of events.
    """
    data = _read_text(path)
    text: dict[str, str] = {str(key): str(value) for key, value in data.text.items()}
    notes: list[str] = []
    if _whole(path, text, "nextdata", "0"):
        notes.append("the file holds several data sets; the first was read")
    mode, datatype = text.get("mode", "L").strip().upper(), text.get("datatype", "").strip().upper()
    if mode != "L":
        raise InputError(f"{path} holds histograms ($MODE {mode}), not events; export it in list mode")
    if datatype not in ("F", "D", "I"):
        raise InputError(f"{path} has $DATATYPE {datatype or 'missing'}; export it as F, D or I")
    channels = [data.channels[n] for n in sorted(data.channels)]
    if len(channels) != data.channel_count or not channels:
        raise InputError(f"{path} names {len(channels)} of its {data.channel_count} channels; {COPY_AGAIN}")
    kinds = {text.get(f"p{n}datatype", datatype).strip() for n in range(1, data.channel_count + 1)}
    if kinds != {datatype}:
        raise InputError(
            f"{path} mixes data types ($PnDATATYPE {', '.join(sorted(kinds))}); export it as FCS 3.1"
        )
    if data.event_count < 1:
        raise InputError(
            f"{path} says that it holds {data.event_count} events; leave it out of the sample sheet"
        )
    for n, channel in enumerate(channels, start=1):
        numbers = (channel["pnr"], channel["png"], *channel["pne"])
        if not np.isfinite(numbers).all() or (datatype == "I" and channel["pnr"] < 1):
            raise InputError(
                f"{path} has a range, gain or amplification of channel {n} that means nothing; {COPY_AGAIN}"
            )
    widths = _widths(path, text, datatype, len(channels))
    masks = tuple(
        _mask(channel["pnr"], width) if datatype == "I" else 0
        for channel, width in zip(channels, widths, strict=True)
    )
    start = _data_start(path, data, text, data.event_count * sum(widths), notes)
    layout = Layout(start, datatype, _is_big_endian(path, text), widths, masks)
    _check_byte_order(path, layout, data.event_count)
    is_integer = datatype == "I"
    if not is_integer and any(channel["pne"][0] > 0 for channel in channels):
        notes.append("$PnE of channels stored as floating point was ignored, as the standard asks")
    return FcsFile(
        path=path,
        n_events=data.event_count,
        columns=tuple(
            Column(channel["pnn"].strip(), channel["pns"].strip(), _top(channel, is_integer))
            for channel in channels
        ),
        text=text,
        notes=tuple(notes),
        layout=layout,
        decades=tuple(channel["pne"][0] if is_integer else 0.0 for channel in channels),
        floors=tuple(channel["pne"][1] for channel in channels),
        ranges=tuple(channel["pnr"] for channel in channels),
        gains=tuple(channel["png"] if channel["png"] > 0 else 1.0 for channel in channels),
    )


def _read_text(path: Path) -> Any:
    """HEADER and TEXT by FlowIO; its many kinds of failure become one."""
    size = path.stat().st_size
    if size == 0:
        raise InputError(f"{path} is empty; {COPY_AGAIN}")
    try:
        with open(path, "rb") as file:
            return FlowData(
                file,
                ignore_offset_error=True,
                ignore_offset_discrepancy=True,
                only_text=True,
                nextdata_offset=0,
            )
    except FCSParsingError as error:
        if "greater than file size" in str(error):
            raise InputError(
                f"{path} is cut short: its DATA segment ends beyond the {size} bytes; {COPY_AGAIN}"
            ) from error
        raise InputError(f"{path} is not a readable FCS file ({error}); {COPY_AGAIN}") from error
    except Exception as error:
        # FlowIO lets KeyError, ValueError, EOFError, IndexError and struct.error escape from broken headers.
        reason = " ".join(str(error).split())[:80]
        raise InputError(
            f"{path} has a broken HEADER or TEXT segment ({type(error).__name__}: {reason}); {COPY_AGAIN}"
        ) from error


def _whole(path: Path, text: Mapping[str, str], key: str, default: str | None = None) -> int:
    found = text.get(key, default)
    try:
        return int(str(found).strip())
    except ValueError as error:
        raise InputError(f"{path} has ${key.upper()} {found!r}, not a number; {COPY_AGAIN}") from error


def _widths(path: Path, text: Mapping[str, str], datatype: str, n_channels: int) -> tuple[int, ...]:
    """Bytes of each channel."""
    if datatype in ("F", "D"):
        return (4 if datatype == "F" else 8,) * n_channels
    bits = [_whole(path, text, f"p{n}b") for n in range(1, n_channels + 1)]
    for n, width in enumerate(bits, start=1):
        if width % 8 or not 8 <= width <= 64:
            raise InputError(
                f"{path} stores channel {n} in {width} bits; export it with 8, 16, 32 bits or as float"
            )
    return tuple(width // 8 for width in bits)


def _mask(top: float, width: int) -> int:
    """Bits that count: up to the next power of two of ``$PnR`` (an exclusive bound)."""
    bits = max(int(top) - 1, 1).bit_length()
    return int((1 << min(bits, 8 * width)) - 1)


def _top(channel: Mapping[str, Any], is_integer: bool) -> float:
    decades, floor = channel["pne"]
    if is_integer and decades > 0:
        return float(floor * 10**decades)
    return float(channel["pnr"]) / (float(channel["png"]) if channel["png"] > 0 else 1.0)


def _is_big_endian(path: Path, text: Mapping[str, str]) -> bool:
    order = [part.strip() for part in text.get("byteord", "").split(",")]
    ascending = [str(n) for n in range(1, len(order) + 1)]
    if len(order) < 2 or order not in (ascending, ascending[::-1]):
        raise InputError(f"{path} has $BYTEORD {text.get('byteord')!r}; export it with 1,2,3,4 or 4,3,2,1")
    return order != ascending


def _data_start(path: Path, data: Any, text: Mapping[str, str], expected: int, notes: list[str]) -> int:
    """Offset of DATA: of TEXT or HEADER, whichever agrees with ``$TOT``; one byte too many is a common mistake."""
    places = {"HEADER": (int(data.header["data_start"]), int(data.header["data_stop"]))}
    if data.version != "2.0" and "begindata" in text and "enddata" in text:
        places = {"TEXT": (_whole(path, text, "begindata"), _whole(path, text, "enddata")), **places}
    found = {name: stop - start + 1 for name, (start, stop) in places.items() if start > 0}
    fitting = [name for name, length in found.items() if length == expected]
    if not fitting:
        fitting = [name for name, length in found.items() if length == expected + 1]
        if fitting:
            notes.append("the DATA segment ends one byte late, a common mistake of writers; events are whole")
    if not fitting:
        lengths = " and ".join(f"{length} ({name})" for name, length in found.items()) or "no"
        raise InputError(
            f"{path} contradicts itself: {data.event_count} events ($TOT) take {expected} bytes "
            f"but DATA has {lengths}; {COPY_AGAIN}"
        )
    other = [name for name in found if name not in fitting and places[name] != places[fitting[0]]]
    if other:
        notes.append(
            f"DATA offsets in {fitting[0]} and {other[0]} differ; those in {fitting[0]} fit $TOT and were used"
        )
    start = places[fitting[0]][0]
    if start + expected > path.stat().st_size:
        raise InputError(f"{path} is cut short: its DATA segment ends beyond its end; {COPY_AGAIN}")
    return start


def _check_byte_order(path: Path, layout: Layout, n_events: int) -> None:
    """Refuse a byte order that makes noise of what the other order makes sense of.

    Integers: bits above ``$PnR`` are set in the stated order and not in the other. Floats: numbers that no detector gives
    (not finite, beyond 1e12, or nonzero below 1e-20) are many in the stated order and few in the other.
    """
    raw = np.concatenate(
        [
            read_bytes(path, layout, 0, min(n_events, PROBED_EVENTS)),
            read_bytes(path, layout, max(0, n_events - PROBED_EVENTS), n_events),
        ]
    )
    stated, swapped = _implausible(raw, layout), _implausible(raw, layout.swapped())
    if stated > 0.05 and swapped < stated / 10:
        raise InputError(
            f"{path} states the wrong byte order: {stated:.0%} of its values make sense only in the other one; "
            "correct $BYTEORD or export it again"
        )


def _implausible(raw: NDArray[np.uint8], layout: Layout) -> float:
    """Share of values that cannot be meant."""
    if layout.datatype == "I":
        over = [
            float((whole > np.uint64(mask)).mean())
            for whole, mask in zip(integers(raw, layout), layout.masks, strict=True)
        ]
        return float(np.mean(over))
    with np.errstate(invalid="ignore", over="ignore"):
        sizes = np.abs(decode(raw, layout))
        return float((~np.isfinite(sizes) | (sizes > 1e12) | ((sizes > 0) & (sizes < 1e-20))).mean())
