"""FCS 2.0, 3.0, 3.1, 3.2 and LMD: keywords through FlowIO, events chunk by chunk from where they lie in the file.

Whatever the file says twice is compared in ``fcs_checks``: ``$TOT`` times the width of an event against the DATA segment, the
offsets in HEADER against those in TEXT, values against ``$PnR`` and the byte order.

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
from numpy.typing import NDArray

from triptych.readers.events import Column, Finding, RejectedFile
from triptych.readers.fcs_checks import check_byte_order, check_values, place_data
from triptych.readers.fcs_layout import COPY_AGAIN, FLOAT_BITS, Layout, decode, read_bytes
from triptych.readers.fcs_text import Head, read_channels, read_head

PICKED_AT_ONCE = 65_536
MOST_DATA_SETS = 1000
MOST_DECADES = 20


@dataclass(frozen=True)
class FcsFile:
    """One data set of an FCS file, as ``EventFile``."""

    path: Path
    n_events: int
    columns: tuple[Column, ...]
    text: Mapping[str, str]
    findings: tuple[Finding, ...]
    layout: Layout
    decades: tuple[float, ...]
    floors: tuple[float, ...]
    ranges: tuple[float, ...]
    gains: tuple[float, ...]

    @property
    def is_integer(self) -> bool:
        """Whether the events are integers."""
        return self.layout.is_integer

    def read(self, start: int, stop: int) -> NDArray[np.float64]:
        """Rows on a linear scale: logarithmic amplification (``$PnE``) undone, linear gain (``$PnG``) divided out."""
        return self._linear(self.read_stored(start, stop))

    def pick(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Single rows, increasing, on a linear scale; (rows, d) float64."""
        values = np.empty((len(rows), len(self.columns)), order="F")
        for start in range(0, self.n_events, PICKED_AT_ONCE):
            stop = min(start + PICKED_AT_ONCE, self.n_events)
            first, last = np.searchsorted(rows, (start, stop))
            if first < last:
                raw = read_bytes(self.path, self.layout, start, stop)[rows[first:last] - start]
                values[first:last] = decode(raw, self.layout)
        return self._linear(values)

    def read_stored(self, start: int, stop: int) -> NDArray[np.float64]:
        """Rows as they are stored, ``$PnR`` masks applied, (stop - start, d) float64, contiguous by channel."""
        return decode(read_bytes(self.path, self.layout, start, stop), self.layout)

    def _linear(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        for j, (decades, gain) in enumerate(zip(self.decades, self.gains, strict=True)):
            if decades > 0:
                values[:, j] = self.floors[j] * 10 ** (decades * values[:, j] / self.ranges[j])
            elif gain != 1.0:
                values[:, j] /= gain
        return values


def open_fcs(path: Path, data_set: int = 1) -> FcsFile:
    """Open one data set of an FCS file, counted from 1.

    Raises
    ------
    RejectedFile : the file is broken, contradicts itself, or holds no list of events; ``reason`` says which.
    """
    begins = _data_sets(path)
    if data_set > len(begins):
        raise RejectedFile(
            f"{path} holds {len(begins)} data set{'s' * (len(begins) > 1)}, not {data_set}; set import_cloud.data_set",
            "data_set",
        )
    findings: list[Finding] = []
    if len(begins) > 1:
        note = f"the file holds {len(begins)} data sets; number {data_set} was read (import_cloud.data_set)"
        findings.append(Finding("", note))
    begin = begins[data_set - 1]
    head = read_head(path, begin)
    text = head.text
    findings.extend(head.findings)
    data = read_channels(path, head)
    if len(data.channels) != data.channel_count or not data.channels:
        raise RejectedFile(
            f"{path} names {len(data.channels)} of its {data.channel_count} channels; {COPY_AGAIN}",
            "channels",
        )
    kinds = _kinds(path, text, len(data.channels))
    channels = _channels(path, data, kinds)
    if data.event_count < 1:
        raise RejectedFile(
            f"{path} says that it holds {data.event_count} events; leave it out of the sample sheet", "empty"
        )
    layout = _layout(path, head, data.event_count, kinds, channels, begin, findings)
    columns = tuple(_column(channel, kind) for channel, kind in zip(channels, kinds, strict=True))
    check_byte_order(path, layout, data.event_count, columns, findings)
    check_values(path, layout, data.event_count, columns, [c["pnr"] for c in channels], findings)
    if any(kind != "I" and c["pne"][0] > 0 for c, kind in zip(channels, kinds, strict=True)):
        note = "$PnE of channels stored as floating point was ignored, as the standard asks"
        findings.append(Finding("amplification", note))
    return FcsFile(
        path=path,
        n_events=data.event_count,
        columns=columns,
        text=text,
        findings=tuple(findings),
        layout=layout,
        decades=tuple(c["pne"][0] if kind == "I" else 0.0 for c, kind in zip(channels, kinds, strict=True)),
        floors=tuple(c["pne"][1] for c in channels),
        ranges=tuple(c["pnr"] for c in channels),
        gains=tuple(c["png"] if c["png"] > 0 else 1.0 for c in channels),
    )


def _data_sets(path: Path) -> list[int]:
    """Where the data sets of a file begin; a ``$NEXTDATA`` that leads nowhere ends the list."""
    size = path.stat().st_size
    if size == 0:
        raise RejectedFile(f"{path} is empty; {COPY_AGAIN}", "empty")
    begins = [0]
    while len(begins) < MOST_DATA_SETS:
        try:
            step = int(read_head(path, begins[-1]).text.get("nextdata", "0"))
        except (RejectedFile, ValueError):
            break
        begin = begins[-1] + step
        with open(path, "rb") as file:
            file.seek(min(max(begin, 0), size))
            if step <= 0 or file.read(3) != b"FCS":
                break
        begins.append(begin)
    return begins


def _kinds(path: Path, text: Mapping[str, str], n_channels: int) -> tuple[str, ...]:
    """Type of every channel: ``$DATATYPE``, or ``$PnDATATYPE`` where a channel has its own."""
    mode, datatype = text.get("mode", "L").strip().upper(), text.get("datatype", "").strip().upper()
    if mode != "L":
        raise RejectedFile(
            f"{path} holds histograms ($MODE {mode}), not events; export it in list mode", "histogram"
        )
    if datatype not in ("F", "D", "I"):
        raise RejectedFile(
            f"{path} has $DATATYPE {datatype or 'missing'}; export it as F, D or I", "datatype"
        )
    kinds = tuple(text.get(f"p{n}datatype", datatype).strip().upper() for n in range(1, n_channels + 1))
    if odd := sorted(set(kinds) - {"F", "D", "I"}):
        raise RejectedFile(f"{path} has $PnDATATYPE {', '.join(odd)}; export it as F, D or I", "datatype")
    return kinds


def _channels(path: Path, data: Any, kinds: tuple[str, ...]) -> list[dict[str, Any]]:
    """Name (``pnn``), label, range, gain and amplification of every channel, as FlowIO keys them."""
    channels: list[dict[str, Any]] = [data.channels[n] for n in sorted(data.channels)]
    for n, (channel, kind) in enumerate(zip(channels, kinds, strict=True), start=1):
        numbers = (channel["pnr"], channel["png"], *channel["pne"])
        decades, floor = channel["pne"]
        is_odd = kind == "I" and not (channel["pnr"] >= 1 and 0 <= decades <= MOST_DECADES and floor >= 0)
        if is_odd or not np.isfinite(numbers).all():
            raise RejectedFile(
                f"{path} has a range, gain or amplification of channel {n} that means nothing; {COPY_AGAIN}",
                "keyword",
            )
    return channels


def _layout(
    path: Path,
    head: Head,
    n_events: int,
    kinds: tuple[str, ...],
    channels: list[dict[str, Any]],
    begin: int,
    findings: list[Finding],
) -> Layout:
    """Widths and byte order from the keywords, the place from whichever statement agrees with ``$TOT``."""
    text = head.text
    bits = [
        _whole(path, text, f"p{n}b") if kind == "I" else FLOAT_BITS[kind]
        for n, kind in enumerate(kinds, start=1)
    ]
    for n, width in enumerate(bits, start=1):
        if not 1 <= width <= 64:
            raise RejectedFile(
                f"{path} stores channel {n} in {width} bits; export it with 8, 16, 32 bits or as float",
                "width",
            )
    if "I" not in kinds or all(width % 8 == 0 for width in bits):
        options = [tuple(bits)]
    else:
        # The standard asks for a stream without filler; some writers fill each value up to whole bytes.
        options = [tuple(bits), tuple(8 * -(-width // 8) for width in bits)]
    places = {"HEADER": head.data}
    if head.version != "2.0" and "begindata" in text and "enddata" in text:
        places = {"TEXT": (_whole(path, text, "begindata"), _whole(path, text, "enddata")), **places}
    start, chosen = place_data(path, n_events, options, places, begin, findings)
    if any(width % 8 for width in chosen) and set(kinds) != {"I"}:
        raise RejectedFile(
            f"{path} mixes floating point with integers of {min(chosen)} bits; export it as float", "width"
        )
    masks = tuple(
        _mask(channel["pnr"], width) if kind == "I" else 0
        for channel, width, kind in zip(channels, bits, kinds, strict=True)
    )
    return Layout(start, kinds, _is_big_endian(path, text), chosen, masks)


def _whole(path: Path, text: Mapping[str, str], key: str) -> int:
    found = text.get(key)
    try:
        return int(str(found).strip())
    except ValueError as error:
        raise RejectedFile(
            f"{path} has ${key.upper()} {found!r}, not a number; {COPY_AGAIN}", "keyword"
        ) from error


def _mask(top: float, width: int) -> int:
    """Bits that count: up to the next power of two of ``$PnR`` (an exclusive bound)."""
    bits = max(int(top) - 1, 1).bit_length()
    return int((1 << min(bits, width)) - 1)


def _column(channel: Mapping[str, Any], kind: str) -> Column:
    """Name and label, with the end of the linear scale and the last value of the converter, ``$PnR`` - 1."""
    decades, floor = channel["pne"]
    top, gain = float(channel["pnr"]), float(channel["png"]) if channel["png"] > 0 else 1.0
    if top <= 0:
        return Column(channel["pnn"].strip(), channel["pns"].strip())
    # A range of a few units is that of transformed values, which no converter counts.
    last = top - 1 if kind == "I" or top >= 1024 else top
    is_log = kind == "I" and decades > 0
    ends = (top / gain, last / gain)
    if is_log:
        ends = float(floor * 10**decades), float(floor * 10 ** (decades * last / top))
    return Column(channel["pnn"].strip(), channel["pns"].strip(), *ends, is_log)


def _is_big_endian(path: Path, text: Mapping[str, str]) -> bool:
    order = [part.strip() for part in text.get("byteord", "").split(",")]
    ascending = [str(n) for n in range(1, len(order) + 1)]
    if len(order) < 2 or order not in (ascending, ascending[::-1]):
        raise RejectedFile(
            f"{path} has $BYTEORD {text.get('byteord')!r}; export it with 1,2,3,4 or 4,3,2,1", "byte_order"
        )
    return order != ascending
