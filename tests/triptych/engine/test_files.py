"""Durable files: old content or new, equal content gives equal bytes."""

import os
from pathlib import Path

import numpy as np
import pytest

from triptych.engine.files import hash_file, load_arrays, save_arrays, write_bytes, write_json


def test_failed_write_leaves_the_old_file_and_no_partial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_bytes(tmp_path / "a", b"old")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_bytes(tmp_path / "a", b"new")
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"


def test_json_bytes_do_not_depend_on_the_order_of_keys(tmp_path: Path) -> None:
    write_json(tmp_path / "a", {"x": 1, "y": [1.5]})
    write_json(tmp_path / "b", {"y": [1.5], "x": 1})
    assert hash_file(tmp_path / "a") == hash_file(tmp_path / "b")
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "c", {"x": float("nan")})


def test_arrays_come_back_and_objects_are_refused(tmp_path: Path) -> None:
    arrays = {"a": np.arange(5.0), "b": np.int64(3), "c": np.array("text")}
    save_arrays(tmp_path / "x.npz", arrays)  # type: ignore[arg-type]
    save_arrays(tmp_path / "y.npz", arrays)  # type: ignore[arg-type]
    assert (tmp_path / "x.npz").read_bytes() == (tmp_path / "y.npz").read_bytes()
    back = load_arrays(tmp_path / "x.npz")
    assert np.array_equal(back["a"], arrays["a"])
    assert back["b"] == 3
    with pytest.raises(ValueError, match=r"allow_pickle|Object"):
        save_arrays(tmp_path / "z.npz", {"o": np.array([{}], dtype=object)})
