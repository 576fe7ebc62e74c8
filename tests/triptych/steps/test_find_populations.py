"""find_populations: planted populations are found, named, counted and tested; the same bytes for any workers."""

import dataclasses

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from triptych.engine.run import run_step
from triptych.errors import InputError, UsageError
from triptych.quantization import quantize
from triptych.steps.find_populations import OUTPUTS, STEP
from triptych.stores.pooled import StoredPooled, write_pooled
from triptych.stores.table import read_table

MARKERS = ("CD3", "CD4", "CD8", "CD19")
# T helper, T killer, B, monocyte, and a rare double positive.
MIDDLES = np.array([[6.0, 6, 0, 0], [6, 0, 6, 0], [0, 0, 0, 6], [0, 3, 0, 0], [6, 6, 6, 0]])
SHARES = np.array([0.4, 0.25, 0.15, 0.15, 0.05])


def pool(samples, labels, n_centers=64):
    """The mean measure of small clouds of equal size, in memory."""
    n, d, p = len(samples), samples[0].shape[1], len(MIDDLES)
    centers = quantize(np.concatenate(samples), n_centers).centers
    k = len(centers)
    cells = [cdist(one, centers).argmin(axis=1) for one in samples]
    member = [np.eye(k)[cell] for cell in cells]
    mass = np.stack([one.sum(axis=0) for one in member])
    total = np.stack([one.T @ events for one, events in zip(member, samples, strict=True)])
    filled = np.maximum(mass, 1)[:, :, None]
    composition = None
    if labels is not None:
        counted = [
            np.bincount(cell * p + of, minlength=k * p) for cell, of in zip(cells, labels, strict=True)
        ]
        composition = np.stack(counted).reshape(n, k, p).astype(np.int64)
    return StoredPooled(
        centers=centers,
        weights=mass / mass.sum(axis=1, keepdims=True),
        means=np.where(mass[:, :, None] > 0, total / filled, centers),
        distortion=np.zeros((n, k)),
        epsilon=np.zeros(n),
        common_epsilon=np.zeros(n),
        mean=np.stack([one.mean(axis=0) for one in samples]),
        covariance=np.stack([np.cov(one.T, bias=True) for one in samples]),
        events=np.array([len(one) for one in samples], np.int64),
        samples=tuple(f"s{i:02d}" for i in range(n)),
        features=MARKERS[:d],
        units=("logicle",) * d,
        populations=() if labels is None else ("Th", "Tk", "B", "Mono", "unlabelled"),
        composition=composition,
    )


def cohort(number, effect, *, seed=0, labelled=True):
    rng = np.random.default_rng(seed)
    samples, labels = [], []
    for i in range(number):
        share = SHARES * np.exp(0.05 * rng.normal(size=5))
        share[2] *= effect if i >= number // 2 else 1.0
        of = rng.choice(5, 1500, p=share / share.sum())
        samples.append((MIDDLES[of] + 0.7 * rng.normal(size=(1500, 4))).astype(np.float64))
        labels.append(of)
    groups = {
        f"s{i:02d}": {"group": "treated" if i >= number // 2 else "control", "batch": "", "subject": f"p{i}"}
        for i in range(number)
    }
    return pool(samples, labels if labelled else None), groups


def found_in(pooled, out, sheet=None, **settings):
    how = {key: settings.pop(key) for key in ("workers", "executor") if key in settings}
    source = out.with_name(f"{out.name}.pooled.zarr")
    if not source.exists():
        write_pooled(source, pooled)
    outcome = run_step(
        STEP, {"pooled": source}, out, {"resamples": 40, **settings}, kind="cloud", sheet=sheet or {}, **how
    )
    return {name: read_table(out / name).columns for name in OUTPUTS}, outcome.manifest


@pytest.fixture(scope="module")
def differing(tmp_path_factory):
    pooled, sheet = cohort(6, 3.0)
    return (
        pooled,
        sheet,
        *found_in(pooled, tmp_path_factory.mktemp("found") / "six", sheet, unassigned=()),
    )


def test_planted_populations_are_found_and_agree_with_their_labels(differing):
    _, _, tables, manifest = differing
    assert manifest["counts"]["populations"] == 5
    assert manifest["scores"]["adjusted_rand_index"] > 0.95
    assert min(manifest["scores"]["adjusted_rand_index_of_samples"].values()) > 0.95
    assert manifest["scores"]["weighted_f1"] > 0.97
    assert manifest["scores"]["cell_purity"] >= manifest["scores"]["purity"] > 0.97
    names = tables["populations.parquet"]["name"].tolist()
    assert len(set(names)) == 5
    b_cells = names.index("CD19+")
    assert tables["populations.parquet"]["mean:CD19"][b_cells] == pytest.approx(6, abs=0.2)
    assert tables["populations.parquet"]["stability"].min() > 0.9
    shares = tables["populations.parquet"]["share"]
    assert (np.diff(shares) <= 0).all()
    assert shares.sum() == pytest.approx(1)
    gates = tables["gates.parquet"]
    assert gates["events"].sum() == 6 * 1500
    assert gates["matched"].sum() == 5
    assert tables["agreement.parquet"]["sample"].tolist() == [f"s0{i}" for i in range(6)]


def test_only_the_planted_difference_is_called_in_six_samples(differing):
    _, _, tables, manifest = differing
    tests = tables["tests.parquet"]
    planted = tests["name"].tolist().index("CD19+")
    called = np.flatnonzero(tests["welch_q"] < 0.05)
    assert called.tolist() == [planted]
    assert tests["log_ratio"][planted] == pytest.approx(np.log2(3), abs=0.3)
    assert tests["delta"][planted] == 1.0
    assert (tests["first"][planted], tests["second"][planted]) == ("control", "treated")
    assert tests["fold_change"][planted] > 2
    # Ranks of three and three cannot say so.
    assert tests["p"].min() == pytest.approx(0.1)
    assert any("no rank test can give p below 0.1" in note for note in manifest["notes"])


def test_ranks_call_it_in_fourteen_samples(tmp_path):
    pooled, sheet = cohort(14, 3.0)
    tables, manifest = found_in(pooled, tmp_path / "many", sheet)
    tests = tables["tests.parquet"]
    planted = tests["name"].tolist().index("CD19+")
    assert tests["q"][planted] < 0.05
    assert np.flatnonzero(tests["ratio_q"] < 0.05).tolist() == [planted]
    assert manifest["counts"]["populations_that_differ_in_log_ratios"] == 1


def test_nothing_is_called_where_nothing_differs(tmp_path):
    pooled, sheet = cohort(14, 1.0, seed=1)
    tables, manifest = found_in(pooled, tmp_path / "null", sheet)
    for key in ("q", "ratio_q", "welch_q"):
        assert (tables["tests.parquet"][key] > 0.05).all(), key
    assert manifest["counts"]["populations_that_differ_in_shares"] == 0


def test_shares_are_those_of_the_samples(differing):
    pooled, _, tables, _ = differing
    abundance = tables["abundance.parquet"]
    share = abundance["share"].reshape(6, 5)
    member = np.eye(5)[tables["centers.parquet"]["population"] - 1]
    assert share == pytest.approx(pooled.weights @ member)
    assert (abundance["low"] <= abundance["share"]).all()
    assert (abundance["high"] >= abundance["share"]).all()
    assert abundance["events"].reshape(6, 5).sum(axis=1).tolist() == [1500] * 6
    assert abundance["group"][0] == "control"
    assert abundance["subject"][-1] == "p5"


def test_one_sample_no_groups_no_labels(tmp_path):
    pooled, _ = cohort(1, 1.0, labelled=False)
    tables, manifest = found_in(pooled, tmp_path / "one")
    assert manifest["counts"]["populations"] == 5
    assert set(manifest["scores"]) == {"stability", "ambiguous_pairs", "variance_between"}
    assert "no test: the samples are not of two groups or more" in manifest["notes"]
    for name in ("tests.parquet", "gates.parquet", "agreement.parquet"):
        assert len(tables[name]["name" if name != "agreement.parquet" else "sample"]) == 0


def test_labels_that_stand_for_no_population_are_left_out(tmp_path, differing):
    pooled, sheet, *_ = differing
    tables, manifest = found_in(pooled, tmp_path / "left", sheet)
    assert "unlabelled" not in tables["gates.parquet"]["label"].tolist()
    assert tables["agreement.parquet"]["events"].sum() < 6 * 1500
    assert "events labelled unlabelled are left out of the agreement with labels" in manifest["notes"]


def test_samples_of_one_subject_count_once(tmp_path, differing):
    pooled, sheet, *_ = differing
    together = {
        name: {**row, "subject": f"p{i // 2 + (i > 2)}"} for i, (name, row) in enumerate(sheet.items())
    }
    _, manifest = found_in(pooled, tmp_path / "subjects", together)
    assert any("samples of one subject were averaged" in note for note in manifest["notes"])


@pytest.mark.parametrize(
    ("workers", "executor"), [(2, "threads"), pytest.param(2, "processes", marks=pytest.mark.slow)]
)
def test_workers_change_no_byte(tmp_path, differing, workers, executor):
    pooled, sheet, *_ = differing
    one = found_in(pooled, tmp_path / "one", sheet)[1]
    two = found_in(pooled, tmp_path / "two", sheet, workers=workers, executor=executor)[1]
    assert one["output_digest"] == two["output_digest"]
    assert one["scores"] == two["scores"]


def test_a_fixed_number_and_one_that_cannot_be(tmp_path, differing):
    pooled, *_ = differing
    assert found_in(pooled, tmp_path / "three", n_populations=3)[1]["counts"]["populations"] == 3
    tables, manifest = found_in(pooled, tmp_path / "whole", n_populations=1)
    assert tables["populations.parquet"]["name"].tolist() == ["all events"]
    assert manifest["notes"][0].startswith("no test")
    with pytest.raises(UsageError, match=r"n_populations is 65 and .* has 64 centers"):
        found_in(pooled, tmp_path / "more", n_populations=65)


def test_a_constant_feature_and_units_of_other_size_change_no_population(tmp_path, differing):
    pooled, sheet, before, _ = differing
    factor = np.array([1.0, 1000.0, 0.01, 1.0])
    scaled = dataclasses.replace(
        pooled,
        centers=pooled.centers * factor,
        means=pooled.means * factor,
        mean=pooled.mean * factor,
        covariance=pooled.covariance * np.outer(factor, factor),
    )
    after, _ = found_in(scaled, tmp_path / "scaled", sheet)
    assert after["centers.parquet"]["population"].tolist() == before["centers.parquet"]["population"].tolist()
    flat = dataclasses.replace(
        pooled,
        centers=np.c_[pooled.centers[:, :3], np.zeros(64)],
        covariance=pooled.covariance * np.outer([1, 1, 1, 0], [1, 1, 1, 0]),
        mean=pooled.mean * [1, 1, 1, 0],
        means=pooled.means * [1, 1, 1, 0],
    )
    tables, _ = found_in(flat, tmp_path / "flat", sheet)
    assert np.isfinite(tables["populations.parquet"]["height:CD19"]).all()


def test_what_is_no_pooled_measure_is_refused(tmp_path):
    (tmp_path / "pooled.zarr").mkdir()
    with pytest.raises(InputError, match="pooled"):
        run_step(STEP, {"pooled": tmp_path / "pooled.zarr"}, tmp_path / "out", kind="cloud")


def test_every_column_says_what_it_is(tmp_path, differing):
    pooled, sheet, *_ = differing
    found_in(pooled, tmp_path / "said", sheet)
    for name in OUTPUTS:
        fields = read_table(tmp_path / "said" / name).fields
        assert all(field.definition for field in fields.values()), name
