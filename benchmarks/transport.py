"""Exact transport between measures: triptych against POT, interleaved; all pairs by the step; bounds against the truth.

Speed: every method solves the same pairs in turn, once per repeat; a time is the median over repeats of the mean per pair. POT is
given weights and squared distances (its time includes them); Sinkhorn in its log form with regularisation .02 of the median cost.
Exactness: greatest relative difference of the squared distance from ``ot.emd2``.
All pairs: ``run_step`` of compare-samples with the workers asked for, and the sum over its tiles of pairs.
Bounds: pairs of whole clouds of at most 2,000 events whose W2 ``ot.emd2`` finds on the events themselves. A violation is a bound
on the wrong side by more than 1e-9 of the distance. Whole tables are printed, one JSON line last.

Usage: python benchmarks/transport.py [--measures 500] [--centers 128] [--channels 12] [--repeats 5] [--pairs 100] [--workers 2]
       [--bound-events 1000] [--files FILE.fcs ...] [--only speed|all-pairs|bounds]
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from quantize import simulated
from scipy.spatial.distance import cdist
from threadpoolctl import threadpool_limits

from triptych.engine import ledger as ledgers
from triptych.engine.run import run_step
from triptych.quantization import CloudMeasure, bounds, exact_transport, quantize
from triptych.steps.compare_samples import STEP
from triptych.stores.measure import StoredMeasure, write_measure

Array = NDArray[np.float64]
Pair = tuple[int, int]
MANY_EVENTS = 20_000
FEW = 5
"""Pairs that Sinkhorn is given: it takes a hundred times longer."""


def pot() -> Any:
    """POT, without the array libraries that it would load beside NumPy."""
    for library in ("PYTORCH", "JAX", "CUPY", "TENSORFLOW"):
        os.environ.setdefault(f"POT_BACKEND_DISABLE_{library}", "1")
    import ot

    return ot


def host() -> str:
    """Name of the processor."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return f"{line.partition(':')[2].strip()}, {os.cpu_count()} cores"
    return "unknown"


def cohort(n_measures: int, n_centers: int, n_channels: int) -> list[CloudMeasure]:
    """Measures of simulated clouds."""
    return [quantize(simulated(MANY_EVENTS, n_channels, seed), n_centers) for seed in range(n_measures)]


def cost_of(first: CloudMeasure, second: CloudMeasure) -> Array:
    return np.asarray(cdist(first.centers, second.centers, "sqeuclidean"))


def methods(measures: Sequence[CloudMeasure]) -> dict[str, Callable[[Pair], float]]:
    """Squared distance of a pair, by every method."""
    ot = pot()
    sides = [exact_transport.side(m.centers, m.weights) for m in measures]
    ready = [bounds.prepare(m) for m in measures]

    def ours(pair: Pair) -> float:
        return exact_transport.between(sides[pair[0]], sides[pair[1]]) ** 2

    def moments(pair: Pair) -> float:
        return bounds.interval(ready[pair[0]], ready[pair[1]], 0)[0] ** 2

    def whole(pair: Pair) -> float:
        return bounds.interval(ready[pair[0]], ready[pair[1]])[0] ** 2

    def emd2(pair: Pair) -> float:
        first, second = (measures[i] for i in pair)
        return float(ot.emd2(first.weights, second.weights, cost_of(first, second)))

    def solve(pair: Pair) -> float:
        first, second = (measures[i] for i in pair)
        return float(ot.solve_sample(first.centers, second.centers, first.weights, second.weights).value)

    def sinkhorn(pair: Pair) -> float:
        first, second = (measures[i] for i in pair)
        cost = cost_of(first, second)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it did not converge in 500 iterations
            return float(
                ot.sinkhorn2(
                    first.weights, second.weights, cost, 0.02 * float(np.median(cost)), method="sinkhorn_log",
                    numItermax=500,
                )
            )  # fmt: skip

    return {
        "triptych, W2 alone": ours,
        "triptych, bounds of moments": moments,
        f"triptych, bounds of {bounds.ROUNDS} rounds": whole,
        "ot.emd2": emd2,
        "ot.solve_sample": solve,
        "ot.sinkhorn2 (log, .02)": sinkhorn,
    }


def speed(measures: Sequence[CloudMeasure], n_pairs: int, repeats: int) -> dict[str, Any]:
    """Every method on the same pairs in turn; each repeat takes other pairs."""
    solvers = methods(measures)
    pairs = list(itertools.combinations(range(len(measures)), 2))
    order = np.random.default_rng(0).permutation(len(pairs))
    took: dict[str, list[float]] = {name: [] for name in solvers}
    off: dict[str, float] = dict.fromkeys(solvers, 0.0)
    for solver in solvers.values():
        solver(pairs[0])
    for repeat in range(repeats):
        drawn = [pairs[order[(repeat * n_pairs + i) % len(pairs)]] for i in range(n_pairs)]
        truth = [solvers["ot.emd2"](pair) for pair in drawn]
        for name, solver in solvers.items():
            chosen = drawn[:FEW] if "sinkhorn" in name else drawn
            began = time.perf_counter()
            found = [solver(pair) for pair in chosen]
            took[name].append((time.perf_counter() - began) / len(chosen) * 1e3)
            off[name] = max(
                off[name], *(abs(a / b - 1) for a, b in zip(found, truth[: len(chosen)], strict=True))
            )
    k, d = measures[0].centers.shape
    print(f"\n{n_pairs} pairs x {repeats} repeats, K = {k}, d = {d}, one thread")
    print(f"{'method':32} {'ms per pair':>12} {'(min..max)':>18} {'to emd2':>8} {'off emd2':>10}")
    table = {}
    for name, times in took.items():
        ratio = statistics.median(a / b for a, b in zip(times, took["ot.emd2"], strict=True))
        spread = f"({min(times):.3f}..{max(times):.3f})"
        print(f"{name:32} {statistics.median(times):12.3f} {spread:>18} {ratio:8.2f} {off[name]:10.1e}")
        table[name] = {"ms": round(statistics.median(times), 4), "to_emd2": round(ratio, 3), "off": off[name]}
    return table


def all_pairs(measures: Sequence[CloudMeasure], workers: int) -> dict[str, Any]:
    """The step on all pairs, with and without the rounds of the lower bound, and once more with one measure added."""
    table: dict[str, Any] = {"measures": len(measures), "workers": workers}
    print(f"\nall pairs of {len(measures)} measures, {workers} workers (threads)")
    print(f"{'':40} {'step wall s':>12} {'CPU s':>8} {'its tiles: s / workers':>24}")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        paths = {f"s{i:04d}": stored(root / f"s{i:04d}" / "measure.zarr", m) for i, m in enumerate(measures)}
        last = max(paths)
        fewer = {name: path for name, path in paths.items() if name != last}
        for name, given, out, rounds in (
            ("bounds of moments", paths, "moments", 0),
            ("bounds by default, one measure less", fewer, "default", bounds.ROUNDS),
            ("the same with the measure added", paths, "default", bounds.ROUNDS),
        ):
            began, began_cpu = time.perf_counter(), time.process_time()
            run_step(
                STEP, {"measures": given}, root / out, {"bound_rounds": rounds, "permutations": 99}, kind="cloud",
                workers=workers,
            )  # fmt: skip
            wall = time.perf_counter() - began
            ledger = next((root / out / ledgers.FOLDER).glob("[0-9a-f]*/"))
            tiles = sum(done.seconds for done in ledgers.read(ledger).of_phase("tiles").values()) / workers
            cpu = time.process_time() - began_cpu
            print(f"{name:40} {wall:12.1f} {cpu:8.1f} {tiles:24.1f}", flush=True)
            table[name] = {"step_wall_s": round(wall, 2), "cpu_s": round(cpu, 2), "tiles_s": round(tiles, 2)}
    return table


def stored(path: Path, measure: CloudMeasure) -> Path:
    """A measure on disk."""
    d = len(measure.mean)
    write_measure(
        path,
        StoredMeasure(
            measure.centers, measure.weights, measure.distortion, measure.epsilon, measure.mean, measure.covariance,
            features=tuple(f"c{i}" for i in range(d)), units=("",) * d, scaling=None, events=MANY_EVENTS,
        ),
    )  # fmt: skip
    return path


def mixture(n_events: int, n_channels: int, seed: int) -> Array:
    """Eight Gaussian populations that shift, stretch and change their share from cloud to cloud."""
    cohort, own = np.random.default_rng([1, n_channels]), np.random.default_rng([2, n_channels, seed])
    means = 2.5 * cohort.normal(size=(8, n_channels)) + 0.7 * own.normal(size=(8, n_channels))
    shapes = cohort.normal(size=(8, n_channels, n_channels)) / np.sqrt(n_channels) + 0.3 * np.eye(n_channels)
    shapes *= own.uniform(0.7, 1.3, size=(8, 1, 1))
    of = own.choice(8, n_events, p=own.dirichlet(np.full(8, 2.0)))
    return np.asarray(
        means[of] + np.einsum("nij,nj->ni", shapes[of], own.normal(size=(n_events, n_channels)))
    )


def recorded(path: Path, n_events: int, halves: int = 2) -> list[Array]:
    """Disjoint subsamples of the events of a file, on its own scale."""
    from triptych.readers.fcs import open_fcs

    opened = open_fcs(path)
    events = opened.read(0, opened.n_events)
    drawn = np.random.default_rng(0).permutation(len(events))[: halves * n_events]
    return [np.asarray(events[np.sort(part)], np.float64) for part in np.array_split(drawn, halves)]


def against_truth(n_centers: int, n_events: int, files: Sequence[Path]) -> dict[str, Any]:
    """Bounds of every pair over its exact distance: mean ratios, and how often a bound is on the wrong side."""
    ot = pot()
    sets = {f"mixture, d = {d}": [mixture(n_events, d, seed) for seed in range(15)] for d in (2, 4, 8, 12)}
    sets["populations, heavy tails, d = 12"] = [
        np.asarray(simulated(n_events, 12, seed), np.float64) for seed in range(6)
    ]
    if files:
        sets["recordings"] = [part for path in files for part in recorded(path, n_events)]
    print(f"\nbounds over the exact W2 of clouds of {n_events} events, K = {n_centers}; mean ratios")
    print(
        f"{'clouds':34} {'pairs':>5} {'triangle':>9} {'moments':>8} {'lower':>7} {'w2':>7} {'upper':>7} {'wrong':>6}"
    )
    ratios, table, wrong = [], {}, 0
    for name, clouds in sets.items():
        ready = [bounds.prepare(quantize(cloud, n_centers)) for cloud in clouds]
        rows = []
        for i, j in itertools.combinations(range(len(clouds)), 2):
            equal = [np.full(len(clouds[x]), 1 / len(clouds[x])) for x in (i, j)]
            cost = cdist(clouds[i], clouds[j], "sqeuclidean")
            truth = np.sqrt(ot.emd2(*equal, cost, numItermax=10**8))
            w2, lower, upper = bounds.interval(ready[i], ready[j])
            triangle = max(w2 - ready[i].epsilon - ready[j].epsilon, 0.0)
            moments = max(bounds.gelbrich(ready[i], ready[j]), triangle)
            rows.append(np.array([triangle, moments, lower, w2, upper]) / truth)
        found = np.array(rows)
        missed = int(((found[:, 2] > 1 + 1e-9) | (found[:, 4] < 1 - 1e-9)).sum())
        wrong += missed
        ratios.append(found)
        table[name] = print_ratios(name, found, missed)
    table["all"] = print_ratios("all", np.concatenate(ratios), wrong)
    return table


def print_ratios(name: str, found: Array, missed: int) -> dict[str, float]:
    triangle, moments, lower, w2, upper = found.mean(axis=0)
    print(
        f"{name:34} {len(found):5d} {triangle:9.3f} {moments:8.3f} {lower:7.3f} {w2:7.3f} {upper:7.3f} {missed:6d}",
        flush=True,
    )
    means = {"triangle": triangle, "moments": moments, "lower": lower, "w2": w2, "upper": upper}
    return {
        "pairs": len(found),
        "violations": missed,
        **{key: round(float(x), 4) for key, x in means.items()},
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--measures", type=int, default=500)
    parser.add_argument("--centers", type=int, default=128)
    parser.add_argument("--channels", type=int, default=12)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--bound-events", type=int, default=1000)
    parser.add_argument("--files", type=Path, nargs="*", default=[])
    parser.add_argument("--only", choices=["speed", "all-pairs", "bounds"])
    options = parser.parse_args()
    threadpool_limits(1)
    print(host())
    result: dict[str, Any] = {"host": host()}
    if options.only != "bounds":
        measures = cohort(options.measures, options.centers, options.channels)
        if options.only != "all-pairs":
            result["speed"] = speed(measures, options.pairs, options.repeats)
        if options.only != "speed":
            result["all_pairs"] = all_pairs(measures, options.workers)
    if options.only in (None, "bounds"):
        result["bounds"] = against_truth(options.centers, options.bound_events, options.files)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
