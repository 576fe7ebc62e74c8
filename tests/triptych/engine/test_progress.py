"""Progress without a terminal: a line per phase, then one every 30 s at most."""

import pytest

from triptych.engine import progress


def test_lines_are_few_and_say_the_rate(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, *(float(t) for t in range(1, 100))])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    lines = progress.Lines("toy")
    lines.begin("blocks", 80, 10)
    for _ in range(60):
        lines.advance()
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "toy: blocks: 80 blocks, 10 already done"
    assert 2 <= len(said) <= 4
    assert "s left" in said[-1]


def test_stderr_that_is_no_terminal_gets_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.show_progress("toy") as told:
        told.begin("blocks", 1, 0)
        told.advance()
        told.say("hello")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "toy: hello" in captured.err
