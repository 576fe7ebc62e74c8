"""Robust scaling of features over samples of any size: exact weighted quantiles from mergeable histograms.

Every sample weighs the same: a value of a sample with n finite values weighs 1 / (n N) for N samples. The median
and the quartiles are those of the weighted distribution, exact to the last bit: floating-point numbers are mapped to
unsigned integers of the same order (the sign bit of positive numbers is set, all bits of negative ones are
inverted), and each pass counts 16 bits of them, inside the bin that the pass before selected: two passes for
float32, four for float64. Counts are integers, so they are the same in whatever pieces the values come.

A quantile is the mean of the least and the greatest value at which the weighted distribution function passes the
level (type 2 of Hyndman and Fan), so the median of an even number of values is the mean of the middle two.

References
----------
Hyndman RJ, Fan Y. Sample quantiles in statistical packages. Am Stat 50:361-365 (1996).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Floats = np.ndarray[Any, np.dtype[np.float64]]

BITS = 16
BINS = 1 << BITS
LEVELS = (0.25, 0.5, 0.75)
TOLERANCE = 1e-12
GAUSSIAN_IQR = 1.3489795003921634  # interquartile range of the unit normal distribution


@dataclass(frozen=True)
class Search:
    """Where the quantiles are known to lie after some passes.

    Attributes
    ----------
    passed : number of passes done.
    prefix : (d, 6) uint64, the leading ``16 * passed`` bits of the two ends of the three quantiles of each feature.
    below : (d, 6) float64, weight of the values with a smaller prefix.
    """

    passed: int
    prefix: Array
    below: Floats


@dataclass(frozen=True)
class Counts:
    """Counts of one pass over some values of one sample; integers, so the order of merging does not matter.

    Attributes
    ----------
    finite, nonfinite : (d,) int64.
    minimum, maximum : (d,) float64 of the finite values; +inf and -inf where there are none.
    places : (m,) int64, sorted: the bins that are not empty, as flat indices of an array (d, 6, 65536). Ends of a
        feature that share a prefix share the bins of the first of them.
    counts : (m,) int64 > 0.
    """

    finite: Array
    nonfinite: Array
    minimum: Floats
    maximum: Floats
    places: Array
    counts: Array


@dataclass(frozen=True)
class Scaling:
    """Center and scale of every feature.

    Attributes
    ----------
    center : (d,) float64, median.
    scale : (d,) float64, interquartile range / 1.349, which is the standard deviation of a normal distribution.
    lower, upper : (d,) float64, quartiles.
    minimum, maximum : (d,) float64.
    n, n_nonfinite : (d,) int64, finite and other values over all samples.
    n_samples : (d,) int64, samples with at least one finite value.
    """

    center: Floats
    scale: Floats
    lower: Floats
    upper: Floats
    minimum: Floats
    maximum: Floats
    n: Array
    n_nonfinite: Array
    n_samples: Array

    @property
    def constant(self) -> Array:
        """(d,) bool: features without two different finite values."""
        return ~(self.maximum > self.minimum)

    @property
    def included(self) -> Array:
        """(d,) bool: features that can be scaled."""
        return np.isfinite(self.scale) & (self.scale > 0)


def ordered_keys(values: Array) -> Array:
    """Unsigned integers in the order of the floating-point values (float32 or float64, no NaN); -0 becomes 0."""
    wide = values.dtype == np.float64
    unsigned, signed, shift = (np.uint64, np.int64, 63) if wide else (np.uint32, np.int32, 31)
    bits = (values + values.dtype.type(0)).view(unsigned)
    mask = (bits.view(signed) >> signed(shift)).view(unsigned) | unsigned(1 << shift)
    return bits ^ mask


def values_of_keys(keys: Array) -> Array:
    """The inverse of ``ordered_keys``."""
    wide = keys.dtype == np.uint64
    unsigned, shift = (np.uint64, 63) if wide else (np.uint32, 31)
    positive = (keys >> unsigned(shift)).astype(bool)
    bits = np.where(positive, keys ^ unsigned(1 << shift), ~keys)
    return bits.view(np.float64 if wide else np.float32)


def passes(dtype: np.dtype[Any]) -> int:
    """Number of passes for values of this type."""
    return dtype.itemsize * 8 // BITS


def start(n_features: int) -> Search:
    """The search before the first pass."""
    ends = 2 * len(LEVELS)
    return Search(0, np.zeros((n_features, ends), np.uint64), np.zeros((n_features, ends), np.float64))


def partial(block: Array, search: Search) -> Counts:
    """Count one pass over a block of rows.

    Parameters
    ----------
    block : (n, d) float32 or float64; every block of a search has the same type.
    search : where the quantiles are known to lie.

    Returns
    -------
    Counts of the block.
    """
    n_features, n_ends = search.prefix.shape
    places, counts = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    finite = np.zeros(n_features, np.int64)
    minimum, maximum = np.full(n_features, np.inf), np.full(n_features, -np.inf)
    shift = block.dtype.itemsize * 8 - BITS * (search.passed + 1)
    for j in range(n_features):
        values = np.ascontiguousarray(block[:, j])
        values = values[np.isfinite(values)]
        finite[j] = len(values)
        if not len(values):
            continue
        minimum[j], maximum[j] = values.min(), values.max()
        keys = ordered_keys(values).astype(np.uint64) >> np.uint64(shift)
        leading = keys >> np.uint64(BITS)
        for t in range(n_ends):
            prefix = search.prefix[j, t]
            if t and prefix in search.prefix[j, :t]:
                continue
            inside = keys if search.passed == 0 else keys[leading == prefix]
            found, times = _count((inside & np.uint64(BINS - 1)).astype(np.int64))
            places.append(found + (j * n_ends + t) * BINS)
            counts.append(times)
    return Counts(
        finite, len(block) - finite, minimum, maximum, np.concatenate(places), np.concatenate(counts)
    )


def _count(bins: Array) -> tuple[Array, Array]:
    """The bins that occur, sorted, and how often; by a table where there are many values."""
    if len(bins) < BINS // 4:
        return np.unique(bins, return_counts=True)
    table = np.bincount(bins, minlength=BINS)
    places = np.flatnonzero(table)
    return places, table[places]


def merge(a: Counts, b: Counts) -> Counts:
    """Counts of two pieces of one sample together."""
    places, which = np.unique(np.concatenate([a.places, b.places]), return_inverse=True)
    counts = np.zeros(len(places), np.int64)
    np.add.at(counts, which, np.concatenate([a.counts, b.counts]))
    return Counts(
        a.finite + b.finite,
        a.nonfinite + b.nonfinite,
        np.minimum(a.minimum, b.minimum),
        np.maximum(a.maximum, b.maximum),
        places,
        counts,
    )


class Pass:
    """One pass over all samples: weighs the counts of each sample and narrows the search.

    Samples are added in their order, so the sums of weights are always the same.
    """

    def __init__(self, search: Search) -> None:
        self.search = search
        shape = search.prefix.shape
        self.weights = np.zeros((*shape, BINS))
        self.samples = np.zeros(shape[0], np.int64)
        self.n = np.zeros(shape[0], np.int64)
        self.n_nonfinite = np.zeros(shape[0], np.int64)
        self.minimum = np.full(shape[0], np.inf)
        self.maximum = np.full(shape[0], -np.inf)

    def add(self, sample: Counts) -> None:
        """Add the counts of a whole sample."""
        some = sample.finite > 0
        feature = sample.places // (BINS * self.search.prefix.shape[1])
        self.weights.ravel()[sample.places] += sample.counts / sample.finite[feature]
        self.samples += some
        self.n += sample.finite
        self.n_nonfinite += sample.nonfinite
        self.minimum = np.minimum(self.minimum, sample.minimum)
        self.maximum = np.maximum(self.maximum, sample.maximum)

    def narrow(self) -> Search:
        """The search with 16 more bits known."""
        prefix, below = self.search.prefix.copy(), self.search.below.copy()
        for j, t in np.ndindex(*prefix.shape):
            if not self.samples[j]:
                continue
            level, upper = LEVELS[t // 2], t % 2
            first = int(np.flatnonzero(self.search.prefix[j] == self.search.prefix[j, t])[0])
            weights = self.weights[j, first] / self.samples[j]
            reached = below[j, t] + np.cumsum(weights)
            goal = level + TOLERANCE if upper else level - TOLERANCE
            # Among the bins that hold something, so that rounding of the sums never ends in an empty one.
            held = np.flatnonzero(weights)
            place = int(held[min(int(np.searchsorted(reached[held], goal)), len(held) - 1)])
            below[j, t] = reached[place] - weights[place]
            prefix[j, t] = (prefix[j, t] << np.uint64(BITS)) | np.uint64(place)
        return Search(self.search.passed + 1, prefix, below)

    def finish(self, dtype: np.dtype[Any]) -> Scaling:
        """The scaling, after the last pass; features without finite values have NaN."""
        search = self.narrow()
        if search.passed != passes(dtype):
            raise ValueError(f"{search.passed} passes are too few for {dtype}: {passes(dtype)} are needed")
        keys = search.prefix.astype(np.uint64 if dtype == np.float64 else np.uint32)
        ends = values_of_keys(keys).astype(np.float64)
        ends[self.samples == 0] = np.nan
        lower, center, upper = (ends[:, 2 * i] / 2 + ends[:, 2 * i + 1] / 2 for i in range(len(LEVELS)))
        with np.errstate(over="ignore"):
            scale = (upper - lower) / GAUSSIAN_IQR
        return Scaling(
            center, scale, lower, upper, self.minimum, self.maximum, self.n, self.n_nonfinite, self.samples
        )


def scale(samples: Sequence[Array]) -> Scaling:
    """Center and scale of each feature over samples in memory, every sample weighing the same.

    Parameters
    ----------
    samples : arrays (n_i, d) of one floating-point type; rows are things, columns are features.

    Returns
    -------
    Scaling, the same as that of any way to cut the samples into blocks.

    Raises
    ------
    ValueError : no samples, different numbers of features, or values that are not float32 or float64.

    Examples
    --------
    >>> scale([np.array([[1.0], [2.0], [4.0]])]).center
    array([2.])
    """
    if not samples:
        raise ValueError("there are no samples to scale")
    dtype, n_features = samples[0].dtype, samples[0].shape[1]
    if any(s.ndim != 2 or s.shape[1] != n_features or s.dtype != dtype for s in samples):
        raise ValueError("samples differ in their number of features or in type")
    if dtype not in (np.float32, np.float64):
        raise ValueError(f"values are of type {dtype}; float32 or float64 is needed")
    search = start(n_features)
    while True:
        current = Pass(search)
        for sample in samples:
            current.add(partial(sample, search))
        if search.passed + 1 == passes(dtype):
            return current.finish(dtype)
        search = current.narrow()


def standardize(matrix: Array, center: Floats, scale: Floats) -> Floats:
    """(n, d) values less their center, divided by their scale, in float64."""
    return (np.asarray(matrix, dtype=np.float64) - center) / scale
