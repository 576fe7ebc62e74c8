"""What this machine has and lacks, found by trying it."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Literal

Level = Literal["ok", "warning", "missing"]
NEEDED = (
    "numpy",
    "scipy",
    "numba",
    "zarr",
    "snakemake",
    "dask",
    "distributed",
    "mne",
    "mne_bids",
    "ot",
    "flowio",
    "anndata",
    "pyarrow",
)
DISTRIBUTIONS = {"ot": "pot"}
GIB = 2**30
LEAST_DISK_GIB = 2.0
LEAST_MEMORY_GIB = 2.0


@dataclass(frozen=True)
class Finding:
    """One thing that was tried."""

    level: Level
    what: str
    found: str
    remedy: str = ""

    def as_json(self) -> dict[str, str]:
        """Plain JSON types."""
        return asdict(self)


def examine(folder: Path) -> list[Finding]:
    """Try everything a run in this folder needs."""
    checks: tuple[Callable[[Path], list[Finding]], ...] = (
        _packages,
        _command,
        _device,
        _machine,
        _file_system,
        _schedulers,
    )
    return [finding for check in checks for finding in check(folder)]


def _packages(_folder: Path) -> list[Finding]:
    findings = []
    for name in NEEDED:
        try:
            import_module(name)
            findings.append(Finding("ok", name, version(DISTRIBUTIONS.get(name, name))))
        except ImportError as error:
            findings.append(
                Finding("missing", name, str(error), f"pip install {DISTRIBUTIONS.get(name, name)}")
            )
    return findings


def _command(_folder: Path) -> list[Finding]:
    found = shutil.which("triptych")
    if found:
        return [Finding("ok", "triptych on PATH", found)]
    return [
        Finding(
            "warning",
            "triptych on PATH",
            "no",
            "activate its environment (triptych run finds it all the same)",
        )
    ]


def _device(_folder: Path) -> list[Finding]:
    try:
        import torch
    except ImportError:
        return [
            Finding(
                "warning", "CUDA", "torch is not installed", "pip install 'triptych[gpu]' for the CUDA paths"
            )
        ]
    if not torch.cuda.is_available():
        return [Finding("ok", "CUDA", f"torch {torch.__version__} sees no device; steps run on the CPU")]
    return [
        Finding(
            "ok", "CUDA", ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))
        )
    ]


def _machine(folder: Path) -> list[Finding]:
    import psutil

    memory, disk = psutil.virtual_memory().available / GIB, shutil.disk_usage(folder).free / GIB
    return [
        Finding("ok", "cores", str(len(os.sched_getaffinity(0)))),
        Finding("ok" if memory >= LEAST_MEMORY_GIB else "warning", "free memory", f"{memory:.1f} GiB"),
        Finding("ok" if disk >= LEAST_DISK_GIB else "warning", "free disk here", f"{disk:.1f} GiB"),
    ]


def _file_system(folder: Path) -> list[Finding]:
    """Rename and lock as the engine uses them, in this folder."""
    try:
        with tempfile.TemporaryDirectory(dir=folder, prefix=".doctor-") as scratch:
            first, second = Path(scratch) / "a", Path(scratch) / "b"
            first.write_text("new")
            second.write_text("old")
            os.replace(first, second)
            renames = second.read_text() == "new"
            one, two = os.open(second, os.O_RDWR), os.open(second, os.O_RDWR)
            fcntl.flock(one, fcntl.LOCK_EX)
            try:
                fcntl.flock(two, fcntl.LOCK_EX | fcntl.LOCK_NB)
                locks = False
            except BlockingIOError:
                locks = True
            finally:
                os.close(one)
                os.close(two)
    except OSError as error:
        return [
            Finding(
                "missing", "writing here", error.strerror or str(error), "choose a folder you may write to"
            )
        ]
    return [
        Finding(
            "ok" if renames else "missing",
            "atomic rename here",
            "yes" if renames else "no",
            "" if renames else "use another disk",
        ),
        Finding(
            "ok" if locks else "missing",
            "locks here (flock)",
            "yes" if locks else "no",
            "" if locks else "mount with flock",
        ),
    ]


def _schedulers(_folder: Path) -> list[Finding]:
    found = [name for name in ("sbatch", "bsub", "qsub") if shutil.which(name)]
    return [Finding("ok", "cluster scheduler", ", ".join(found) if found else "none on this machine")]
