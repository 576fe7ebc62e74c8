"""Inputs: a raw file, a store, a result folder or its manifest; what cannot be used is named."""

import json
from pathlib import Path

import pytest

from triptych.engine.fingerprint import RawDigests
from triptych.engine.inputs import Given, kind_of, resolve_inputs
from triptych.engine.step import Input, Kind, Settings, Source, Step
from triptych.errors import InputError, UsageError

TABLES = Input(
    "tables",
    "tables",
    producers={"volume": "measure", "signal": "describe"},
    stores={"volume": "o.parquet", "signal": "a.parquet"},
    many=True,
)
CLOUD = Input("cloud", "a cloud", store="cloud.zarr", producers={"cloud": "import_cloud"})


def make(*inputs: Input) -> Step:
    kinds: tuple[Kind, ...] = ("volume", "signal", "cloud")
    return Step("s", 1, "sample", kinds, "h", Settings, inputs, (), (), lambda context: {})


def finish(folder: Path, step: str, store: str, kind: str | None = None) -> Path:
    (folder / store).mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps({"step": step, "kind": kind, "output_digest": "d" * 64}))
    return folder


def resolve(step: Step, given: Given, out: Path) -> tuple[dict[str, Source], dict[str, dict[str, Source]]]:
    return resolve_inputs(step, given, kind_of(step, given), RawDigests(out))


def test_folder_manifest_and_store_mean_the_same(tmp_path: Path) -> None:
    folder = finish(tmp_path / "r", "import_cloud", "cloud.zarr", "cloud")
    found = [
        resolve(make(CLOUD), {"cloud": path}, tmp_path / "o")[0]["cloud"]
        for path in (folder, folder / "manifest.json", folder / "cloud.zarr")
    ]
    assert len({(source.path, source.digest) for source in found}) == 1
    assert found[0].path == folder / "cloud.zarr"


def test_the_kind_is_told_by_who_made_the_input(tmp_path: Path) -> None:
    volume = finish(tmp_path / "v", "measure", "o.parquet")
    signal = finish(tmp_path / "s", "describe", "a.parquet", "signal")
    assert kind_of(make(TABLES), {"tables": {"V": volume}}) == "volume"
    assert kind_of(make(TABLES), {"tables": {"S": signal}}) == "signal"
    assert (
        resolve(make(TABLES), {"tables": {"S": signal}}, tmp_path / "o")[1]["tables"]["S"].path.name
        == "a.parquet"
    )


def test_a_store_without_manifest_is_hashed(tmp_path: Path) -> None:
    (tmp_path / "foreign.zarr").mkdir()
    (tmp_path / "foreign.zarr" / "zarr.json").write_text("{}")
    source = resolve(make(CLOUD), {"cloud": tmp_path / "foreign.zarr"}, tmp_path / "o")[0]["cloud"]
    assert source.manifest is None
    assert len(source.digest) == 64


def test_what_cannot_be_used_is_named(tmp_path: Path) -> None:
    other = finish(tmp_path / "r", "encode", "cloud.zarr")
    with pytest.raises(InputError, match="holds a result of encode; s needs one of import_cloud"):
        resolve(make(CLOUD), {"cloud": other}, tmp_path / "o")
    with pytest.raises(UsageError, match="needs --cloud"):
        resolve(make(CLOUD), {}, tmp_path / "o")
    with pytest.raises(UsageError, match="--inputs-from FILE"):
        resolve(make(TABLES), {}, tmp_path / "o")
    with pytest.raises(UsageError, match="has no input 'clod'"):
        resolve(make(CLOUD), {"clod": other}, tmp_path / "o")
    with pytest.raises(InputError, match="run import-cloud first"):
        resolve(make(CLOUD), {"cloud": tmp_path / "import_cloud/manifest.json"}, tmp_path / "o")
    gone = finish(tmp_path / "g", "import_cloud", "x.zarr")
    with pytest.raises(InputError, match=r"cloud\.zarr is missing"):
        resolve(make(CLOUD), {"cloud": gone}, tmp_path / "o")
