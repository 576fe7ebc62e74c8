"""Manifests and output digests depend on stored bytes alone."""

from pathlib import Path

from triptych.engine.files import hash_file
from triptych.engine.manifest import hash_outputs, output_digest, output_files, read_manifest, write_manifest


def test_only_declared_stores_count(tmp_path: Path) -> None:
    for key in (
        "a.zarr/c/0",
        "a.zarr/zarr.json",
        "labels_cell.ome.zarr/x",
        "scratch/y",
        "provenance.json",
        "a.zarr/c/1.77.partial",
    ):
        (tmp_path / key).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / key).write_text(key)
    found = output_files(tmp_path, ("a.zarr", "labels_*.ome.zarr"))
    assert list(found) == ["a.zarr/c/0", "a.zarr/zarr.json", "labels_cell.ome.zarr/x"]
    assert output_files(tmp_path / "nothing", ("a.zarr",)) == {}
    known = {"a.zarr/c/0": (1, "recorded")}
    hashes = hash_outputs(found, known)
    assert hashes["a.zarr/c/0"] == (1, "recorded")
    assert hashes["a.zarr/zarr.json"][1] == hash_file(tmp_path / "a.zarr/zarr.json")


def test_digest_ignores_the_order_and_sees_every_byte() -> None:
    assert output_digest({"a": "1", "b": "2"}) == output_digest({"b": "2", "a": "1"})
    assert output_digest({"a": "1", "b": "2"}) != output_digest({"a": "2", "b": "1"})


def test_a_torn_manifest_is_none(tmp_path: Path) -> None:
    write_manifest(tmp_path, {"step": "x"})
    assert read_manifest(tmp_path) == {"step": "x"}
    (tmp_path / "manifest.json").write_text('{"step": ')
    assert read_manifest(tmp_path) is None
    (tmp_path / "manifest.json").write_text("[1]")
    assert read_manifest(tmp_path) is None
