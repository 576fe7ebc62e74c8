"""Classification that leaves subjects out: it finds what is planted, no more, and learns nothing of the held-out."""

import dataclasses

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from triptych.quantization import classification
from triptych.quantization.arrangements import arrange

PLAN = classification.Plan(scaled=True, n_centers=12, axes=4, seed=0)


def cohort(n: int, shift: float, seed: int = 0):
    """Two bumps; in the second group the second bump lies farther along, at equal mean of the first feature."""
    rng = np.random.default_rng(seed)
    centers = []
    base = np.random.default_rng(99).normal(size=(16, 3)) * [0.3, 1, 1]
    for i in range(n):
        bump = base + rng.normal(size=(16, 3)) * 0.2
        bump[:8, 0] += 2 + shift * (i % 2)
        bump[8:, 0] -= 2 + shift * (i % 2)
        centers.append(bump + rng.normal(size=3) * 0.15)
    weights = [rng.dirichlet(np.full(16, 20.0)) for _ in range(n)]
    means = np.stack([w @ c for c, w in zip(centers, weights, strict=True)])
    spread = [w @ (c - m) ** 2 for c, w, m in zip(centers, weights, means, strict=True)]
    samples = classification.Samples(
        tuple(centers), tuple(weights), means, np.stack(spread), np.full(n, 5000)
    )
    return samples, np.arange(n) % 2


def scored(samples, labels, subjects, permutations=99):
    arranged = arrange(labels, subjects, permutations, 0)
    rows = np.vstack([labels, arranged.labels])
    predicted = np.zeros((3, *rows.shape), np.int64)
    for held_out in classification.subject_folds(subjects, 8, 0):
        fold = classification.predict_fold(samples, held_out, rows, PLAN)
        predicted[:, :, fold.held_out] = fold.predicted
        assert fold.probability.sum(axis=2) == pytest.approx(1)
    return {
        view: classification.score(predicted[v], rows, subjects, arranged.exact)
        for v, view in enumerate(classification.VIEWS)
    }


def test_a_planted_difference_is_found():
    samples, labels = cohort(14, 1.5)
    found = scored(samples, labels, [str(i) for i in range(14)])
    assert found["transport"].accuracy == 1.0
    assert found["transport"].p == pytest.approx(0.01)
    assert found["transport"].interval[0] == pytest.approx(0.025 ** (1 / 14))


def test_transport_has_no_lead_where_means_tell_all():
    """A baseline that is weaker than it could be would let transport claim what means and deviations tell."""
    lead = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        labels, base = np.arange(14) % 2, np.random.default_rng(99).normal(size=(16, 3))
        place = rng.normal(size=(14, 3)) * 0.5 + 1.5 * labels[:, None] * [1, 0, 0]
        bumps = [base + 0.1 * rng.normal(size=(16, 3)) + p for p in place]
        samples = classification.Samples(
            tuple(bumps),
            (np.full(16, 1 / 16),) * 14,
            np.stack([b.mean(axis=0) for b in bumps]),
            np.stack([b.var(axis=0) for b in bumps]),
            np.full(14, 5000),
        )
        found = scored(samples, labels, [str(i) for i in range(14)])
        lead.append(found["transport"].balanced - found["moments"].balanced)
    assert np.mean(lead) < 0.05


def test_groups_without_meaning_are_not_told():
    """Leakage would show as accuracy above chance."""
    accuracies, ps = [], []
    for seed in range(6):
        samples, labels = cohort(12, 0.0, seed)
        found = scored(samples, labels, [str(i) for i in range(12)], permutations=99)
        accuracies += [score.accuracy for score in found.values()]
        ps += [score.p for score in found.values()]
    assert 0.25 < np.mean(accuracies) < 0.62
    assert 0.25 < np.mean(ps) < 0.85


def test_subjects_seen_in_training_would_give_away_random_labels():
    """Repeats of a subject in both parts tell its label; held out together they do not."""
    samples, _ = cohort(8, 0.0, seed=4)
    twice = classification.Samples(
        samples.centers * 2,
        samples.weights * 2,
        np.tile(samples.means, (2, 1)),
        np.tile(samples.variances, (2, 1)),
        np.tile(samples.events, 2),
    )
    labels = np.tile(np.array([0, 1, 1, 0, 1, 0, 0, 1]), 2)
    held = scored(twice, labels, [str(i % 8) for i in range(16)])["transport"]
    leaked = scored(twice, labels, [str(i) for i in range(16)])["transport"]
    assert held.units == 8
    assert held.balanced < leaked.balanced


def test_a_held_out_subject_changes_nothing_that_is_fitted():
    samples, _ = cohort(8, 0.5)
    changed = dataclasses.replace(
        samples,
        centers=(samples.centers[0] * 9 + 100, *samples.centers[1:]),
        means=np.vstack([samples.means[:1] + 100, samples.means[1:]]),
        variances=np.vstack([samples.variances[:1] * 81, samples.variances[1:]]),
        events=np.array([7, *samples.events[1:]]),
    )
    training = np.arange(1, 8)
    (one, known), (two, other) = (classification.fit(s, training, PLAN) for s in (samples, changed))
    for first, second in zip(known, other, strict=True):
        assert np.array_equal(first, second)
    for name in ("center", "scale"):
        assert np.array_equal(getattr(one, name), getattr(two, name))
    assert np.array_equal(one.space.reference, two.space.reference)
    assert np.array_equal(one.space.axes, two.space.axes)
    assert np.array_equal(one.ratios[1], two.ratios[1])
    assert np.array_equal(one.moments[1], two.moments[1])
    placed = [classification.place(s, np.array([0]), one)[0] for s in (samples, changed)]
    assert not np.allclose(*placed)
    again = classification.fit(samples, np.arange(8), PLAN)[0]
    assert not np.array_equal(again.space.reference, one.space.reference)


def test_the_classifier_is_discriminant_analysis_with_equal_priors():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 20)
    known = rng.normal(size=(40, 3)) @ np.array([[2.0, 1, 0], [0, 1, 0], [0, 0, 0.2]]) + labels[:, None]
    new = rng.normal(size=(200, 3)) * 2
    values, vectors = np.linalg.eigh(np.cov(known, rowvar=False))
    white = vectors / np.sqrt(values)
    predicted, _ = classification.nearest_means(known @ white, labels[None], new @ white, 2)
    peer = LinearDiscriminantAnalysis(solver="lsqr", priors=[0.5, 0.5]).fit(known, labels)
    assert np.array_equal(predicted[0], peer.predict(new))


def test_folds_hold_subjects_whole_and_do_not_look_at_labels():
    subjects = [f"p{i % 9}" for i in range(20)]
    for most in (3, 20):
        folds = classification.subject_folds(subjects, most, 0)
        assert sorted(np.concatenate(folds).tolist()) == list(range(20))
        homes = [{subjects[i] for i in fold} for fold in folds]
        assert len(folds) == min(most, 9)
        assert sum(map(len, homes)) == 9


def test_the_better_of_two_views_is_judged_by_the_better_of_two():
    def view(balanced, arranged):
        return classification.Score(0.5, (0, 1), balanced, (0, 1), 0.5, (0.5, 1), 4, np.array(arranged))

    views = [view(0.75, [0.25, 0.75, 0.5, 0.5]), view(0.5, [0.75, 0.25, 0.5, 0.5])]
    assert classification.p_of_best(views, exact=True) == 0.5
    assert classification.p_of_best(views, exact=False) == 3 / 5
