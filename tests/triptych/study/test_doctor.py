"""The doctor tries things instead of asserting them."""

import fcntl
from pathlib import Path

import pytest

from triptych.study import doctor


def test_a_sound_machine_lacks_nothing(tmp_path: Path) -> None:
    findings = doctor.examine(tmp_path)
    assert [finding.what for finding in findings if finding.level == "missing"] == []
    assert {"numpy", "cores", "atomic rename here", "locks here (flock)"} <= {
        finding.what for finding in findings
    }
    assert list(tmp_path.iterdir()) == []


def test_a_disk_without_locks_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "flock", lambda *_: None)
    found = {finding.what: finding for finding in doctor._file_system(tmp_path)}
    assert found["locks here (flock)"].level == "missing"


def test_a_folder_that_cannot_be_written_is_found(tmp_path: Path) -> None:
    (finding,) = doctor._file_system(tmp_path / "nothing")
    assert (finding.level, finding.what) == ("missing", "writing here")
