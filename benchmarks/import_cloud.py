"""Reading a large FCS file: peak memory and time of import-cloud, beside FlowIO, which holds the file whole.

Each runs in a process of its own: first on a file of 2,000 events, which loads what else is imported and the compiled kernels, then
on the large one. Memory is the peak of the resident set above that after the small file, and above that after the modules it is
known to import. A table is printed, one JSON line last.

Usage: python benchmarks/import_cloud.py [--gigabytes 1] [--channels 12 30] [--workers 1 2]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

OURS = """
import resource, sys, time
from pathlib import Path
import flowio, flowutils, numba, numpy, scipy.stats, zarr, triptych.quantization.scales, triptych.quantization.moments
from triptych.engine.run import run_step
from triptych.steps.import_cloud import STEP
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
small, large, out, workers = sys.argv[1:]
imports = peak()
run_step(STEP, {"raw": Path(small)}, Path(out) / "small", kind="cloud", workers=int(workers))
warm, began, cpu = peak(), time.perf_counter(), time.process_time()
run_step(STEP, {"raw": Path(large)}, Path(out) / "large", kind="cloud", workers=int(workers))
print(imports, warm, peak(), time.perf_counter() - began, time.process_time() - cpu)
"""
FLOWIO = """
import resource, sys, time
import flowio, numpy
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
small, large, out, workers = sys.argv[1:]
imports = peak()
flowio.FlowData(small).as_array()
warm, began, cpu = peak(), time.perf_counter(), time.process_time()
flowio.FlowData(large).as_array()
print(imports, warm, peak(), time.perf_counter() - began, time.process_time() - cpu)
"""
SCATTER = ("Time", "FSC-A", "FSC-H", "SSC-A", "Viability-A")


def write(path: Path, n_events: int, n_channels: int) -> Path:
    """A float FCS 3.1 file with time, scatter, a viability dye and a spillover matrix, written piece by piece."""
    names = [*SCATTER, *(f"FL{j}-A" for j in range(n_channels - len(SCATTER)))]
    dyes = names[4:]
    spill = np.eye(len(dyes)) + 0.02 * (1 - np.eye(len(dyes)))
    matrix = ",".join([str(len(dyes)), *dyes, *(f"{x:g}" for x in spill.ravel())])
    text = {
        "$BYTEORD": "1,2,3,4", "$DATATYPE": "F", "$MODE": "L", "$NEXTDATA": "0", "$PAR": str(n_channels), "$TOT": str(n_events),
        "$BEGINANALYSIS": "0", "$ENDANALYSIS": "0", "$BEGINSTEXT": "0", "$ENDSTEXT": "0", "$SPILLOVER": matrix,
    }  # fmt: skip
    for j, name in enumerate(names, 1):
        text |= {f"$P{j}N": name, f"$P{j}B": "32", f"$P{j}E": "0,0", f"$P{j}R": "262144"}
        text |= {f"$P{j}S": "Live Dead" if j == 5 else f"CD{j}"} if j > 4 else {}
    start = 65_536
    stop = start + 4 * n_events * n_channels - 1
    text |= {"$BEGINDATA": str(start), "$ENDDATA": str(stop)}
    body = "|" + "".join(f"{key}|{value}|" for key, value in text.items())
    ends = (58, 57 + len(body), start if stop < 10**8 else 0, stop if stop < 10**8 else 0, 0, 0)
    header = "FCS3.1    " + "".join(f"{end:>8}" for end in ends)
    rng = np.random.default_rng(0)
    with open(path, "wb") as file:
        file.write((header + body).ljust(start).encode())
        for first in range(0, n_events, 65_536):
            n = min(65_536, n_events - first)
            events = rng.lognormal(8, 1.2, (n, n_channels)).astype("<f4")
            events[:, 0] = np.arange(first, first + n)
            events[:, 2] = events[:, 1] * rng.normal(0.9, 0.03, n)
            file.write(np.minimum(events, 262_143).tobytes())
    return path


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--gigabytes", type=float, default=1.0)
    parser.add_argument("--channels", type=int, nargs="+", default=[12, 30])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    print(
        f"{'':24} {'channels':>8} {'events':>11} {'above small file':>17} {'above imports':>14} {'wall s':>7} {'CPU s':>7}  (MiB)"
    )
    for channels in options.channels:
        with tempfile.TemporaryDirectory() as folder:
            small = write(Path(folder) / "small.fcs", 2000, channels)
            events = round(options.gigabytes * 1e9 / 4 / channels)
            large = write(Path(folder) / "large.fcs", events, channels)
            runs = [(f"triptych, {w} worker{'s' * (w > 1)}", OURS, w) for w in options.workers]
            for name, code, workers in [*runs, ("FlowIO", FLOWIO, 1)]:
                with tempfile.TemporaryDirectory() as out:
                    command = [sys.executable, "-c", code, str(small), str(large), out, str(workers)]
                    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
                imports, warm, peak, wall, cpu = map(float, done.stdout.split())
                row = {
                    "name": name, "channels": channels, "events": events, "above_small_mib": round(peak - warm, 1),
                    "above_imports_mib": round(peak - imports, 1), "wall_s": round(wall, 2), "cpu_s": round(cpu, 2),
                }  # fmt: skip
                rows.append(row)
                print(
                    f"{name:24} {channels:8d} {events:11,} {peak - warm:17.1f} {peak - imports:14.1f} {wall:7.1f} {cpu:7.1f}",
                    flush=True,
                )
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
