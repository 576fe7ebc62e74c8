"""compare_samples from measures to distances and an embedding."""

import dataclasses

import numpy as np
import pytest

from triptych.engine.run import run_step
from triptych.errors import InputError
from triptych.quantization import quantize, transport
from triptych.quantization.classification import Score
from triptych.quantization.spanning_tree import distances
from triptych.steps.compare_samples import STEP
from triptych.steps.comparison_classification import _verdict as verdict
from triptych.steps.comparison_factors import explain_factors
from triptych.steps.import_cloud import STEP as IMPORT
from triptych.steps.quantize_cloud import STEP as QUANTIZE
from triptych.stores.embedding import open_embedding
from triptych.stores.labels import matching_keys
from triptych.stores.measure import StoredMeasure, write_measure
from triptych.stores.pooled import StoredPooled, write_pooled
from triptych.stores.table import read_table


def stored(events, **changes):
    found = quantize(events, 12)
    whole = StoredMeasure(
        *(found.centers, found.weights, found.distortion, found.epsilon, found.mean, found.covariance),
        features=("a", "b"),
        units=("u", "v"),
        scaling=None,
        events=len(events),
        content=str(float(events.sum())),
    )
    return found, dataclasses.replace(whole, **changes)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    folder = tmp_path_factory.mktemp("measures")
    rng = np.random.default_rng(0)
    paths, measures, sheet = {}, [], {}
    for i in range(7):
        group = "control" if i < 4 else "treated"
        found, whole = stored(rng.normal(size=(400, 2)) + (0 if i < 4 else 3) + rng.normal(size=2) * 0.2)
        name = f"s{i}"
        write_measure(folder / name / "measure.zarr", whole)
        paths[name] = folder / name / "measure.zarr"
        measures.append(found)
        sheet[name] = {"group": group, "batch": "", "subject": f"p{i}"}
    return paths, measures, sheet


def compared(paths, out, sheet=None, **settings):
    how = {key: settings.pop(key) for key in ("workers", "executor") if key in settings}
    outcome = run_step(STEP, {"measures": paths}, out, settings, kind="cloud", sheet=sheet or {}, **how)
    return (
        read_table(out / "distances.parquet").columns,
        open_embedding(out / "embedding.zarr"),
        outcome.manifest,
    )


@pytest.mark.parametrize("tile", [1, 3, 32])
def test_all_pairs_whatever_the_tile(cohort, tmp_path, tile):
    paths, measures, sheet = cohort
    table, embedding, manifest = compared(paths, tmp_path, sheet, tile_samples=tile)
    expected = transport(measures)
    first, second = np.triu_indices(7, 1)
    assert table["sample_a"].tolist() == [f"s{i}" for i in first]
    assert table["sample_b"].tolist() == [f"s{i}" for i in second]
    for name in ("w2", "lower", "upper"):
        assert table[name] == pytest.approx(getattr(expected, name)[first, second])
        assert embedding.obsp[name] == pytest.approx(getattr(expected, name))
    assert (table["lower"] <= table["upper"]).all()
    assert manifest["counts"] == {"samples": 7, "pairs": 21}


def test_groups_separate_and_are_described(cohort, tmp_path):
    _, embedding, manifest = compared(*cohort[::2][:1], tmp_path, cohort[2])
    assert manifest["scores"]["group_nearest_neighbour_accuracy"] == 1.0
    assert manifest["scores"]["group_majority_accuracy"] == pytest.approx(4 / 7)
    assert embedding.obs["group"].tolist() == ["control"] * 4 + ["treated"] * 3
    assert "batch" not in embedding.obs
    assert embedding.var["unit"].tolist() == ["u", "v"]
    axis = embedding.obsm["X_lot"][:, 0]
    assert axis[:4].max() < axis[4:].min() or axis[:4].min() > axis[4:].max()
    assert embedding.uns["lot_explained"][0] > 0.9


@pytest.mark.parametrize(
    ("workers", "executor"), [(2, "threads"), pytest.param(2, "processes", marks=pytest.mark.slow)]
)
def test_workers_change_no_byte(cohort, tmp_path, workers, executor):
    one = compared(cohort[0], tmp_path / "one", cohort[2], tile_samples=2)[2]
    two = compared(
        cohort[0], tmp_path / "two", cohort[2], tile_samples=2, workers=workers, executor=executor
    )[2]
    assert one["output_digest"] == two["output_digest"]


def test_one_sample_has_no_pair(cohort, tmp_path):
    table, embedding, manifest = compared({"s0": cohort[0]["s0"]}, tmp_path)
    assert len(table["w2"]) == 0
    assert embedding.shape == (1, 2)
    assert "one sample" in manifest["notes"][0]


def test_equal_recordings_are_named(tmp_path):
    events = np.random.default_rng(0).normal(size=(100, 2))
    paths = {}
    for name in ("a", "b"):
        write_measure(tmp_path / name / "measure.zarr", stored(events)[1])
        paths[name] = tmp_path / name / "measure.zarr"
    table, _, manifest = compared(paths, tmp_path / "out")
    assert table["w2"][0] == pytest.approx(0, abs=1e-7)
    assert "a, b hold the same events" in manifest["notes"][0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features": ("a", "c")}, "sample s0 has no feature c, which sample bad has"),
        ({"features": ("b", "a")}, "different order"),
        ({"units": ("u", "w")}, "feature b is in 'w' in sample bad and in 'v' in sample s0"),
    ],
)
def test_tables_of_a_cohort_have_the_same_features(cohort, tmp_path, changes, message):
    write_measure(
        tmp_path / "bad" / "measure.zarr",
        dataclasses.replace(stored(np.random.default_rng(0).normal(size=(50, 2)))[1], **changes),
    )
    paths = {**cohort[0], "bad": tmp_path / "bad" / "measure.zarr"}
    with pytest.raises(InputError, match=message):
        run_step(STEP, {"measures": paths}, tmp_path / "out", {}, kind="volume")


def test_clouds_are_compared_by_the_markers_they_share(tmp_path):
    rng = np.random.default_rng(3)
    clouds = {name: rng.normal(size=(300, 2)) + shift for name, shift in (("s0", 0), ("s1", 1), ("s2", 2))}
    names = {"s0": ("CD3", "CD4"), "s1": ("CD-4", "cd3"), "s2": ("CD3", "HLA-DR", "CD4")}
    plain, paths = {}, {}
    for name, events in clouds.items():
        order = {"s0": events, "s1": events[:, ::-1], "s2": np.insert(events, 1, 7.0, axis=1)}[name]
        columns = {"s0": [0, 1], "s1": [1, 0], "s2": [0, 2]}[name]
        found = quantize(np.ascontiguousarray(order), 12)
        whole = StoredMeasure(
            *(found.centers, found.weights, found.distortion, found.epsilon, found.mean, found.covariance),
            features=names[name],
            units=("logicle",) * len(names[name]),
            scaling=None,
            events=300,
            spread=found.spread,
            keys=matching_keys(names[name], names[name]),
        )
        write_measure(tmp_path / name / "measure.zarr", whole)
        paths[name] = tmp_path / name / "measure.zarr"
        plain[name] = dataclasses.replace(
            found,
            centers=found.centers[:, columns],
            mean=found.mean[columns],
            covariance=found.covariance[np.ix_(columns, columns)],
        )
    table, embedding, manifest = compared(paths, tmp_path / "out")
    assert embedding.var_names.tolist() == ["CD3", "CD4"]
    assert table["w2"] == pytest.approx(transport(list(plain.values())).w2[np.triu_indices(3, 1)])
    assert (table["lower"] <= table["upper"]).all()
    assert any("s0 has no HLA-DR; s1 has no HLA-DR" in note for note in manifest["notes"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features": ("a", "c")}, "share 1 markers"),
        ({"units": ("u", "w")}, "has b in (v|w) but .* has it in (v|w)"),
        ({"scaling": {"center": [0, 0], "scale": [1, 2]}}, "scaled differently"),
    ],
)
def test_measures_of_other_features_are_refused(cohort, tmp_path, changes, message):
    write_measure(
        tmp_path / "bad" / "measure.zarr", stored(np.random.default_rng(1).normal(size=(50, 2)), **changes)[1]
    )
    paths = {"s0": cohort[0]["s0"], "zbad": tmp_path / "bad" / "measure.zarr"}
    with pytest.raises(InputError, match=message.replace("bad", "zbad")):
        compared(paths, tmp_path / "out")


def described(folder):
    for name in STEP.outputs:
        if name.endswith(".parquet"):
            table = read_table(folder / name)
            assert all(field.definition for field in table.fields.values()), name
            yield name, table


def test_every_output_is_there_and_described(cohort, tmp_path):
    paths, _, sheet = cohort
    _, embedding, manifest = compared(paths, tmp_path, sheet)
    tables = dict(described(tmp_path))
    samples = tables["samples.parquet"].columns
    assert samples["sample"].tolist() == list(paths)
    axes = np.column_stack([samples[f"lot_{a}"] for a in range(1, 7)])
    assert np.array_equal(axes, embedding.obsm["X_lot"])
    assert samples["projection_defect"] == pytest.approx(embedding.obs["projection_defect"])
    nearest = (embedding.obsp["w2"] + np.diag(np.full(7, np.inf))).argmin(axis=1)
    assert samples["nearest"].tolist() == [f"s{k}" for k in nearest]
    assert tables["dendrogram.parquet"].columns["samples"][-1] == 7
    assert sorted(tables["dendrogram.parquet"].attributes["leaves"]) == list(paths)
    pairs = tables["distances.parquet"].columns
    assert np.isnan(pairs["tree"]).all()
    assert np.isnan(pairs["above_floor"]).all()
    assert np.corrcoef(pairs["lot"], pairs["w2"])[0, 1] == pytest.approx(
        manifest["scores"]["lot_w2_correlation"]
    )
    assert manifest["scores"]["lot_w2_correlation"] > 0.9


def test_planted_groups_are_explained_and_predicted(cohort, tmp_path):
    paths, _, sheet = cohort
    manifest = compared(paths, tmp_path, sheet)[2]
    tables = dict(described(tmp_path))
    factors = tables["factors.parquet"].columns
    assert factors["factor"].tolist() == ["group"]
    assert factors["r2"][0] > 0.8
    assert factors["arrangements"][0] == 35
    assert factors["p"][0] == pytest.approx(1 / 35)
    scores = tables["classification_scores.parquet"].columns
    assert scores["view"].tolist() == ["transport", "weights", "moments", "majority"]
    assert scores["accuracy"][0] == 1.0
    assert scores["accuracy_lower"][0] == pytest.approx(0.025 ** (1 / 7))
    predictions = tables["classification.parquet"].columns
    assert len(predictions["sample"]) == 21
    assert predictions["subject"][:7].tolist() == [f"p{i}" for i in range(7)]
    # Means alone tell these groups apart, so nothing is claimed.
    assert any("neither transport nor weights beats" in note for note in manifest["notes"])


@pytest.mark.parametrize(
    ("batches", "sentence"),
    [
        ("aaaabbb", "group and batch cannot be told apart: they divide the samples alike"),
        ("aabbccc", "group and batch cannot be told apart: every batch holds samples of one group"),
        ("abababa", "group explains more of these samples, which are too few for a test"),
        ("aaaaaaa", "all samples are of one batch (a)"),
        ("abcdefg", "every sample is of its own batch"),
    ],
)
def test_batch_beside_group(cohort, tmp_path, batches, sentence):
    paths, _, sheet = cohort
    described_by = {name: {**sheet[name], "batch": b} for name, b in zip(paths, batches, strict=True)}
    notes = compared(paths, tmp_path, described_by)[2]["notes"]
    assert any(sentence in note for note in notes), notes


def test_batch_that_explains_more_than_group_is_said():
    names = [f"s{i:02d}" for i in range(16)]
    sheet = {name: {"group": "xy"[i % 2], "batch": "ab"[i // 8]} for i, name in enumerate(names)}
    rng = np.random.default_rng(0)
    points = rng.normal(size=(16, 2)) + np.repeat([[0.0, 0], [5, 0]], 8, axis=0)
    found = explain_factors(names, sheet, np.linalg.norm(points[:, None] - points, axis=2), 499, 0)
    assert any("batch explains more" in note for note in found.notes)
    assert found.scores["batch_r2"] > 0.7 > found.scores["group_r2"]
    assert found.scores["batch_p"] == pytest.approx(1 / 500)
    assert [(row["factor"], row["beyond"]) for row in found.rows] == [
        ("group", ""),
        ("batch", ""),
        ("group", "batch"),
        ("batch", "group"),
    ]


def explained(groups, batches, subjects):
    names = [f"s{i:02d}" for i in range(len(groups))]
    rows = zip(names, groups, batches, subjects, strict=True)
    sheet = {name: {"group": g.strip(), "batch": b.strip(), "subject": s} for name, g, b, s in rows}
    points = np.random.default_rng(0).normal(size=(len(names), 2)) + 5.0 * np.array(
        [[ord(g), 0] for g in groups]
    )
    return explain_factors(names, sheet, np.linalg.norm(points[:, None] - points, axis=2), 999, 0)


def test_what_no_arrangement_can_tell_is_said():
    found = explained("xxxyyy", "      ", "abcdef")
    assert any("p cannot go below 0.1" in note for note in found.notes), found.notes
    found = explained("xxxxyyyy", "aabbccdd", "ppqqrrss")
    assert "batch_p" not in found.scores
    assert any(note.startswith("batch: its labels can only be arranged") for note in found.notes), found.notes
    found = explained("xxyy    ", "aaaabbbb", "abcdefgh")
    assert any("the 4 samples with a group and a batch are of one" in note for note in found.notes)


@pytest.mark.parametrize(("reached", "said"), [(0.5, True), (0.01, False)])
def test_a_lead_that_chance_has_too_is_said_to_be_one(reached, said):
    null = np.where(np.arange(200) < 200 * reached, 0.9, 0.5)
    ahead = Score(0.8, (0.5, 0.9), 0.8, (0.5, 0.9), 0.0, (0.5, 0.9), 10, null)
    behind = dataclasses.replace(ahead, balanced=0.6, arranged=np.full(200, 0.5))
    scores = {"transport": ahead, "weights": behind, "moments": behind}
    text = verdict(scores, 0.5, 2, 10, False)
    assert "transport is ahead" in text
    assert ("rearranged labels often do as well" in text) == said


def test_small_groups_and_missing_cells_are_said(cohort, tmp_path):
    paths, _, _ = cohort
    sheet = {
        name: {"group": group} for name, group in zip(paths, ["a", "a", "a", "b", "b", "c", ""], strict=True)
    }
    notes = compared(paths, tmp_path, sheet)[2]["notes"]
    assert "classification leaves out groups of one subject: c" in notes
    assert any("names no subjects" in note for note in notes)
    assert any("1 of 7 samples have no group" in note for note in notes)
    predictions = read_table(tmp_path / "classification.parquet").columns
    assert set(predictions["sample"]) == {"s0", "s1", "s2", "s3", "s4"}


def test_nothing_is_predicted_without_groups(cohort, tmp_path):
    compared(cohort[0], tmp_path)
    tables = dict(described(tmp_path))
    for name in ("factors.parquet", "classification.parquet", "classification_scores.parquet"):
        assert len(tables[name]) == 0


def test_a_new_sample_is_placed_without_moving_the_others(cohort, tmp_path):
    paths, _, sheet = cohort
    _, old, _ = compared({k: v for k, v in paths.items() if k != "s3"}, tmp_path / "old", sheet)
    out = tmp_path / "new"
    given = {"measures": paths, "reference": tmp_path / "old"}
    notes = run_step(STEP, given, out, kind="cloud", sheet=sheet).manifest["notes"]
    new = open_embedding(out / "embedding.zarr")
    kept = [i for i, name in enumerate(paths) if name != "s3"]
    assert new.obsm["X_lot"][kept] == pytest.approx(old.obsm["X_lot"], abs=1e-12)
    assert np.array_equal(new.uns["reference_axes"], old.uns["reference_axes"])
    assert new.obs["lot_residual"].iloc[kept].to_numpy() == pytest.approx(0, abs=1e-9)
    assert new.obs["lot_residual"]["s3"] > 1e-3
    assert (new.obs["projection_defect"] >= 0).all()
    assert any("axes of the given reference" in note for note in notes)


def test_a_reference_of_other_features_is_refused(cohort, tmp_path):
    compared(cohort[0], tmp_path / "old")
    whole = stored(np.random.default_rng(1).normal(size=(50, 2)), features=("a", "z"))[1]
    write_measure(tmp_path / "other" / "measure.zarr", whole)
    given = {"measures": {"x": tmp_path / "other" / "measure.zarr"}, "reference": tmp_path / "old"}
    with pytest.raises(InputError, match="other features or units"):
        run_step(STEP, given, tmp_path / "new", kind="cloud")


def test_measures_of_another_scaling_do_not_fit_a_reference(cohort, tmp_path):
    compared(cohort[0], tmp_path / "old")
    scaling = {"center": [0.0, 0.0], "scale": [1.0, 2.0], "clip": 10.0}
    whole = stored(np.random.default_rng(1).normal(size=(50, 2)), scaling=scaling)[1]
    write_measure(tmp_path / "other" / "measure.zarr", whole)
    given = {"measures": {"x": tmp_path / "other" / "measure.zarr"}, "reference": tmp_path / "old"}
    with pytest.raises(InputError, match="another scaling"):
        run_step(STEP, given, tmp_path / "new", kind="cloud")


def pooled(measures, names, **changes):
    rng = np.random.default_rng(5)
    n = len(names)
    weights = rng.dirichlet(np.ones(4), n)
    weights[0, 1] = 0
    weights /= weights.sum(axis=1, keepdims=True)
    return dataclasses.replace(
        StoredPooled(
            *(rng.normal(size=(4, 2)), weights, rng.normal(size=(n, 4, 2)), np.ones((n, 4))),
            *(np.ones(n), np.ones(n), np.zeros((n, 2)), np.zeros((n, 2, 2)), np.full(n, 400)),
            samples=tuple(names),
            features=("a", "b"),
            units=("u", "v"),
        ),
        **changes,
    )


def test_common_centers_add_log_ratios_and_a_tree(cohort, tmp_path):
    paths, measures, sheet = cohort
    names = ["another", *paths]
    common = pooled(measures, names)
    write_pooled(tmp_path / "pooled.zarr", common)
    given = {"measures": paths, "common": tmp_path / "pooled.zarr"}
    run_step(STEP, given, tmp_path / "out", kind="cloud", sheet=sheet)
    found = open_embedding(tmp_path / "out" / "embedding.zarr")
    tables = dict(described(tmp_path / "out"))
    first, second = np.triu_indices(7, 1)
    pairs = tables["distances.parquet"].columns
    shares = common.weights[1:]
    assert pairs["tree"] == pytest.approx(distances(common.centers, shares)[first, second])
    logs = np.log(shares) - np.log(shares).mean(axis=1, keepdims=True)
    assert pairs["aitchison"] == pytest.approx(np.linalg.norm(logs[first] - logs[second], axis=1))
    apart = np.linalg.norm(found.obsm["X_clr"][first] - found.obsm["X_clr"][second], axis=1)
    assert apart == pytest.approx(pairs["aitchison"])
    assert "clr_1" in tables["samples.parquet"].columns
    assert found.obs["zero_weights"].tolist() == [0] * 7


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"samples": tuple(f"t{i}" for i in range(7))}, "lacks sample s0"),
        ({"features": ("a", "c")}, "other features"),
        ({"content": ("old",) * 7}, "other events of sample s0"),
    ],
)
def test_common_centers_of_other_samples_are_refused(cohort, tmp_path, changes, message):
    paths, measures, _ = cohort
    write_pooled(tmp_path / "pooled.zarr", pooled(measures, list(paths), **changes))
    given = {"measures": paths, "common": tmp_path / "pooled.zarr"}
    with pytest.raises(InputError, match=message):
        run_step(STEP, given, tmp_path / "out", kind="cloud")


def test_pairs_below_the_noise_floor_are_named(tmp_path):
    rng = np.random.default_rng(0)
    paths = {}
    for name, shift, floor in (("a", 0, 2.0), ("b", 0, 1.5), ("c", 9, 1.5), ("d", 9, None)):
        whole = stored(rng.normal(size=(300, 2)) + shift, split_half=floor)[1]
        write_measure(tmp_path / name / "measure.zarr", whole)
        paths[name] = tmp_path / name / "measure.zarr"
    table, embedding, manifest = compared(paths, tmp_path / "out")
    assert table["above_floor"][0] == pytest.approx(table["w2"][0] / 2)
    assert table["above_floor"][1] == pytest.approx(table["w2"][1] / 2)
    assert np.isnan(table["above_floor"][2])
    assert embedding.obs["noise_floor"].tolist()[:3] == [2.0, 1.5, 1.5]
    told = [note for note in manifest["notes"] if "not told apart" in note]
    assert len(told) == 1
    assert "a and b" in told[0]
    assert "c" not in told[0].split(":")[1].split("(")[0]


def test_classification_undoes_the_scaling(cohort, tmp_path):
    """A change of scale of all measures alike changes no prediction, because folds scale by themselves."""
    rng = np.random.default_rng(2)
    probabilities = []
    for scale in ([1.0, 1.0], [2.0, 0.5]):
        rng = np.random.default_rng(2)
        paths, sheet = {}, {}
        for i in range(6):
            events = rng.normal(size=(200, 2)) + np.array([i % 2, 0])
            found = quantize(events, 8)
            scaling = {"center": [1.0, 2.0], "scale": scale, "clip": 10.0}
            whole = dataclasses.replace(
                stored(events)[1],
                centers=(found.centers - [1, 2]) / scale,
                weights=found.weights,
                distortion=found.distortion,
                mean=(found.mean - [1, 2]) / scale,
                covariance=found.covariance / np.outer(scale, scale),
                scaling=scaling,
            )
            folder = tmp_path / str(scale[0]) / f"s{i}"
            write_measure(folder / "measure.zarr", whole)
            paths[f"s{i}"], sheet[f"s{i}"] = (
                folder / "measure.zarr",
                {"group": "ab"[i % 2], "subject": f"p{i}"},
            )
        out = tmp_path / f"out{scale[0]}"
        notes = compared(paths, out, sheet)[2]["notes"]
        assert any("cut at the cohort's clip" in note for note in notes)
        probabilities.append(read_table(out / "classification.parquet").columns["probability"])
    assert probabilities[0] == pytest.approx(probabilities[1])


@pytest.mark.slow
def test_real_patients_lie_apart_and_little_is_claimed_of_nine(shared_data, tmp_path):
    folder = shared_data / "cloud" / "optimalflow"
    paths, sheet = {}, {}
    for line in (folder / "samples.csv").read_text().splitlines()[1:]:
        name, _, diagnosis = line.split(",")
        run_step(IMPORT, {"raw": folder / f"{name}.fcs"}, tmp_path / name / "import", kind="cloud")
        run_step(QUANTIZE, {"cloud": tmp_path / name / "import"}, tmp_path / name / "measure", kind="cloud")
        paths[name] = tmp_path / name / "measure"
        sheet[name] = {"group": "healthy" if diagnosis == "HD" else "disease", "subject": name}
    table, _, manifest = compared(paths, tmp_path / "out", sheet)
    scores = manifest["scores"]
    assert scores["lot_w2_correlation"] > 0.95
    assert table["above_floor"].min() > 1.5
    assert scores["group_nearest_neighbour_accuracy"] >= 7 / 9
    assert scores["group_nearest_neighbour_upper"] - scores["group_nearest_neighbour_lower"] > 0.4
    assert scores["group_p"] > 0.05
