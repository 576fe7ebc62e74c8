"""Leases: one writer at a time, named to the other; a dead one lets go."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from triptych.engine.lease import holders, is_alive, lease, this_process, wait_for_writers, writing
from triptych.errors import UsageError

HOLD = """
import sys, time
from pathlib import Path
from triptych.engine.lease import lease, writing
with {what}(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def hold(out: Path, what: str = "lease") -> subprocess.Popen[str]:
    (out / "ledger").mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD.format(what=what), str(out)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def test_second_writer_is_refused_by_name_and_death_lets_go(tmp_path: Path) -> None:
    other = hold(tmp_path)
    try:
        with (
            pytest.raises(UsageError, match=f"process {other.pid} on {os.uname().nodename}"),
            lease(tmp_path),
        ):
            pass
        assert [holder["pid"] for holder in holders(tmp_path)] == [other.pid]
    finally:
        end(other)
    with lease(tmp_path):
        assert [holder["pid"] for holder in holders(tmp_path)] == [os.getpid()]
    assert holders(tmp_path) == []


def test_ranges_go_together_but_not_with_the_whole(tmp_path: Path) -> None:
    with lease(tmp_path, "p.1-of-2"):
        with lease(tmp_path, "p.2-of-2"):
            pass
        with pytest.raises(UsageError, match="being written by"), lease(tmp_path):
            pass
        with pytest.raises(UsageError, match="being written by"), lease(tmp_path, "p.1-of-2"):
            pass


def test_a_new_fingerprint_waits_for_an_orphaned_worker(tmp_path: Path) -> None:
    other = hold(tmp_path, "writing")
    began = time.monotonic()
    timer = multiprocessing.get_context("spawn").Process(target=_kill_later, args=(other.pid,))
    timer.start()
    with wait_for_writers(tmp_path):
        assert time.monotonic() - began > 0.3
    timer.join()
    end(other)
    with writing(tmp_path), writing(tmp_path):
        pass


def _kill_later(pid: int) -> None:
    time.sleep(0.4)
    os.kill(pid, signal.SIGKILL)


def test_a_reused_pid_is_not_alive() -> None:
    assert is_alive(this_process())
    assert not is_alive({**this_process(), "start": "1"})
    assert is_alive({**this_process(), "host": "elsewhere", "start": "1"})
