"""One study of real recordings of all three kinds, from raw file to report, and numbers that mean something."""

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import zarr

sys.path.insert(0, str(Path(__file__).parent))

from study_runs import triptych

SAMPLES = ("cytometry01", "cytometry03", "cytometry35", "cytometry36")
CONFIG = """
import_cloud: {include: [FSC-A LINEAR, SSC-A Exp-SSC Low]}
report: {title: Real recordings of three kinds}
"""


def events_of(shared: Path) -> dict[str, tuple[int, str]]:
    """Events and diagnosis of every sample, as the source lists them."""
    with open(shared / "cloud/optimalflow/samples.csv") as file:
        return {row["sample"]: (int(row["events"]), row["diagnosis"]) for row in csv.DictReader(file)}


@pytest.fixture(scope="module")
def study(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("real") / "study"
    folder.mkdir()
    clouds, volumes, signals = (
        shared_data / kind for kind in ("cloud/optimalflow", "volume/fib25", "signal/eegmmidb")
    )
    lines = ["sample\tkind\tpath\tgroup\tvoxel_size_nm\tlabels_cell\tlabels_population"]
    for name in SAMPLES:
        group = events_of(shared_data)[name][1]
        lines.append(f"{name}\tcloud\t{clouds}/{name}.fcs\t{group}\t\t\t{clouds}/{name}_populations.csv.gz")
    lines.append(f"fib25\tvolume\t{volumes}/raw.tif\t\t10,10,10\t{volumes}/labels.tif\t")
    lines.append(f"S001R03\tsignal\t{signals}/S001R03.edf\t\t\t\t")
    (folder / "samples.tsv").write_text("\n".join(lines) + "\n")
    (folder / "config.yaml").write_text(CONFIG)
    done = triptych("run", "-C", folder, timeout=1500)
    assert done.returncode == 0, done.stderr
    return folder


def manifest(study: Path, place: str) -> dict[str, dict[str, float]]:
    content: dict[str, dict[str, float]] = json.loads(
        (study / "results" / place / "manifest.json").read_text()
    )
    return content


def test_every_event_is_read(study: Path, shared_data: Path) -> None:
    for name in SAMPLES:
        cloud = zarr.open_group(study / f"results/{name}/import_cloud/cloud.zarr", mode="r")
        assert cloud["events"].shape[0] == events_of(shared_data)[name][0]  # type: ignore[union-attr]
        assert np.isfinite(cloud["events"][:]).all()  # type: ignore[index]


def test_cells_of_the_quantizer_are_mostly_of_one_manual_population(study: Path) -> None:
    purity = [manifest(study, f"{name}/quantize_cloud")["scores"]["purity"] for name in SAMPLES]
    assert np.mean(purity) > 0.94, purity
    assert min(purity) > 0.90, purity


def test_objects_are_bounded_by_membrane(study: Path) -> None:
    labels = zarr.open_array(study / "results/fib25/segment_volume/labels.ome.zarr/0", mode="r")[:]
    boundary = zarr.open_array(study / "results/fib25/predict_boundaries/boundaries.ome.zarr/0", mode="r")[0]
    assert labels.shape == boundary.shape == (125, 250, 250)
    faces = np.zeros(labels.shape, bool)
    for axis in range(3):
        ahead, behind = [slice(None)] * 3, [slice(None)] * 3
        ahead[axis], behind[axis] = slice(1, None), slice(None, -1)
        differ = labels[tuple(ahead)] != labels[tuple(behind)]
        faces[tuple(ahead)] |= differ
        faces[tuple(behind)] |= differ
    on, off = boundary[faces].mean(), boundary[~faces].mean()
    assert on > 2.5 * off, (on, off)
    found = manifest(study, "fib25/segment_volume")
    assert 20 < found["counts"]["objects"] < 2000
    assert found["scores"]["adapted_rand_error"] < 0.6  # one object for all scores .83


def test_objects_are_measured_and_flagged_at_the_border(study: Path) -> None:
    from pyarrow import parquet

    table = parquet.read_table(study / "results/fib25/measure_objects/objects.parquet")
    assert table.num_rows == manifest(study, "fib25/segment_volume")["counts"]["objects"]
    inner = ~table["touches_border"].to_numpy()
    assert 0 < inner.sum() < table.num_rows


def test_blinks_are_found(study: Path, shared_data: Path) -> None:
    import mne

    from triptych.dictionary.occurrences import match
    from triptych.stores.occurrences import read_occurrences

    table = read_occurrences(study / "results/S001R03/describe_atoms/occurrences.parquet")
    found, rate = table.columns, float(table.attributes["sampling_rate_hz"])
    raw = mne.io.read_raw_edf(shared_data / "signal/eegmmidb/S001R03.edf", preload=True, verbose="ERROR")
    blinks = mne.preprocessing.find_eog_events(raw, ch_name="Fp1.", verbose="ERROR")[:, 0] / raw.info["sfreq"]
    assert len(blinks) > 20
    wanted, best = np.sort(np.round(blinks * rate).astype(int)), 0.0
    for family in set(found["family"].tolist()):
        own = np.sort(found["sample"][found["family"] == family])
        recall, precision, _ = match(own, wanted, 0.1 * rate, round(0.6 * rate))
        best = max(best, 2 * recall * precision / (recall + precision) if recall + precision else 0.0)
    assert best >= 0.85


def test_the_report_shows_every_kind(study: Path) -> None:
    page = (study / "results/cohort/all/report/report.html").read_text()
    for word in ("Real recordings of three kinds", "fib25", "S001R03", *SAMPLES):
        assert word in page
    assert len(page) < 10e6


def test_everything_verifies(study: Path) -> None:
    assert triptych("verify", study / "results").returncode == 0
