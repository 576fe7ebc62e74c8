"""Provenance: who made a result, when, with what, and what it cost. Never an input, in no digest."""

from __future__ import annotations

import os
import platform
import resource
import socket
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from triptych.engine.ledger import Ledger

PACKAGES = (
    "triptych",
    "numpy",
    "scipy",
    "numba",
    "zarr",
    "numcodecs",
    "dask",
    "distributed",
    "torch",
    "mne",
    "pot",
    "scikit-learn",
    "anndata",
    "pyarrow",
)
SCHEDULER_VARIABLES = ("SLURM_JOB_ID", "SLURM_ARRAY_TASK_ID", "LSB_JOBID", "PBS_JOBID", "JOB_ID")
KIB = 1024


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def provenance(
    began: float, began_cpu: float, device: str, executor: str, workers: int, ledger: Ledger
) -> dict[str, Any]:
    """What to write beside the manifest.

    ``wall_s`` and ``cpu_s`` are of this process (and its ended children); ``blocks_cpu_s`` sums every block of every start.
    """
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "argv": sys.argv,
        "versions": _versions(),
        "machine": platform.machine(),
        "system": platform.platform(),
        "host": socket.gethostname(),
        "device": device,
        "executor": executor,
        "workers": workers,
        "scheduler": {name: os.environ[name] for name in SCHEDULER_VARIABLES if name in os.environ},
        "ended": datetime.now(UTC).isoformat(timespec="seconds"),
        "wall_s": round(time.monotonic() - began, 3),
        "cpu_s": round(cpu_seconds() - began_cpu, 3),
        "blocks_cpu_s": round(sum(record.cpu for record in ledger.done.values()), 3),
        "peak_memory_bytes": max(own.ru_maxrss, children.ru_maxrss) * KIB,
        "restarts": max(0, ledger.starts - 1),
    }


def cpu_seconds() -> float:
    """CPU time of this process and its ended children."""
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    )
