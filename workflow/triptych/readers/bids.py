"""BIDS datasets: where a recording lies in one, which files describe it, and how mne-bids reads it.

A file outside a dataset has no place, no sidecars and nothing to say; all functions answer that at once.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from triptych.errors import InputError
from triptych.readers.bids_tables import check_channels, check_events, read_json, read_tsv

DATATYPES = ("meg", "eeg", "ieeg")
DESCRIPTION = "dataset_description.json"
PARTICIPANTS = "participants.tsv"
SIDECARS = ("events.tsv", "channels.tsv", "electrodes.tsv", "coordsystem.json")
# Endings that belong to a recording of another ending, and files with which MaxFilter corrects the recordings of a site.
COMPANIONS = (".json", ".tsv", ".fdt", ".eeg", ".vmrk", ".dat", ".chn", ".trg", ".mhd")
CORRECTIONS = ("crosstalk", "calibration")
ENTITY = re.compile(r"(?:^|_)([A-Za-z]+)-([^_.]+)")
# Warnings about files and channels that do not touch what is imported; electrodes without a place are counted elsewhere.
UNREAD = re.compile(
    r"participants\.tsv|Unable to map the following column|scans\.tsv|\bHED\b|channels without locations|Not setting positions"
)
REMEDY = "correct its BIDS files, or copy it again from its source"


@dataclass(frozen=True)
class Place:
    """Where a recording lies in a dataset.

    Attributes
    ----------
    root : folder of the dataset.
    datatype : ``"meg"``, ``"eeg"`` or ``"ieeg"``.
    entities : of the file's name, by their short keys: ``{"sub": "01", "task": "rest"}``.
    """

    root: Path
    datatype: str
    entities: Mapping[str, str]

    @property
    def folders(self) -> list[Path]:
        """Folders whose files may describe the recording, from the root to the file's own."""
        levels = [f"{key}-{self.entities[key]}" for key in ("sub", "ses") if key in self.entities]
        return [self.root.joinpath(*levels[:n]) for n in range(len(levels) + 1)] + [
            self.root.joinpath(*levels, self.datatype)
        ]


@dataclass(frozen=True)
class Described:
    """What the files beside a recording settle.

    Attributes
    ----------
    events : whether they list its events, so that trigger lines are not asked.
    channels : whether they say the types of its channels, so that names are not asked.
    notes : what a user should know of them.
    """

    events: bool = False
    channels: bool = False
    notes: tuple[str, ...] = ()


def entities_of(name: str) -> dict[str, str]:
    """Entities of a file's name, by their short keys, in order."""
    return dict(ENTITY.findall(name))


def place_of(path: Path) -> Place | None:
    """Where a recording lies in a BIDS dataset; None for a file outside one."""
    path = path.absolute()
    entities = entities_of(path.name)
    datatype = path.parent.name
    if datatype not in DATATYPES or "sub" not in entities or not path.stem.endswith(f"_{datatype}"):
        return None
    root = path.parent.parent
    for key in ("ses", "sub"):
        if key in entities:
            if root.name != f"{key}-{entities[key]}":
                return None
            root = root.parent
    return Place(root, datatype, entities) if (root / DESCRIPTION).is_file() else None


def recordings(root: Path) -> list[Path]:
    """Files and folders that hold the recordings of a dataset, in the order of their names; of split files the first."""
    found = []
    for levels in ("sub-*", "sub-*/ses-*"):
        for datatype in DATATYPES:
            for path in root.glob(f"{levels}/{datatype}/sub-*_{datatype}*"):
                entities = entities_of(path.name)
                ending = path.name.rpartition(f"_{datatype}")[2]
                wanted = ending not in COMPANIONS and (not ending or ending.startswith("."))
                part = int(entities.get("split", "1")) if entities.get("split", "1").isdigit() else 1
                if wanted and part == 1 and entities.get("acq") not in CORRECTIONS:
                    found.append(path)
    return sorted(found)


def sidecars(path: Path) -> list[Path]:
    """All files that may say something of a recording's events, channels or positions; they are part of the input.

    By the inheritance principle they lie beside it or above it, and none of their entities contradicts its name.
    """
    place = place_of(path)
    if place is None:
        return []
    endings = (*SIDECARS, f"{place.datatype}.json")
    found = []
    for folder in place.folders:
        for name in sorted(os.listdir(folder)) if folder.is_dir() else ():
            if name.endswith(endings) and not name.startswith("."):
                theirs = entities_of(name)
                if all(place.entities.get(key, value) == value for key, value in theirs.items()):
                    found.append(folder / name)
    return found


def check_sidecars(path: Path) -> None:
    """Refuse files that mne-bids would fail on.

    Raises
    ------
    InputError
        A table lacks a column or holds a cell that is no number, JSON cannot be parsed, or a link leads nowhere.
    """
    place = place_of(path)
    if place is None:
        return
    for file in sidecars(path):
        if not file.is_file():
            raise InputError(f"{file} is a broken link; fetch its content (datalad get)")
        if file.suffix == ".json":
            read_json(file)
    if (events := _sidecar(path, "events")) is not None:
        check_events(events)
    if (channels := _sidecar(path, "channels")) is not None:
        check_channels(channels)
    if (electrodes := _sidecar(path, "electrodes")) is not None:
        read_tsv(electrodes, ("name", "x", "y", "z"))
    if (place.root / PARTICIPANTS).is_file():
        read_tsv(place.root / PARTICIPANTS, ("participant_id",))


def read_raw(path: Path, **options: Any) -> Any:
    """mne's recording with events, channel types, bad channels and positions as ``mne_bids.read_raw_bids`` gives them."""
    import mne_bids

    return mne_bids.read_raw_bids(_bids_path(path), extra_params=options, verbose="WARNING")


def describe(path: Path, raw: Any) -> Described:
    """What the files beside an open recording settle; nothing for a file outside a dataset."""
    if place_of(path) is None:
        return Described()
    events, channels = _sidecar(path, "events"), _sidecar(path, "channels")
    notes = []
    if events is not None:
        notes += [f"events are those of {events.name}", *check_events(events)]
    if raw.info["line_freq"]:
        notes.append(
            f"the mains frequency was {raw.info['line_freq']:g} Hz; set notch_hz to it where the pass band reaches it"
        )
    return Described(events is not None, channels is not None, tuple(notes))


def remark(path: Path, message: object) -> str:
    """A warning of mne-bids without the folders of this machine; empty where it touches nothing that is read."""
    place = place_of(path)
    text = str(message)
    if place is None:
        return text
    text = text.split("\n\nThe search strings were", maxsplit=1)[0].replace(f"{place.root}{os.sep}", "")
    return "" if UNREAD.search(text) else text


def _bids_path(path: Path) -> Any:
    import mne_bids

    return mne_bids.get_bids_path_from_fname(path.absolute(), check=False, verbose="ERROR")


def _sidecar(path: Path, ending: str) -> Path | None:
    """The table of this ending that mne-bids takes; None where there is none, or several fit equally."""
    file = _bids_path(path).find_matching_sidecar(suffix=ending, extension=".tsv", on_error="ignore")
    return None if file is None else Path(file)
