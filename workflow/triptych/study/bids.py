"""The sample sheet of a BIDS dataset: a row per recording, from entities, participants and tables of channels."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from triptych.errors import InputError, UsageError
from triptych.readers import bids
from triptych.readers.bids_tables import read_json, read_participants

GROUP_COLUMNS = ("group", "diagnosis", "dx")
BATCH_COLUMNS = ("batch", "site", "scanner")
UNNAMED = "[Unspecified]"  # what mne-bids writes where nobody gave a name
FORMATS = {
    "": "a folder of KIT or 4D/BTi files",
    ".ds": "a CTF folder",
    ".con": "a KIT file",
    ".sqd": "a KIT file",
    ".kdf": "a KRISS file",
    ".mefd": "a MEF3 folder",
    ".nwb": "an NWB file",
}


@dataclass(frozen=True)
class Dataset:
    """Rows of the sheet, the dataset's name, and what a user should know of how the rows were made."""

    rows: list[dict[str, str]]
    name: str
    notes: list[str]


def read_dataset(root: Path, study: Path, group_column: str | None) -> Dataset:
    """Rows of the sample sheet of a study at ``study`` (which need not be there) for a dataset at ``root``.

    A recording that cannot be read gets the reason in the column ``exclude``.

    Raises
    ------
    InputError
        There is no BIDS dataset with recordings at the root, or its description or its participants cannot be read.
    UsageError
        participants.tsv has no column ``group_column``.
    """
    root = root.resolve()
    _check_root(root)
    paths = bids.recordings(root)
    if not paths:
        raise InputError(
            f"{root} holds no recording of MEG, EEG or iEEG (sub-*/[ses-*/]eeg/sub-*_eeg.*); name the root of a raw dataset"
        )
    table = root / bids.PARTICIPANTS
    participants = read_participants(table) if table.is_file() else {}
    group, batch, notes = _columns(table, participants, group_column)
    rows = []
    for path, sample in zip(paths, _names(paths), strict=True):
        entities = bids.entities_of(path.name)
        subject = f"sub-{entities['sub']}"
        described = participants.get(subject, {})
        row = {
            "sample": sample,
            "kind": "signal",
            "path": os.path.relpath(path, study.resolve()),
            "subject": subject,
            "session": f"ses-{entities['ses']}" if "ses" in entities else "",
            "group": described.get(group, ""),
            "batch": described.get(batch, ""),
        }
        rows.append(row | _readable(path, root))
    return Dataset(
        rows, str(read_json(root / bids.DESCRIPTION).get("Name", "")), notes + _said(rows, participants)
    )


def _check_root(root: Path) -> None:
    if not root.is_dir():
        raise InputError(f"{root} is not a folder; give the root of a BIDS dataset")
    if not (root / bids.DESCRIPTION).is_file():
        above = next((folder for folder in root.parents if (folder / bids.DESCRIPTION).is_file()), None)
        hint = f"its root seems to be {above}" if above else "a BIDS dataset has one at its root"
        raise InputError(f"{root} has no {bids.DESCRIPTION}; {hint}")


def _columns(
    table: Path, participants: Mapping[str, Mapping[str, str]], group_column: str | None
) -> tuple[str, str, list[str]]:
    """Columns of participants.tsv that are taken for group and batch ("" for none), and notes that say so."""
    known = list(
        dict.fromkeys(name for row in participants.values() for name in row if name != "participant_id")
    )
    has = f"its columns are {', '.join(known)}" if known else "it describes no participant"
    if not table.is_file():
        if group_column:
            raise UsageError(f"--group-column {group_column}: there is no {table}")
        return "", "", [f"no groups: the dataset has no {table.name}"]
    if group_column and group_column not in known:
        raise UsageError(f"{table} has no column {group_column}; {has}")
    group = group_column or _first(GROUP_COLUMNS, known)
    batch = _first(BATCH_COLUMNS, [name for name in known if name != group])
    notes = [
        f"group is column {group} of {table.name}"
        if group
        else f"no groups: {table.name} has no column {', '.join(GROUP_COLUMNS)}; {has}; --group-column takes another"
    ]
    return group, batch, notes + ([f"batch is column {batch} of {table.name}"] if batch else [])


def _first(wanted: Sequence[str], known: Sequence[str]) -> str:
    by_lower = {name.lower(): name for name in known}
    return next((by_lower[name] for name in wanted if name in by_lower), "")


def _names(paths: Sequence[Path]) -> list[str]:
    """A valid and unique sample name per recording: its entities, and where two share them, datatype and ending."""
    plain = [re.sub(r"_split-[^_]+", "", path.name.rpartition("_")[0]) for path in paths]
    typed = [f"{name}_{path.parent.name}" for name, path in zip(plain, paths, strict=True)]
    full = [f"{name}_{path.suffix.lstrip('.')}" for name, path in zip(typed, paths, strict=True)]
    alone, alone_typed = Counter(plain), Counter(typed)
    chosen = [
        name if alone[name] == 1 else longer if alone_typed[longer] == 1 else longest
        for name, longer, longest in zip(plain, typed, full, strict=True)
    ]
    return [re.sub(r"[^A-Za-z0-9_.-]", "-", name) for name in chosen]


def _readable(path: Path, root: Path) -> dict[str, str]:
    """``bad_channels`` of a recording, or ``exclude`` with the reason why it takes no part."""
    from triptych.readers.mne import SUFFIXES, open_raw

    if "emptyroom" in path.name:
        return {"exclude": "a recording of the empty room"}
    if not path.exists():
        return {"exclude": "a link that leads nowhere; fetch the content (datalad get)"}
    if not path.name.lower().endswith(SUFFIXES):
        what = FORMATS.get(path.suffix, f"a recording of the format {path.suffix}")
        return {"exclude": f"{what}, which is not read; save it as FIF or EDF"}
    try:
        raw, _ = open_raw(path, project=False)
    except InputError as error:
        return {"exclude": " ".join(str(error).replace(f"{root}{os.sep}", "").split())}
    return {"bad_channels": ",".join(name for name in raw.info["bads"] if "," not in name)}


def _said(rows: Sequence[Mapping[str, str]], participants: Mapping[str, object]) -> list[str]:
    notes = []
    unknown = sorted({row["subject"] for row in rows} - set(participants) - {"sub-emptyroom"})
    if participants and unknown:
        notes.append(f"{bids.PARTICIPANTS} says nothing of {', '.join(unknown)}")
    if excluded := [row for row in rows if row.get("exclude")]:
        reason, number = Counter(row["exclude"] for row in excluded).most_common(1)[0]
        notes.append(
            f"{len(excluded)} of {len(rows)} recordings are excluded, with the reason in the sheet; {number} of them: {reason}"
        )
    return notes
