"""From the paths a user gives to resolved inputs with their digests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from triptych.engine.fingerprint import RawDigests
from triptych.engine.manifest import MANIFEST, read_manifest
from triptych.engine.step import KINDS, Input, Kind, Source, Step
from triptych.errors import InputError, UsageError

Given = Mapping[str, "Path | Mapping[str, Path]"]

T = TypeVar("T")


def resolve_inputs(
    step: Step, given: Given, kind: Kind | None, raw: RawDigests
) -> tuple[dict[str, Source], dict[str, dict[str, Source]]]:
    """Resolve single inputs and collections.

    Raises
    ------
    UsageError
        A required input is not given, or one is given that the step does not have.
    InputError
        A path is not there, or the step that makes it has not finished.
    """
    known = {entry.name: entry for entry in step.inputs}
    if unknown := sorted(given.keys() - known.keys()):
        raise UsageError(f"{step.command} has no input {unknown[0]!r}; it takes {', '.join(known) or 'none'}")
    singles: dict[str, Source] = {}
    collections: dict[str, dict[str, Source]] = {}
    for entry in step.inputs:
        value = given.get(entry.name)
        if value is None or (entry.many and not value):
            if entry.required:
                lines = f"--inputs-from FILE with lines of {entry.name}, sample, path"
                raise UsageError(
                    f"{step.command} needs {lines if entry.many else option(entry)} ({entry.help})"
                )
        elif isinstance(value, Mapping):
            collections[entry.name] = {
                name: _resolve(step, entry, Path(value[name]), kind, raw) for name in sorted(value)
            }
        else:
            singles[entry.name] = _resolve(step, entry, Path(value), kind, raw)
    return singles, collections


def option(entry: Input) -> str:
    """How the command line spells an input."""
    return f"--{entry.name.replace('_', '-')}"


def kind_of(step: Step, given: Given) -> Kind | None:
    """Kind of sample, told by the steps that made the inputs; None where nothing tells it."""
    if len(step.kinds) == 1:
        return step.kinds[0]
    for entry in step.inputs:
        value = given.get(entry.name)
        paths = list(value.values()) if isinstance(value, Mapping) else [value] if value is not None else []
        for path in paths[:1]:
            manifest = read_manifest(_folder(Path(path))) or {}
            if manifest.get("kind") in KINDS:
                return manifest["kind"]
            for kind in KINDS:
                if manifest.get("step") and entry.producers.get(kind) == manifest["step"]:
                    return kind
                if Path(path).name == entry.store_for(kind) and len(set(entry.stores.values())) > 1:
                    return kind
    return None


def _folder(path: Path) -> Path:
    """The result folder that a path means: the folder itself, its manifest, or a store in it."""
    if path.name == MANIFEST:
        return path.parent
    return path if (path / MANIFEST).exists() or not (path.parent / MANIFEST).exists() else path.parent


def _resolve(step: Step, entry: Input, path: Path, kind: Kind | None, raw: RawDigests) -> Source:
    if not path.exists():
        made = path.parent.name if path.name == MANIFEST else ""
        remedy = f"run {made.replace('_', '-')} first" if made else "check the path"
        raise InputError(f"{option(entry)} {path} does not exist; {remedy}")
    if not entry.producers and entry.store is None and entry.sheet is not None:
        files = list(entry.files(path)) if entry.files else files_below(path)
        if missing := [file for file in files if not file.is_file()]:
            if missing[0] == path:
                raise InputError(f"{option(entry)} {path} is not a file; check the path")
            raise InputError(f"{path} needs {missing[0].name} beside it, which is missing")
        return Source(path.absolute(), raw.of(files, path if path.is_dir() else path.parent))
    folder = _folder(path)
    manifest = read_manifest(folder)
    store = entry.store_for(kind)
    if manifest is None:
        return _raw_store(entry, path, store, raw)
    if not {"step", "output_digest"} <= manifest.keys():
        raise InputError(f"{folder / MANIFEST} is damaged; triptych resume --verify makes it again")
    made = str(manifest["step"])
    if entry.producers and made not in entry.makers:
        wanted = " or ".join(entry.makers)
        raise InputError(
            f"{option(entry)} {path} holds a result of {made}; {step.command} needs one of {wanted}"
        )
    inside = folder / store if store else folder
    if not inside.exists():
        raise InputError(
            f"{folder} says that {made} is done, but {store} is missing; run {made.replace('_', '-')} again"
        )
    return Source(inside.absolute(), str(manifest["output_digest"]), manifest)


def _raw_store(entry: Input, path: Path, store: str | None, raw: RawDigests) -> Source:
    """A store without a manifest: foreign, or of a step that has not finished."""
    if (path / "ledger").is_dir() or (path.parent / "ledger").is_dir():
        producer = " or ".join(entry.makers) or "the step that makes it"
        raise InputError(
            f"{option(entry)} {path} is not finished; run {producer.replace('_', '-')} to its end first"
        )
    inside = path / store if store and path.is_dir() and (path / store).exists() else path
    if store and path.is_dir() and inside == path and not any(path.glob("zarr.json")):
        raise InputError(
            f"{option(entry)} {path} holds no {store}; give the folder of the step that makes it, or the store"
        )
    return Source(
        inside.absolute(), raw.of(files_below(inside), inside if inside.is_dir() else inside.parent)
    )


def files_below(path: Path) -> Sequence[Path]:
    """The file itself, or every file below a folder, sorted; hidden files are left out."""
    if not path.is_dir():
        return [path]
    return sorted(p for p in path.rglob("*") if p.is_file() and not p.name.startswith("."))
