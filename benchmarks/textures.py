"""Coding an image plane with 2-D atoms: blocks of coordinate descent against a plain FISTA by Fourier transforms, at equal lambda.

First the atoms are learned from another plane. Then one plane is coded in one piece, in blocks, and by FISTA (in NumPy, its code
z >= 0, the largest step), which stops when it has used the CPU time of the blocks, and three and ten times that. Told are CPU time
per block, F above the least F known relative to it, and how far F of the blocks lies from that of one piece. Each at two
tolerances. Compilation is not counted.

Usage: python benchmarks/textures.py [--raw STACK.tif] [--size 512] [--atoms 16] [--atom 16] [--block 128]
       Without --raw a synthetic stack of the demo is used.
"""

from __future__ import annotations

import os

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from scipy import fft

from triptych.demo import volume as demo
from triptych.dictionary import learn_textures
from triptych.dictionary.textures import lgcd
from triptych.dictionary.textures.box import whole
from triptych.dictionary.textures.passes import Cut, Passes
from triptych.dictionary.textures.pieces import Piece

Array = NDArray[np.float64]


def planes(raw: Path | None, size: int) -> tuple[Array, Array]:
    """A plane to learn from and another one to code, of deviation 1."""
    if raw is None:
        shape = (4, size, size)
        stack = demo.paint(demo.TISSUES[0], np.random.Generator(np.random.PCG64(0)), shape).image
    else:
        stack = tifffile.imread(raw)
    first, last = (np.asarray(stack[i, :size, :size], dtype=np.float64) for i in (0, len(stack) - 1))
    return (first - first.mean()) / first.std(), (last - last.mean()) / last.std()


def fista(image: Array, atoms: Array, penalty: float, budgets_s: Sequence[float]) -> list[float]:
    """F of the best iterate when each budget of CPU time is used up; an iterate's own F is not counted in the time."""
    size = tuple(fft.next_fast_len(n, real=True) for n in image.shape)
    spectra = fft.rfftn(atoms, size, axes=(1, 2))
    target = fft.rfftn(image, size)
    shape = tuple(n - d + 1 for n, d in zip(image.shape, atoms.shape[1:], strict=True))
    code = np.zeros((len(atoms), *shape))

    def explained(z: Array) -> Any:
        return (spectra * fft.rfftn(z, size, axes=(1, 2))).sum(axis=0)

    def gradient(z: Array) -> Array:
        back = fft.irfftn(spectra.conj() * (explained(z) - target), size, axes=(1, 2))
        found: Array = back[:, : shape[0], : shape[1]]
        return found

    def objective(z: Array) -> float:
        left = image - fft.irfftn(explained(z), size)[: image.shape[0], : image.shape[1]]
        return float(0.5 * (left**2).sum() + penalty * z.sum())

    # The Hessian at a frequency is the outer product of the spectra: its largest eigenvalue is the sum of their squares.
    step = 1.0 / float((np.abs(spectra) ** 2).sum(axis=0).max())
    ahead, momentum, used, best, found = code, 1.0, 0.0, np.inf, []
    for budget in budgets_s:
        while used < budget:
            began = time.process_time()
            new = np.maximum(ahead - step * (gradient(ahead) + penalty), 0.0)
            further = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
            ahead = new + (momentum - 1) / further * (new - code)
            code, momentum = new, further
            used += time.process_time() - began
        best = min(best, objective(code))
        found.append(best)
    return found


def blocks(image: Array, atoms: Array, penalty: float, tolerance: float, block: int) -> dict[str, float]:
    """Code in blocks; CPU time, blocks, updates and F."""
    piece = Piece(image[None], whole((1, *image.shape)))
    passes = Passes(Cut((piece,), (1, *atoms.shape[1:]), (1, block, block)))
    model = lgcd.model(atoms[:, None], penalty, tolerance * penalty)
    began = time.process_time()
    codes, updates = passes.code(model)
    cpu = time.process_time() - began
    found, energies = passes.certify(model, codes)
    assert found.change <= model.tolerance * (1 + 1e-6)
    return {
        "cpu_s": cpu,
        "blocks": len(passes.blocks()),
        "updates": updates,
        "activations": len(codes[0]),
        "objective": energies.objective(penalty),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--raw", type=Path)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--atoms", type=int, default=16)
    parser.add_argument("--atom", type=int, default=16)
    parser.add_argument("--block", type=int, default=128)
    parser.add_argument("--regularization", type=float, default=0.15)
    options = parser.parse_args(arguments)
    first, image = planes(options.raw, options.size)
    cpu = time.process_time()
    learned = learn_textures(
        first, options.atoms, (options.atom, options.atom), options.regularization, max_iterations=12
    )
    cpu, atoms, penalty = time.process_time() - cpu, learned.atoms[:, 0], learned.penalty
    print(
        f"{image.shape[0]} x {image.shape[1]} voxels, {options.atoms} atoms of {options.atom} x {options.atom}, lambda = "
        f"{penalty:.4g}; learned in {len(learned.history)} iterations, {cpu:.1f} s CPU"
    )
    exact = blocks(image, atoms, penalty, 1e-5, options.size)["objective"]
    result: dict[str, Any] = {"learn_cpu_s": cpu, "objective": exact}
    for tolerance in (1e-2, 1e-4):
        one = blocks(image, atoms, penalty, tolerance, options.size)
        cut = blocks(image, atoms, penalty, tolerance, options.block)
        budgets = [cut["cpu_s"] * times for times in (1, 3, 10)]
        others = fista(image, atoms, penalty, budgets)
        least = min(exact, *others)
        apart = cut["objective"] / one["objective"] - 1
        print(f"\ntolerance {tolerance:g} of lambda")
        print(f"{'':24} {'CPU s':>8} {'updates':>9} {'activations':>12} {'F above the least':>18}")
        for name, row in (("one piece", one), (f"{cut['blocks']} blocks", cut)):
            print(
                f"{name:24} {row['cpu_s']:8.2f} {row['updates']:9.0f} {row['activations']:12.0f} "
                f"{row['objective'] / least - 1:18.1e}"
            )
        for budget, value in zip(budgets, others, strict=True):
            print(f"{'FISTA':24} {budget:8.2f} {'':9} {'':12} {value / least - 1:18.1e}")
        print(
            f"{1000 * cut['cpu_s'] / cut['blocks']:.0f} ms per block of {options.block}; blocks differ from one piece by "
            f"{apart:.1e}"
        )
        result[f"{tolerance:g}"] = {
            "block_ms": 1000 * cut["cpu_s"] / cut["blocks"],
            "blocks_off": apart,
            "above": cut["objective"] / least - 1,
            "fista_above": [value / least - 1 for value in others],
        }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
