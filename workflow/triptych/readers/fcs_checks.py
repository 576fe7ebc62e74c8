"""What an FCS file says twice, compared: length and ``$TOT``, offsets in HEADER and TEXT, values, ranges and byte order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from triptych.readers.events import Column, Finding, RejectedFile
from triptych.readers.fcs_layout import COPY_AGAIN, Layout, columns_of, decode, read_bytes
from triptych.readers.panel import TIME

PROBED_EVENTS = 4096
PROBED_LEAST = 256
MOST_BEYOND = 0.01
"""Share of values of a channel beyond its stated range from which the range is doubtful."""


def place_data(
    path: Path,
    n_events: int,
    options: Sequence[tuple[int, ...]],
    places: Mapping[str, tuple[int, int]],
    begin: int,
    findings: list[Finding],
) -> tuple[int, tuple[int, ...]]:
    """Offset of DATA and the widths of channels, from whatever agrees with ``$TOT``.

    Parameters
    ----------
    options : widths in bits that the keywords allow, the standard's first.
    places : first and last byte of DATA by where it is stated, TEXT before HEADER; counted from ``begin``.
    findings : gets what was odd; an end that is one byte late is a common mistake of writers.

    Raises
    ------
    RejectedFile : nothing agrees (``total``), or DATA ends beyond the file (``truncated``).
    """
    size = path.stat().st_size
    found = {name: stop - start + 1 for name, (start, stop) in places.items() if start > 0}
    for late in (0, 1):
        for bits in options:
            expected = -(-n_events * sum(bits) // 8)
            fitting = [name for name, length in found.items() if length == expected + late]
            if not fitting:
                continue
            whole = [name for name in fitting if begin + places[name][0] + expected <= size]
            if not whole:
                last = begin + places[fitting[0]][0] + expected
                raise RejectedFile(
                    f"{path} is cut short: its DATA segment takes {last} bytes of a file of {size}; {COPY_AGAIN}",
                    "truncated",
                )
            if late:
                note = "the DATA segment ends one byte late, a common mistake of writers; events are whole"
                findings.append(Finding("length", note))
            if bits != options[0]:
                note = (
                    "values of fewer bits than whole bytes are filled up to whole bytes, against the standard"
                )
                findings.append(Finding("width", note))
            used = whole[0]
            if others := [name for name in found if places[name] != places[used]]:
                note = (
                    f"DATA offsets in {used} and {others[0]} differ; those in {used} fit $TOT and were used"
                )
                if others[0] in whole:
                    note += f", but so do those in {others[0]}: see whether the events make sense"
                findings.append(Finding("offsets", note))
            return begin + places[used][0], bits
    lengths = " and ".join(f"{length} ({name})" for name, length in found.items()) or "no"
    raise RejectedFile(
        f"{path} contradicts itself: {n_events} events ($TOT) take {-(-n_events * sum(options[0]) // 8)} bytes "
        f"but DATA has {lengths}; {COPY_AGAIN}",
        "total",
    )


def check_byte_order(
    path: Path, layout: Layout, n_events: int, columns: Sequence[Column], findings: list[Finding]
) -> None:
    """Refuse a byte order that makes noise of what the other order makes sense of.

    Integers: bits above ``$PnR`` are set in the stated order and not in the other. Floats: numbers that no detector gives
    (not finite, beyond 1e12, or nonzero below 1e-20) are many in the stated order and few in the other. Integers that fill all
    their bits make sense in either order: a high byte that varies more than the low one is a remark.
    """
    stated, swapped = (
        _implausible(_probe(path, either, n_events), either) for either in (layout, layout.swapped())
    )
    if stated > 0.05 and swapped < stated / 10:
        raise RejectedFile(
            f"{path} states the wrong byte order: {stated:.0%} of its values make sense only in the other one; "
            "correct $BYTEORD or export it again",
            "byte_order",
        )
    if doubtful := _doubtful_order(_probe(path, layout, n_events), layout, columns):
        note = (
            f"the high bytes of {', '.join(doubtful)} vary more than the low ones, as in the wrong byte order: "
            "see whether the events make sense"
        )
        findings.append(Finding("byte_order", note))


def check_values(
    path: Path,
    layout: Layout,
    n_events: int,
    columns: Sequence[Column],
    ranges: Sequence[float],
    findings: list[Finding],
) -> None:
    """Remark on values that are not finite, or beyond ``$PnR``, among the first and last 4,096 events."""
    raw = _probe(path, layout, n_events)
    values = decode(raw, layout)
    whole = columns_of(raw, layout)
    far: list[str] = []
    tagged: list[str] = []
    for j, (column, top) in enumerate(zip(columns, ranges, strict=True)):
        high = whole[j]
        if TIME.search(column.name) or top <= 0:
            continue
        beyond = values[:, j] > 1.01 * top if high is None else high > high.dtype.type(layout.masks[j])
        if beyond.mean() > MOST_BEYOND:
            (far if high is None else tagged).append(f"{column.name} {beyond.mean():.0%}")
    if far:
        findings.append(Finding("range", f"values lie beyond the stated range ($PnR): {', '.join(far)}"))
    if tagged:
        note = f"bits above $PnR are set and were masked, as the standard asks: {', '.join(tagged)}"
        findings.append(Finding("bits", note))
    bad = ~np.isfinite(values)
    if bad.any():
        names = ", ".join(column.name for j, column in enumerate(columns) if bad[:, j].any())
        findings.append(
            Finding("not_finite", f"{bad.mean():.2%} of the values looked at are not finite, in {names}")
        )


def _probe(path: Path, layout: Layout, n_events: int) -> NDArray[np.uint8]:
    """Bytes of the first and the last events."""
    if n_events <= 2 * PROBED_EVENTS:
        return read_bytes(path, layout, 0, n_events)
    ends = [(0, PROBED_EVENTS), (n_events - PROBED_EVENTS, n_events)]
    return np.concatenate([read_bytes(path, layout, start, stop) for start, stop in ends])


def _implausible(raw: NDArray[np.uint8], layout: Layout) -> float:
    """Share of values that cannot be meant."""
    values = decode(raw, layout)
    shares = []
    for j, high in enumerate(columns_of(raw, layout)):
        if high is not None:
            shares.append(float((high > high.dtype.type(layout.masks[j])).mean()))
        else:
            with np.errstate(invalid="ignore", over="ignore"):
                sizes = np.abs(values[:, j])
                shares.append(
                    float((~np.isfinite(sizes) | (sizes > 1e12) | ((sizes > 0) & (sizes < 1e-20))).mean())
                )
    return float(np.mean(shares))


def _doubtful_order(raw: NDArray[np.uint8], layout: Layout, columns: Sequence[Column]) -> list[str]:
    """Channels of integers that fill their bits whose high byte has the entropy of the low one and a bit more."""
    found = []
    first = 0
    for column, kind, width, mask in zip(columns, layout.kinds, layout.bits, layout.masks, strict=True):
        if kind == "I" and layout.is_bytes and width > 8 and mask == (1 << width) - 1:
            ends = raw[:, first], raw[:, first + width // 8 - 1]
            high, low = ends if layout.big_endian else ends[::-1]
            if len(raw) >= PROBED_LEAST and _entropy(high) > _entropy(low) + 1:
                found.append(column.name)
        first += width // 8
    return found


def _entropy(values: NDArray[np.uint8]) -> float:
    """Bits of information of a byte."""
    shares = np.bincount(values) / len(values)
    shares = shares[shares > 0]
    return float(-(shares * np.log2(shares)).sum())
