"""Verification finds every flipped bit, and every file that is missing or does not belong."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from triptych.engine.run import run_step
from triptych.errors import InputError
from triptych.steps import load_step
from triptych.study.verify import verify, verify_folder


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("verify")
    (folder / "a.csv").write_text("CD3,CD4\n" + "".join(f"{i % 7}.5,{i % 11}.25\n" for i in range(3000)))
    run_step(load_step("import_cloud"), {"raw": folder / "a.csv"}, folder / "out", {"transform": "none"})
    return folder / "out"


def test_a_whole_result_is_whole(result: Path) -> None:
    (verdict,) = verify(result.parent)
    assert verdict.whole
    assert (verdict.step, verdict.damaged, verdict.missing, verdict.stray) == ("import_cloud", [], [], [])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(choice=st.integers(0, 10_000), position=st.integers(0, 10**7), bit=st.integers(0, 7))
def test_every_flipped_bit_is_found_and_named(result: Path, choice: int, position: int, bit: int) -> None:
    files = sorted(path for path in (result / "cloud.zarr").rglob("*") if path.is_file())
    victim = files[choice % len(files)]
    before = victim.read_bytes()
    data = bytearray(before)
    data[position % len(data)] ^= 1 << bit
    victim.write_bytes(bytes(data))
    try:
        verdict = verify_folder(result)
    finally:
        victim.write_bytes(before)
    assert not verdict.whole
    assert verdict.damaged == [victim.relative_to(result).as_posix()]


def test_missing_and_stray_files_are_named(result: Path) -> None:
    chunk = result / "cloud.zarr" / "events" / "c" / "0" / "0"
    before = chunk.read_bytes()
    chunk.unlink()
    stray = chunk.with_name("9")
    stray.write_bytes(b"who")
    try:
        verdict = verify_folder(result)
    finally:
        chunk.write_bytes(before)
        stray.unlink()
    assert verdict.missing == ["cloud.zarr/events/c/0/0"]
    assert verdict.stray == ["cloud.zarr/events/c/0/9"]


def test_a_changed_manifest_is_found(result: Path) -> None:
    path = result / "manifest.json"
    before = path.read_text()
    try:
        path.write_text(before.replace('"events": 3000', '"events": 3001'))
        assert verify_folder(result).reason == "the manifest differs from the ledger's"
        path.write_text(before[:-10])
        assert verify_folder(result).reason == "the manifest is no JSON"
        path.unlink()
        assert verify_folder(result).state == "unfinished"
    finally:
        path.write_text(before)


def test_nothing_to_verify_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no result"):
        list(verify(tmp_path))
    with pytest.raises(InputError, match="is no folder"):
        list(verify(tmp_path / "no"))
