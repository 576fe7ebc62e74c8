"""A classical membrane map: how much the image looks like a thin dark (or bright) sheet, from second derivatives."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numba
import numpy as np
import numpy.typing as npt

Polarity = Literal["dark", "bright"]
Spacing = tuple[float, float, float]
Triple = tuple[int, int, int]

# Above this ratio of voxel sizes neighbouring slices no longer show the same sheet: derivatives stay in the plane.
COARSE_Z = 3.0
TRUNCATE = 3.0
BINS = 8192
# In an image without noise and texture the median says nothing: a valley shallower than this is no membrane.
LEAST_HALF_RESPONSE = 0.02


@dataclass(frozen=True)
class Filter:
    """Widths of the Gaussian along z, y, x in voxels (0 leaves an axis alone), and the grey values mapped to 0 and 1."""

    sigmas: Spacing
    low: float
    high: float
    polarity: Polarity = "dark"

    @property
    def in_plane(self) -> bool:
        """Whether derivatives along z are left out."""
        return self.sigmas[0] == 0

    @property
    def halo(self) -> Triple:
        """Voxels that one voxel of the result depends on, each way: the Gaussian and one voxel for the differences."""
        z, y, x = (_radius(s) + 1 if s > 0 else 0 for s in self.sigmas)
        return z, y, x


def plan_filter(
    voxel_size_nm: Spacing,
    sigma_nm: float,
    low: float,
    high: float,
    polarity: Polarity = "dark",
) -> Filter:
    """Filter for a voxel size.

    The Gaussian is at least 0.8 voxels wide along each axis used: below that its derivatives are not sampled. z is used where
    its voxel is at most three times the finer one in the plane. Raises ValueError where ``high`` is not above ``low``.
    """
    if high <= low:
        raise ValueError(f"grey values {low:g} to {high:g} leave no contrast")
    widths = [max(sigma_nm / size, 0.8) for size in voxel_size_nm]
    if voxel_size_nm[0] > COARSE_Z * min(voxel_size_nm[1:]):
        widths[0] = 0.0
    return Filter((widths[0], widths[1], widths[2]), float(low), float(high), polarity)


def membrane_response(volume: npt.NDArray[Any], plan: Filter) -> npt.NDArray[np.float32]:
    """Sheetness of every voxel: how deep a valley (or how high a ridge) of the smoothed image it lies in.

    The image is scaled to [0, 1], smoothed by a Gaussian, and the largest eigenvalue of its Hessian is taken, in units of the
    Gaussian's width. Each voxel depends on ``plan.halo`` voxels around it, in a fixed order of operations, so blocks with that
    halo equal the whole. The volume is mirrored at its faces.

    Parameters
    ----------
    volume : (z, y, x) uint8 or uint16.

    Returns
    -------
    (z, y, x) float32; positive on membranes.

    References
    ----------
    Sato et al. 1998, Med. Image Anal. 2:143; Frangi et al. 1998, MICCAI (eigenvalues of the Hessian); Lindeberg 1998, Int. J.
    Comput. Vis. 30:117 (derivatives normalised by scale).
    """
    sign = 1.0 if plan.polarity == "dark" else -1.0
    smooth = ((volume.astype(np.float32) - np.float32(plan.low)) / np.float32(plan.high - plan.low)).clip(
        0, 1
    )
    smooth *= np.float32(sign)
    for axis, sigma in enumerate(plan.sigmas):
        if sigma > 0:
            smooth = _CONVOLVE[axis](smooth, _gaussian(sigma))
    scale = tuple(np.float32(s) for s in plan.sigmas)
    return _valley_in_plane(smooth, scale) if plan.in_plane else _valley(smooth, scale)


def response_histogram(response: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """Counts of responses in ``BINS`` equal bins of [0, 1]; negative ones fall in the first, larger ones in the last."""
    bins = np.clip(response * np.float32(BINS), 0, BINS - 1).astype(np.int32)
    return np.bincount(bins.ravel(), minlength=BINS).astype(np.int64)


def half_response(histogram: npt.NDArray[np.int64], level: float) -> float:
    """The response of probability 1/2: ``level`` times the median of all voxels, which texture and noise set.

    Membranes fill a small part of a volume, so the median does not know them; it follows noise and contrast.
    """
    below = np.cumsum(histogram)
    median = (int(np.searchsorted(below, below[-1] / 2)) + 0.5) / BINS
    return max(level * median, LEAST_HALF_RESPONSE)


def membrane_probability(response: npt.NDArray[np.float32], half: float) -> npt.NDArray[np.uint8]:
    """Responses as probabilities r^2 / (r^2 + half^2), 255 for 1; 0 where negative."""
    square = np.square(np.maximum(response, np.float32(0)))
    return (np.float32(255) * square / (square + np.float32(half) ** 2) + np.float32(0.5)).astype(np.uint8)


def _radius(sigma: float) -> int:
    return math.ceil(TRUNCATE * sigma)


def _gaussian(sigma: float) -> npt.NDArray[np.float32]:
    x = np.arange(-_radius(sigma), _radius(sigma) + 1)
    weights = np.exp(-0.5 * (x / sigma) ** 2)
    return (weights / weights.sum()).astype(np.float32)


@numba.njit(nogil=True, cache=True)
def _mirror(i, n):  # type: ignore[no-untyped-def]
    """Index mirrored at the centres of the first and last voxel."""
    if n == 1:
        return 0
    period = 2 * (n - 1)
    i = abs(i) % period
    return period - i if i >= n else i


@numba.njit(nogil=True, cache=True)
def _convolve_z(volume, weights):  # type: ignore[no-untyped-def]
    nz, ny, nx = volume.shape
    radius = weights.size // 2
    out = np.zeros_like(volume)
    for z in range(nz):
        for k in range(weights.size):
            source = volume[_mirror(z + k - radius, nz)]
            weight = weights[k]
            for y in range(ny):
                for x in range(nx):
                    out[z, y, x] += weight * source[y, x]
    return out


@numba.njit(nogil=True, cache=True)
def _convolve_y(volume, weights):  # type: ignore[no-untyped-def]
    nz, ny, nx = volume.shape
    radius = weights.size // 2
    out = np.zeros_like(volume)
    for z in range(nz):
        for y in range(ny):
            for k in range(weights.size):
                source = volume[z, _mirror(y + k - radius, ny)]
                weight = weights[k]
                for x in range(nx):
                    out[z, y, x] += weight * source[x]
    return out


@numba.njit(nogil=True, cache=True)
def _convolve_x(volume, weights):  # type: ignore[no-untyped-def]
    nz, ny, nx = volume.shape
    radius = weights.size // 2
    out = np.zeros_like(volume)
    row = np.empty(nx + 2 * radius, np.float32)
    for z in range(nz):
        for y in range(ny):
            for i in range(row.size):
                row[i] = volume[z, y, _mirror(i - radius, nx)]
            for k in range(weights.size):
                weight = weights[k]
                for x in range(nx):
                    out[z, y, x] += weight * row[x + k]
    return out


_CONVOLVE = (_convolve_z, _convolve_y, _convolve_x)


@numba.njit(nogil=True, cache=True)
def _valley_in_plane(f, scale):  # type: ignore[no-untyped-def]
    """Largest eigenvalue of the 2 x 2 Hessian of every slice."""
    nz, ny, nx = f.shape
    out = np.empty(f.shape, np.float32)
    sy, sx = scale[1], scale[2]
    two, quarter = np.float32(2), np.float32(0.25)
    for z in range(nz):
        for y in range(ny):
            up, mid, down = f[z, _mirror(y - 1, ny)], f[z, y], f[z, _mirror(y + 1, ny)]
            for x in range(nx):
                a, b = _mirror(x - 1, nx), _mirror(x + 1, nx)
                yy = (up[x] - two * mid[x] + down[x]) * sy * sy
                xx = (mid[a] - two * mid[x] + mid[b]) * sx * sx
                yx = (up[a] - up[b] - down[a] + down[b]) * quarter * sy * sx
                mean, half_difference = (yy + xx) / two, (yy - xx) / two
                out[z, y, x] = mean + math.sqrt(half_difference * half_difference + yx * yx)
    return out


@numba.njit(nogil=True, cache=True)
def _valley(f, scale):  # type: ignore[no-untyped-def]
    """Largest eigenvalue of the 3 x 3 Hessian, by the trigonometric solution of the characteristic cubic."""
    nz, ny, nx = f.shape
    out = np.empty(f.shape, np.float32)
    sz, sy, sx = scale
    two, quarter = np.float32(2), np.float32(0.25)
    for z in range(nz):
        below, above = f[_mirror(z - 1, nz)], f[_mirror(z + 1, nz)]
        for y in range(ny):
            p, q = _mirror(y - 1, ny), _mirror(y + 1, ny)
            for x in range(nx):
                a, b = _mirror(x - 1, nx), _mirror(x + 1, nx)
                centre = two * f[z, y, x]
                zz = (below[y, x] - centre + above[y, x]) * sz * sz
                yy = (f[z, p, x] - centre + f[z, q, x]) * sy * sy
                xx = (f[z, y, a] - centre + f[z, y, b]) * sx * sx
                zy = (below[p, x] - below[q, x] - above[p, x] + above[q, x]) * quarter * sz * sy
                zx = (below[y, a] - below[y, b] - above[y, a] + above[y, b]) * quarter * sz * sx
                yx = (f[z, p, a] - f[z, p, b] - f[z, q, a] + f[z, q, b]) * quarter * sy * sx
                out[z, y, x] = _largest_eigenvalue(zz, yy, xx, zy, zx, yx)
    return out


@numba.njit(nogil=True, cache=True)
def _largest_eigenvalue(a, b, c, d, e, f):  # type: ignore[no-untyped-def]
    """Of the symmetric matrix ((a, d, e), (d, b, f), (e, f, c)); Smith 1961, Commun. ACM 4:168."""
    mean = (a + b + c) / 3.0
    a, b, c = a - mean, b - mean, c - mean
    spread = math.sqrt((a * a + b * b + c * c + 2.0 * (d * d + e * e + f * f)) / 6.0)
    if spread <= 0.0:
        return mean
    determinant = a * (b * c - f * f) - d * (d * c - f * e) + e * (d * f - b * e)
    cosine = determinant / (2.0 * spread * spread * spread)
    return mean + 2.0 * spread * math.cos(math.acos(min(1.0, max(-1.0, cosine))) / 3.0)
