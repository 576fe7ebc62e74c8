"""analyze_features: an AnnData that others read, the same bytes twice, and honest about what it leaves out."""

import hashlib
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from triptych.engine.run import run_step
from triptych.errors import InputError
from triptych.steps import analyze_features, scale_features
from triptych.stores.measure import StoredMeasure, open_measure, write_measure
from triptych.stores.rows import read_rows
from triptych.stores.table import Field, write_table

FIELDS = {
    "id": Field(role="descriptor"),
    "touches_border": Field(role="descriptor"),
    "class": Field(role="descriptor"),
    **{f"size {j}": Field("nm", "size", f"extent {j}") for j in range(4)},
    **{f"shape {j}/x": Field("1", "shape", f"form {j}") for j in range(4)},
    "constant": Field("1", "shape"),
}
QUICK = {"bootstraps": 6, "null_samples": 10, "max_clusters": 5}
SHEET = {f"s{i}": {"group": "treated" if i >= 3 else "control", "subject": f"p{i}"} for i in range(6)}


def objects(folder: Path, samples: int = 6, n: int = 60) -> tuple[dict[str, Path], np.ndarray]:
    rng = np.random.default_rng(0)
    centers = rng.choice([-4.0, 0, 4], (3, 8))
    paths, truth = {}, []
    for i in range(samples):
        kind = rng.choice(3, n, p=[0.7, 0.2, 0.1] if i < 3 else [0.1, 0.2, 0.7])
        values = centers[kind] + rng.normal(size=(n, 8))
        columns: dict[str, Any] = {
            "id": np.arange(1, n + 1),
            "touches_border": rng.random(n) < 0.2,
            "class": np.array(["cell"] * n, dtype=object),
        }
        features = [name for name, f in FIELDS.items() if f.role == "feature"]
        columns |= {name: values[:, j] * 100 for j, name in enumerate(features[:8])}
        columns["constant"] = np.full(n, 3.0)
        paths[f"s{i}"] = folder / f"s{i}" / "objects.parquet"
        write_table(paths[f"s{i}"], columns, FIELDS)
        truth.append(kind)
    return paths, np.concatenate(truth)


def analyse(
    paths: dict[str, Path], folder: Path, name: str = "out", kind: Any = "volume", **settings: Any
) -> Any:
    """Manifest and AnnData of the two steps one after the other."""
    run_step(scale_features.STEP, {"tables": paths}, folder / "scaling", kind=kind)
    inputs = {"tables": paths, "scaling": folder / "scaling"}
    sheet = {sample: SHEET.get(sample, {}) for sample in paths}
    found = run_step(analyze_features.STEP, inputs, folder / name, QUICK | settings, sheet=sheet, kind=kind)
    return found.manifest, anndata.read_zarr(folder / name / "analysis.zarr")


def test_planted_kinds_and_groups(tmp_path: Path) -> None:
    paths, truth = objects(tmp_path)
    manifest, found = analyse(paths, tmp_path)
    inside = found.obs["analysed"].to_numpy()
    np.testing.assert_array_equal(inside, ~found.obs["touches_border"].to_numpy())
    assert adjusted_rand_score(truth[inside], found.obs["cluster"][inside]) > 0.95
    assert (found.obs["cluster"][~inside] == "none").all()
    assert np.isnan(found.obsm["X_pca"][~inside]).all()
    assert np.isfinite(found.obsm["X_pca"][inside]).all()
    assert found.shape == (360, 9)
    assert found.obs_names[0] == "s0/1"
    assert found.obs["group"].iloc[0] == "control"
    assert found.var.loc["constant", "excluded"] == "it is constant"
    assert found.var.loc["size 0", "unit"] == "nm"
    differences = found.uns["share_differences"]
    assert differences["p"].min() == pytest.approx(0.1)
    assert abs(differences["cliffs_delta"]).max() == 1
    assert manifest["counts"]["clusters"] == 3
    assert manifest["counts"]["rows_analysed"] == inside.sum()
    assert any("touch the border" in note for note in manifest["notes"])
    assert any("smallest p-value these sizes allow is 0.1" in note for note in manifest["notes"])


def test_same_bytes_twice(tmp_path: Path) -> None:
    paths, _ = objects(tmp_path, 3, 40)
    digests = []
    for name in ("a", "b"):
        analyse(paths, tmp_path, name)
        files = sorted(p for p in (tmp_path / name / "analysis.zarr").rglob("*") if p.is_file())
        digests.append(
            [(p.relative_to(tmp_path / name), hashlib.sha256(p.read_bytes()).hexdigest()) for p in files]
        )
    assert digests[0] == digests[1]


def measure(folder: Path, sample: str, seed: int, scaled: bool) -> Path:
    """A measure of four cells, one of them empty, and the cloud's scaling where it is applied."""
    rng = np.random.default_rng(seed)
    centers = np.array([[0.0, 0, 1], [5, 5, 0], [5, 0, 2], [9, 9, 9]]) + rng.normal(0, 0.1, (4, 3))
    scaling = {"center": [1.0, 2, 3], "scale": [10.0, 20, 30]} if scaled else None
    path = folder / sample / "measure.zarr"
    stored = (centers - 1) if scaled else centers
    write_measure(
        path,
        StoredMeasure(
            stored, np.array([0.5, 0.3, 0.2, 0.0]), np.ones(4), 0.1, np.zeros(3), np.eye(3), ("CD3", "CD4", "CD8"),
            ("logicle",) * 3, scaling, 1000,
        ),
    )  # fmt: skip
    return path


@pytest.mark.parametrize("scaled", [False, True])
def test_measures_give_weighted_centers_in_their_units(tmp_path: Path, scaled: bool) -> None:
    paths = {f"s{i}": measure(tmp_path, f"s{i}", i, scaled) for i in range(3)}
    found = read_rows(paths)
    assert found.weights is not None
    assert len(found.samples) == 9
    assert found.weights.sum() == pytest.approx(1)
    np.testing.assert_allclose(found.weights[:3], np.array([0.5, 0.3, 0.2]) / 3)
    first = open_measure(paths["s0"]).centers[0]
    wanted = first * [10, 20, 30] + [1, 2, 3] if scaled else first
    np.testing.assert_allclose([found.features[n][0] for n in ("CD3", "CD4", "CD8")], wanted)


@pytest.mark.parametrize("samples", [1, 2])
def test_few_objects(tmp_path: Path, samples: int) -> None:
    paths, _ = objects(tmp_path, samples, 1)
    manifest, found = analyse(paths, tmp_path, border_objects="include")
    assert found.n_obs == samples
    assert any("not compared" in note or "fewer than two rows" in note for note in manifest["notes"])


def test_no_objects(tmp_path: Path) -> None:
    paths, _ = objects(tmp_path, 2, 0)
    manifest, found = analyse(paths, tmp_path)
    assert found.n_obs == 0
    assert any("no finite value" in note for note in manifest["notes"])


def test_a_scaling_of_something_else_is_refused(tmp_path: Path) -> None:
    paths, _ = objects(tmp_path, 2)
    other = {"id": Field(role="descriptor"), "area": Field("nm²", "size")}
    write_table(tmp_path / "o/objects.parquet", {"id": np.arange(9), "area": np.arange(9.0)}, other)
    run_step(
        scale_features.STEP, {"tables": {"o": tmp_path / "o/objects.parquet"}}, tmp_path / "x", kind="volume"
    )
    inputs = {"tables": paths, "scaling": tmp_path / "x"}
    with pytest.raises(InputError, match="size 0"):
        run_step(analyze_features.STEP, inputs, tmp_path / "y", kind="volume")
