"""Progress on stderr: bars on a terminal, a plain line every 30 seconds otherwise, nothing when asked to be quiet."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

LINE_EVERY_S = 30.0


class Progress(Protocol):
    """Where the engine says how far it is."""

    def begin(self, phase: str, total: int, done: int) -> None:
        """A phase starts with ``total`` pieces of work, ``done`` of which are there already."""

    def advance(self) -> None:
        """One more piece is done."""

    def say(self, sentence: str) -> None:
        """One sentence for the reader."""


class Quiet:
    """Says nothing (Python callers)."""

    def begin(self, phase: str, total: int, done: int) -> None:
        """Nothing to show."""

    def advance(self) -> None:
        """Nothing to show."""

    def say(self, sentence: str) -> None:
        """Nothing to show."""


class Lines:
    """Plain lines, at most one every 30 s within a phase: for logs."""

    def __init__(self, step: str) -> None:
        self._step = step
        self._phase, self._total, self._done = "", 0, 0
        self._began = self._said = time.monotonic()
        self._first = 0

    def begin(self, phase: str, total: int, done: int) -> None:
        """One line as the phase starts."""
        self._phase, self._total, self._done, self._first = phase, total, done, done
        self._began = self._said = time.monotonic()
        already = f", {done} already done" if done else ""
        self.say(f"{phase}: {total} block{'s' * (total != 1)}{already}")

    def advance(self) -> None:
        """A line when the last one is 30 s old."""
        self._done += 1
        now = time.monotonic()
        if now - self._said < LINE_EVERY_S:
            return
        self._said = now
        rate = (self._done - self._first) / (now - self._began)
        left = (self._total - self._done) / rate
        self.say(f"{self._phase}: {self._done}/{self._total} blocks, {rate:.2g}/s, {left:.0f} s left")

    def say(self, sentence: str) -> None:
        """One line."""
        print(f"{self._step}: {sentence}", file=sys.stderr, flush=True)


class Bars:
    """A bar per phase on a terminal."""

    def __init__(self, step: str, bars: RichProgress) -> None:
        self._step, self._bars = step, bars
        self._task: TaskID | None = None

    def begin(self, phase: str, total: int, done: int) -> None:
        """A new bar."""
        self._task = self._bars.add_task(f"{self._step} · {phase}", total=total, completed=done)

    def advance(self) -> None:
        """Move the newest bar."""
        if self._task is not None:
            self._bars.advance(self._task)

    def say(self, sentence: str) -> None:
        """A line above the bars."""
        self._bars.console.print(f"{self._step}: {sentence}", markup=False, highlight=False)


@contextmanager
def show_progress(step: str) -> Iterator[Progress]:
    """Bars if stderr is a terminal, lines otherwise."""
    if not sys.stderr.isatty():
        yield Lines(step)
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as RichProgress

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with RichProgress(*columns, console=Console(stderr=True)) as bars:
        yield Bars(step, bars)
