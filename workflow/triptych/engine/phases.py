"""Running the phases of a step: what is recorded and lies there is kept, the rest is done.

The cycle of a block, ordered so that no interruption leaves a line without its files: unlink what the block owns (zarr cannot
overwrite a torn shard), compute, write whole files, sync them, append the line.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from triptych.engine import ledger as ledgers
from triptych.engine.checkpoint import checkpoint_key, save_state
from triptych.engine.files import load_arrays
from triptych.engine.interrupt import Interrupt
from triptych.engine.lease import writing
from triptych.engine.progress import Progress
from triptych.engine.step import Context, Iterate, Map, Phase, Reduce
from triptych.errors import StepError

if TYPE_CHECKING:
    from triptych.engine.executors import Executor
    from triptych.engine.files import Arrays


@dataclass(frozen=True)
class Run:
    """One run of a step: where it writes its lines, who works, who is told."""

    context: Context
    fingerprint: str
    executor: Executor
    interrupt: Interrupt
    progress: Progress
    verify: bool = False

    @property
    def folder(self) -> Path:
        """The ledger folder of this run."""
        return ledgers.ledger_folder(self.context.out, self.fingerprint)


def remove(path: Path) -> None:
    """Remove a file or a folder if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def do_block(context: Context, phase: Map, folder: Path, index: int) -> int:
    """Compute one block and record it; runs on a worker."""
    began, began_cpu = time.perf_counter(), time.thread_time()
    with writing(context.out):
        owned = phase.owns(context, index)
        for key in owned:
            (context.out / key).unlink(missing_ok=True)
            (context.out / key).parent.mkdir(parents=True, exist_ok=True)
        phase.work(context, index)
        files = ledgers.record_files(context.out, owned)
        ledgers.write_done(
            folder, phase.name, index, files, time.perf_counter() - began, time.thread_time() - began_cpu
        )
    return index


def needed_phases(run: Run, phases: Sequence[Phase]) -> list[Phase]:
    """Phases to go through; of a result that was whole before, those that left only scratch are made again only if work
    after them is missing."""
    state = ledgers.read(run.folder)
    if state.complete is None:
        return list(phases)
    needed: list[Phase] = []
    missing = False
    for phase in reversed(phases):
        if missing or not only_scratch(state, phase):
            needed.append(phase)
            missing = missing or _is_missing(run, phase, state)
    return needed[::-1]


def only_scratch(state: ledgers.Ledger, phase: Phase) -> bool:
    """Whether a phase wrote files for later phases and nothing else."""
    keys = [key for record in state.of_phase(phase.name).values() for key in record.files]
    return bool(keys) and all(key.startswith("scratch/") for key in keys)


def _is_missing(run: Run, phase: Phase, state: ledgers.Ledger) -> bool:
    if isinstance(phase, Map):
        return bool(missing_blocks(run, phase, range(phase.count(run.context))))
    return not any(
        ledgers.is_trusted(run.context.out, record, verify=run.verify)
        for record in state.of_phase(phase.name).values()
    )


def remove_scratch(context: Context, folder: Path, phases: Sequence[Phase]) -> None:
    """Remove what phases left for later ones, save the scratch of blocks that also own stored files.

    That is kept so that a damaged result is mended by making only its damaged blocks again.
    """
    state = ledgers.read(folder)
    for phase in phases:
        if only_scratch(state, phase):
            for record in state.of_phase(phase.name).values():
                for key in record.files:
                    (context.out / key).unlink(missing_ok=True)
    for path in sorted(context.scratch.rglob("*"), reverse=True) if context.scratch.is_dir() else []:
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()
    if context.scratch.is_dir() and not any(context.scratch.iterdir()):
        context.scratch.rmdir()


def run_phase(run: Run, phase: Phase, blocks: Sequence[int] | None = None) -> None:
    """Run what is missing of one phase (or of some of its blocks)."""
    match phase:
        case Map():
            _run_map(run, phase, blocks)
        case Reduce():
            _run_reduce(run, phase)
        case Iterate():
            _run_iterate(run, phase)


def missing_blocks(run: Run, phase: Map, blocks: Sequence[int]) -> list[int]:
    """Blocks without a line whose files lie there as recorded."""
    done = ledgers.read(run.folder).of_phase(phase.name)
    out = run.context.out
    return [
        index
        for index in blocks
        if index not in done
        or not ledgers.is_trusted(out, done[index], phase.owns(run.context, index), verify=run.verify)
    ]


def _run_map(run: Run, phase: Map, blocks: Sequence[int] | None) -> None:
    count = phase.count(run.context)
    wanted = range(count) if blocks is None else blocks
    ledgers.append(run.folder, {"kind": "phase", "phase": phase.name, "blocks": count})
    if not wanted:
        return
    missing = missing_blocks(run, phase, wanted)
    run.progress.begin(phase.name, len(wanted), len(wanted) - len(missing))
    for _ in run.executor.map(partial(do_block, run.context, phase, run.folder), missing):
        run.progress.advance()


def _run_reduce(run: Run, phase: Reduce) -> None:
    out, context = run.context.out, run.context
    state = ledgers.read(run.folder)
    ledgers.append(run.folder, {"kind": "phase", "phase": phase.name, "blocks": 1})
    done = state.of_phase(phase.name).get(0)
    whole = done is not None and ledgers.is_trusted(out, done, verify=run.verify)
    run.progress.begin(phase.name, 1, int(whole))
    if whole:
        return
    run.interrupt.check()
    began, began_cpu = time.perf_counter(), time.thread_time()
    owned = phase.owns(context)
    for key in owned:
        remove(out / key)
        (out / key).parent.mkdir(parents=True, exist_ok=True)
    phase.work(context)
    files = ledgers.record_files(out, owned)
    _refuse_shared_files(state, phase.name, files)
    ledgers.write_done(
        run.folder, phase.name, 0, files, time.perf_counter() - began, time.thread_time() - began_cpu
    )
    run.progress.advance()


def _refuse_shared_files(state: ledgers.Ledger, phase: str, files: dict[str, tuple[int, str]]) -> None:
    for record in state.done.values():
        if record.phase != phase and (shared := record.files.keys() & files.keys()):
            raise StepError(
                f"phases {record.phase} and {phase} both own {sorted(shared)[0]}: a file belongs to one phase"
            )


def _run_iterate(run: Run, phase: Iterate) -> None:
    context, out = run.context, run.context.out
    limit = phase.limit(context)
    ledgers.append(run.folder, {"kind": "phase", "phase": phase.name, "blocks": limit})
    done = ledgers.read(run.folder).of_phase(phase.name)
    trusted = [
        index for index in sorted(done, reverse=True) if ledgers.is_trusted(out, done[index], verify=True)
    ]
    iteration = trusted[0] if trusted else -1
    run.progress.begin(phase.name, limit, max(iteration, 0))
    if iteration < 0:
        run.interrupt.check()
        _keep(run, phase, 0, time.perf_counter(), time.thread_time(), phase.start(context))
        iteration = 0
    while True:
        state = load_arrays(out / checkpoint_key(run.fingerprint, phase.name, iteration))
        if iteration >= limit or phase.finished(context, state):
            return
        run.interrupt.check()
        began, began_cpu = time.perf_counter(), time.thread_time()
        iteration += 1
        _keep(run, phase, iteration, began, began_cpu, phase.advance(context, state))
        run.progress.advance()


def _keep(run: Run, phase: Iterate, iteration: int, began: float, began_cpu: float, state: Arrays) -> None:
    key = save_state(run.context.out, run.fingerprint, phase.name, iteration, state)
    files = ledgers.record_files(run.context.out, [key])
    ledgers.write_done(
        run.folder, phase.name, iteration, files, time.perf_counter() - began, time.thread_time() - began_cpu
    )
