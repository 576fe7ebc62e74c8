"""The ledger: whole lines of any number of writers, damaged ones ignored."""

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from triptych.engine import ledger as ledgers


def fill(folder: Path, count: int = 4) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    ledgers.append(folder, {"kind": "start"})
    ledgers.append(folder, {"kind": "phase", "phase": "p", "blocks": count})
    for index in range(count):
        ledgers.write_done(folder, "p", index, {f"c/{index}": (10, "aa")}, 0.5, 0.25)
    (file,) = folder.glob("*.jsonl")
    return file


def test_lines_come_back(tmp_path: Path) -> None:
    fill(tmp_path / "f")
    ledger = ledgers.read(tmp_path / "f")
    assert ledger.starts == 1
    assert ledger.blocks == {"p": 4}
    assert sorted(ledger.of_phase("p")) == [0, 1, 2, 3]
    assert ledger.files()["c/2"] == (10, "aa")
    assert ledgers.read(tmp_path / "nothing").done == {}


@settings(max_examples=60, deadline=None)
@given(position=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_a_flipped_bit_loses_at_most_its_lines(tmp_path_factory: object, position: int, bit: int) -> None:
    folder: Path = tmp_path_factory.mktemp("l")  # type: ignore[attr-defined]
    file = fill(folder)
    data = bytearray(file.read_bytes())
    data[position % len(data)] ^= 1 << bit
    file.write_bytes(bytes(data))
    ledger = ledgers.read(folder)
    lost = 4 - len(ledger.of_phase("p"))
    assert 0 <= lost <= 2
    assert all(record.files == {f"c/{index}": (10, "aa")} for index, record in ledger.of_phase("p").items())


def test_a_torn_last_line_is_ignored(tmp_path: Path) -> None:
    file = fill(tmp_path)
    data = file.read_bytes()
    for cut in range(1, 40):
        file.write_bytes(data[:-cut])
        found = ledgers.read(tmp_path).of_phase("p")
        assert sorted(found) == ([0, 1, 2, 3] if cut == 1 else [0, 1, 2])


def test_trust_needs_the_recorded_sizes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    files = ledgers.record_files(tmp_path, ["a", "absent"])
    assert files["a"][0] == 5
    record = ledgers.Done("p", 0, files, 0.0)
    assert ledgers.is_trusted(tmp_path, record, ["a", "absent"])
    (tmp_path / "absent").write_bytes(b"stray")
    assert not ledgers.is_trusted(tmp_path, record, ["a", "absent"])
    (tmp_path / "a").write_bytes(b"54321")
    assert ledgers.is_trusted(tmp_path, record, ["a"])
    assert not ledgers.is_trusted(tmp_path, record, ["a"], verify=True)
    (tmp_path / "a").unlink()
    assert not ledgers.is_trusted(tmp_path, record, ["a"])
