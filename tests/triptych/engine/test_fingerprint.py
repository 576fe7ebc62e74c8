"""Digests depend on content alone."""

import os
from pathlib import Path

from triptych.engine.fingerprint import RawDigests, differences, digest, settings_digest


def test_order_of_keys_does_not_matter() -> None:
    assert digest({"a": 1, "b": {"c": 2.5}}) == digest({"b": {"c": 2.5}, "a": 1})
    assert settings_digest("s", 1, {"x": 1}) != settings_digest("s", 2, {"x": 1})
    assert settings_digest("s", 1, {"x": 1}) != settings_digest("s", 1, {"x": 1}, {"samples": {"A": {}}})


def test_differences_are_named() -> None:
    assert differences({"a": 1, "b": {"c": 1, "d": 2}}, {"a": 1, "b": {"c": 3, "d": 2}, "e": 0}) == [
        "b.c",
        "e",
    ]


def test_raw_digests_follow_content_not_time(tmp_path: Path) -> None:
    file = tmp_path / "raw.bin"
    file.write_bytes(b"abc")
    raw = RawDigests(tmp_path / "out")
    first = raw.of([file], tmp_path)
    raw.save()
    os.utime(file, ns=(1, 1))
    assert RawDigests(tmp_path / "out").of([file], tmp_path) == first
    file.write_bytes(b"abd")
    assert RawDigests(tmp_path / "out").of([file], tmp_path) != first


def test_cached_digest_is_used_while_size_and_time_stay(tmp_path: Path) -> None:
    file = tmp_path / "raw.bin"
    file.write_bytes(b"abc")
    os.utime(file, ns=(5, 5))
    raw = RawDigests(tmp_path / "out")
    first = raw.of([file], tmp_path)
    raw.save()
    file.write_bytes(b"xyz")
    os.utime(file, ns=(5, 5))
    assert (
        RawDigests(tmp_path / "out").of([file], tmp_path) == first
    )  # the stated limit: content changed behind the clock
