"""Numbers and states in words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from triptych.study.status import JobStatus

UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def amount(count: float) -> str:
    """Bytes in the unit that reads best."""
    for unit in UNITS:
        if count < 1024 or unit == UNITS[-1]:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    raise AssertionError("unreachable")


def duration(seconds: float | None) -> str:
    """A duration as a person would say it."""
    if seconds is None:
        return ""
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {whole % 60:02d} s" if minutes else f"{whole} s"


def who(status: JobStatus) -> str:
    """What a job runs on."""
    return status.sample or f"cohort {status.kind or 'all'}"


def failure_lines(failed: Sequence[JobStatus], root: Path) -> list[str]:
    """One line per failed or stopped job, and where its log is."""
    lines = []
    for status in failed:
        place = status.sample or f"cohort/{status.kind or 'all'}"
        log = root / "logs" / place / f"{status.step}.log"
        word = "stopped" if status.state == "stopped" else "failed"
        lines.append(
            f"{word}: {status.step} of {who(status)}: {status.reason or 'no reason was left'} (log: {log})"
        )
    return lines
