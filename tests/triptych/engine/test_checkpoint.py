"""Checkpoints: the last two are kept, the newest is handed on."""

from pathlib import Path

import numpy as np
import pytest

from triptych.engine.checkpoint import checkpoint_key, last_state, save_state


def test_the_last_two_are_kept(tmp_path: Path) -> None:
    for iteration in range(5):
        save_state(tmp_path, "f", "lloyd", iteration, {"value": np.array([iteration])})
    kept = sorted(path.name for path in (tmp_path / "checkpoints/f").iterdir())
    assert kept == ["lloyd-000003.npz", "lloyd-000004.npz"]
    assert last_state(tmp_path, "lloyd")["value"] == 4
    assert checkpoint_key("f", "lloyd", 4) == "checkpoints/f/lloyd-000004.npz"
    with pytest.raises(FileNotFoundError, match="no checkpoint of phase other"):
        last_state(tmp_path, "other")
