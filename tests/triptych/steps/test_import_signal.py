"""An import of a recording in a BIDS dataset runs again when a file that describes the recording is edited."""

from collections.abc import Callable
from pathlib import Path

from triptych.engine.run import Outcome, run_step
from triptych.steps.import_signal import STEP
from triptych.stores.signal import open_signal, read_events


def test_the_files_beside_a_recording_are_part_of_the_input(
    write_bids: Callable[..., Path], tmp_path: Path
) -> None:
    root = tmp_path / "data"
    path = write_bids(root, "01", session="a")
    out = tmp_path / "out"

    def imported() -> Outcome:
        return run_step(STEP, {"raw": path}, out, {"low_pass_hz": 30})

    assert imported().manifest["counts"]["events"] == {"tone": 20}
    info = open_signal(out / "signal.zarr").info
    assert info.names == ("Fp1", "Fp2", "C3", "O1", "O2")
    assert info.reference_types == ("eog", "ecg", "stim")
    assert not imported().fresh
    write_bids(root, "02", session="a")
    (root / "participants.tsv").write_text("participant_id\tgroup\nsub-01\tx\n")
    assert not imported().fresh
    stem = path.name.removesuffix("_eeg.vhdr")
    events = path.with_name(f"{stem}_events.tsv")
    events.write_text(events.read_text().replace("tone", "beep", 1))
    again = imported()
    assert again.fresh
    assert again.manifest["counts"]["events"] == {"beep": 1, "tone": 19}
    assert read_events(out / "events.parquet").columns["duration_s"][0] == 0.1
    channels = path.with_name(f"{stem}_channels.tsv")
    channels.rename(root / "sub-01" / f"{stem}_channels.tsv")
    assert imported().fresh
    (root / "sub-01" / f"{stem}_channels.tsv").unlink()
    assert imported().manifest["counts"]["channels"] == 9
