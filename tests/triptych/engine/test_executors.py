"""Executors: results in the order of the items, failures as they are, a lost worker as an interruption."""

import os
import signal
import threading
import time

import pytest

from triptych.engine.executors import open_executor
from triptych.engine.interrupt import Interrupt, listening
from triptych.errors import InterruptedStep, StoppedByUser, UsageError


def slow_square(value: int) -> int:
    time.sleep(0.02 * (value % 3))
    return value * value


def fail_at_three(value: int) -> int:
    if value == 3:
        raise ValueError("three")
    return value


def die(value: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return value


def native_threads(_: int) -> list[int]:
    import numpy as np  # loads BLAS
    from threadpoolctl import threadpool_info

    np.ones((4, 4)) @ np.ones((4, 4))
    return [entry["num_threads"] for entry in threadpool_info()]


@pytest.mark.parametrize(("name", "workers"), [("threads", 1), ("threads", 3), ("processes", 2)])
def test_results_keep_the_order_of_the_items(name: str, workers: int) -> None:
    with open_executor(name, workers, Interrupt()) as executor:  # type: ignore[arg-type]
        assert list(executor.map(slow_square, range(12))) == [v * v for v in range(12)]
        with pytest.raises(ValueError, match="three"):
            list(executor.map(fail_at_three, range(12)))
        assert {n for found in executor.map(native_threads, range(3)) for n in found} <= {1}


def test_a_lost_worker_interrupts_the_step() -> None:
    with (
        pytest.raises(InterruptedStep, match="a worker was lost"),
        open_executor("processes", 2, Interrupt()) as executor,
    ):
        list(executor.map(die, range(3)))


def test_a_stop_finishes_what_is_in_flight_and_starts_no_more() -> None:
    interrupt, done = Interrupt(), []

    def note(value: int) -> int:
        time.sleep(0.02)
        done.append(value)
        if value == 3:
            interrupt.ask(signal.SIGTERM)
        return value

    with pytest.raises(InterruptedStep, match="SIGTERM"), open_executor("threads", 2, interrupt) as executor:
        list(executor.map(note, range(50)))
    assert 4 <= len(done) < 12


def test_signals_become_requests() -> None:
    with listening() as interrupt:
        os.kill(os.getpid(), signal.SIGUSR1)
        with pytest.raises(InterruptedStep, match="SIGUSR1"):
            interrupt.check()
    with listening() as interrupt:
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(StoppedByUser):
            interrupt.check()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_other_threads_may_run_steps_too() -> None:
    found: list[bool] = []

    def work() -> None:
        with listening() as interrupt:
            found.append(interrupt.asked)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [False]


def test_wrong_names_and_numbers_are_refused() -> None:
    with pytest.raises(UsageError, match="none of threads"), open_executor("fibers", 1, Interrupt()):  # type: ignore[arg-type]
        pass
    with pytest.raises(UsageError, match="at least 1"), open_executor("threads", 0, Interrupt()):
        pass


def test_what_is_no_address_of_a_scheduler_is_refused() -> None:
    with (
        pytest.raises(UsageError, match="tcp://host:port"),
        open_executor("dask", 1, Interrupt(), "localhost"),
    ):
        pass


@pytest.mark.slow
def test_a_silent_dask_scheduler_is_named() -> None:
    with (
        pytest.raises(UsageError, match="no Dask scheduler"),
        open_executor("dask", 1, Interrupt(), "tcp://127.0.0.1:9"),
    ):
        pass
