"""scale_features: exact, the same bytes for any split and number of workers, and clear about what differs."""

from pathlib import Path

import numpy as np
import pytest

from triptych.analysis import scale
from triptych.engine.run import run_step
from triptych.errors import InputError
from triptych.steps.scale_features import STEP
from triptych.stores.cloud import Channel, create_arrays, write_attributes, write_chunk
from triptych.stores.table import Field, read_table, write_table

FIELDS = {
    "id": Field(role="descriptor"),
    "volume": Field("nm³", "size", "volume"),
    "flat": Field("1", "shape", "constant"),
    "rare": Field("1", "texture", "mostly zero"),
}


def objects(folder: Path, samples: int = 3, **other: Field) -> dict[str, Path]:
    rng = np.random.default_rng(0)
    paths = {}
    for i in range(samples):
        n = 50 + 37 * i
        volume = rng.lognormal(10, 1, n)
        volume[::11] = np.nan
        columns = {"id": np.arange(n), "volume": volume, "flat": np.ones(n), "rare": (np.arange(n) < 4) * 1.0}
        paths[f"s{i}"] = folder / f"s{i}" / "objects.parquet"
        write_table(paths[f"s{i}"], columns, FIELDS)
    return paths


def clouds(folder: Path, chunk: int = 1024) -> dict[str, Path]:
    rng = np.random.default_rng(1)
    paths = {}
    for i in range(2):
        events = rng.normal(i, 1 + i, (2500 + 100 * i, 3)).astype(np.float32)
        path = folder / f"c{i}" / "cloud.zarr"
        create_arrays(path, len(events), 3, chunk, population=False)
        for k, first in enumerate(range(0, len(events), chunk)):
            write_chunk(path, k, events[first : first + chunk], None)
        channels = tuple(Channel(f"FL{j}", f"CD{j}", "marker", "logicle") for j in range(3))
        write_attributes(path, channels, (), "", np.zeros(3), np.eye(3))
        paths[f"c{i}"] = path
        np.save(folder / f"c{i}.npy", events)
    return paths


def test_tables_are_scaled_exactly(tmp_path: Path) -> None:
    paths = objects(tmp_path)
    out = run_step(STEP, {"tables": paths}, tmp_path / "out", kind="volume")
    table = read_table(tmp_path / "out" / "scaling.parquet")
    columns = table.columns
    wanted = scale([read_table(p).columns["volume"][:, None] for p in paths.values()])
    assert columns["feature"].tolist() == ["volume", "flat", "rare"]
    assert columns["unit"].tolist() == ["nm³", "1", "1"]
    assert columns["center"][0] == wanted.center[0]
    assert columns["scale"][0] == wanted.scale[0]
    assert columns["included"].tolist() == [True, False, False]
    assert columns["constant"].tolist() == [False, True, False]
    assert table.attributes == {"kind": "volume", "samples": ["s0", "s1", "s2"]}
    assert out.manifest["counts"]["features_included"] == 1
    assert any("flat is left out: it is constant" in note for note in out.manifest["notes"])
    assert any("rare is left out: its interquartile range" in note for note in out.manifest["notes"])


def test_clouds_are_scaled_exactly(tmp_path: Path) -> None:
    paths = clouds(tmp_path)
    run_step(STEP, {"tables": paths}, tmp_path / "out", kind="cloud")
    columns = read_table(tmp_path / "out" / "scaling.parquet").columns
    wanted = scale([np.load(tmp_path / f"c{i}.npy") for i in range(2)])
    np.testing.assert_array_equal(columns["center"], wanted.center)
    np.testing.assert_array_equal(columns["scale"], wanted.scale)
    assert columns["feature"].tolist() == ["CD0", "CD1", "CD2"]
    assert columns["n"].tolist() == [5100] * 3


def test_workers_and_parts_change_no_byte(tmp_path: Path) -> None:
    paths = clouds(tmp_path)
    a = run_step(STEP, {"tables": paths}, tmp_path / "a", kind="cloud")
    small = {"rows_per_part": 1024}
    b = run_step(STEP, {"tables": paths}, tmp_path / "b", small, kind="cloud", workers=3)
    assert a.manifest["output_digest"] == b.manifest["output_digest"]
    assert (tmp_path / "a/scaling.parquet").read_bytes() == (tmp_path / "b/scaling.parquet").read_bytes()


def test_samples_that_differ_are_named(tmp_path: Path) -> None:
    paths = objects(tmp_path, 2)
    other = {**FIELDS, "volume": Field("µm³", "size")}
    n = 5
    columns = {"id": np.arange(n), "volume": np.ones(n), "flat": np.ones(n), "rare": np.ones(n)}
    write_table(paths["s1"], columns, other)
    with pytest.raises(InputError, match="sample s1 has feature volume in µm³ in it and in nm³ in s0"):
        run_step(STEP, {"tables": paths}, tmp_path / "out", kind="volume")
    del columns["rare"], other["rare"]
    write_table(paths["s1"], columns, {**other, "volume": FIELDS["volume"]})
    with pytest.raises(InputError, match="sample s1 has no feature rare"):
        run_step(STEP, {"tables": paths}, tmp_path / "out", kind="volume")


def test_one_sample_without_rows_is_no_obstacle(tmp_path: Path) -> None:
    paths = objects(tmp_path, 2)
    empty = {name: np.empty(0, np.int64 if name == "id" else np.float64) for name in FIELDS}
    write_table(paths["s1"], empty, FIELDS)
    run_step(STEP, {"tables": paths}, tmp_path / "out", kind="volume")
    columns = read_table(tmp_path / "out" / "scaling.parquet").columns
    assert columns["n_samples"].tolist() == [1, 1, 1]
    assert np.isfinite(columns["scale"][0])


def panel_cloud(
    folder: Path,
    name: str,
    labels: list[str],
    *,
    seed: int = 0,
    content: str = "",
    unit: str = "logicle",
    detectors: list[str] | None = None,
) -> Path:
    """A cloud of which channel k holds the marker of label k; column of the marker CDk is shifted by k."""
    rng = np.random.default_rng(seed)
    path = folder / name / "cloud.zarr"
    shift = [int("".join(c for c in label.split("_")[-1] if c.isdigit())[:2] or 0) for label in labels]
    events = (rng.normal(0, 1, (1500, len(labels))) + shift).astype(np.float32)
    create_arrays(path, 1500, len(labels), 1024, population=False)
    for k, first in enumerate(range(0, 1500, 1024)):
        write_chunk(path, k, events[first : first + 1024], None)
    names = detectors or [f"FL{j}-A" for j in range(len(labels))]
    channels = tuple(Channel(d, label, "marker", unit) for d, label in zip(names, labels, strict=True))
    write_attributes(path, channels, (), content, np.zeros(len(labels)), np.eye(len(labels)))
    return path


def test_markers_are_matched_whatever_their_spelling_order_and_company(tmp_path: Path) -> None:
    spellings = {
        "a": ["CD3", "CD19", "CD4", "CD45RA"],
        "b": ["cd-4 PE", "142Nd_CD19", "CD45RA.PE-Cy7", "FITC CD3", "CD56 BV421"],
        "c": ["CD45RA", "CD25 APC", "CD3", "CD4", "CD19", "CD56"],
    }
    paths = {
        name: panel_cloud(tmp_path, name, labels, seed=i)
        for i, (name, labels) in enumerate(spellings.items())
    }
    out = run_step(STEP, {"tables": paths}, tmp_path / "out", kind="cloud")
    columns = read_table(tmp_path / "out" / "scaling.parquet").columns
    assert columns["feature"].tolist() == ["CD3", "CD4", "CD19", "CD45RA"]
    assert columns["key"].tolist() == ["cd3", "cd4", "cd19", "cd45ra"]
    assert columns["center"] == pytest.approx([3, 4, 19, 45], abs=0.2)
    assert columns["n_samples"].tolist() == [3] * 4
    table = read_table(tmp_path / "out" / "matching.parquet").columns
    lost = {
        (s, k)
        for s, k, present in zip(table["sample"], table["key"], table["present"], strict=True)
        if not present
    }
    assert lost == {("a", "cd56"), ("a", "cd25"), ("b", "cd25")}
    matched = [
        label for label, feature in zip(table["label"], table["feature"], strict=True) if feature == "CD19"
    ]
    assert matched == ["CD19", "142Nd_CD19", "CD19"]
    notes = " ".join(out.manifest["notes"])
    assert "a has no CD25 APC, CD56" in notes
    assert "b has no CD25 APC" in notes


def test_the_order_of_samples_and_channels_changes_no_feature(tmp_path: Path) -> None:
    labels = ["CD14", "CD3", "CD8", "CD4"]
    for name, order in (("x", [0, 1, 2, 3]), ("y", [3, 1, 0, 2])):
        paths = {
            f"s{i}": panel_cloud(tmp_path / name, f"s{i}", [labels[j] for j in order], seed=i)
            for i in range(2)
        }
        run_step(STEP, {"tables": paths}, tmp_path / name / "out", kind="cloud")
    a, b = (read_table(tmp_path / name / "out" / "scaling.parquet").columns for name in "xy")
    assert a["feature"].tolist() == b["feature"].tolist() == ["CD3", "CD4", "CD8", "CD14"]


def test_too_few_shared_markers_are_listed(tmp_path: Path) -> None:
    paths = {
        "a": panel_cloud(tmp_path, "a", ["CD3", "CD4", "CD8", "CD19", "CD20"]),
        "b": panel_cloud(tmp_path, "b", ["CD3", "CD4", "CD56", "CD57", "CD58"]),
    }
    with pytest.raises(
        InputError, match=r"share 2 markers \(CD3, CD4\) of about 5: a has no CD56, CD57, CD58; b has"
    ):
        run_step(STEP, {"tables": paths}, tmp_path / "out", kind="cloud")
    out = run_step(STEP, {"tables": paths}, tmp_path / "low", {"least_shared": 0.3}, kind="cloud")
    assert out.manifest["counts"]["features"] == 2


def test_a_marker_in_two_units_names_the_setting(tmp_path: Path) -> None:
    paths = {
        "a": panel_cloud(tmp_path, "a", ["CD3", "CD4"]),
        "b": panel_cloud(tmp_path, "b", ["CD3", "CD4"], unit="arcsinh(x/5)"),
    }
    with pytest.raises(
        InputError, match=r"sample b has CD3 in arcsinh\(x/5\) but a has it in logicle: set import_cloud"
    ):
        run_step(STEP, {"tables": paths}, tmp_path / "out", kind="cloud")


def test_samples_of_equal_events_are_named(tmp_path: Path) -> None:
    paths = {
        name: panel_cloud(tmp_path, name, ["CD3", "CD4"], content=content)
        for name, content in (("a", "1"), ("b", "2"), ("c", "1"))
    }
    out = run_step(STEP, {"tables": paths}, tmp_path / "out", kind="cloud")
    assert out.manifest["notes"] == ["samples a, c hold the same events"]
