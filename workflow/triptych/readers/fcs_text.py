"""HEADER and TEXT of an FCS file: where segments lie, and the keywords, whose channels FlowIO describes.

FlowIO gets the keywords in a copy in memory that it cannot misread. In the file itself it takes the two delimiters around an
empty value for a quoted delimiter and loses the keyword after it, fails on some delimiters, and reads any ANALYSIS.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from flowio import FlowData

from triptych.readers.events import Finding, RejectedFile
from triptych.readers.fcs_layout import COPY_AGAIN

HEADER_BYTES = 58
PADDING = b" \0\r\n"
MOST_TEXT = 1 << 24
"""Bytes of the longest TEXT that is believed: a matrix of 100 channels takes a hundredth of it."""
NUMERIC = re.compile(r"par|tot|p\d+[rge]")
UNIT_SEPARATOR = "\x1f"


@dataclass(frozen=True)
class Head:
    """HEADER and TEXT of one data set.

    Attributes
    ----------
    version : ``"2.0"``, ``"3.1"``, ...
    data : first and last byte of DATA by HEADER, counted from where the data set begins; 0 where it leaves them to TEXT.
    text : keywords, lower case without ``$``; those without a value are left out.
    findings : what was odd.
    """

    version: str
    data: tuple[int, int]
    text: Mapping[str, str]
    findings: tuple[Finding, ...]


def read_head(path: Path, begin: int) -> Head:
    """Read HEADER, TEXT and supplemental TEXT of the data set that begins at a byte.

    Raises
    ------
    RejectedFile : they cannot be read (``header``), or the file ends before TEXT does (``truncated``).
    """
    size = path.stat().st_size
    with open(path, "rb") as file:
        file.seek(begin)
        header = file.read(HEADER_BYTES)
        if len(header) < HEADER_BYTES:
            raise RejectedFile(f"{path} is cut short within its HEADER; {COPY_AGAIN}", "truncated")
        first, last, *data = (_offset(path, header[place : place + 8]) for place in range(10, 42, 8))
        if not HEADER_BYTES <= first < last < first + MOST_TEXT:
            raise RejectedFile(
                f"{path} has a HEADER that places TEXT at bytes {first} to {last}, where it cannot be; {COPY_AGAIN}",
                "header",
            )
        if begin + last >= size:
            raise RejectedFile(
                f"{path} is cut short: its TEXT segment ends beyond its {size} bytes; {COPY_AGAIN}",
                "truncated",
            )
        file.seek(begin + first)
        raw = file.read(last - first + 1)
    words = _words(raw)
    text = _keywords(words)
    if not text:
        raise RejectedFile(
            f"{path} has no list of keywords at bytes {first} to {last}, where HEADER places TEXT; {COPY_AGAIN}",
            "header",
        )
    findings = []
    if len(words) % 2 or not raw.rstrip(PADDING).endswith(raw[:1].strip(PADDING)):
        note = "TEXT is not whole: a delimiter is missing, so keywords may be lost"
        findings.append(Finding("text", note))
    if not header[26:42].strip():
        note = "HEADER leaves the place of DATA blank; that in TEXT was used"
        findings.append(Finding("offsets", note))
    supplement = _supplement(path, begin, text, findings)
    version = header[3:6].decode("ascii", "replace").strip()
    return Head(version, (data[0], data[1]), supplement | text, tuple(findings))


def read_channels(path: Path, head: Head) -> FlowData:
    """What FlowIO makes of the keywords: ``channel_count``, ``event_count`` and ``channels``.

    Raises
    ------
    RejectedFile : a keyword that it needs is missing or is no number (``keyword``).
    """
    for key, value in head.text.items():
        if NUMERIC.fullmatch(key) and not _is_numbers(key, value):
            what = "two numbers" if key.endswith("e") else "a number"
            raise RejectedFile(
                f"{path} has ${key.upper()} {value[:40]!r}, which is not {what}; {COPY_AGAIN}", "keyword"
            )
    words = [
        part.replace(UNIT_SEPARATOR, " ")
        for key, value in head.text.items()
        if key not in ("nextdata", "beginanalysis", "endanalysis")
        for part in (key, value)
    ]
    text = f"{UNIT_SEPARATOR}{UNIT_SEPARATOR.join(words)}{UNIT_SEPARATOR}".encode()
    places = (HEADER_BYTES, HEADER_BYTES + len(text) - 1, 0, 0, 0, 0)
    header = "FCS3.1    " + "".join(f"{place:>8}" for place in places)
    try:
        return FlowData(io.BytesIO(header.encode() + text), only_text=True, use_header_offsets=True)
    except KeyError as error:
        raise RejectedFile(
            f"{path} has no keyword ${str(error.args[0]).upper()} in its TEXT; {COPY_AGAIN}", "keyword"
        ) from error


def _is_numbers(key: str, value: str) -> bool:
    """Whether the value of a keyword is what FlowIO takes: a whole number, a number, or two."""
    number = float if key[-1] in "rge" and key != "par" else int
    try:
        return len([number(part) for part in value.split(",")]) == 1 + key.endswith("e")
    except ValueError:
        return False


def _offset(path: Path, field: bytes) -> int:
    """One number of HEADER; 0 where it is blank."""
    try:
        return int(field.strip(b" \0") or 0)
    except ValueError as error:
        raise RejectedFile(
            f"{path} has a broken HEADER: {field.decode('latin-1')!r} is not an offset; {COPY_AGAIN}",
            "header",
        ) from error


def _words(raw: bytes) -> list[str]:
    """Keywords and values of a TEXT segment in turn; none where it does not begin with a delimiter.

    A doubled delimiter within a value stands for itself. After a keyword it is an empty value, which the standard forbids
    and many writers write: no value may begin with a delimiter.
    """
    try:
        content = raw.decode()
    except UnicodeDecodeError:
        content = raw.decode("latin-1")
    delimiter = content[:1]
    if not delimiter or delimiter.isalnum() or delimiter == "$":
        return []
    words: list[str] = []
    quoted = False
    for piece in content[1:].rstrip(PADDING.decode()).removesuffix(delimiter).split(delimiter):
        if quoted:
            words[-1] += delimiter + piece
            quoted = False
        elif not piece and words and len(words) % 2 == 0:
            quoted = True
        else:
            words.append(piece)
    return words


def _keywords(words: Sequence[str]) -> dict[str, str]:
    """Values by keyword, in lower case without ``$``; those without a value are left out."""
    pairs = zip(words[::2], words[1::2], strict=False)
    found = {key.strip().lower().removeprefix("$"): value for key, value in pairs if value.strip()}
    found.pop("", None)
    return found


def _supplement(path: Path, begin: int, text: Mapping[str, str], findings: list[Finding]) -> dict[str, str]:
    """Keywords of the supplemental TEXT segment; a broken one is left out with a remark."""
    try:
        first, last = (int(text.get(key, "0")) for key in ("beginstext", "endstext"))
    except ValueError:
        first, last = 0, 0
    if not 0 < first < last < first + MOST_TEXT or begin + last >= path.stat().st_size:
        return {}
    with open(path, "rb") as file:
        file.seek(begin + first)
        words = _words(file.read(last - first + 1).strip())
    if not words or len(words) % 2:
        note = "the supplemental TEXT segment is not a list of keywords and was left out"
        findings.append(Finding("text", note))
        return {}
    return _keywords(words)
