"""The whole analysis on planted truth, and on tables that have little to say."""

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from triptych.analysis import Choice, analyze

QUICK = Choice(max_clusters=5, rows=400, bootstraps=6, nulls=10)


def planted(effect: float, seed: int) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Three kinds of cells in 35 parameters of different units, eight samples; kind 2 only in the treated ones."""
    rng = np.random.default_rng(seed)
    samples = np.repeat([f"s{i}" for i in range(8)], 60)
    treated = np.repeat(np.arange(8) >= 4, 60)
    truth = np.where(treated, rng.choice(3, 480, p=[0.3, 0.2, 0.5]), rng.choice(3, 480, p=[0.6, 0.4, 0.0]))
    centers = effect * rng.choice([-1.0, 0, 1], (3, 35))
    values = centers[truth] + rng.normal(size=(480, 35))
    units = 10.0 ** rng.integers(-6, 9, 35)
    return {f"f{j:02d}": values[:, j] * units[j] for j in range(35)}, samples, truth


@pytest.mark.parametrize("seed", range(2))
def test_planted_kinds_and_groups(seed: int) -> None:
    table, samples, truth = planted(3.0, seed)
    groups = {f"s{i}": "treated" if i >= 4 else "control" for i in range(8)}
    found = analyze(table, samples=samples, groups=groups, choice=QUICK, seed=seed)
    assert found.clusters is not None
    assert found.clusters.number == 3
    assert adjusted_rand_score(truth, found.clusters.labels) > 0.95
    assert found.share_differences is not None
    assert found.share_differences.p.min() == pytest.approx(2 / 70)
    assert found.differences is not None
    assert found.differences.groups == {"control": 4, "treated": 4}
    assert found.cluster_ranking.shape == (3, 35)


def test_a_unit_changes_nothing() -> None:
    table, samples, _ = planted(2.0, 0)
    other = {name: values * 1024 for name, values in table.items()}
    a, b = analyze(table, samples=samples, choice=QUICK), analyze(other, samples=samples, choice=QUICK)
    np.testing.assert_array_equal(a.scaled, b.scaled)
    assert a.components is not None
    assert b.components is not None
    assert a.components.scores.tobytes() == b.components.scores.tobytes()


def test_what_cannot_be_analysed_is_said() -> None:
    rng = np.random.default_rng(0)
    table = {
        "varies": rng.normal(size=40),
        "also": rng.normal(size=40),
        "constant": np.ones(40),
        "empty": np.full(40, np.nan),
        "rare": np.where(np.arange(40) < 3, 1.0, 0.0),
        "sparse": np.where(np.arange(40) < 20, np.nan, rng.normal(size=40)),
        "wild": np.where(np.arange(40) == 1, 1e9, rng.normal(size=40)),
    }
    found = analyze(table, choice=QUICK)
    assert set(found.excluded) == {"constant", "empty", "rare"}
    assert found.features == ["varies", "also", "sparse", "wild"]
    assert found.used == ["varies", "also", "wild"]
    text = " ".join(found.notes)
    for expected in ("constant is left out", "sparse is missing", "beyond ±10", "not compared"):
        assert expected in text


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_few_rows(n: int) -> None:
    table = {"a": np.arange(n, dtype=float), "b": np.arange(n, dtype=float) ** 2}
    found = analyze(table, samples=[f"s{i}" for i in range(n)])
    assert len(found.scaled) == n
    assert found.notes
    assert found.clusters is None or found.clusters.number == 1


def test_single_samples_of_groups_are_not_compared() -> None:
    rng = np.random.default_rng(0)
    table = {"a": rng.normal(size=40), "b": rng.normal(size=40)}
    found = analyze(table, samples=["s0", "s1"] * 20, groups={"s0": "x", "s1": "y"}, choice=QUICK)
    assert found.differences is None
    assert any("allow no test" in note for note in found.notes)


def test_wrong_input_is_refused() -> None:
    with pytest.raises(ValueError, match="sample names"):
        analyze({"a": np.zeros(3)}, samples=["s"])
    with pytest.raises(ValueError, match="positive"):
        analyze({"a": np.zeros(2)}, weights=np.array([1.0, 0.0]))


@pytest.mark.slow
@pytest.mark.parametrize("effect", [1.0, 1.5, 3.0])
def test_planted_kinds_in_35_parameters(effect: float) -> None:
    """Ten seeds: the number is right in eight or more; kinds that stand apart are told apart."""
    numbers, agreement = [], []
    for seed in range(10):
        table, samples, truth = planted(effect, seed)
        clusters = analyze(table, samples=samples, seed=seed).clusters
        assert clusters is not None
        numbers.append(clusters.number)
        agreement.append(adjusted_rand_score(truth, clusters.labels))
    assert sum(number == 3 for number in numbers) >= 8
    if effect == 3.0:
        assert min(agreement) >= 0.95


@pytest.mark.slow
def test_no_false_discoveries_without_groups() -> None:
    """Groups drawn by lot: a feature is called in at most 5 % of studies, up to chance."""
    calls = []
    for seed in range(60):
        table, samples, _ = planted(1.5, seed)
        rng = np.random.default_rng(1000 + seed)
        shuffled = {name: values[rng.permutation(480)] for name, values in table.items()}
        groups = {f"s{i}": "treated" if i >= 4 else "control" for i in range(8)}
        found = analyze(
            shuffled, samples=samples, groups=groups, choice=Choice(max_clusters=2, bootstraps=2, nulls=2)
        )
        assert found.differences is not None
        calls.append(bool((found.differences.q < 0.05).any()))
    assert np.mean(calls) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 60)
