"""Quantizing clouds: triptych against scikit-learn's MiniBatchKMeans and faiss, interleaved, on the same threads.

Every method quantizes every cloud in turn. The inertia of each result is computed by one routine in float64: mean squared
distance of every event to the nearest of the centers. The time of triptych includes the last pass that certifies epsilon,
weights and moments, which the peers do not give; compilation and imports are told apart. Whole tables are printed, one
JSON line last.

Usage: python benchmarks/quantize.py [--clouds 20] [--events 200000] [--channels 12] [--centers 64 128 256] [--threads 2]
       [--files FILE.fcs ...]    recordings instead of simulated clouds
       [--memory 200000 1000000 10000000]    peak memory of the step instead, for these numbers of events
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Cloud = NDArray[np.float32]
POPULATIONS = 24


def simulated(n_events: int, n_channels: int, seed: int) -> Cloud:
    """Populations of very different size, each with its own covariance; one in five has heavy tails."""
    cohort, own = np.random.default_rng(1), np.random.default_rng([2, seed])
    means = 2.5 * cohort.normal(size=(POPULATIONS, n_channels))
    shapes = cohort.normal(size=(POPULATIONS, n_channels, n_channels)) / np.sqrt(n_channels)
    shapes += 0.5 * np.eye(n_channels)
    share = own.dirichlet(cohort.dirichlet(np.full(POPULATIONS, 0.7)) * 60 + 0.05)
    of = own.choice(POPULATIONS, n_events, p=share)
    noise = own.normal(size=(n_events, n_channels))
    heavy = of % 5 == 0
    noise[heavy] /= np.sqrt(own.chisquare(5, heavy.sum()) / 5)[:, None]
    events = means[of] + 0.3 * own.normal(size=n_channels)
    for k in range(POPULATIONS):
        events[of == k] += noise[of == k] @ shapes[k].T
    return events.astype(np.float32)


def recorded(path: Path) -> Cloud:
    """Events of a file on the scale that import-cloud would give them."""
    from triptych import run_step
    from triptych.stores.cloud import open_cloud

    with tempfile.TemporaryDirectory() as folder:
        run_step("import_cloud", {"raw": path}, Path(folder) / "out")
        return np.asarray(open_cloud(Path(folder) / "out" / "cloud.zarr").events[...])


def inertia(events: Cloud, centers: NDArray[Any]) -> float:
    """Mean squared distance to the nearest center, float64."""
    centers = np.asarray(centers, np.float64)
    total = 0.0
    for first in range(0, len(events), 8192):
        block = events[first : first + 8192].astype(np.float64)
        squares = (block**2).sum(axis=1)[:, None] - 2 * block @ centers.T + (centers**2).sum(axis=1)
        nearest = squares.argmin(axis=1)
        total += float(((block - centers[nearest]) ** 2).sum())
    return total / len(events)


def ours(events: Cloud, k: int, threads: int) -> NDArray[Any]:
    from triptych.quantization import quantize

    return quantize(events, k, seed=0, workers=threads).centers


def mini_batch(events: Cloud, k: int, _threads: int) -> NDArray[Any]:
    from sklearn.cluster import MiniBatchKMeans

    found = MiniBatchKMeans(k, batch_size=4096, n_init=1, random_state=0).fit(events)
    return np.asarray(found.cluster_centers_)


def faiss_25(events: Cloud, k: int, threads: int) -> NDArray[Any]:
    import faiss

    faiss.omp_set_num_threads(threads)
    found = faiss.Kmeans(
        events.shape[1], k, niter=25, seed=0, max_points_per_centroid=len(events), min_points_per_centroid=1
    )
    found.train(events)
    return np.asarray(found.centroids)


METHODS: dict[str, Callable[[Cloud, int, int], NDArray[Any]]] = {
    "triptych": ours,
    "MiniBatchKMeans": mini_batch,
    "faiss, 25 iterations, all events": faiss_25,
}


CHILD = """
import resource, sys
from pathlib import Path
from triptych.engine.run import run_step
from triptych.steps.quantize_cloud import STEP
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
cloud, small, out, centers, workers = sys.argv[1:]
settings = {"n_centers": int(centers)}
run_step(STEP, {"cloud": Path(small)}, Path(out) / "out_small", settings, kind="cloud", workers=int(workers))
before = peak()
run_step(STEP, {"cloud": Path(cloud)}, Path(out) / "out", settings, kind="cloud", workers=int(workers))
print(before, peak())
"""


def write_cloud(path: Path, n_events: int, n_channels: int) -> Path:
    """A cloud on disk, written chunk by chunk."""
    from triptych.stores.cloud import Channel, create_arrays, write_attributes, write_chunk

    path.parent.mkdir(parents=True)
    create_arrays(path, n_events, n_channels, 65536, population=False)
    for index in range(-(-n_events // 65536)):
        write_chunk(path, index, simulated(min(65536, n_events - index * 65536), n_channels, index), None)
    channels = tuple(Channel(f"m{j}", f"m{j}", "marker", "1") for j in range(n_channels))
    zero = np.zeros(n_channels)
    write_attributes(path, channels, (), "simulated", zero, np.diag(zero + 1))
    return path


def memory(sizes: Sequence[int], n_channels: int, k: int, workers: int) -> None:
    """Peak memory of the step above that of a process that has quantized a small cloud."""
    print(
        f"K = {k}, {n_channels} channels, {workers} workers\n{'events':>12} {'before MiB':>11} {'peak MiB':>9} {'above MiB':>10}"
    )
    found = {}
    for n in sizes:
        with tempfile.TemporaryDirectory() as folder:
            small = write_cloud(Path(folder) / "small" / "cloud.zarr", 4096, n_channels)
            cloud = write_cloud(Path(folder) / "cloud" / "cloud.zarr", n, n_channels)
            command = [sys.executable, "-c", CHILD, str(cloud), str(small), folder, str(k), str(workers)]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            before, peak = map(float, done.stdout.split())
        found[n] = round(peak - before, 1)
        print(f"{n:12,} {before:11.0f} {peak:9.0f} {peak - before:10.1f}")
    print(json.dumps({"memory_above_imports_mib": found}))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run every method on every cloud in turn and print what they took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clouds", type=int, default=20)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--channels", type=int, default=12)
    parser.add_argument("--centers", type=int, nargs="+", default=[64, 128, 256])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--files", type=Path, nargs="+", default=[])
    parser.add_argument("--memory", type=int, nargs="+", default=[])
    options = parser.parse_args(arguments)
    if options.memory:
        memory(options.memory, options.channels, options.centers[0], options.threads)
        return
    began = time.perf_counter()
    ours(simulated(2000, options.channels, 0), 16, options.threads)
    first = time.perf_counter() - began
    for method in METHODS.values():
        method(simulated(20_000, options.channels, 0), 16, options.threads)
    count = len(options.files) or options.clouds
    results: dict[str, Any] = {
        "threads": options.threads,
        "clouds": count,
        "first_call_s": round(first, 2),
        "tables": {},
    }
    took: dict[int, dict[str, list[tuple[float, float, float]]]] = {
        k: {name: [] for name in METHODS} for k in options.centers
    }
    for cloud in range(count):
        events = (
            recorded(options.files[cloud])
            if options.files
            else simulated(options.events, options.channels, cloud)
        )
        for k in options.centers:
            names = list(METHODS)
            for name in names[cloud % len(names) :] + names[: cloud % len(names)]:  # each goes first in turn
                wall, cpu = time.perf_counter(), time.process_time()
                centers = METHODS[name](events, k, options.threads)
                wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
                took[k][name].append((wall, cpu, inertia(events, centers)))
    what = (
        f"{count} recordings"
        if options.files
        else f"{count} clouds x {options.events:,} x {options.channels}"
    )
    print(
        f"{what}, {options.threads} threads; first call with imports and compilation {first:.1f} s (not counted below)"
    )
    for k in options.centers:
        results["tables"][str(k)] = table(k, took[k])
    print(json.dumps(results))


def table(k: int, took: dict[str, list[tuple[float, float, float]]]) -> dict[str, Any]:
    """Print one table: medians over clouds, and ratios to ours within each cloud."""
    print(f"\nK = {k}")
    print(
        f"{'method':34} {'wall s':>8} {'CPU s':>8} {'inertia':>10} {'slower (wall)':>22} {'CPU':>7} {'our inertia / its':>22}"
    )
    found = {}
    for name, runs in took.items():
        slower = [run[0] / mine[0] for run, mine in zip(runs, took["triptych"], strict=True)]
        cpu = [run[1] / mine[1] for run, mine in zip(runs, took["triptych"], strict=True)]
        share = [mine[2] / run[2] for run, mine in zip(runs, took["triptych"], strict=True)]
        row = {
            "wall_s": statistics.median(run[0] for run in runs),
            "cpu_s": statistics.median(run[1] for run in runs),
            "inertia": statistics.mean(run[2] for run in runs),
            "times_slower": statistics.median(slower),
            "times_more_cpu": statistics.median(cpu),
            "our_inertia_share": statistics.median(share),
            "our_worst_inertia_share": max(share),
        }
        found[name] = {key: round(value, 5) for key, value in row.items()}
        spread = f"{row['times_slower']:.2f} ({min(slower):.2f}..{max(slower):.2f})"
        shares = f"{row['our_inertia_share']:.4f} (worst {max(share):.4f})"
        print(
            f"{name:34} {row['wall_s']:8.3f} {row['cpu_s']:8.3f} {row['inertia']:10.5f} {spread:>22} "
            f"{row['times_more_cpu']:7.2f} {shares:>22}"
        )
    return found


if __name__ == "__main__":
    main()
