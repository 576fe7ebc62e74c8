"""``cloud.zarr``: chunks are whole files, in any order, and equal content gives equal bytes."""

import hashlib

import numpy as np
import pytest

from triptych.errors import InputError
from triptych.stores import cloud as store

CHANNELS = (
    store.Channel("FITC-A", "CD4", "marker", "arcsinh(x/5)", {"name": "arcsinh"}),
    store.Channel("PE-A", "", "marker", "u"),
)
EVENTS = np.random.default_rng(0).normal(size=(2500, 2)).astype(np.float32)
LABELS = np.random.default_rng(1).integers(0, 3, 2500).astype(np.uint16)


def write(folder, order):
    path = folder / store.STORE
    store.create_arrays(path, 2500, 2, 1024, population=True)
    for index in order:
        rows = slice(index * 1024, (index + 1) * 1024)
        store.write_chunk(path, index, EVENTS[rows], LABELS[rows])
    store.write_attributes(path, CHANNELS, ("a", "b", "c"), "abc", EVENTS.mean(0), np.cov(EVENTS.T))
    return path


def digests(folder):
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in folder.rglob("*")
        if p.is_file()
    }


def test_what_is_written_is_read(tmp_path):
    opened = store.open_cloud(write(tmp_path, [0, 1, 2]))
    assert (opened.events[...] == EVENTS).all()
    assert (opened.population[1000:1100] == LABELS[1000:1100]).all()
    assert opened.channels == CHANNELS
    assert [channel.label for channel in opened.channels] == ["CD4", "PE-A"]
    assert opened.chunk_events == 1024
    assert opened.populations == ("a", "b", "c")


def test_files_are_those_announced_and_do_not_depend_on_the_order(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    write(tmp_path / "a", [0, 1, 2])
    write(tmp_path / "b", [2, 0, 1])
    found = digests(tmp_path / "a")
    assert found == digests(tmp_path / "b")
    announced = [*store.array_metadata(population=True), f"{store.STORE}/zarr.json"]
    announced += [key for index in range(3) for key in store.chunk_keys(index, population=True)]
    assert sorted(found) == sorted(announced)


def test_masks_are_bits_beside_the_events(tmp_path):
    path = tmp_path / store.STORE
    quality = np.zeros(2500, np.uint8)
    quality[1500:1600] = 2
    store.create_arrays(path, 2500, 2, 1024, population=False, quality=True)
    for index in range(3):
        rows = slice(index * 1024, (index + 1) * 1024)
        store.write_chunk(path, index, EVENTS[rows], None, quality[rows])
    masks = (store.Mask("margin", "none", 0), store.Mask("dead", "above 0.5", 100))
    store.write_attributes(path, CHANNELS, (), "abc", EVENTS.mean(0), np.cov(EVENTS.T), masks)
    opened = store.open_cloud(path)
    assert opened.masks == masks
    assert (opened.quality[...] == quality).all()
    announced = [*store.array_metadata(population=False, quality=True), f"{store.STORE}/zarr.json"]
    announced += [key for i in range(3) for key in store.chunk_keys(i, population=False, quality=True)]
    # A chunk without a mark is no file.
    assert set(announced) - set(digests(tmp_path)) == {f"{store.STORE}/quality/c/{i}" for i in (0, 2)}
    assert set(digests(tmp_path)) <= set(announced)


def test_a_cloud_without_masks_has_no_quality(tmp_path):
    opened = store.open_cloud(write(tmp_path, [0, 1, 2]))
    assert (opened.masks, opened.quality) == ((), None)


def test_a_damaged_chunk_is_noticed(tmp_path):
    path = write(tmp_path, [0, 1, 2])
    chunk = path / "events" / "c" / "1" / "0"
    content = bytearray(chunk.read_bytes())
    content[len(content) // 2] ^= 1
    chunk.write_bytes(bytes(content))
    with pytest.raises(ValueError, match="checksum"):
        store.open_cloud(path).events[1024:1030]


def test_what_is_no_cloud_is_refused(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        store.open_cloud(tmp_path / "none.zarr")
    store.create_arrays(tmp_path / "part.zarr", 10, 2, 1024, population=False)
    with pytest.raises(InputError, match="not a whole cloud"):
        store.open_cloud(tmp_path / "part.zarr")
