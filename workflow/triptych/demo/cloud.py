"""Six synthetic cytometry recordings in two groups, as FCS 3.1, with the population of every event.

Blood as a cytometer would record it: skewed brightness on a linear scale, autofluorescence and electronic noise that reach
below zero, photon noise that grows with brightness, spillover between detectors with its matrix in the file, two batches of
slightly different gain. Recordings of group ``treated`` have more CD8 effector cells, fewer naive CD4 cells, and monocytes with
more HLA-DR.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from flowio import create_fcs
from numpy.typing import NDArray

EVENTS = 20_000
TOP = 262_144.0

DETECTORS = ("BV421-A", "BV510-A", "BV605-A", "FITC-A", "PE-A", "PerCP-Cy5-5-A", "PE-Cy7-A", "APC-A")
MARKERS = ("CD3", "CD45RA", "CD4", "CD8", "CD56", "HLA-DR", "CD19", "CD14")
SCATTER = ("FSC-A", "SSC-A")


@dataclass(frozen=True)
class Population:
    """Mean brightness per marker (in the order of ``MARKERS``), scatter, and share of events in a control."""

    name: str
    brightness: tuple[float, ...]
    scatter: tuple[float, float]
    share: float


POPULATIONS = (
    Population("B cells", (0, 4_000, 0, 0, 0, 12_000, 14_000, 0), (62_000, 24_000), 0.11),
    Population("CD4 memory T cells", (16_000, 150, 9_000, 0, 0, 250, 0, 0), (66_000, 26_000), 0.21),
    Population("CD4 naive T cells", (14_000, 7_000, 8_000, 0, 0, 0, 0, 0), (62_000, 23_000), 0.23),
    Population("CD8 effector T cells", (15_000, 4_500, 0, 22_000, 900, 600, 0, 0), (68_000, 30_000), 0.08),
    Population("CD8 naive T cells", (14_000, 8_000, 0, 20_000, 0, 0, 0, 0), (61_000, 23_000), 0.12),
    Population("Monocytes", (0, 300, 900, 0, 0, 9_000, 0, 18_000), (105_000, 78_000), 0.16),
    Population("NK cells", (0, 5_000, 0, 1_200, 5_500, 0, 0, 0), (70_000, 31_000), 0.09),
)

RECORDINGS = (
    ("donor1", "control", "batch1"),
    ("donor2", "control", "batch1"),
    ("donor3", "control", "batch2"),
    ("donor4", "treated", "batch1"),
    ("donor5", "treated", "batch2"),
    ("donor6", "treated", "batch2"),
)


def spillover() -> NDArray[np.float64]:
    """(8, 8) share of each dye (row) that each detector (column) sees."""
    matrix = np.eye(len(DETECTORS))
    for dye, detector, share in (
        ("BV421-A", "BV510-A", 0.06),
        ("BV510-A", "BV605-A", 0.09),
        ("BV605-A", "PE-A", 0.07),
        ("BV605-A", "PerCP-Cy5-5-A", 0.12),
        ("FITC-A", "PE-A", 0.14),
        ("FITC-A", "BV510-A", 0.03),
        ("PE-A", "PerCP-Cy5-5-A", 0.11),
        ("PE-A", "BV605-A", 0.08),
        ("PerCP-Cy5-5-A", "PE-Cy7-A", 0.17),
        ("PE-Cy7-A", "APC-A", 0.02),
        ("APC-A", "PerCP-Cy5-5-A", 0.04),
    ):
        matrix[DETECTORS.index(dye), DETECTORS.index(detector)] = share
    return matrix


def shares(group: str, generator: np.random.Generator) -> NDArray[np.float64]:
    """Share of every population in one donor of a group."""
    mean = np.array([p.share for p in POPULATIONS])
    if group == "treated":
        names = [p.name for p in POPULATIONS]
        mean[names.index("CD8 effector T cells")] += 0.11
        mean[names.index("CD4 naive T cells")] -= 0.11
    return generator.dirichlet(mean / mean.sum() * 150)


def simulate(
    group: str, batch: str, n_events: int, generator: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """One recording.

    Returns
    -------
    events : (n, 11) float32: scatter, detectors with spillover, time in ticks.
    population : (n,) index into ``POPULATIONS``.
    """
    population = generator.choice(len(POPULATIONS), n_events, p=shares(group, generator))
    brightness = np.array([p.brightness for p in POPULATIONS], dtype=np.float64)
    if group == "treated":
        monocytes = [p.name for p in POPULATIONS].index("Monocytes")
        brightness[monocytes, MARKERS.index("HLA-DR")] *= 2.2
    cell_size = generator.normal(0, 0.12, (n_events, 1))
    spread = generator.normal(0, 0.28, (n_events, len(MARKERS))) - generator.gamma(
        1.2, 0.18, (n_events, len(MARKERS))
    )
    dyes = brightness[population] * np.exp(spread + cell_size)
    dyes += 90.0 * np.exp(generator.normal(0, 0.4, dyes.shape) + cell_size)
    gain = 1.06 if batch == "batch2" else 1.0
    seen = gain * dyes @ spillover()
    seen += generator.normal(0, 1, seen.shape) * np.sqrt(130.0**2 + 14.0 * seen)
    scatter = np.array([p.scatter for p in POPULATIONS])[population]
    scatter = scatter * np.exp(cell_size + generator.normal(0, 0.09, scatter.shape))
    time = np.sort(generator.uniform(0, 60_000, n_events))
    events = np.column_stack([scatter, np.minimum(seen, TOP - 1), time]).astype(np.float32)
    return events, population


def make(folder: Path, seed: int = 0) -> list[dict[str, str]]:
    """Write the recordings and their populations below ``folder`` and return their rows of the sample sheet."""
    rows = []
    raw = folder / "raw" / "cloud"
    raw.mkdir(parents=True, exist_ok=True)
    for number, (sample, group, batch) in enumerate(RECORDINGS):
        generator = np.random.Generator(np.random.PCG64([seed, 101, number]))
        events, population = simulate(group, batch, EVENTS, generator)
        write_fcs(raw / f"{sample}.fcs", events)
        write_labels(raw / f"{sample}_populations.csv.gz", population)
        rows.append(
            {
                "sample": sample,
                "kind": "cloud",
                "path": f"raw/cloud/{sample}.fcs",
                "subject": sample,
                "group": group,
                "batch": batch,
                "labels_population": f"raw/cloud/{sample}_populations.csv.gz",
            }
        )
    return rows


def write_fcs(path: Path, events: NDArray[np.float32]) -> None:
    """Write one recording as FCS 3.1 with its spillover matrix; the events are not compensated."""
    numbers = ",".join(f"{value:g}" for value in spillover().ravel())
    with open(path, "wb") as file:
        create_fcs(
            file,
            events.ravel(),
            [*SCATTER, *DETECTORS, "Time"],
            ["", "", *MARKERS, ""],
            {
                "SPILLOVER": f"{len(DETECTORS)},{','.join(DETECTORS)},{numbers}",
                "CYT": "simulated",
                "TIMESTEP": "0.01",
            },
        )


def write_labels(path: Path, population: NDArray[np.int64]) -> None:
    """Write the population of every event, gzip without a time stamp."""
    lines = ["population", *(POPULATIONS[k].name for k in population)]
    with open(path, "wb") as file, gzip.GzipFile("", "wb", mtime=0, fileobj=file) as packed:
        packed.write(("\n".join(lines) + "\n").encode())
