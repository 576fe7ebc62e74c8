"""compare_samples computes only pairs it does not know, and its result shows nothing of it."""

import dataclasses

import numpy as np
import pytest

from triptych.engine.manifest import MANIFEST
from triptych.engine.run import run_step
from triptych.errors import StepError
from triptych.quantization import bounds, quantize
from triptych.steps import compare_samples, known_pairs
from triptych.steps.known_pairs import PAIRS
from triptych.stores.measure import StoredMeasure, write_measure


@pytest.fixture(scope="module")
def measures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("measures")
    rng = np.random.default_rng(0)
    paths = {}
    for i in range(6):
        found = quantize(rng.normal(size=(200, 2)) + rng.normal(size=2), 12)
        kept = StoredMeasure(
            *(found.centers, found.weights, found.distortion, found.epsilon, found.mean, found.covariance),
            features=("a", "b"),
            units=("u", "v"),
            scaling=None,
            events=200,
            content=f"content {i}",
        )
        write_measure(folder / f"s{i}" / "measure.zarr", kept)
        paths[f"s{i}"] = folder / f"s{i}" / "measure.zarr"
    return paths


@pytest.fixture
def solved(monkeypatch):
    """How many pairs were computed."""
    calls = []
    real = bounds.interval
    monkeypatch.setattr(bounds, "interval", lambda *given: calls.append(1) or real(*given))
    return calls


def run(paths, out, solved=None, **settings):
    """Bytes of the manifest, and pairs that were computed."""
    before = len(solved or [])
    how = {key: settings.pop(key) for key in ("workers", "verify") if key in settings}
    settings = {"tile_samples": 2, "permutations": 99} | settings
    run_step(compare_samples.STEP, {"measures": paths}, out, settings, kind="cloud", **how)
    return (out / MANIFEST).read_bytes(), len(solved or []) - before


def without(paths, *names):
    return {name: path for name, path in paths.items() if name not in names}


def test_an_added_sample_costs_its_row_alone(measures, tmp_path, solved):
    fresh, count = run(measures, tmp_path / "fresh", solved)
    assert count == 15
    assert run(without(measures, "s3"), tmp_path / "grown", solved)[1] == 10
    grown, count = run(measures, tmp_path / "grown", solved)
    assert count == 5
    assert grown == fresh


def test_a_removed_sample_costs_nothing_and_a_renamed_one_neither(measures, tmp_path, solved):
    run(measures, tmp_path / "kept", solved)
    fewer, count = run(without(measures, "s0"), tmp_path / "kept", solved)
    assert count == 0
    assert fewer == run(without(measures, "s0"), tmp_path / "fresh")[0]
    renamed = without(measures, "s0", "s1") | {"z": measures["s1"]}
    again, count = run(renamed, tmp_path / "kept", solved)
    assert count == 0
    assert again == run(renamed, tmp_path / "named")[0]


def test_tiles_and_workers_change_no_byte_of_what_is_added(measures, tmp_path, solved):
    digests = set()
    for tile, workers in ((1, 2), (32, 1)):
        out = tmp_path / f"{tile}"
        run(without(measures, "s2", "s5"), out, tile_samples=5 - min(tile, 4))
        run(measures, out, solved, tile_samples=tile, workers=workers)
        digests.add((out / "distances.parquet").read_bytes())
    assert len(digests) == 1


def test_a_measure_that_changed_is_not_taken_for_the_old_one(measures, tmp_path, solved):
    run(measures, tmp_path / "out", solved)
    found = quantize(np.random.default_rng(9).normal(size=(200, 2)), 12)
    other = StoredMeasure(
        *(found.centers, found.weights, found.distortion, found.epsilon, found.mean, found.covariance),
        features=("a", "b"),
        units=("u", "v"),
        scaling=None,
        events=200,
        content="another",
    )
    write_measure(tmp_path / "s4" / "measure.zarr", other)
    changed = measures | {"s4": tmp_path / "s4" / "measure.zarr"}
    again, count = run(changed, tmp_path / "out", solved)
    assert count == 5
    assert again == run(changed, tmp_path / "fresh")[0]


def damage_crc(path):
    content = bytearray(path.read_bytes())
    at = content.index(b"interval.npy") + 200
    content[at] ^= 0xFF
    path.write_bytes(content)


def damage_flags(path):
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] ^= 1  # says that the entry is encrypted
    path.write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [
        damage_crc,
        damage_flags,
        lambda path: path.write_bytes(path.read_bytes()[:100]),
        lambda path: path.write_bytes(b"not a zip"),
    ],
    ids=["a flipped bit", "a flipped flag", "cut short", "something else"],
)
def test_a_damaged_cache_is_ignored(measures, tmp_path, solved, damage):
    run(without(measures, "s1"), tmp_path / "out", solved)
    damage(tmp_path / "out" / PAIRS)
    again, count = run(measures, tmp_path / "out", solved)
    assert count == 15
    assert again == run(measures, tmp_path / "fresh")[0]


def test_another_version_or_bound_is_computed_again(measures, tmp_path, solved, monkeypatch):
    run(measures, tmp_path / "out", solved)
    assert run(measures, tmp_path / "out", solved, bound_rounds=1)[1] == 15
    assert run(measures, tmp_path / "out", solved, bound_rounds=1, seed=1)[1] == 0
    newer = dataclasses.replace(compare_samples.STEP, version=compare_samples.STEP.version + 1)
    monkeypatch.setattr(compare_samples, "STEP", newer)
    assert run(measures, tmp_path / "out", solved, bound_rounds=1)[1] == 15


def test_the_cache_is_the_same_whatever_the_history(measures, tmp_path):
    run(measures, tmp_path / "fresh")
    run(without(measures, "s3"), tmp_path / "grown")
    run(measures, tmp_path / "grown")
    assert (tmp_path / "fresh" / PAIRS).read_bytes() == (tmp_path / "grown" / PAIRS).read_bytes()


def test_a_pair_that_no_solver_finishes_is_named(measures, tmp_path, monkeypatch):
    def give_up(*_given):
        raise ValueError("exact transport of 12 to 12 centers did not converge")

    monkeypatch.setattr(bounds, "interval", give_up)
    with pytest.raises(StepError, match="samples s0 and s1 cannot be compared: exact transport"):
        run(measures, tmp_path / "out", tile_samples=32)


def test_pairs_seen_through_fewer_features_are_computed_again(tmp_path, solved):
    """A sample without one marker narrows what is compared of all of them."""
    rng = np.random.default_rng(3)
    paths = {}
    for i, features in enumerate([("a", "b", "c")] * 3 + [("a", "b")]):
        found = quantize(rng.normal(size=(100, len(features))), 8)
        kept = StoredMeasure(
            *(found.centers, found.weights, found.distortion, found.epsilon, found.mean, found.covariance),
            features=features,
            units=("u",) * len(features),
            scaling=None,
            events=100,
            spread=found.spread,
        )
        write_measure(tmp_path / f"s{i}" / "measure.zarr", kept)
        paths[f"s{i}"] = tmp_path / f"s{i}" / "measure.zarr"
    run(without(paths, "s3"), tmp_path / "out", solved)
    again, count = run(paths, tmp_path / "out", solved)
    assert count == 6
    assert again == run(paths, tmp_path / "fresh")[0]


def stopped_in_tile(number, monkeypatch):
    """The tile of this number fails once; returns the numbers of tiles begun."""
    begun, real = [], known_pairs.known_tile

    def counted(*given):
        begun.append(1)
        if len(begun) == number + 1:
            raise RuntimeError("stopped")
        return real(*given)

    monkeypatch.setattr(compare_samples, "known_tile", counted)
    return begun


@pytest.mark.parametrize("tile", [0, 2, 5])
def test_a_step_stopped_in_any_tile_goes_on_to_the_same_bytes(measures, tmp_path, solved, monkeypatch, tile):
    fresh, _ = run(measures, tmp_path / "fresh", solved)
    begun = stopped_in_tile(tile, monkeypatch)
    before = len(solved)
    with pytest.raises(StepError, match="stopped"):
        run(measures, tmp_path / "out")
    again, _ = run(measures, tmp_path / "out")
    assert (len(begun), len(solved) - before) == (6 + 1, 15)
    assert again == fresh


def test_a_damaged_tile_is_named_and_computed_anew_with_verify(measures, tmp_path, solved, monkeypatch):
    fresh, _ = run(measures, tmp_path / "fresh", solved)
    stopped_in_tile(5, monkeypatch)
    with pytest.raises(StepError, match="stopped"):
        run(measures, tmp_path / "out")
    tile = tmp_path / "out" / "scratch/tiles/000001.npz"
    content = bytearray(tile.read_bytes())
    content[len(content) // 2] ^= 4
    tile.write_bytes(content)
    with pytest.raises(StepError, match=r"000001.npz cannot be read .* with --verify"):
        run(measures, tmp_path / "out")
    before = len(solved)
    assert run(measures, tmp_path / "out", verify=True)[0] == fresh
    assert len(solved) - before == 4
