"""Executors: threads, processes, Dask. One interface: at most k calls in flight, results in the order of the items.

The same function runs in all of them, so a result never depends on which is used.
"""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Literal, Protocol, TypeVar

from triptych.engine.interrupt import Interrupt
from triptych.errors import InterruptedStep, UsageError

ExecutorName = Literal["threads", "processes", "dask"]
EXECUTORS: tuple[ExecutorName, ...] = ("threads", "processes", "dask")

T = TypeVar("T")
R = TypeVar("R")

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "BLIS_NUM_THREADS",
)

M_MMAP_THRESHOLD = -3  # malloc.h
LARGE_BLOCK = 2**20


class Executor(Protocol):
    """Runs calls on workers."""

    def map(self, function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        """Results in the order of the items; stops submitting when an interrupt is asked for."""
        ...


def one_native_thread() -> AbstractContextManager[Any]:
    """BLAS and OpenMP run one thread per worker: a sum's order must not depend on the machine. Memory stays flat."""
    for variable in THREAD_VARIABLES:
        os.environ[variable] = "1"
    _return_large_blocks()
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1)


def _return_large_blocks() -> None:
    """Let the GNU C library give arrays of a megabyte or more back to the system when they are freed.

    Left alone it raises that size as arrays are freed, and a long run of many chunks keeps ever more of the pieces.
    """
    import ctypes

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK)


class _Inline:
    def __init__(self, interrupt: Interrupt) -> None:
        self._interrupt = interrupt

    def map(self, function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        for item in items:
            self._interrupt.check()
            yield function(item)


class _Submitting:
    """Ordered results from anything that has ``submit``."""

    def __init__(
        self,
        submit: Callable[..., Any],
        in_flight: int,
        interrupt: Interrupt,
        lost: tuple[type[BaseException], ...],
    ):
        self._submit = submit
        self._in_flight = in_flight
        self._interrupt = interrupt
        self._lost = lost

    def map(self, function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        waiting: deque[Future[R]] = deque()
        source = iter(items)
        try:
            while True:
                while len(waiting) < self._in_flight and not self._interrupt.asked:
                    try:
                        item = next(source)
                    except StopIteration:
                        break
                    waiting.append(self._submit(function, item))
                if not waiting:
                    break
                yield self._result(waiting.popleft())
            self._interrupt.check()
        finally:
            for future in waiting:
                future.cancel()
            for future in waiting:
                if not future.cancelled():
                    self._settle(future)

    def _result(self, future: Future[R]) -> R:
        try:
            return future.result()
        except self._lost as error:
            raise InterruptedStep(
                f"a worker was lost ({type(error).__name__}: killed, or out of memory?); run the same command again to go on"
            ) from error

    @staticmethod
    def _settle(future: Future[Any]) -> None:
        try:
            future.exception()
        except BaseException:  # only waiting: the first failure is already on its way
            return


@contextmanager
def open_executor(
    name: ExecutorName, workers: int, interrupt: Interrupt, address: str | None = None
) -> Iterator[Executor]:
    """An executor for the time of a step.

    Parameters
    ----------
    name : threads, processes (loky) or dask.
    workers : number of workers; one thread runs in the caller itself.
    address : of a running Dask scheduler; None with ``dask`` starts a LocalCluster.
    """
    if name not in EXECUTORS:
        raise UsageError(f"executor {name!r} is none of {', '.join(EXECUTORS)}")
    if workers < 1:
        raise UsageError(f"workers is {workers}; give at least 1")
    with one_native_thread():
        if name == "threads" and workers == 1:
            yield _Inline(interrupt)
        elif name == "threads":
            # OpenMP keeps its number of threads per thread, so each worker limits its own
            with ThreadPoolExecutor(
                workers, thread_name_prefix="block", initializer=one_native_thread
            ) as pool:
                yield _Submitting(pool.submit, 2 * workers, interrupt, ())
        elif name == "processes":
            yield from _processes(workers, interrupt)
        else:
            yield from _dask(workers, interrupt, address)


def _processes(workers: int, interrupt: Interrupt) -> Iterator[Executor]:
    from concurrent.futures import BrokenExecutor

    from loky import ProcessPoolExecutor

    # loky would restart a worker that holds 300 MB more than at its first block: libraries and one block are more.
    pool = ProcessPoolExecutor(
        workers,
        initializer=begin_worker,
        initargs=(os.getpid(),),
        timeout=600,
        env={"LOKY_MAX_MEMORY_LEAK_SIZE": "1e18"},
    )
    try:
        yield _Submitting(pool.submit, 2 * workers, interrupt, (BrokenExecutor,))
    finally:
        pool.shutdown(wait=True, kill_workers=True)


def begin_worker(parent: int) -> None:
    """A worker process: leaves signals to its driver, ends when the driver is gone, runs one native thread."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    one_native_thread()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _dask(workers: int, interrupt: Interrupt, address: str | None) -> Iterator[Executor]:
    import logging

    import dask
    from distributed import Client, LocalCluster
    from distributed.client import FutureCancelledError
    from distributed.comm import CommClosedError
    from distributed.scheduler import KilledWorker

    if address is not None and not re.fullmatch(r"\w+://.+:\d+", address):
        raise UsageError(f"--scheduler {address} is no address of a Dask scheduler: it reads tcp://host:port")
    logging.getLogger("distributed").setLevel(logging.ERROR)
    config = {
        "distributed.worker.daemon": True,
        "distributed.admin.tick.limit": "1h",
        # Ctrl-C reaches every process of the terminal; workers that it killed would never finish their blocks
        "distributed.worker.preload": ["import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"],
    }
    with dask.config.set(config):
        cluster = None
        try:
            if address is None:
                cluster = LocalCluster(
                    n_workers=workers,
                    threads_per_worker=1,
                    processes=True,
                    dashboard_address=None,
                    memory_limit=0,
                )
            try:
                client = Client(cluster or address, timeout=20, set_as_default=False)
            except OSError as error:
                raise UsageError(
                    f"no Dask scheduler answers at {address}: start one, or leave --scheduler out"
                ) from error
            with client:
                in_flight = 2 * max(workers, len(client.scheduler_info(n_workers=-1)["workers"]))

                def submit(function: Callable[[Any], Any], item: Any) -> Any:
                    return client.submit(_with_one_thread, function, item, pure=False)

                yield _Submitting(
                    submit, in_flight, interrupt, (KilledWorker, CommClosedError, FutureCancelledError)
                )
        finally:
            if cluster is not None:
                cluster.close()


def _with_one_thread(function: Callable[[T], R], item: T) -> R:
    with one_native_thread():
        return function(item)
