"""Running a step: resolve, take the lease, do what is missing, write the manifest last.

Order that makes every interruption harmless. Under a fingerprint F: unlink the manifest; remove every other ledger and
checkpoint folder and sync the parent; only then touch the stores. A ledger of F that is complete is proof: sizes are checked,
the manifest is written again, and the step is done at once.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from triptych.engine import ledger as ledgers
from triptych.engine.executors import EXECUTORS, ExecutorName, open_executor
from triptych.engine.files import PARTIAL, sync_folder, write_json
from triptych.engine.fingerprint import RawDigests, differences, fingerprint, settings_digest
from triptych.engine.folder import note_failure, refuse_foreign
from triptych.engine.geometry import part_of
from triptych.engine.inputs import Given, kind_of, resolve_inputs
from triptych.engine.interrupt import Interrupt, listening
from triptych.engine.lease import alone, lease, this_process, wait_for_writers
from triptych.engine.manifest import (
    FAILURE,
    MANIFEST,
    PROVENANCE,
    hash_outputs,
    output_digest,
    output_files,
    read_json,
    write_manifest,
)
from triptych.engine.phases import Run, needed_phases, remove, remove_scratch, run_phase
from triptych.engine.progress import Progress, Quiet
from triptych.engine.provenance import cpu_seconds, provenance
from triptych.engine.settings import choose_device, read_settings
from triptych.engine.step import Context, Kind, Map, Settings, Step
from triptych.errors import InputError, StepError, TriptychError, UsageError

ProgressFactory = Callable[[str], AbstractContextManager[Progress]]


@dataclass(frozen=True)
class Execution:
    """How a step is executed; nothing here changes a result, except the class of the device."""

    workers: int = 1
    executor: ExecutorName = "threads"
    scheduler: str | None = None
    device: str = "auto"
    verify: bool = False
    phase: str | None = None
    part: tuple[int, int] | None = None


@dataclass(frozen=True)
class Outcome:
    """What a run of a step did: ``fresh`` is False when a finished result was found whole."""

    manifest: Mapping[str, Any]
    fresh: bool
    seconds: float


def cohort_part(
    step: Step, sheet: Mapping[str, Mapping[str, str]], left_out: Mapping[str, str], kind: Kind | None
) -> dict[str, Any]:
    """What of the sample sheet is in the settings digest of a step."""
    part: dict[str, Any] = {"kind": kind} if len(step.kinds) > 1 else {}
    if step.scope == "cohort":
        part |= {"samples": {name: dict(sheet[name]) for name in sorted(sheet)}, "left_out": dict(left_out)}
    return part


def run_step(
    step: Step,
    inputs: Given,
    out: Path | str,
    settings: Mapping[str, Any] | Settings | None = None,
    *,
    execution: Execution | None = None,
    sample: str | None = None,
    kind: Kind | None = None,
    sheet: Mapping[str, Mapping[str, str]] | None = None,
    left_out: Mapping[str, str] | None = None,
    expect: str | None = None,
    progress: ProgressFactory | None = None,
    **shortcuts: Any,
) -> Outcome:
    """Run a step, or what is left of it.

    Parameters
    ----------
    inputs : input name -> path, or -> {sample: path} for inputs of cohort steps.
    out : result folder.
    settings : of the step; missing keys take their defaults.
    execution : workers, executor, device, range of blocks. ``workers=2`` and the like may be given directly.
    sheet, left_out : for cohort steps: descriptive fields of every sample, and samples left out with the reason.
    expect : settings digest that the caller (a rule) computed; another one is refused.

    Raises
    ------
    UsageError, InputError, StepError, InterruptedStep
    """
    execution = replace(execution or Execution(), **shortcuts)
    out = Path(out).absolute()
    began, began_cpu = time.monotonic(), cpu_seconds()
    if execution.executor not in EXECUTORS:
        raise UsageError(f"executor {execution.executor!r} is none of {', '.join(EXECUTORS)}")
    refuse_foreign(step, out)
    checked = read_settings(step, settings or {})
    sheet, left_out = sheet or {}, left_out or {}
    kind = kind or kind_of(step, inputs)
    found = settings_digest(
        step.name, step.version, checked.model_dump(mode="json"), cohort_part(step, sheet, left_out, kind)
    )
    if expect is not None and expect != found:
        error = UsageError(
            f"{step.command} would run with settings {found[:12]}, but {expect[:12]} was expected: config.yaml or the "
            "sample sheet changed since the run began; start triptych run again"
        )
        note_failure(out, error, create=True)
        raise error
    device = choose_device(step, execution.device)
    part_name = None
    if execution.part is not None:
        part_name = f"{_phase_of_part(step, execution).name}.{execution.part[0]}-of-{execution.part[1]}"
    raw = RawDigests(out)
    try:
        singles, collections = resolve_inputs(step, inputs, kind, raw)
    except InputError as error:
        note_failure(out, error, create=expect is not None)
        raise
    parts = {
        "settings": found,
        "inputs": {
            **{name: source.digest for name, source in singles.items()},
            **{name: {key: s.digest for key, s in group.items()} for name, group in collections.items()},
        },
        "device": device.partition(":")[0],
    }
    context = Context(
        out=out, settings=checked, inputs=singles, collections=collections, sample=sample, sheet=sheet, kind=kind,
        device=device, workers=execution.workers, left_out=left_out,
    )  # fmt: skip
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"--out {out} cannot be made ({error.strerror}); give a folder that you may write"
        ) from error
    with (
        listening() as interrupt,
        (progress or (lambda _name: nullcontext(Quiet())))(step.command) as told,
        lease(out, part_name),
    ):
        raw.save()
        try:
            outcome = _run(step, context, parts, execution, interrupt, told, (began, began_cpu))
        except TriptychError as error:
            note_failure(out, error)
            raise
        except Exception as error:
            hint = "; an input is damaged, triptych verify names it" if "checksum" in str(error) else ""
            failure = StepError(
                f"{step.command} failed in {out}: {type(error).__name__}: {error or 'no message'}{hint}"
            )
            note_failure(out, failure)
            raise failure from error
    return outcome


def _run(
    step: Step, context: Context, parts: dict[str, Any], execution: Execution, interrupt: Interrupt, told: Progress,
    began: tuple[float, float],
) -> Outcome:  # fmt: skip
    out = context.out
    name = fingerprint(parts)
    folder = ledgers.ledger_folder(out, name)
    with alone(out, "prepare"):
        if step.probe is not None and (out / MANIFEST).exists() and not folder.is_dir():
            # A recording that cannot be read must not cost the result that stands here.
            step.probe(context.source(step.inputs[0].name), context.settings)
        remove(out / FAILURE)
        finished = _finished(step, context, folder, execution.verify, told)
        if finished is not None and execution.part is None:
            write_manifest(out, finished)
            if step.render is not None:
                step.render(context)
            return Outcome(finished, fresh=False, seconds=time.monotonic() - began[0])
        if finished is None:
            _begin(step, context, folder, parts, told)
    with open_executor(execution.executor, execution.workers, interrupt, execution.scheduler) as executor:
        context = replace(context, mapper=executor.map)
        run = Run(context, name, executor, interrupt, told, execution.verify)
        if execution.part is not None:
            return _run_part(step, run, execution, began)
        for phase in needed_phases(run, step.phases):
            run_phase(run, phase)
    interrupt.check()
    manifest = _complete(step, context, folder, parts, name)
    write_json(
        out / PROVENANCE,
        provenance(*began, context.device, execution.executor, execution.workers, ledgers.read(folder)),
    )
    if step.render is not None:
        step.render(context)
    write_manifest(out, manifest)
    remove_scratch(context, folder, step.phases)
    return Outcome(manifest, fresh=True, seconds=time.monotonic() - began[0])


def _finished(
    step: Step, context: Context, folder: Path, verify: bool, told: Progress
) -> dict[str, Any] | None:
    """The manifest of a complete ledger whose stores lie there whole; None otherwise.

    A file in the stores that this step never wrote may be read as data (a chunk that was empty), so it is removed.
    """
    state = ledgers.read(folder)
    if state.complete is None:
        return None
    recorded: dict[str, list[Any]] = state.complete["files"]
    present = output_files(context.out, step.outputs)
    for key in present.keys() - recorded.keys():
        told.say(f"removed {key}, which this step never wrote")
        present.pop(key).unlink()
    whole = present.keys() == recorded.keys() and ledgers.is_trusted(
        context.out,
        ledgers.Done("", 0, {key: (size, digest) for key, (size, digest) in recorded.items()}, 0.0),
        verify=verify,
    )
    manifest: dict[str, Any] = state.complete["manifest"]
    return manifest if whole else None


def _begin(step: Step, context: Context, folder: Path, parts: dict[str, Any], told: Progress) -> None:
    """Clear what another fingerprint left, then start or go on under this one."""
    out = context.out
    ledger_root = out / ledgers.FOLDER
    others = [entry for entry in ledger_root.iterdir() if entry.is_dir() and entry != folder]
    if others or not folder.is_dir():
        (out / MANIFEST).unlink(missing_ok=True)
        sync_folder(out)
        if others:
            _say_why(others[0], context, parts, told)
        with wait_for_writers(out):
            for entry in others:
                shutil.rmtree(entry)
            checkpoints = out / "checkpoints"
            if checkpoints.is_dir():
                shutil.rmtree(checkpoints)
            sync_folder(ledger_root)
            for path in (*_stores(step, out), context.scratch, out / "parts"):
                remove(path)
        (ledger_root / "step").write_text(step.name + "\n")
        folder.mkdir(exist_ok=True)
        write_json(
            folder / "parts.json", parts | {"settings_values": context.settings.model_dump(mode="json")}
        )
        sync_folder(ledger_root)
    (out / MANIFEST).unlink(missing_ok=True)
    for stray in out.rglob(f"*{PARTIAL}"):
        stray.unlink(missing_ok=True)
    ledgers.append(folder, {"kind": "start", "process": this_process()})


def _stores(step: Step, out: Path) -> list[Path]:
    keys = output_files(out, step.outputs)
    return sorted({out / Path(key).parts[0] for key in keys})


def _say_why(old: Path, context: Context, parts: dict[str, Any], told: Progress) -> None:
    """Name the settings or inputs because of which the result is made again."""
    before = read_json(old / "parts.json")
    if before is None:
        return
    values = before.pop("settings_values", {})
    changed = [f"setting {key}" for key in differences(values, context.settings.model_dump(mode="json"))]
    changed += [f"{key} (another input)" for key in differences(before["inputs"], parts["inputs"])]
    if before["device"] != parts["device"]:
        changed.append("device")
    told.say(f"made again because of: {', '.join(changed) or 'the step version or the samples of the study'}")


def _phase_of_part(step: Step, execution: Execution) -> Map:
    """The map phase that ``--blocks`` cuts."""
    maps = [phase for phase in step.phases if isinstance(phase, Map)]
    if len(maps) != 1:
        raise UsageError(f"{step.command} has {len(maps)} map phases; --blocks takes steps with exactly one")
    if execution.phase not in (None, maps[0].name):
        raise UsageError(f"{step.command} has no map phase {execution.phase!r}; it has {maps[0].name!r}")
    return maps[0]


def _run_part(step: Step, run: Run, execution: Execution, began: tuple[float, float]) -> Outcome:
    """A range of a map phase, for a job array."""
    assert execution.part is not None
    wanted = _phase_of_part(step, execution)
    with alone(run.context.out, "before"):
        for phase in step.phases[: step.phases.index(wanted)]:
            run_phase(run, phase)
    part, parts = execution.part
    try:
        blocks = part_of(wanted.count(run.context), part, parts)
    except ValueError as error:
        raise UsageError(f"--blocks {part}/{parts}: {error}") from error
    run_phase(run, wanted, blocks)
    run.interrupt.check()
    done = ledgers.read(run.folder).of_phase(wanted.name)
    files = {key: entry for index in blocks for key, entry in done[index].files.items()}
    content = {
        "step": step.name,
        "fingerprint": run.fingerprint,
        "phase": wanted.name,
        "blocks": [blocks.start, blocks.stop],
        "digest": output_digest({key: digest for key, (_, digest) in files.items()}),
    }
    write_json(run.context.out / "parts" / f"{wanted.name}.{part}-of-{parts}.json", content)
    return Outcome(content, fresh=True, seconds=time.monotonic() - began[0])


def _complete(step: Step, context: Context, folder: Path, parts: dict[str, Any], name: str) -> dict[str, Any]:
    """Digest the stores, append the complete line, and return the manifest."""
    summary = step.summary(context)
    files = hash_outputs(output_files(context.out, step.outputs), ledgers.read(folder).files())
    manifest = {
        "step": step.name,
        "version": step.version,
        "kind": context.kind,
        "settings": context.settings.model_dump(mode="json"),
        "settings_digest": parts["settings"],
        "fingerprint": name,
        "fingerprint_parts": parts,
        "inputs": {entry: _origin(source.manifest) for entry, source in sorted(context.inputs.items())}
        | {
            entry: {key: _origin(source.manifest) for key, source in group.items()}
            for entry, group in sorted(context.collections.items())
        },
        "outputs": sorted({Path(key).parts[0] for key in files}),
        "output_digest": output_digest({key: digest for key, (_, digest) in files.items()}),
        "bytes": sum(size for size, _ in files.values()),
        "files": len(files),
        "left_out": dict(context.left_out),
        **{
            entry: summary.get(entry, default)
            for entry, default in (("counts", {}), ("scores", {}), ("notes", []))
        },
    }
    ledgers.append(
        folder,
        {
            "kind": "complete",
            "manifest": manifest,
            "files": {key: list(value) for key, value in files.items()},
        },
    )
    return manifest


def _origin(manifest: Mapping[str, Any] | None) -> dict[str, Any]:
    """What a manifest says of an input: the step and the digest of its output; nothing for raw files."""
    if manifest is None:
        return {"step": None}
    return {"step": manifest["step"], "output_digest": manifest["output_digest"]}
