"""Where the descent may begin: proximal gradient steps on many windows at once, by torch, for CUDA.

The data fit of a code needs the correlations c of the atoms with the signal and the scalar products G of shifted atoms alone:

    F(z) = 1/2 ||X||^2 - <c, z> + 1/2 <z, G * z> + lambda sum z,   z >= 0

G * z is a product of K x K matrices per frequency, on tiles of a few waveforms that overlap by what G reaches (overlap-save). What
is found is a beginning and no result: ``lgcd.code_window`` goes on from it to its tolerance. Operations are float32 and add in a
fixed order. None scatters; windows are summed one by one.

References
----------
Beck, Teboulle: A fast iterative shrinkage-thresholding algorithm, SIAM J. Imaging Sciences 2 (2009).
O'Donoghue, Candes: Adaptive restart for accelerated gradient schemes, Found. Comput. Math. 15 (2015), section 3.2.
Ablin, Moreau, Massias, Gramfort: Learning step sizes for unfolded sparse coding, NeurIPS 2019.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import fft

from triptych.dictionary.events import Events, Floats, events_of

TILE_WAVEFORMS = 8
DESCENT_STEPS = 40
FIRST_RATE, LAST_RATE = 0.2, 1e-3


@dataclass(frozen=True)
class Batch:
    """Windows on a device.

    Attributes
    ----------
    drive : (B, K, W) float32, correlations less the penalty, zero where no activation is allowed.
    allowed : (B, 1, W) float32, one where an atom may start.
    spectrum : (F, K, K) complex64, transform of the scalar products of shifted atoms over the lag; [f, l, k] leads from k to l.
    tile : samples of a tile, of which F is the number of frequencies.
    reach : L - 1.
    """

    drive: Any
    allowed: Any
    spectrum: Any
    tile: int
    reach: int


def batch(
    correlations: Floats, allowed: NDArray[np.bool_], gram: Floats, penalty: float, device: str
) -> Batch:
    """Windows brought to a device.

    Parameters
    ----------
    correlations : (B, K, W), of the atoms with what the signal holds beside the activations outside the window.
    allowed : (B, W), where an atom may start; False where a window is shorter than W.
    gram : (K, K, 2L - 1), see ``triptych.dictionary.gram.gram``.
    penalty : lambda.
    device : ``"cpu"`` or a CUDA device of torch.

    Raises
    ------
    ValueError
        Torch sees no such device.
    """
    if device != "cpu" and not (device.startswith("cuda") and torch.cuda.is_available()):
        raise ValueError(f"torch sees no device {device} here; use cpu")
    at, reach = torch.device(device), (gram.shape[2] - 1) // 2
    tile = int(fft.next_fast_len(TILE_WAVEFORMS * (reach + 1) + 2 * reach, real=True))
    spectrum = np.ascontiguousarray(around_zero(gram, tile).transpose(2, 1, 0))
    drive = np.where(allowed[:, None], correlations - penalty, 0.0)
    return Batch(
        torch.as_tensor(drive, dtype=torch.float32, device=at),
        torch.as_tensor(allowed[:, None], dtype=torch.float32, device=at),
        torch.as_tensor(spectrum, dtype=torch.complex64, device=at),
        tile,
        reach,
    )


def around_zero(gram: Floats, size: int) -> NDArray[np.complex128]:
    """Transform (K, K, size // 2 + 1) of the scalar products over the lag, lag zero at the origin."""
    reach = (gram.shape[2] - 1) // 2
    lags = np.zeros((*gram.shape[:2], size))
    lags[:, :, : reach + 1] = gram[:, :, reach:]
    lags[:, :, size - reach :] = gram[:, :, :reach]
    return np.asarray(fft.rfft(lags, axis=2))


def safe_step(gram: Floats) -> float:
    """One over a bound of the largest eigenvalue of z -> G * z on windows of any width, at most 2 % above it.

    The largest eigenvalue over all frequencies is that of a trigonometric polynomial of degree L - 1 (the quadratic form of the
    eigenvector where it is attained), which between M equispaced frequencies rises to at most 1 / cos(pi (L - 1) / M) of its
    largest value on them (M. Riesz, 1914).
    """
    length = (gram.shape[2] + 1) // 2
    frequencies = 16 * length
    matrices = np.moveaxis(around_zero(gram, frequencies), 2, 0)
    largest = float(np.linalg.eigvalsh(matrices).max())
    return float(np.cos(np.pi * (length - 1) / frequencies) / largest) if largest > 0 else 1.0


def products(windows: Batch, code: Any) -> Any:
    """G * z of a code (B, K, W), of the same shape."""
    many, atoms, width = code.shape
    inner = windows.tile - 2 * windows.reach
    tiles = -(-width // inner)
    padded = torch.nn.functional.pad(code, (windows.reach, tiles * inner - width + windows.reach))
    pieces = torch.fft.rfft(padded.unfold(2, windows.tile, inner))
    stacked = pieces.permute(3, 1, 0, 2).reshape(-1, atoms, many * tiles)
    mixed = torch.bmm(windows.spectrum, stacked).reshape(-1, atoms, many, tiles)
    found = torch.fft.irfft(mixed.permute(2, 1, 3, 0), windows.tile)
    return found[..., windows.reach : windows.reach + inner].reshape(many, atoms, -1)[..., :width]


def objective(windows: Batch, code: Any) -> Any:
    """F(z) - F(0) of every window, (B,) float64."""
    terms = code * (0.5 * products(windows, code) - windows.drive)
    return terms.sum(dim=(1, 2), dtype=torch.float64)


def _step(windows: Batch, code: Any, product: Any, step: Any) -> Any:
    """A gradient step and the nearest point with z >= 0, nothing where no activation is allowed."""
    return torch.relu(code - step * (product - windows.drive)) * windows.allowed


def unfold(windows: Batch, steps: Any) -> Any:
    """The codes (B, K, W) after one proximal gradient step of each size, from nothing."""
    code = torch.zeros_like(windows.drive)
    for step in steps:
        code = _step(windows, code, products(windows, code), step)
    return code


def descend(windows: Batch, steps: NDArray[np.float64], safe: float) -> Any:
    """As ``unfold``, but a window where a step raised F undoes it and takes one of the safe size instead."""
    code = torch.zeros_like(windows.drive)
    kept = held = code
    least = torch.zeros(len(code), 1, 1, dtype=torch.float64, device=code.device)
    for step in [*steps.tolist(), 0.0]:
        product = products(windows, code)
        value = (code * (0.5 * product - windows.drive)).sum(dim=(1, 2), keepdim=True, dtype=torch.float64)
        lower = value <= least
        kept, held = torch.where(lower, code, kept), torch.where(lower, product, held)
        least = torch.where(lower, value, least)
        code = _step(windows, kept, held, torch.where(lower, step, safe).to(torch.float32))
    return kept


def accelerate(windows: Batch, step: float, iterations: int) -> Any:
    """The codes (B, K, W) after accelerated steps of one size; a window whose momentum leads uphill drops it."""
    code = torch.zeros_like(windows.drive)
    ahead, weight = code, torch.ones(len(code), 1, 1, device=code.device)
    for _ in range(iterations):
        found = _step(windows, ahead, products(windows, ahead), step)
        uphill = ((ahead - found) * (found - code)).sum(dim=(1, 2), keepdim=True) > 0
        weight = torch.where(uphill, 1.0, weight)
        following = 0.5 * (1 + torch.sqrt(1 + 4 * weight**2))
        ahead, code = found + (weight - 1) / following * (found - code), found
        weight = following
    return code


def begin(
    windows: Batch, safe: float, least: Floats, *, iterations: int, steps: NDArray[np.float64] | None = None
) -> list[Events]:
    """Activations of every window to begin the descent from.

    Parameters
    ----------
    safe : the safe size of a step.
    least : (K,) amplitudes of each atom up to which activations are dropped.
    iterations : number of accelerated steps of the safe size.
    steps : (T,) learned sizes of as many plain steps, which are taken instead.

    Returns
    -------
    Activations with samples counted from the start of the window; none for a window whose code is no better than no code at all.
    """
    with torch.no_grad():
        code = accelerate(windows, safe, iterations) if steps is None else descend(windows, steps, safe)
        better = (objective(windows, code) < 0).cpu().numpy()
        bound = torch.as_tensor(least, dtype=torch.float32, device=code.device)[:, None]
        dense = torch.where(code > bound, code, 0.0).cpu().numpy()
    dense[~better] = 0.0
    return [events_of(window.astype(np.float64), 0) for window in dense]


def learn_steps(windows: Batch, others: Batch, safe: float, iterations: int) -> NDArray[np.float64]:
    """Step sizes that lower F on windows most: gradient descent on their logarithms, from the safe size.

    A descent step that does not lower the sum of F is undone and halved. Of the sizes on the way those are kept that serve other
    windows best: long steps pay until somewhere they diverge.

    Parameters
    ----------
    windows : samples of what is to be coded, with its atoms and penalty.
    others : further samples.
    safe : the safe size.
    iterations : T.

    Returns
    -------
    (T,) float64.
    """
    logs = best = torch.zeros(iterations, dtype=torch.float32, device=windows.drive.device)
    value, slope = _value_and_slope(windows, safe, logs)
    least, rate = _value(others, safe, logs), FIRST_RATE
    for _ in range(DESCENT_STEPS):
        steepest = slope.abs().max()
        if not (rate > LAST_RATE and float(steepest) > 0):
            break
        trial = logs - rate * slope / steepest
        found, steeper = _value_and_slope(windows, safe, trial)
        if not found < value:
            rate *= 0.5
            continue
        logs, value, slope, rate = trial, found, steeper, 1.3 * rate
        elsewhere = _value(others, safe, logs)
        if elsewhere < least:
            best, least = logs, elsewhere
    sizes: NDArray[np.float64] = safe * np.exp(best.cpu().numpy().astype(np.float64))
    return sizes


def _value(windows: Batch, safe: float, logs: Any) -> float:
    """Sum of F - F(0) over the windows after steps of sizes safe * exp(logs)."""
    with torch.no_grad():
        value: float = objective(windows, unfold(windows, safe * torch.exp(logs))).sum().item()
    return value


def _value_and_slope(windows: Batch, safe: float, logs: Any) -> tuple[float, Any]:
    """What ``_value`` gives, and its gradient over the logarithms."""
    logs = logs.detach().requires_grad_(True)
    value = objective(windows, unfold(windows, safe * torch.exp(logs))).sum()
    value.backward()
    return value.item(), logs.grad
