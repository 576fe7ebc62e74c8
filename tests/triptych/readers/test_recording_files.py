"""Which files make up a recording."""

import subprocess
import sys
from pathlib import Path

from triptych.readers.recording_files import recording_files


def test_files_that_a_header_names_are_listed_even_if_missing(tmp_path: Path) -> None:
    header = tmp_path / "m.vhdr"
    header.write_text("[Common Infos]\nDataFile=$b.eeg\nMarkerFile=m.vmrk\n")
    assert [path.name for path in recording_files(header)] == ["m.vhdr", "m.eeg", "m.vmrk"]


def test_parts_of_a_split_file_are_listed(tmp_path: Path) -> None:
    for name in ("a.fif", "a-1.fif", "a-2.fif", "a-4.fif", "x_split-01_meg.fif", "x_split-02_meg.fif"):
        (tmp_path / name).touch()
    assert [path.name for path in recording_files(tmp_path / "a.fif")] == ["a.fif", "a-1.fif", "a-2.fif"]
    assert len(recording_files(tmp_path / "x_split-01_meg.fif")) == 2


def test_asking_needs_no_mne() -> None:
    code = (
        "import sys, triptych.readers.recording_files\n"
        "print([n for n in ('mne', 'mne_bids', 'numpy') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
