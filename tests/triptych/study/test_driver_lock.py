"""One driver per study; a dead one is recognised, and what it left is stopped."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from triptych.errors import UsageError
from triptych.study.driver_lock import RECORD, hold_study, live_driver

HOLD = """
import sys, time
from pathlib import Path
from triptych.study.driver_lock import hold_study
with hold_study(Path(sys.argv[1]), [], print):
    print("held", flush=True)
    time.sleep(60)
"""


def hold(root: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(root)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def test_a_live_driver_is_named_and_a_dead_one_cleared(tmp_path: Path) -> None:
    said: list[str] = []
    other = hold(tmp_path)
    try:
        live = live_driver(tmp_path)
        assert live is not None
        assert live["pid"] == other.pid
        with pytest.raises(UsageError, match=f"process {other.pid} on {os.uname().nodename}"):
            hold_study(tmp_path, [], said.append).__enter__()
    finally:
        end(other)
    assert live_driver(tmp_path) is None
    with hold_study(tmp_path, [], said.append):
        pass
    assert said == [f"cleared the stale lock of a dead driver (process {other.pid} on {os.uname().nodename})"]


def test_an_orderly_end_is_not_mentioned(tmp_path: Path) -> None:
    said: list[str] = []
    with pytest.raises(ValueError, match="x"), hold_study(tmp_path, [], said.append):
        raise ValueError("x")
    assert json.loads((tmp_path / RECORD).read_text())["ended"]
    with hold_study(tmp_path, [], said.append) as lock:
        lock.record(["a.b=1"], {"S": "torn"}, os.getpid())
        assert json.loads((tmp_path / RECORD).read_text())["sets"] == ["a.b=1"]
    assert said == []


def test_stale_locks_of_snakemake_are_cleared(tmp_path: Path) -> None:
    lock = tmp_path / ".snakemake" / "locks" / "0.input.lock"
    lock.parent.mkdir(parents=True)
    lock.touch()
    said: list[str] = []
    with hold_study(tmp_path, [], said.append):
        assert not lock.exists()
    assert said == ["cleared the stale lock that a dead Snakemake left"]
