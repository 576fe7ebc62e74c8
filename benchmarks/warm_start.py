"""Coding with and without a warm start by torch, interleaved; called by ``encode.py --warm-start DEVICE``.

One thread on the CPU. Wall times include all: correlations, transfers, iterations, and the descent that finishes and settles the
code. Learning step sizes is told apart, as it is done once per dictionary. A ratio above one means that the warm start is slower.
The rest is what the wall time would be if the beginnings came at no time at all: no device can gain more.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triptych.dictionary import lgcd, warm_start
from triptych.dictionary.coding import MIN_CHUNK_WAVEFORMS, Chunks, Window
from triptych.dictionary.passes import ArrayRecording, Passes

Array = NDArray[np.float64]
CHUNK_S = 60.0
ITERATIONS = (30, 100, 300)
LEARNED = 30


def compare(
    name: str, problem: tuple[Array, Array, Array], rate: float, options: argparse.Namespace
) -> dict[str, Any]:
    """Cold and warm on one problem in turn."""
    import torch

    torch.set_num_threads(1)
    device = options.warm_start
    signal, spatial, temporal = problem
    length, samples = temporal.shape[1], signal.shape[1]
    size = max(round(CHUNK_S * rate), MIN_CHUNK_WAVEFORMS * length)
    passes = Passes(ArrayRecording(signal, np.ones(samples, dtype=bool)), Chunks(samples, length, size))
    penalty = options.regularization * passes.largest_correlation(spatial, temporal)
    model = lgcd.model(spatial, temporal, penalty, options.tolerance * penalty)
    began = time.perf_counter()
    steps = warm_start.learned_steps(passes.recording, model, LEARNED, device=device)
    learning = time.perf_counter() - began
    ways: dict[str, warm_start.WarmStart | None] = {"cold": None}
    ways |= {f"safe, {n}": warm_start.WarmStart(device, n) for n in ITERATIONS}
    ways[f"learned, {LEARNED}"] = warm_start.WarmStart(device, steps=steps)
    runs: dict[str, list[tuple[float, float, int, float, float]]] = {way: [] for way in ways}
    for repeat in range(options.repeats + 1):
        for way in list(ways) if repeat % 2 else list(ways)[::-1]:
            run = _coded(passes, model, ways[way])
            if repeat:  # the first run compiles and warms up
                runs[way].append(run)
    print(
        f"\n{name}: K = {len(spatial)}, L = {length}, P = {len(signal)}, {samples} samples, {len(passes.chunks)} chunks, "
        f"lambda = {penalty:.6g}, tolerance {options.tolerance:g} lambda, warm start on {device}; learning {learning:.1f} s"
    )
    print(
        f"{'steps':14} {'wall s':>8} {'of cold':>8} {'rest s':>8} {'of cold':>8} {'updates':>9} {'F off':>9} {'KKT/lambda':>11}"
    )
    found = {}
    for way, rows in runs.items():
        wall = statistics.median(row[0] for row in rows)
        rest = statistics.median(row[1] for row in rows)
        ratio, bound = (
            statistics.median(row[i] / cold[0] for row, cold in zip(rows, runs["cold"], strict=True))
            for i in (0, 1)
        )
        _, _, updates, value, kkt = rows[0]
        off = abs(value / runs["cold"][0][3] - 1)
        print(
            f"{way:14} {wall:8.3f} {ratio:8.2f} {rest:8.3f} {bound:8.2f} {updates:9d} {off:9.1e} {kkt / penalty:11.1e}"
        )
        found[way] = {
            "wall_s": wall, "of_cold": ratio, "rest_s": rest, "rest_of_cold": bound, "updates": updates, "objective_off": off,
        }  # fmt: skip
    best = min((row["of_cold"], way) for way, row in found.items() if way != "cold")
    print(
        f"the descent alone {'wins' if best[0] > 1 else 'loses'}: the best warm start on {device} ({best[1]}) takes {best[0]:.2f} "
        "times its wall time"
    )
    return found


def _coded(
    passes: Passes, model: lgcd.Model, how: warm_start.WarmStart | None
) -> tuple[float, float, int, float, float]:
    """Wall time, that without the beginnings, updates, objective and KKT residual."""
    begun = 0.0

    def warm(windows: list[Window]) -> list[Window]:
        nonlocal begun
        assert how
        began = time.perf_counter()
        found = warm_start.begin(passes.recording, model, how, windows)
        begun += time.perf_counter() - began
        return found

    wall = time.perf_counter()
    events, updates = passes.code(model, warm=warm if how else None)
    wall = time.perf_counter() - wall
    violation, energies = passes.certify(model, events)
    return wall, wall - begun, updates, energies.objective(model.penalty), violation.kkt
