"""Running a step: same bytes whatever happens, nothing done twice, nothing overwritten that is not ours."""

import json
import multiprocessing
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from toy_step import ToySettings, content, key, make_toy, work, write_numbers

from triptych.engine import ledger as ledgers
from triptych.engine.files import save_arrays
from triptych.engine.lease import alone, lease
from triptych.engine.run import run_step
from triptych.engine.step import Context, Input, Map
from triptych.errors import InputError, StepError, UsageError


def lines_of(out: Path, phase: str) -> list[int]:
    """Index of every computed block of a phase, one entry per computation."""
    return sorted(
        record["index"]
        for file in out.glob("ledger/*/*.jsonl")
        for record in ledgers._lines(file)
        if record["kind"] == "done" and record["phase"] == phase
    )


def test_same_bytes_for_every_executor(tmp_path: Path) -> None:
    numbers = write_numbers(tmp_path)
    step = make_toy()
    results = []
    for name, options in {
        "one": {},
        "threads": {"workers": 3},
        "processes": {"workers": 2, "executor": "processes"},
    }.items():
        run_step(step, {"numbers": numbers}, tmp_path / name, **options)
        results.append(content(tmp_path / name))
    assert results[0] == results[1] == results[2]
    assert "total.txt" in results[0]


@pytest.mark.slow
def test_same_bytes_with_dask(tmp_path: Path) -> None:
    numbers = write_numbers(tmp_path)
    run_step(make_toy(), {"numbers": numbers}, tmp_path / "one")
    run_step(make_toy(), {"numbers": numbers}, tmp_path / "dask", workers=2, executor="dask")
    assert content(tmp_path / "one") == content(tmp_path / "dask")


def test_finished_result_is_found_at_once(tmp_path: Path) -> None:
    numbers = write_numbers(tmp_path)
    first = run_step(make_toy(), {"numbers": numbers}, tmp_path / "out")
    before = content(tmp_path / "out")
    (tmp_path / "out" / "manifest.json").unlink()
    second = run_step(make_toy(), {"numbers": numbers}, tmp_path / "out")
    assert first.fresh
    assert not second.fresh
    assert content(tmp_path / "out") == before
    assert lines_of(tmp_path / "out", "square") == list(range(6))


def test_empty_block_is_recorded_and_not_done_again(tmp_path: Path) -> None:
    numbers = write_numbers(tmp_path, count=3)
    run_step(make_toy(), {"numbers": numbers}, tmp_path / "out")
    (tmp_path / "out" / "total.txt").unlink()
    run_step(make_toy(), {"numbers": numbers}, tmp_path / "out")
    assert lines_of(tmp_path / "out", "square") == list(range(6))


def _run_and_die(folder: Path, kill_at: int) -> None:
    run_step(make_toy(), {"numbers": folder / "numbers.txt"}, folder / "killed", {"kill_at": kill_at})


def test_kill_nine_loses_no_finished_block(tmp_path: Path) -> None:
    numbers = write_numbers(tmp_path)
    process = multiprocessing.get_context("spawn").Process(target=_run_and_die, args=(tmp_path, 4))
    process.start()
    process.join()
    assert process.exitcode == -9
    assert lines_of(tmp_path / "killed", "square") == [0, 1, 2, 3]
    assert not (tmp_path / "killed" / "manifest.json").exists()
    run_step(make_toy(), {"numbers": numbers}, tmp_path / "killed", {"kill_at": 4})
    assert lines_of(tmp_path / "killed", "square") == [0, 1, 2, 3, 4, 5]
    run_step(make_toy(), {"numbers": numbers}, tmp_path / "whole", {"kill_at": 4})
    assert content(tmp_path / "killed") == content(tmp_path / "whole")


def test_settings_a_then_b_then_a(tmp_path: Path) -> None:
    numbers = write_numbers(tmp_path)
    a, b = {"power": 2.0}, {"power": 3.0}
    run_step(make_toy(), {"numbers": numbers}, tmp_path / "out", a)
    first = content(tmp_path / "out")
    run_step(make_toy(), {"numbers": numbers}, tmp_path / "out", b)
    assert content(tmp_path / "out") != first
    run_step(make_toy(), {"numbers": numbers}, tmp_path / "out", a)
    assert content(tmp_path / "out") == first
    assert len([p for p in (tmp_path / "out" / "ledger").iterdir() if p.is_dir()]) == 1


def test_changed_input_is_noticed(tmp_path: Path) -> None:
    numbers = write_numbers(tmp_path)
    run_step(make_toy(), {"numbers": numbers}, tmp_path / "out")
    first = content(tmp_path / "out")
    write_numbers(tmp_path, count=41)
    assert run_step(make_toy(), {"numbers": numbers}, tmp_path / "out").fresh
    assert content(tmp_path / "out") != first


@pytest.mark.parametrize("damage", ["truncate", "remove"])
def test_damaged_file_is_made_again_alone(tmp_path: Path, damage: str) -> None:
    numbers = write_numbers(tmp_path)
    out = tmp_path / "out"
    run_step(make_toy(), {"numbers": numbers}, out)
    before = content(out)
    victim = out / "blocks.store" / "c" / "2"
    victim.unlink() if damage == "remove" else victim.write_bytes(b"torn")
    assert run_step(make_toy(), {"numbers": numbers}, out).fresh
    assert content(out) == before
    assert lines_of(out, "square") == [0, 1, 2, 2, 3, 4, 5]


def scratchy(context: Context, index: int) -> None:
    """A block that leaves a remark beside its store, for a later phase."""
    work(context, index)
    save_arrays(context.path(f"scratch/remarks/{index}.npz"), {"index": np.int64(index)})


def only_scratch(context: Context, index: int) -> None:
    save_arrays(context.path(f"scratch/seeds/{index}.npz"), {"index": np.int64(index)})


def test_mending_makes_only_the_damaged_block_again(tmp_path: Path) -> None:
    numbers = write_numbers(tmp_path)
    seeds = Map("seeds", lambda c: 3, lambda c, i: [f"scratch/seeds/{i}.npz"], only_scratch)
    square = Map("square", lambda c: 6, lambda c, i: [key(i), f"scratch/remarks/{i}.npz"], scratchy)
    step = make_toy(phases=(seeds, square, *make_toy().phases[1:]))
    out = tmp_path / "out"
    run_step(step, {"numbers": numbers}, out)
    before = content(out)
    assert not (out / "scratch" / "seeds").exists()
    (out / "total.txt").unlink()
    run_step(step, {"numbers": numbers}, out)
    assert lines_of(out, "square") == [0, 1, 2, 3, 4, 5]
    assert lines_of(out, "merge") == [0, 0]
    (out / key(4)).write_bytes(b"torn")
    run_step(step, {"numbers": numbers}, out)
    assert content(out) == before
    assert lines_of(out, "square") == [0, 1, 2, 3, 4, 4, 5]


def test_flipped_bit_is_found_by_verify(tmp_path: Path) -> None:
    numbers = write_numbers(tmp_path)
    out = tmp_path / "out"
    run_step(make_toy(), {"numbers": numbers}, out)
    before = content(out)
    victim = out / "blocks.store" / "c" / "2"
    data = bytearray(victim.read_bytes())
    data[10] ^= 1
    victim.write_bytes(bytes(data))
    assert not run_step(make_toy(), {"numbers": numbers}, out).fresh
    assert run_step(make_toy(), {"numbers": numbers}, out, verify=True).fresh
    assert content(out) == before


def test_torn_ledger_line_costs_only_its_block(tmp_path: Path) -> None:
    numbers = write_numbers(tmp_path)
    out = tmp_path / "out"
    run_step(make_toy(), {"numbers": numbers}, out)
    before = content(out)
    (file,) = out.glob("ledger/*/*.jsonl")
    lines = file.read_bytes().splitlines(keepends=True)
    kept = [line for line in lines if b'"complete"' not in line]
    at = next(i for i, line in enumerate(kept) if b'"index":3' in line and b'"square"' in line)
    kept[at] = kept[at][: len(kept[at]) // 2] + b"\n"
    file.write_bytes(b"".join(kept))
    run_step(make_toy(), {"numbers": numbers}, out)
    assert content(out) == before
    assert lines_of(out, "square") == [0, 1, 2, 3, 4, 5]


def test_array_of_ranges_equals_single_run(tmp_path: Path) -> None:
    numbers = write_numbers(tmp_path)
    run_step(make_toy(), {"numbers": numbers}, tmp_path / "single")
    for part in (2, 1, 3):
        run_step(make_toy(), {"numbers": numbers}, tmp_path / "array", phase="square", part=(part, 3))
        assert (tmp_path / "array" / "parts" / f"square.{part}-of-3.json").exists()
        assert not (tmp_path / "array" / "manifest.json").exists()
    run_step(make_toy(), {"numbers": numbers}, tmp_path / "array")
    assert content(tmp_path / "single") == content(tmp_path / "array")
    assert lines_of(tmp_path / "array", "square") == list(range(6))


def test_ranges_of_a_step_with_two_map_phases_are_refused(tmp_path: Path) -> None:
    numbers = write_numbers(tmp_path)
    again = Map("again", lambda c: 1, lambda c, i: ["blocks.store/d"], work)
    step = make_toy(phases=(*make_toy().phases, again))
    with pytest.raises(UsageError, match="2 map phases"):
        run_step(step, {"numbers": numbers}, tmp_path / "out", phase="square", part=(1, 2))


def test_a_refused_range_leaves_a_result_untouched(tmp_path: Path) -> None:
    numbers = write_numbers(tmp_path)
    run_step(make_toy(), {"numbers": numbers}, tmp_path / "out")
    before = content(tmp_path / "out")
    with pytest.raises(UsageError, match="no map phase"):
        run_step(make_toy(), {"numbers": numbers}, tmp_path / "out", {"power": 3}, phase="nope", part=(1, 2))
    assert content(tmp_path / "out") == before
    assert (tmp_path / "out" / "manifest.json").exists()


def test_a_range_of_a_finished_result_is_a_receipt_and_keeps_the_manifest(tmp_path: Path) -> None:
    numbers = write_numbers(tmp_path)
    run_step(make_toy(), {"numbers": numbers}, tmp_path / "out")
    before = content(tmp_path / "out")
    run_step(make_toy(), {"numbers": numbers}, tmp_path / "out", phase="square", part=(1, 2))
    assert content(tmp_path / "out") == before
    assert (tmp_path / "out/parts/square.1-of-2.json").exists()
    assert lines_of(tmp_path / "out", "square") == list(range(6))


def test_an_unknown_executor_is_refused_even_when_nothing_is_left_to_do(tmp_path: Path) -> None:
    numbers = write_numbers(tmp_path)
    run_step(make_toy(), {"numbers": numbers}, tmp_path / "out")
    with pytest.raises(UsageError, match="none of threads"):
        run_step(make_toy(), {"numbers": numbers}, tmp_path / "out", executor="fibers")


def test_a_recording_that_cannot_be_read_does_not_cost_the_result(tmp_path: Path) -> None:
    def probe(path: Path, _settings: object) -> dict[str, int]:
        if not path.read_text().strip():
            raise InputError(f"{path} is empty; copy it again")
        return {}

    run_step(make_toy(probe=probe), {"numbers": write_numbers(tmp_path)}, tmp_path / "out")
    before = content(tmp_path / "out")
    (tmp_path / "empty.txt").write_text("")
    with pytest.raises(InputError, match="copy it again"):
        run_step(make_toy(probe=probe), {"numbers": tmp_path / "empty.txt"}, tmp_path / "out")
    after = content(tmp_path / "out")
    assert {key: after[key] for key in before} == before
    assert (tmp_path / "out" / "manifest.json").exists()


def test_a_stray_file_in_a_store_is_taken_out_and_changes_nothing(tmp_path: Path) -> None:
    numbers, out = write_numbers(tmp_path), tmp_path / "out"
    run_step(make_toy(), {"numbers": numbers}, out)
    before = (out / "manifest.json").read_bytes()
    stray = out / "blocks.store" / "c" / "stray"
    stray.write_text("junk")
    (out / "manifest.json").unlink()
    run_step(make_toy(), {"numbers": numbers}, out, verify=True)
    assert not stray.exists()
    assert (out / "manifest.json").read_bytes() == before


def test_a_damaged_manifest_of_an_input_is_named(tmp_path: Path) -> None:
    numbers = write_numbers(tmp_path)
    run_step(make_toy(), {"numbers": numbers}, tmp_path / "toy")
    (tmp_path / "toy" / "manifest.json").write_text('{"step": "toy_step"}')
    entry = Input("numbers", "total", store="total.txt", producers={"cloud": "toy_step"})
    with pytest.raises(InputError, match=r"manifest\.json is damaged"):
        run_step(make_toy(name="consumer", inputs=(entry,)), {"numbers": tmp_path / "toy"}, tmp_path / "next")


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    numbers = write_numbers(tmp_path)
    with pytest.raises(UsageError, match="cannot be made"):
        run_step(make_toy(), {"numbers": numbers}, numbers / "below")


def test_a_folder_is_no_raw_file_where_a_file_is_meant(tmp_path: Path) -> None:
    step = make_toy(inputs=(Input("numbers", "n", sheet="path", files=lambda path: [path]),))
    with pytest.raises(InputError, match="is not a file"):
        run_step(step, {"numbers": tmp_path}, tmp_path / "out")


def test_expected_digest_must_agree(tmp_path: Path) -> None:
    numbers = write_numbers(tmp_path)
    with pytest.raises(UsageError, match="changed since the run began"):
        run_step(make_toy(), {"numbers": numbers}, tmp_path / "out", expect="0" * 64)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["failure.json"]


def test_unknown_setting_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"unknown setting toy_step\.powr; did you mean power"):
        run_step(make_toy(), {"numbers": write_numbers(tmp_path)}, tmp_path / "out", {"powr": 1})


def test_value_out_of_bounds_names_the_key(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"toy_step\.power = -1"):
        run_step(make_toy(), {"numbers": write_numbers(tmp_path)}, tmp_path / "out", {"power": -1})


def test_missing_input_leaves_no_new_folder_behind(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing\.txt does not exist"):
        run_step(make_toy(), {"numbers": tmp_path / "nothing.txt"}, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_missing_input_is_said_and_noted(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError, match=r"nothing\.txt does not exist"):
        run_step(make_toy(), {"numbers": tmp_path / "nothing.txt"}, tmp_path / "out")
    failure = json.loads((tmp_path / "out" / "failure.json").read_text())
    assert failure["exit"] == 3
    run_step(make_toy(), {"numbers": write_numbers(tmp_path)}, tmp_path / "out")
    assert not (tmp_path / "out" / "failure.json").exists()


def test_foreign_folder_is_left_untouched(tmp_path: Path) -> None:
    numbers = write_numbers(tmp_path)
    foreign = tmp_path / "photos"
    foreign.mkdir()
    (foreign / "cat.jpg").write_bytes(b"cat")
    with pytest.raises(UsageError, match="not a result of toy-step"):
        run_step(make_toy(), {"numbers": numbers}, foreign)
    with pytest.raises(UsageError, match="not a result of toy-step"):
        run_step(make_toy(), {"numbers": numbers}, foreign, expect="0" * 64)
    assert [p.name for p in foreign.iterdir()] == ["cat.jpg"]
    (foreign / "failure.json").write_text("{}")
    with pytest.raises(UsageError, match="not a result of toy-step"):
        run_step(make_toy(), {"numbers": numbers}, foreign)
    (foreign / "failure.json").unlink()
    run_step(make_toy(), {"numbers": numbers}, tmp_path / "toy")
    before = content(tmp_path / "toy")
    with pytest.raises(UsageError, match="holds a result of toy_step"):
        run_step(make_toy(name="other_step"), {"numbers": numbers}, tmp_path / "toy")
    assert content(tmp_path / "toy") == before


def test_a_run_killed_before_it_named_its_folder_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with lease(out), alone(out, "prepare"):
        (out / "ledger" / "raw.json").write_text("{}")
    run_step(make_toy(), {"numbers": write_numbers(tmp_path)}, out)
    assert (out / "manifest.json").exists()
    (tmp_path / "own" / "ledger").mkdir(parents=True)
    (tmp_path / "own" / "ledger" / "accounts.xls").write_text("mine")
    with pytest.raises(UsageError, match="not a result of toy-step"):
        run_step(make_toy(), {"numbers": write_numbers(tmp_path)}, tmp_path / "own")


def test_unfinished_producer_is_named(tmp_path: Path) -> None:
    numbers = write_numbers(tmp_path)
    run_step(make_toy(), {"numbers": numbers}, tmp_path / "toy")
    (tmp_path / "toy" / "manifest.json").unlink()
    consumer = make_toy(
        name="consumer",
        inputs=(Input("numbers", "total", store="total.txt", producers={"cloud": "toy_step"}),),
    )
    with pytest.raises(InputError, match="not finished; run toy-step"):
        run_step(consumer, {"numbers": tmp_path / "toy"}, tmp_path / "consumer")


def test_two_phases_may_not_share_a_file(tmp_path: Path) -> None:
    step = make_toy()
    shared = make_toy(
        phases=(
            *step.phases,
            step.phases[-1].__class__("again", lambda c: ["total.txt"], step.phases[-1].work),
        )
    )
    with pytest.raises(StepError, match="both own"):
        run_step(shared, {"numbers": write_numbers(tmp_path)}, tmp_path / "out")


def test_manifest_holds_no_path_host_or_time(tmp_path: Path) -> None:
    run_step(make_toy(), {"numbers": write_numbers(tmp_path)}, tmp_path / "out")
    text = (tmp_path / "out" / "manifest.json").read_text()
    assert str(tmp_path) not in text
    assert "/" not in text
    assert "workers" not in text


def test_execution_is_in_no_settings() -> None:
    assert not {"workers", "executor", "scheduler"} & set(ToySettings.model_fields)
