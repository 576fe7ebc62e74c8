"""What a step is: its declaration, and the context its functions receive.

A step module in ``triptych.steps`` holds one ``STEP = Step(...)``. Its module level imports nothing heavy (the command
line and the Snakefile read every declaration); functions import their numerics inside.

A step does its work in phases, run in order by ``triptych.engine.run``:

``Map``      one call per block, in any order, on any worker; a block owns whole files.
``Iterate``  a loop with a checkpoint per iteration; inside, ``Context.map`` spreads work over the workers.
``Reduce``   one call in one process.

Every function takes a ``Context`` and must depend on nothing but settings, inputs and block index, so that a result is the
same bytes whatever the workers, their order, and the restarts. Functions of a ``Map`` and those given to ``Context.map`` are
module-level functions, because they may be sent to other processes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    import numpy as np

State: TypeAlias = "dict[str, np.ndarray[Any, Any]]"

Scope = Literal["sample", "subject", "cohort"]
Kind = Literal["volume", "cloud", "signal"]
KINDS: tuple[Kind, ...] = ("volume", "cloud", "signal")

T = TypeVar("T")
R = TypeVar("R")


class Settings(BaseModel):
    """Base of the settings of a step: unknown keys are errors, values are bounded, units stand in the names.

    Every field has a default and a ``Field(description=...)``: config.yaml is generated from them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


@dataclass(frozen=True)
class Input:
    """A named input of a step.

    Attributes
    ----------
    name : option name without dashes, e.g. ``"cloud"`` for ``--cloud PATH``.
    help : one line for ``triptych step STEP --help``.
    store : file or folder inside the result folder of the producing step, e.g. ``"cloud.zarr"``; None for raw files.
    producers : per kind of sample, the step that makes it, e.g. ``{"cloud": "import_cloud"}``; empty for raw files.
    alternatives : per kind, another step that makes it; a study takes the first of the two that it wants.
    required : False for an input that the study may leave out.
    many : True for an input of a cohort step: one per sample, given by ``--inputs-from FILE``.
    sheet : for a raw input, the column of the sample sheet that names it (``"path"``, ``"probability"``, ...).
    files : for a raw input of several files (.set + .fdt, slices, split FIF): all of them, from the one that is named.
    when : asked with the step's settings and the sample's row of the sheet (of a cohort: its kind alone) whether a study
        gives this optional input.
    """

    name: str
    help: str
    store: str | None = None
    producers: Mapping[Kind, str] = field(default_factory=dict)
    stores: Mapping[Kind, str] = field(default_factory=dict)
    alternatives: Mapping[Kind, str] = field(default_factory=dict)
    required: bool = True
    many: bool = False
    sheet: str | None = None
    files: Callable[[Path], Sequence[Path]] | None = None
    when: Callable[[Any, Mapping[str, str]], bool] | None = None

    @property
    def makers(self) -> list[str]:
        """Every step that may make it."""
        return sorted({*self.producers.values(), *self.alternatives.values()})

    def store_for(self, kind: Kind | None) -> str | None:
        """Name of the store for samples of this kind (``stores`` where it differs by kind, else ``store``)."""
        return self.stores.get(kind, self.store) if kind else self.store


@dataclass(frozen=True)
class Source:
    """A resolved input: where it lies and what it is.

    Attributes
    ----------
    path : the raw file or folder, or the store inside the producing step's folder.
    digest : sha256 of the raw content, or the output digest of the producing step's manifest.
    manifest : the producing step's manifest; None for raw files.
    """

    path: Path
    digest: str
    manifest: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Context:
    """What a step's functions know. Picklable; sent to every worker.

    Attributes
    ----------
    out : result folder of the step.
    settings : instance of the step's settings model, sheet fields of the sample merged in.
    inputs : single inputs by name; an optional input that is not given is absent.
    collections : inputs with ``many=True`` by name: sample name -> Source, sorted by sample name.
    sample : sample name, or None when a step is typed by hand without one. Never changes a result.
    sheet : for cohort steps: sample name -> the fields of the sheet that describe it (group, batch, subject, session).
    kind : kind of the sample or cohort.
    device : ``"cpu"`` or ``"cuda:i"``.
    workers : number of workers. Never changes a result.
    """

    out: Path
    settings: Any
    inputs: Mapping[str, Source]
    collections: Mapping[str, Mapping[str, Source]] = field(default_factory=dict)
    sample: str | None = None
    sheet: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    kind: Kind | None = None
    device: str = "cpu"
    workers: int = 1
    left_out: Mapping[str, str] = field(default_factory=dict)
    mapper: Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]] | None = field(
        default=None, repr=False, compare=False
    )

    def path(self, key: str) -> Path:
        """Absolute path of a key (relative to the result folder), e.g. ``path("cloud.zarr")``."""
        return self.out / key

    @property
    def scratch(self) -> Path:
        """Folder for what one phase leaves for the next; removed when the step is complete."""
        return self.out / "scratch"

    def source(self, name: str) -> Path:
        """Path of a required single input."""
        return self.inputs[name].path

    def map(self, function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        """Apply a picklable function to every item on the workers; results come in the order of the items.

        Only inside ``Iterate.advance``, ``Iterate.start`` and ``Reduce.work`` (a worker's own context has no mapper and
        runs the items one after the other).
        """
        if self.mapper is None:
            return map(function, items)
        return self.mapper(function, items)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "mapper": None}


@dataclass(frozen=True)
class Map:
    """A phase over blocks.

    Attributes
    ----------
    count : number of blocks.
    owns : keys (paths relative to ``out``) of the whole files that block i owns; they are unlinked before the block is
        computed, and those that exist afterwards are synced, hashed and recorded. Blocks never share a key. A file that is not
        there afterwards is recorded as empty (zarr writes no shard that holds only the fill value).
    work : computes block i and writes its files. Whole shards only.
    """

    name: str
    count: Callable[[Context], int]
    owns: Callable[[Context, int], Sequence[str]]
    work: Callable[[Context, int], None]


@dataclass(frozen=True)
class Reduce:
    """A phase in one process. ``owns`` names files or folders, removed before and recorded after ``work``."""

    name: str
    owns: Callable[[Context], Sequence[str]]
    work: Callable[[Context], None]


@dataclass(frozen=True)
class Iterate:
    """A loop with one checkpoint per iteration.

    The state is a flat dict of arrays (no objects; scalars as 0-d arrays) that holds everything the next iteration needs,
    random state and history included. The last state is handed to later phases as ``load_state(context, phase)``.
    """

    name: str
    start: Callable[[Context], State]
    advance: Callable[[Context, State], State]
    finished: Callable[[Context, State], bool]
    limit: Callable[[Context], int]


Phase = Map | Reduce | Iterate


@dataclass(frozen=True)
class Estimate:
    """What a step will need, predicted before it runs (``triptych plan``)."""

    blocks: int
    output_bytes: int
    memory_bytes: int
    files: int


@dataclass(frozen=True)
class Step:
    """The declaration of a step.

    Attributes
    ----------
    name : verb_noun; also the rule, the module, the settings section, the results folder, the log and the test.
    version : raised whenever the same settings would give another result.
    scope : what one run of it covers.
    kinds : kinds of samples it applies to; none for the report, which takes all of them at once.
    settings : its settings model. Fields that carry the name of a column of the sample sheet (``sheet_fields``) are
        overridden by the sample's row.
    inputs, outputs : named inputs; stores it writes (keys relative to its folder, scratch left out; ``*`` may stand for a
        part of a name, e.g. ``"labels_*.ome.zarr"``).
    phases : in order.
    summary : called last; returns what goes into the manifest: ``{"counts": {...}, "scores": {...}, "notes": [...]}``,
        deterministic, no path, host or time.
    probe : for a step that reads raw files: the extent of a recording, read from its header alone: volumes
        ``{"shape": (z, y, x), "itemsize": 1}``, clouds ``{"events": n, "channels": d}``, signals
        ``{"channels": p, "samples": t, "sampling_rate_hz": f}``.
    estimate : from the extent of the raw recording (as given by ``probe`` of the import step) and the
        settings, what it will need; None for steps of no weight.
    render : makes what is shown from the finished result and from volatile facts (times, provenance of other steps), such as
        report.html; it is in no digest, and is made again whenever the step is asked for.
    devices : ``("cpu",)`` or ``("cpu", "cuda")``.
    least_samples : for a cohort step, the fewest samples with which it means something.
    wanted : asked with the settings of the whole study whether the step takes part in it; typed by hand it always runs.
    """

    name: str
    version: int
    scope: Scope
    kinds: tuple[Kind, ...]
    help: str
    settings: type[Settings]
    inputs: tuple[Input, ...]
    outputs: tuple[str, ...]
    phases: tuple[Phase, ...]
    summary: Callable[[Context], dict[str, Any]]
    sheet_fields: tuple[str, ...] = ()
    estimate: Callable[[Mapping[str, Any], Any], Estimate] | None = None
    probe: Callable[[Path, Any], Mapping[str, Any]] | None = None
    render: Callable[[Context], None] | None = None
    devices: tuple[str, ...] = ("cpu",)
    least_samples: int = 1
    wanted: Callable[[Any], bool] | None = None

    @property
    def command(self) -> str:
        """Name on the command line."""
        return self.name.replace("_", "-")


def load_state(context: Context, phase: str) -> State:
    """The final state of an ``Iterate`` phase of this run, for the phases after it."""
    from triptych.engine.checkpoint import last_state

    return last_state(context.out, phase)
