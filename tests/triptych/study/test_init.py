"""A new study folder is valid as it stands, and overwrites nothing."""

from pathlib import Path

import pytest

from triptych.errors import UsageError
from triptych.steps import open_study, study_model
from triptych.study.init import make_study


def test_a_new_study_needs_only_samples(tmp_path: Path) -> None:
    assert make_study(tmp_path / "s", study_model(), demo=False, seed=0) == 0
    header = (tmp_path / "s/samples.tsv").read_text()
    (tmp_path / "s/samples.tsv").write_text(header + "A\tcloud\ta.fcs\n")
    assert open_study(tmp_path / "s/config.yaml").samples() == ["A"]
    with pytest.raises(UsageError, match="not empty"):
        make_study(tmp_path / "s", study_model(), demo=False, seed=0)
