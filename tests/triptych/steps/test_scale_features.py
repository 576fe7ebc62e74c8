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
