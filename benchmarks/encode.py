"""Coding a signal with given atoms: triptych against alphacsc, interleaved, one thread each.

Both get the same signal, atoms, lambda and tolerance, start from nothing, and also make the sums that a dictionary update needs.
CPU and wall time are medians over repeats; a ratio is the median of the ratios within a repeat. alphacsc runs in an environment of
its own (its last version does not run on current NumPy), made at the first run beside this file or given by --peer. Compilation is
told apart. The objective of both codes is computed from the residual. Whole tables are printed, one JSON line last.

Usage: python benchmarks/encode.py [--seconds 60 300] [--repeats 5] [--peer PYTHON] [--file FIXED.npz]
       [--memory 600 14400]    peak memory of learn-atoms and encode-signal instead, for recordings of so many seconds
       [--workers 1 2]    CPU and wall time of encode-signal instead, on --seconds of signal, for these numbers of workers
       [--warm-start DEVICE]    coding with and without a warm start by torch on cpu or cuda:0 instead, on --seconds of signal
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


CHILD = """
import json, resource, sys, time
from pathlib import Path
from triptych.engine.run import run_step
from triptych.steps import encode_signal, learn_atoms
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
small, large, out, workers = sys.argv[1:]
settings = {"n_atoms": 10, "max_iterations": 3, "exchanges": 1}
for name in (small, large):
    before, folder = peak(), Path(out) / name
    source = {"signal": folder / "signal.zarr"}
    run_step(learn_atoms.STEP, source, folder / "atoms", settings, kind="signal", workers=int(workers))
    wall, cpu = time.perf_counter(), time.process_time()
    source["dictionary"] = folder / "atoms"
    run_step(encode_signal.STEP, source, folder / "code", {}, kind="signal", workers=int(workers))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
print(json.dumps([before, peak(), wall, cpu]))
"""


def on_disk(folder: Path, seconds: float) -> None:
    """A planted recording as a signal store, written chunk by chunk."""
    from triptych.stores import signal

    chunk, samples = round(60 * RATE), round(seconds * RATE)
    signal.create_arrays(folder / "signal.zarr", CHANNELS, 0, samples, chunk)
    for start in range(0, samples, chunk):
        piece, *_ = planted(60, start // chunk)
        signal.write_chunk(
            folder / "signal.zarr", start, piece[:, : samples - start].astype(np.float32), None
        )
    names = tuple(f"E{i}" for i in range(CHANNELS))
    known = {
        "sampling_rate_hz": RATE, "samples": samples, "names": names, "types": ("eeg",) * CHANNELS, "units": ("V",) * CHANNELS,
        "positions": np.full((CHANNELS, 3), np.nan), "scales": {"eeg": 1.0}, "bad_spans": np.empty((0, 2)), "raw_rate_hz": RATE,
        "high_pass_hz": 0.0, "low_pass_hz": 0.0, "notch_hz": 0.0, "eeg_reference": "as_recorded", "maxfiltered": False,
        "rank": CHANNELS,
    }  # fmt: skip
    for name in ("reference_names", "reference_types", "bad_channels", "projections"):
        known[name] = ()
    signal.write_attributes(folder / "signal.zarr", signal.SignalInfo(**known))


def child(seconds: float, workers: int) -> list[float]:
    """Peak before and after a recording in a process that has done a small one, wall and CPU time of its coding."""
    with tempfile.TemporaryDirectory() as out:
        on_disk(Path(out) / "small", 60)
        on_disk(Path(out) / "large", seconds)
        command = [sys.executable, "-c", CHILD, "small", "large", out, str(workers)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: list[float] = json.loads(done.stdout)
    return found


def memory(lengths: Sequence[float]) -> None:
    """Peak memory of learning and coding recordings of several lengths."""
    print(f"learn-atoms and encode-signal, {CHANNELS} channels at {RATE:g} Hz")
    print(f"{'seconds':>9} {'peak MiB':>9} {'above a minute MiB':>19}")
    found = {}
    for seconds in lengths:
        before, peak, *_ = child(seconds, 1)
        found[f"{seconds:g}"] = [round(peak, 1), round(peak - before, 1)]
        print(f"{seconds:9g} {peak:9.1f} {peak - before:19.1f}", flush=True)
    peaks = [peak for peak, _ in found.values()]
    print(json.dumps({"peak_mib": found, "longest_over_shortest": round(peaks[-1] / peaks[0], 4)}))


def scaling(seconds: float, workers: Sequence[int], repeats: int) -> None:
    """CPU and wall time of coding by several numbers of workers, interleaved."""
    runs: dict[int, list[list[float]]] = {w: [] for w in workers}
    for _ in range(repeats):
        for w in workers:
            runs[w].append(child(seconds, w)[2:])
    print(
        f"encode-signal, {seconds:g} s\n{'workers':>8} {'wall s':>8} {'CPU s':>8} {'wall, of first':>15} {'CPU, of first':>14}"
    )
    found = {}
    for w, rows in runs.items():
        wall, cpu = (statistics.median(row[i] for row in rows) for i in (0, 1))
        ratios = [
            statistics.median(row[i] / base[i] for row, base in zip(rows, runs[workers[0]], strict=True))
            for i in (0, 1)
        ]
        found[str(w)] = [round(x, 4) for x in (wall, cpu, *ratios)]
        print(f"{w:8d} {wall:8.2f} {cpu:8.2f} {ratios[0]:15.3f} {ratios[1]:14.3f}")
    print(json.dumps({"workers": found}))


def warm(options: argparse.Namespace) -> None:
    """Coding with and without a warm start, with atoms cut from the signal and with those planted in it."""
    import warm_start

    found = {}
    for seconds in options.seconds:
        signal, *planted_atoms = planted(seconds, 0)
        for name, atoms in (("cut", windows_of(signal, 0)), ("planted", planted_atoms)):
            label = f"{seconds:g} s, atoms {name}"
            found[label] = warm_start.compare(label, (signal, *atoms), RATE, options)
    print(json.dumps(found))


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
    parser.add_argument("--memory", type=float, nargs="+", default=[])
    parser.add_argument("--workers", type=int, nargs="+", default=[])
    parser.add_argument("--warm-start", metavar="DEVICE")
    options = parser.parse_args(arguments)
    if options.warm_start:
        warm(options)
        return
    if options.memory:
        memory(options.memory)
        return
    if options.workers:
        scaling(options.seconds[-1], options.workers, options.repeats)
        return
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
