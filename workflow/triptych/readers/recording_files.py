"""Which files make up a recording of MEG or EEG; known without mne, because every job asks."""

from __future__ import annotations

import re
from pathlib import Path

from triptych.readers import bids


def recording_files(path: Path) -> list[Path]:
    """All files of a recording, from the one that is named; also those that are named but missing.

    In a BIDS dataset, also the files that describe it.
    """
    return [*_own_files(path), *bids.sidecars(path)]


def _own_files(path: Path) -> list[Path]:
    name = path.name
    if name.endswith(".vhdr") and path.is_file():
        header = path.read_text(encoding="utf-8", errors="replace")
        stem = path.stem
        named = re.findall(r"^(?:DataFile|MarkerFile)\s*=\s*(.+?)\s*$", header, re.MULTILINE)
        return [path, *(path.with_name(file.replace("$b", stem)) for file in dict.fromkeys(named))]
    if name.endswith(".set") and path.is_file():
        named = re.findall(rb"[\w .()+-]+\.(?:fdt|dat)\b", path.read_bytes()[: 1 << 20])
        beside = path.with_suffix(".fdt")
        return [path, beside] if beside.is_file() or named else [path]
    if name.endswith(".fif"):
        parts = [path]
        split = re.search(r"split-(\d+)_", name)
        for number in range(1, 1000):
            following = (
                name.replace(split[0], f"split-{int(split[1]) + number:0{len(split[1])}d}_")
                if split
                else f"{path.stem}-{number}.fif"
            )
            if not path.with_name(following).is_file():
                break
            parts.append(path.with_name(following))
        return parts
    return [path]
