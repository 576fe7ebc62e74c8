"""Learning atoms: triptych against alphacsc from the same atoms at the same lambda, interleaved; and planted atoms found.

Speed: outer iterations (coding, sums, update of maps and waveforms) from the same first atoms, without triptych's exchanges and
edits, so that both do the same work; CPU and wall time of an iteration, F reached. Recovery: triptych as users run it, on planted
atoms of 0 dB; score of an atom: |cosine of maps| times the largest |cross-correlation| of waveforms, matched one to one. alphacsc
runs in an environment of its own (see encode.py). Whole tables are printed, one JSON line last.

Usage: python benchmarks/learn.py [--seconds 60] [--iterations 20] [--repeats 5] [--seeds 10] [--peer PYTHON] [--file FIXED.npz]
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from encode import ATOMS, DURATION_S, RATE, Array, Peer, fixed, planted, stored, whole, windows_of
from scipy.optimize import linear_sum_assignment
from threadpoolctl import threadpool_limits

from triptych import dictionary
from triptych.dictionary import learning, lgcd, selection
from triptych.dictionary.coding import MIN_CHUNK_WAVEFORMS, Chunks
from triptych.dictionary.passes import ArrayRecording, Passes


def ours(problem: tuple[Array, Array, Array], options: argparse.Namespace) -> dict[str, Any]:
    """Outer iterations without edits; the first coding is that of alphacsc's first iteration."""
    signal, spatial, temporal = problem
    passes = whole(signal, temporal.shape[1])
    wall, cpu = time.perf_counter(), time.process_time()
    asked = learning.Options(len(spatial), options.regularization, 1e-2, options.iterations, 0.0, edits=False)
    state = learning.start(passes, asked, (spatial, temporal))
    # Tolerance in the unit of the signal, as alphacsc has it.
    asked = learning.Options(
        len(spatial), options.regularization, options.tolerance / float(state["penalty"]), options.iterations, 0.0,
        edits=False,
    )  # fmt: skip
    for _ in range(options.iterations):
        state = learning.advance(state, passes, asked)
    return {
        "wall": time.perf_counter() - wall,
        "cpu": time.process_time() - cpu,
        "objective": float(state["history"][-1, 1]),
        "penalty": float(state["penalty"]),
    }


def compare(
    name: str, problem: tuple[Array, Array, Array], peer: Peer, options: argparse.Namespace
) -> dict[str, Any]:
    """Both on one problem in turn."""
    mine, its = [], []
    with tempfile.TemporaryDirectory() as folder:
        request = {
            "what": "learn", "file": stored(Path(folder), *problem), "tolerance": options.tolerance,
            "iterations": options.iterations, "regularization": options.regularization,
        }  # fmt: skip
        for repeat in range(options.repeats):
            for own in (True, False) if repeat % 2 == 0 else (False, True):
                if own:
                    mine.append(ours(problem, options))
                else:
                    its.append(peer.ask(**request))
    n = options.iterations
    print(
        f"\n{name}: {n} outer iterations, lambda = {mine[0]['penalty']:.6g} (alphacsc {its[0]['penalty']:.6g})"
    )
    print(f"{'':10} {'CPU s / iteration':>18} {'wall s / iteration':>19} {'F':>14}")
    for label, rows in (("triptych", mine), ("alphacsc", its)):
        cpu, wall = (statistics.median(row[key] for row in rows) / n for key in ("cpu", "wall"))
        print(f"{label:10} {cpu:18.4f} {wall:19.4f} {rows[0]['objective']:14.3f}")
    found = {
        "cpu_ratio": statistics.median(b["cpu"] / a["cpu"] for a, b in zip(mine, its, strict=True)),
        "wall_ratio": statistics.median(b["wall"] / a["wall"] for a, b in zip(mine, its, strict=True)),
        "objective": mine[0]["objective"],
        "peer_objective": its[0]["objective"],
    }
    print(
        f"alphacsc takes {found['cpu_ratio']:.1f} times the CPU time, {found['wall_ratio']:.1f} times the wall time"
    )
    return found


def recovery(spatial: Array, temporal: Array, true_maps: Array, true_waves: Array) -> Array:
    """Score of every planted atom, 0 where there is no atom for it."""
    scores = np.abs(true_maps @ spatial.T)
    for i, wave in enumerate(true_waves):
        for j, other in enumerate(temporal):
            scores[i, j] *= np.abs(np.correlate(wave, other, "full")).max()
    rows, columns = linear_sum_assignment(-scores)
    found = np.zeros(len(true_maps))
    found[rows] = scores[rows, columns]
    return found


def recovered(options: argparse.Namespace) -> list[dict[str, float]]:
    """Planted atoms of every seed."""
    print(
        f"\nplanted atoms, 0 dB, {options.seconds:g} s\n{'seed':>5} {'mean':>7} {'least':>7} {'CPU s':>7} {'iterations':>11}"
    )
    rows = []
    for seed in range(options.seeds):
        signal, spatial, temporal = planted(options.seconds, seed)
        cpu = time.process_time()
        found = dictionary.learn(signal, ATOMS, round(DURATION_S * RATE), options.regularization, seed=seed)
        cpu = time.process_time() - cpu
        score = recovery(found.spatial, found.temporal, spatial, temporal)
        rows.append({"mean": float(score.mean()), "least": float(score.min()), "cpu_s": cpu})
        print(
            f"{seed:5d} {score.mean():7.3f} {score.min():7.3f} {cpu:7.2f} {len(found.history):11d}",
            flush=True,
        )
    good = sum(row["mean"] >= 0.95 and row["least"] >= 0.9 for row in rows)
    print(f"mean >= .95 and least >= .9 in {good} of {len(rows)}")
    return rows


def held_out(seconds: float) -> dict[str, Any]:
    """Held-out score (see ``selection``) for several numbers and penalties, and of the planted atoms."""
    signal, spatial, temporal = planted(seconds, 0)
    length, samples = temporal.shape[1], signal.shape[1]
    size = MIN_CHUNK_WAVEFORMS * length
    recording = ArrayRecording(signal, np.ones(samples, dtype=bool))
    kept, out = (selection.Stretches(recording, size, 5, held) for held in (False, True))
    passes, folds = Passes(kept, Chunks(samples, length, samples)), selection.channel_folds(len(signal), 5, 0)

    def score(maps: Array, waves: Array, penalty: float) -> float:
        model = lgcd.model(maps, waves, penalty, 1e-2 * penalty)
        return selection.score(selection.predict(out, size, model, folds))

    print(f"\nheld-out variance predicted, {ATOMS} planted atoms, 0 dB, {seconds:g} s")
    largest, scores = None, {}
    for number in (5, 10, 20):
        for fraction in (0.3, 0.1, 0.05, 0.025):
            penalty = None if largest is None else fraction * largest
            asked = learning.Options(number, fraction, 1e-2, 20, 1e-3, exchanges=0, penalty=penalty)
            state = learning.start(passes, asked)
            largest = float(state["penalty_max"]) if largest is None else largest
            while not learning.finished(state, asked):
                state = learning.advance(state, passes, asked)
            found = score(state["spatial"], state["temporal"], float(state["penalty"]))
            scores[f"{number} atoms, {fraction:g}"] = round(found, 4)
            print(f"{number:3d} atoms, lambda {fraction:5.3f} of lambda_max: {found:.4f}", flush=True)
    assert largest is not None
    scores["planted, 0.1"] = round(score(spatial, temporal, 0.1 * largest), 4)
    print(f"the planted atoms, lambda 0.100: {scores['planted, 0.1']:.4f}")
    return scores


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--iterations", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--regularization", type=float, default=0.1)
    parser.add_argument("--tolerance", type=float, default=1e-2)
    parser.add_argument("--peer", type=Path)
    parser.add_argument("--file", type=Path)
    options = parser.parse_args(arguments)
    threadpool_limits(1)
    peer = Peer(options.peer)
    few = argparse.Namespace(**{**vars(options), "iterations": 2})
    small, *_ = planted(20, 9)
    problem = (small, *windows_of(small, 9))
    began = time.perf_counter()
    ours(problem, few)
    compiled = time.perf_counter() - began
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        peer.ask(
            what="learn",
            file=stored(Path(folder), *problem),
            tolerance=1e-2,
            iterations=2,
            regularization=0.1,
        )
    first = [round(compiled, 2), round(time.perf_counter() - began, 2)]
    print(
        f"first call with imports and compilation: triptych {first[0]} s, alphacsc {first[1]} s; not counted below"
    )
    result: dict[str, Any] = {"first_call_s": first}
    if options.file:
        result["fixed"] = compare(options.file.name, fixed(options.file)[0], peer, options)
    signal, *_ = planted(options.seconds, 0)
    result[f"{options.seconds:g} s"] = compare(
        f"{options.seconds:g} s", (signal, *windows_of(signal, 0)), peer, options
    )
    result["planted"] = recovered(options)
    result["held_out"] = held_out(2 * options.seconds)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
