"""Coding a signal with given atoms: triptych against alphacsc, interleaved, one thread each.

Both get the same signal, atoms, lambda and tolerance, start from nothing, and also make the sums that a dictionary update needs.
CPU and wall time are medians over repeats; a ratio is the median of the ratios within a repeat. alphacsc runs in an environment of
its own (its last version does not run on current NumPy), made at the first run beside this file or given by --peer. Compilation is
told apart. The objective of both codes is computed from the residual. Whole tables are printed, one JSON line last.

Usage: python benchmarks/encode.py [--seconds 60 300] [--repeats 5] [--peer PYTHON] [--file FIXED.npz]
       FIXED.npz holds X (channels, samples) and D_init (atoms, channels + length) [and reg = lambda in the unit of X]
"""

from __future__ import annotations

import os

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triptych.dictionary import lgcd
from triptych.dictionary.coding import Chunks
from triptych.dictionary.passes import ArrayRecording, Passes
from triptych.dictionary.residual import residual
from triptych.dictionary.statistics import objective

Array = NDArray[np.float64]
RATE, CHANNELS, ATOMS, DURATION_S = 150.0, 20, 10, 0.7


def planted(seconds: float, seed: int) -> tuple[Array, Array, Array]:
    """Ten rhythms and transients of smooth maps at random times, 0 dB: signal (P, T) of deviation 1, maps and waveforms."""
    rng = np.random.default_rng(seed)
    length, samples = round(DURATION_S * RATE), round(seconds * RATE)
    t = np.arange(length) / RATE
    angle = 2 * np.pi * np.arange(CHANNELS) / CHANNELS
    spatial, temporal = np.empty((ATOMS, CHANNELS)), np.empty((ATOMS, length))
    for k in range(ATOMS):
        middle, turn = DURATION_S * rng.uniform(0.3, 0.7), rng.uniform(0, 2 * np.pi)
        wide = np.exp(-0.5 * ((t - middle) / (0.06 if k % 2 else 0.12)) ** 2)
        temporal[k] = wide * np.cos(2 * np.pi * (3 + 3 * k) * t + turn) if k % 3 else wide - wide.mean()
        spatial[k] = np.exp(2 * np.cos(angle - turn)) - np.exp(2 * np.cos(angle - turn - rng.uniform(1, 2)))
    spatial /= np.linalg.norm(spatial, axis=1, keepdims=True)
    temporal /= np.linalg.norm(temporal, axis=1, keepdims=True)
    signal = np.zeros((CHANNELS, samples))
    for k in range(ATOMS):
        for start in rng.integers(0, samples - length, rng.poisson(0.35 * seconds)):
            signal[:, start : start + length] += rng.uniform(1, 2) * np.outer(spatial[k], temporal[k])
    noise = rng.standard_normal(signal.shape)
    signal += noise * signal.std() / noise.std()
    return signal / signal.std(), spatial, temporal


def windows_of(signal: Array, seed: int) -> tuple[Array, Array]:
    """Atoms to begin from: leading singular pairs of random windows."""
    rng, length = np.random.default_rng([seed, 1]), round(DURATION_S * RATE)
    pairs = []
    for start in rng.integers(0, signal.shape[1] - length, ATOMS):
        left, _, right = np.linalg.svd(signal[:, start : start + length], full_matrices=False)
        pairs.append((left[:, 0], right[0]))
    return np.stack([p[0] for p in pairs]), np.stack([p[1] for p in pairs])


def whole(signal: Array, length: int) -> Passes:
    """The signal in one piece, on one worker."""
    good = np.ones(signal.shape[1], dtype=bool)
    return Passes(ArrayRecording(signal, good), Chunks(signal.shape[1], length, signal.shape[1]))


class Peer:
    """alphacsc in its own interpreter."""

    def __init__(self, python: Path | None) -> None:
        here = Path(__file__).parent / "peers"
        python = python or made(here / ".alphacsc")
        self.process = subprocess.Popen(
            [str(python), str(here / "alphacsc_worker.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send a request and wait for the answer."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit("alphacsc failed; its error stands above")
        found: dict[str, Any] = json.loads(answer)
        return found


def made(folder: Path) -> Path:
    """The interpreter of the peer's environment, made if it is not there."""
    python = folder / "bin" / "python"
    if not python.exists():
        print(f"making {folder} for alphacsc", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        packages = ["alphacsc==0.4.1", "numpy<2.4"]
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *packages], check=True)
    return python


def stored(folder: Path, signal: Array, spatial: Array, temporal: Array) -> str:
    """A problem as a file for the peer."""
    path = folder / f"{signal.shape[1]}.npz"
    np.savez(path, X=signal, spatial=spatial, temporal=temporal)
    return str(path)


def ours(signal: Array, spatial: Array, temporal: Array, penalty: float, tolerance: float) -> dict[str, Any]:
    """Code and sums; objective by the residual and by the sums."""
    passes = whole(signal, temporal.shape[1])
    wall, cpu = time.perf_counter(), time.process_time()
    events, updates = passes.code(lgcd.model(spatial, temporal, penalty, tolerance))
    summed = passes.statistics(events, len(spatial))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    left = residual(signal, 0, events, spatial, temporal)
    value = 0.5 * float((left**2).sum()) + penalty * float(events.amplitude.sum())
    by_sums = objective(summed, spatial, temporal, float((signal**2).sum()), penalty)
    return {
        "wall": wall, "cpu": cpu, "objective": value, "objective_by_sums": by_sums, "activations": len(events),
        "updates": updates,
    }  # fmt: skip


def compare(
    name: str,
    problem: tuple[Array, Array, Array],
    penalty: float | None,
    peer: Peer,
    options: argparse.Namespace,
) -> dict[str, Any]:
    """Both on one problem in turn."""
    signal, spatial, temporal = problem
    passes = whole(signal, temporal.shape[1])
    if penalty is None:
        penalty = options.regularization * passes.largest_correlation(spatial, temporal)
    with tempfile.TemporaryDirectory() as folder:
        request = {
            "what": "encode", "file": stored(Path(folder), *problem), "penalty": penalty, "tolerance": options.tolerance,
        }  # fmt: skip
        mine, its = [], []
        for repeat in range(options.repeats):
            for own in (True, False) if repeat % 2 == 0 else (False, True):
                if own:
                    mine.append(ours(*problem, penalty, options.tolerance))
                else:
                    its.append(peer.ask(**request))
    k, p, length = len(spatial), len(signal), temporal.shape[1]
    print(
        f"\n{name}: K = {k}, L = {length}, P = {p}, {signal.shape[1]} samples, lambda = {penalty:.6g}, "
        f"tolerance {options.tolerance:g}, {mine[0]['updates']} updates"
    )
    print(f"{'':10} {'CPU s':>8} {'wall s':>8} {'activations':>12} {'objective':>16}")
    for label, rows in (("triptych", mine), ("alphacsc", its)):
        middle = {key: statistics.median(row[key] for row in rows) for key in ("cpu", "wall")}
        print(
            f"{label:10} {middle['cpu']:8.3f} {middle['wall']:8.3f} {rows[0]['activations']:12d} {rows[0]['objective']:16.6f}"
        )
    found = {
        "cpu_ratio": statistics.median(b["cpu"] / a["cpu"] for a, b in zip(mine, its, strict=True)),
        "wall_ratio": statistics.median(b["wall"] / a["wall"] for a, b in zip(mine, its, strict=True)),
        "cpu_s": statistics.median(row["cpu"] for row in mine),
        "peer_cpu_s": statistics.median(row["cpu"] for row in its),
        "objective": mine[0]["objective"],
        "objective_off": abs(mine[0]["objective"] / its[0]["objective"] - 1),
        "sums_off": abs(mine[0]["objective_by_sums"] / mine[0]["objective"] - 1),
    }
    print(
        f"alphacsc takes {found['cpu_ratio']:.1f} times the CPU time, {found['wall_ratio']:.1f} times the wall time; objectives "
        f"differ by {found['objective_off']:.1e}, that of the sums by {found['sums_off']:.1e}"
    )
    return found


def fixed(path: Path) -> tuple[tuple[Array, Array, Array], float | None]:
    """A stored problem."""
    with np.load(path) as given:
        signal, atoms = given["X"], given["D_init"]
        penalty = float(given["reg"]) / float(signal.std()) if "reg" in given.files else None
    spatial, temporal = (
        np.ascontiguousarray(atoms[:, : len(signal)]),
        np.ascontiguousarray(atoms[:, len(signal) :]),
    )
    return (signal / signal.std(), spatial, temporal), penalty


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, nargs="*", default=[60.0, 300.0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--regularization", type=float, default=0.1)
    parser.add_argument("--tolerance", type=float, default=1e-2)
    parser.add_argument("--peer", type=Path)
    parser.add_argument("--file", type=Path)
    options = parser.parse_args(arguments)
    began = time.perf_counter()
    small, *_ = planted(20, 9)
    ours(small, *windows_of(small, 9), 4.0, 1e-2)
    compiled = time.perf_counter() - began
    peer = Peer(options.peer)
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        file = stored(Path(folder), small, *windows_of(small, 9))
        peer.ask(what="encode", file=file, penalty=4.0, tolerance=1e-2)
        peer_compiled = time.perf_counter() - began
    print(
        f"first call with imports and compilation: triptych {compiled:.1f} s (kernels are cached on disk), "
        f"alphacsc {peer_compiled:.1f} s; not counted below"
    )
    result: dict[str, Any] = {"first_call_s": [round(compiled, 2), round(peer_compiled, 2)]}
    if options.file:
        problem, penalty = fixed(options.file)
        result["fixed"] = compare(options.file.name, problem, penalty, peer, options)
    for seconds in options.seconds:
        signal, *_ = planted(seconds, 0)
        problem = (signal, *windows_of(signal, 0))
        result[f"{seconds:g} s"] = compare(f"{seconds:g} s", problem, None, peer, options)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
