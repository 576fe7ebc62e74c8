"""Tables and JSON of BIDS datasets: read, and refused with one sentence where they are broken."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from triptych.errors import InputError

MISSING = ("n/a", "", "nan", "NaN")
KINDS = ("trial_type", "stim_type", "value")


def read_tsv(path: Path, required: tuple[str, ...] = ()) -> dict[str, list[str]]:
    """Columns of a TSV file with a header, cells as text.

    Raises
    ------
    InputError
        The file is missing or empty, a line has too many or too few cells, or a required column is not there.
    """
    try:
        text = path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); check the path") from error
    lines = [(i, line.rstrip("\r")) for i, line in enumerate(text.split("\n"), start=1) if line.strip()]
    if not lines:
        raise InputError(f"{path} is empty; write its header and rows, or remove it")
    header = lines[0][1].split("\t")
    if lacking := [name for name in required if name not in header]:
        raise InputError(
            f"{path} has no column {lacking[0]}, which BIDS demands (it has {', '.join(header)}, split by tabs)"
        )
    rows = [(i, line.split("\t")) for i, line in lines[1:]]
    for i, row in rows:
        if len(row) != len(header):
            raise InputError(
                f"{path} line {i} has {len(row)} cells for {len(header)} columns; cells are split by tabs"
            )
    return {name: [row[j].strip() for _, row in rows] for j, name in enumerate(header)}


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object.

    Raises
    ------
    InputError
        The file cannot be read, or is no JSON object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        reason = str(error).split(":", maxsplit=1)[0]
        raise InputError(f"{path} is not JSON ({reason}); correct it") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} holds no JSON object; correct it")
    return content


def check_events(path: Path) -> list[str]:
    """Notes on the events that are left out.

    Raises
    ------
    InputError
        As ``read_tsv``; an onset or a duration is no number; or no event has an onset.
    """
    table = read_tsv(path, ("onset", "duration"))
    for column in ("onset", "duration"):
        for row, cell in enumerate(table[column], start=1):
            if cell not in MISSING and not _is_number(cell):
                raise InputError(
                    f"{path}, event {row}: {column} is {cell!r}, not a number of seconds; correct it, or write n/a"
                )
    known = [cell not in MISSING for cell in table["onset"]]
    kind = next((name for name in KINDS if name in table), None)
    if not any(known) and (known or kind is None):
        raise InputError(f"{path} holds no event with an onset; correct it, or remove it")
    notes = []
    if not all(known):
        notes.append(
            f"{known.count(False)} of {len(known)} events of {path.name} have no onset and are left out"
        )
    unnamed = sum(has and table[kind][i] == "n/a" for i, has in enumerate(known)) if kind else 0
    named_by_value = (
        kind != "value" and "value" in table and all(c == "n/a" for c in table.get(kind or "", []))
    )
    if unnamed and not named_by_value:
        notes.append(f"{unnamed} of {len(known)} events of {path.name} have no {kind} and are left out")
    return notes


def check_channels(path: Path) -> None:
    """Refuse a table of channels without names and types."""
    if not read_tsv(path, ("name", "type"))["name"]:
        raise InputError(f"{path} names no channel; add a row per channel, or remove it")


def read_participants(path: Path) -> dict[str, dict[str, str]]:
    """What the table says of each participant, by ``participant_id``; cells that are n/a are left out.

    Raises
    ------
    InputError
        As ``read_tsv``, or a participant has two rows.
    """
    table = read_tsv(path, ("participant_id",))
    found: dict[str, dict[str, str]] = {}
    for i, name in enumerate(table["participant_id"]):
        if name in found:
            raise InputError(f"{path} has two rows for {name}; keep one")
        found[name] = {column: cells[i] for column, cells in table.items() if cells[i] not in MISSING}
    return found


def _is_number(cell: str) -> bool:
    try:
        return math.isfinite(float(cell))
    except ValueError:
        return False
