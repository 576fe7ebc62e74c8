"""Groups predicted for subjects that nothing was fitted to.

In every fold the scaling of features, the common quantizer (which is also the reference of the linearised transport), the
principal axes, the metric and the group means are fitted to the samples of the training subjects; samples of the held-out
subjects are only projected. Only the group means know the labels, so the features of a fold serve all rearrangements.

Views of a sample: ``transport`` (displacements of linearised transport), ``weights`` (centred log-ratios of its mass at the
common centers), and as the trivial baseline ``moments`` (mean and standard deviation of every feature, in the units that
transport sees: their distance is W2 of normal distributions without correlations, so transport leads by shape alone).

The classifier is the same for all views: the nearest group mean in principal coordinates (one axis for every four training
samples, at most), in the metric of their covariance, shrunk by a tenth; with two groups and without shrinkage this is linear
discriminant analysis with equal priors.

References
----------
Fisher RA. The use of multiple measurements in taxonomic problems. Ann Eugen 7 (1936).
Friedman JH. Regularized discriminant analysis. J Am Stat Assoc 84 (1989).
Ojala M, Garriga GC. Permutation tests for studying classifier performance. J Mach Learn Res 11 (2010).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.covariance import shrunk_covariance

from triptych.quantization import composition, embedding
from triptych.quantization.arrangements import Codes
from triptych.quantization.neighbours import binomial_interval, units_right

Array = NDArray[np.float64]

VIEWS = ("transport", "weights", "moments")
SAMPLES_PER_AXIS = 4
SHRINKAGE = 0.1


@dataclass(frozen=True)
class Samples:
    """Measures with their moments, in units that no other sample has a part in.

    Attributes
    ----------
    centers, weights : (K_i, d) and (K_i,) of every sample.
    means, variances : (N, d) of the events of every sample.
    events : (N,), events that every measure stands for.
    """

    centers: tuple[Array, ...]
    weights: tuple[Array, ...]
    means: Array
    variances: Array
    events: NDArray[np.int64]


@dataclass(frozen=True)
class Plan:
    """How folds are fitted.

    Attributes
    ----------
    scaled : whether features are brought to unit variance over the training events (each sample of equal mass).
    n_centers : of the common quantizer.
    axes : principal axes of every view, at most.
    seed : of the quantizer.
    """

    scaled: bool
    n_centers: int
    axes: int
    seed: int


@dataclass(frozen=True)
class Fitted:
    """What a fold has learned without labels: none of it may depend on a held-out sample.

    Attributes
    ----------
    center, scale : (d,) of the features.
    space : reference, axes and mean of linearised transport.
    ratios : mean (K,) and directions (q, K) of the log-ratios.
    moments : mean (2 d,) of the moments, and their directions (q, 2 d).
    """

    center: Array
    scale: Array
    space: embedding.LinearSpace
    ratios: tuple[Array, Array]
    moments: tuple[Array, Array]


@dataclass(frozen=True)
class Fold:
    """Predictions of one fold, for every view in the order of ``VIEWS``.

    Attributes
    ----------
    held_out : (t,) rows of the held-out samples.
    predicted : (views, M, t) codes of groups, for every arrangement of labels; the observed one first.
    probability : (views, t, G) of the observed labels: of normal groups with the shrunk covariance of all training samples
        in common, which is wider than that within groups, so that these are cautious.
    """

    held_out: NDArray[np.int64]
    predicted: Codes
    probability: Array


@dataclass(frozen=True)
class Score:
    """How well one view predicts.

    Attributes
    ----------
    accuracy : share of units (a subject within a group; right where more than half of its samples are), with its exact 95 %
        interval.
    balanced : mean of the shares within groups, with an interval of at least 95 %: the mean of exact intervals of every
        group, each at 1 - 0.05 / G.
    p : share of rearranged labels whose balanced accuracy reaches this one; NaN where there is no other arrangement.
    null : mean and 0.95 quantile of the balanced accuracy over the arrangements.
    units : number of them.
    arranged : (M - 1,) balanced accuracy of every arrangement.
    """

    accuracy: float
    interval: tuple[float, float]
    balanced: float
    balanced_interval: tuple[float, float]
    p: float
    null: tuple[float, float]
    units: int
    arranged: Array


def subject_folds(subjects: Sequence[str], most: int, seed: int) -> list[NDArray[np.int64]]:
    """Rows held out by every fold: one subject each, or where there are more subjects than ``most``, equal random shares.

    Folds do not look at labels, so that rearranged labels are treated like the observed ones.
    """
    names = sorted(set(subjects))
    order = np.random.Generator(np.random.Philox(seed)).permutation(len(names))
    number = min(most, len(names))
    fold = {names[int(k)]: place % number for place, k in enumerate(order)}
    if number == len(names):
        fold = {name: place for place, name in enumerate(names)}
    rows = np.array([fold[subject] for subject in subjects])
    return [np.flatnonzero(rows == f) for f in range(number)]


def fit(samples: Samples, training: NDArray[np.int64], plan: Plan) -> tuple[Fitted, list[Array]]:
    """What a fold learns from its training samples, and their coordinates in every view."""
    center, scale = _scaling(samples, training, plan.scaled)
    centers = [(samples.centers[int(i)] - center) / scale for i in training]
    weights = [samples.weights[int(i)] for i in training]
    axes = max(1, min(plan.axes, len(training) // SAMPLES_PER_AXIS))
    reference, masses = embedding.mean_reference(centers, weights, plan.n_centers, plan.seed)
    fields = [
        embedding.displacements(reference, masses, c, w)[0] for c, w in zip(centers, weights, strict=True)
    ]
    space = embedding.fit_axes(fields, reference, masses, axes)
    logs = _ratios(centers, weights, reference, samples.events[training])
    mean_log, log_axes, _ = embedding.principal_directions(logs, axes)
    moments = _moments(samples, training, center, scale)
    middle, moment_axes, _ = embedding.principal_directions(moments, axes)
    fitted = Fitted(center, scale, space, (mean_log, log_axes), (middle, moment_axes))
    return fitted, [
        embedding.project(space, fields)[0],
        (logs - mean_log) @ log_axes.T,
        (moments - middle) @ moment_axes.T,
    ]


def place(samples: Samples, rows: NDArray[np.int64], fitted: Fitted) -> list[Array]:
    """Coordinates of held-out samples in every view."""
    space = fitted.space
    centers = [(samples.centers[int(i)] - fitted.center) / fitted.scale for i in rows]
    weights = [samples.weights[int(i)] for i in rows]
    fields = [
        embedding.displacements(space.reference, space.reference_weights, c, w)[0]
        for c, w in zip(centers, weights, strict=True)
    ]
    logs = _ratios(centers, weights, space.reference, samples.events[rows])
    middle, axes = fitted.moments
    return [
        embedding.project(space, fields)[0],
        (logs - fitted.ratios[0]) @ fitted.ratios[1].T,
        (_moments(samples, rows, fitted.center, fitted.scale) - middle) @ axes.T,
    ]


def predict_fold(samples: Samples, held_out: NDArray[np.int64], arranged: Codes, plan: Plan) -> Fold:
    """Fit to all samples but the held-out ones and predict these.

    Parameters
    ----------
    arranged : (M, N) codes of groups; the observed ones first, rearranged ones below.
    """
    training = np.setdiff1d(np.arange(len(samples.events)), held_out)
    fitted, known = fit(samples, training, plan)
    new = place(samples, held_out, fitted)
    groups = int(arranged.max()) + 1
    found = [
        nearest_means(_whitened(rows, rows), arranged[:, training], _whitened(rows, other), groups)
        for rows, other in zip(known, new, strict=True)
    ]
    return Fold(held_out, np.stack([f[0] for f in found]), np.stack([f[1] for f in found]))


def nearest_means(known: Array, labels: Codes, new: Array, groups: int) -> tuple[Codes, Array]:
    """The group whose mean is nearest, for many labellings at once.

    Parameters
    ----------
    known : (n, q); new : (t, q), in coordinates whose metric is Euclidean.
    labels : (M, n) codes. A group without a sample is never predicted.

    Returns
    -------
    predicted : (M, t) codes, ties to the lowest.
    probability : (t, G) for the first labelling.
    """
    predicted = np.zeros((len(labels), len(new)), np.int64)
    first = np.zeros((len(new), groups))
    for m, row in enumerate(labels):
        member = (row[:, None] == np.arange(groups)).astype(np.float64)
        size = member.sum(axis=0)
        means = (member.T @ known) / np.maximum(size, 1)[:, None]
        squares = ((new[:, None] - means[None]) ** 2).sum(axis=2)
        squares[:, size == 0] = np.inf
        predicted[m] = squares.argmin(axis=1)
        if m == 0:
            heights = np.exp(-(squares - squares.min(axis=1, keepdims=True)) / 2)
            first = heights / heights.sum(axis=1, keepdims=True)
    return predicted, first


def score(predicted: Codes, arranged: Codes, subjects: Sequence[str], exact: bool) -> Score:
    """Score one view.

    Parameters
    ----------
    predicted, arranged : (M, N) codes of groups; the observed labels first.
    exact : whether the rows below the first are all distinct arrangements (the observed one among them), not random ones.
    """
    units = _units(predicted[0], arranged[0], subjects)
    right, trials = sum(units.values()), len(units)
    groups = sorted({group for _, group in units})
    counts = [Counter(good for (_, group), good in units.items() if group == g) for g in groups]
    level = 1 - 0.05 / len(groups)
    ends = [binomial_interval(c[True], c.total(), level) for c in counts]
    balanced = _balanced(units)
    null = np.array(
        [_balanced(_units(p, a, subjects)) for p, a in zip(predicted[1:], arranged[1:], strict=True)]
    )
    return Score(
        accuracy=right / trials,
        interval=binomial_interval(right, trials),
        balanced=balanced,
        balanced_interval=(float(np.mean([e[0] for e in ends])), float(np.mean([e[1] for e in ends]))),
        p=_p_value(null, balanced, exact),
        null=(float(null.mean()), float(np.quantile(null, 0.95))) if len(null) else (np.nan, np.nan),
        units=trials,
        arranged=null,
    )


def p_of_best(scores: Sequence[Score], exact: bool) -> float:
    """p-value of the best balanced accuracy among several views: the best view of every arrangement is its null.

    References
    ----------
    Westfall, Young, Resampling-based multiple testing, Wiley (1993).
    """
    null = np.max([s.arranged for s in scores], axis=0)
    return _p_value(null, max(s.balanced for s in scores), exact)


def _p_value(null: Array, observed: float, exact: bool) -> float:
    if len(null) < 2:
        return float("nan")
    reached = int((null >= observed - 1e-12).sum())
    return reached / len(null) if exact else (1 + reached) / (1 + len(null))


def _units(predicted: Codes, labels: Codes, subjects: Sequence[str]) -> dict[tuple[str, str], bool]:
    return units_right(predicted == labels, [str(g) for g in labels.tolist()], subjects)


def _balanced(units: dict[tuple[str, str], bool]) -> float:
    shares: dict[str, list[bool]] = {}
    for (_, group), good in units.items():
        shares.setdefault(group, []).append(good)
    return float(np.mean([np.mean(found) for _, found in sorted(shares.items())]))


def _scaling(samples: Samples, training: NDArray[np.int64], scaled: bool) -> tuple[Array, Array]:
    """Mean (d,) and standard deviation (d,) of all training events, each sample of equal mass; 1 for a constant feature."""
    means, variances = samples.means[training], samples.variances[training]
    center = means.mean(axis=0)
    if not scaled:
        return np.zeros_like(center), np.ones_like(center)
    deviation = np.sqrt((variances + (means - center) ** 2).mean(axis=0))
    return center, np.where(deviation > 0, deviation, 1.0)


def _ratios(
    centers: Sequence[Array], weights: Sequence[Array], common: Array, events: NDArray[np.int64]
) -> Array:
    shares = np.stack(
        [composition.nearest_center_weights(c, w, common) for c, w in zip(centers, weights, strict=True)]
    )
    return composition.centred_log_ratios(composition.replace_zeros(shares, events))


def _moments(samples: Samples, rows: NDArray[np.int64], center: Array, scale: Array) -> Array:
    """Mean and standard deviation of every feature; (t, 2 d)."""
    return np.hstack([(samples.means[rows] - center) / scale, np.sqrt(samples.variances[rows]) / scale])


def _whitened(training: Array, rows: Array) -> Array:
    """Rows in coordinates in which the shrunk covariance of the training rows is the identity."""
    middle = training.mean(axis=0)
    centred = training - middle
    values, vectors = np.linalg.eigh(shrunk_covariance(centred.T @ centred / len(training), SHRINKAGE))
    floor = 1e-12 * max(float(values.max(initial=0.0)), 1e-300)
    return np.asarray((rows - middle) @ (vectors / np.sqrt(np.maximum(values, floor))))
