"""Exit statuses of the command line, one exception for each kind of failure.

Every layer may raise these. A message is one sentence that says what is wrong, where, and what to do.
"""

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of every ``triptych`` command."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    INPUT = 3
    INTERRUPTED = 75
    CTRL_C = 130


class TriptychError(Exception):
    """A failure that a user can read; ``exit`` is what the command returns."""

    exit = Exit.FAILED


class StepError(TriptychError):
    """A step could not do its work (exit 1)."""


class UsageError(TriptychError):
    """A wrong option, setting or place to write to (exit 2)."""

    exit = Exit.USAGE


class InputError(TriptychError):
    """An input is missing or is not what it should be (exit 3)."""

    exit = Exit.INPUT


class InterruptedStep(TriptychError):
    """Stopped by a signal after the blocks in flight were finished; the same command goes on (exit 75)."""

    exit = Exit.INTERRUPTED


class StoppedByUser(InterruptedStep):
    """Ctrl-C: stopped as InterruptedStep, but the shell hears 130."""

    exit = Exit.CTRL_C
