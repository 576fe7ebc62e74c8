"""A small step with every sort of phase, for tests of the engine: sums the squares of a number list, block by block."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from triptych.engine.files import load_arrays, save_arrays
from triptych.engine.step import Context, Input, Iterate, Map, Reduce, Settings, Step, load_state


class ToySettings(Settings):
    """Settings of the toy."""

    blocks: int = Field(6, ge=1, description="number of blocks")
    power: float = Field(2.0, gt=0, description="exponent")
    rounds: int = Field(5, ge=1, description="iterations")
    nap_s: float = Field(0.0, ge=0, description="seconds a block takes")
    kill_at: int = Field(-1, description="block at which the process kills itself, once")


def key(index: int) -> str:
    return f"blocks.store/c/{index}"


def work(context: Context, index: int) -> None:
    settings = context.settings
    time.sleep(settings.nap_s)
    mark = context.out.parent / f"killed-{settings.kill_at}"
    if index == settings.kill_at and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    values = np.array([float(v) for v in context.source("numbers").read_text().split()])
    part = values[index :: settings.blocks]
    if part.size:
        save_arrays(context.path(key(index)), {"sum": np.sum(np.abs(part) ** settings.power)})


def start(context: Context) -> dict[str, np.ndarray[Any, Any]]:
    return {"value": np.float64(1.0), "round": np.int64(0)}  # type: ignore[dict-item]


def add(pair: tuple[float, int]) -> float:
    return pair[0] / (pair[1] + 1)


def advance(context: Context, state: dict[str, np.ndarray[Any, Any]]) -> dict[str, np.ndarray[Any, Any]]:
    time.sleep(context.settings.nap_s)
    total = sum(context.map(add, [(float(state["value"]), i) for i in range(4)]))
    return {"value": np.asarray(total), "round": state["round"] + 1}


def finished(context: Context, state: dict[str, np.ndarray[Any, Any]]) -> bool:
    return bool(state["round"] >= context.settings.rounds)


def merge(context: Context) -> None:
    found = [
        load_arrays(context.path(key(i)))["sum"]
        for i in range(context.settings.blocks)
        if context.path(key(i)).exists()
    ]
    context.path("total.txt").write_text(f"{sum(found)!r} {load_state(context, 'iterate')['value']!r}\n")


def make_toy(**changes: Any) -> Step:
    values: dict[str, Any] = {
        "name": "toy_step",
        "version": 1,
        "scope": "sample",
        "kinds": ("cloud",),
        "help": "A toy.",
        "settings": ToySettings,
        "inputs": (Input("numbers", "numbers in a text file", sheet="path"),),
        "outputs": ("blocks.store", "total.txt"),
        "phases": (
            Map("square", lambda c: c.settings.blocks, lambda c, i: [key(i)], work),
            Iterate("iterate", start, advance, finished, lambda c: c.settings.rounds),
            Reduce("merge", lambda c: ["total.txt"], merge),
        ),
        "summary": lambda c: {"counts": {"blocks": c.settings.blocks}},
    }
    return Step(**(values | changes))


def write_numbers(folder: Path, count: int = 40) -> Path:
    path = folder / "numbers.txt"
    path.write_text(" ".join(str(v) for v in range(count)))
    return path


def content(out: Path) -> dict[str, bytes]:
    """Bytes of the manifest and of every store file."""
    kept = ("manifest.json", "blocks.store", "total.txt")
    return {
        p.relative_to(out).as_posix(): p.read_bytes()
        for p in sorted(out.rglob("*"))
        if p.is_file() and p.relative_to(out).parts[0] in kept
    }
