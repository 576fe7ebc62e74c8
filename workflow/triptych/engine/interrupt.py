"""Stopping well: a signal asks, the blocks in flight finish, the step ends with 75 (or 130 for Ctrl-C) and can go on."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from triptych.errors import InterruptedStep, StoppedByUser


class Interrupt:
    """A request to stop. ``check`` raises once it was made."""

    def __init__(self) -> None:
        self._signal: int | None = None

    @property
    def asked(self) -> bool:
        """Whether somebody asked to stop."""
        return self._signal is not None

    def ask(self, number: int) -> None:
        """Ask to stop, as a signal of this number would."""
        self._signal = number

    def check(self) -> None:
        """Raise InterruptedStep (or StoppedByUser for SIGINT) if a stop was asked for."""
        if self._signal is None:
            return
        name = signal.Signals(self._signal).name
        kind = StoppedByUser if self._signal == signal.SIGINT else InterruptedStep
        raise kind(f"stopped by {name} after the blocks in flight; run the same command again to go on")


@contextmanager
def listening() -> Iterator[Interrupt]:
    """Turn SIGTERM, SIGUSR1 and SIGINT into requests; a second SIGINT stops at once."""
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return

    def ask(number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGINT and interrupt.asked:
            raise KeyboardInterrupt
        interrupt.ask(number)

    numbers = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)
    before = {number: signal.signal(number, ask) for number in numbers}
    try:
        yield interrupt
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
