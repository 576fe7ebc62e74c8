"""What ``triptych run`` shows while Snakemake works: bars on a terminal, plain lines otherwise."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from triptych_cli.words import duration, who

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from triptych.study.status import JobStatus
    from triptych.study.study import Study

LINE_EVERY_S = 30.0
LOOK_EVERY_S = 1.0
LOOKING_SHARE = 0.1  # of the driver's time, however large the study


class RunWatch:
    """Counts jobs by their states about once a second."""

    def __init__(self) -> None:
        self._look_next = self._said = 0.0
        self._began = time.monotonic()
        self._finished: set[tuple[str, str]] = set()
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
            )
            self._bars = Progress(*columns, console=Console(stderr=True), transient=True)
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def tell(self, sentence: str) -> None:
        """One sentence for the user."""
        if self._bars is not None:
            self._bars.console.print(f"triptych: {sentence}", markup=False, highlight=False)
        else:
            print(f"triptych: {sentence}", file=sys.stderr, flush=True)

    def look(self, study: Study, _events: Path) -> None:
        """Look at the study, if the last look is old enough."""
        now = time.monotonic()
        if now < self._look_next:
            return
        from triptych.study.status import study_status

        statuses = study_status(study)
        self._look_next = now + max(LOOK_EVERY_S, (time.monotonic() - now) / LOOKING_SHARE)
        done = {(s.step, who(s)) for s in statuses if s.state == "done"}
        running = [s for s in statuses if s.state == "running"]
        if self._bars is not None:
            self._show(statuses, len(done), running)
        elif now - self._said >= LINE_EVERY_S:
            self._said = now
            names = ", ".join(f"{s.step} of {who(s)} {s.blocks_done}/{s.blocks_all}" for s in running[:4])
            self.tell(
                f"{len(done)}/{len(statuses)} jobs done after {duration(now - self._began)}; running: {names or 'none'}"
            )

    def _show(self, statuses: list[JobStatus], done: int, running: list[JobStatus]) -> None:
        assert self._bars is not None
        wanted = {"study": (done, len(statuses))} | {
            f"{s.step} · {who(s)}": (s.blocks_done, s.blocks_all) for s in running
        }
        for name in [name for name in self._tasks if name not in wanted]:
            self._bars.remove_task(self._tasks.pop(name))
        for name, (count, total) in wanted.items():
            if name not in self._tasks:
                self._tasks[name] = self._bars.add_task(name, total=total)
            self._bars.update(self._tasks[name], completed=count, total=total)
