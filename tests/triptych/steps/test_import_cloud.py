"""import_cloud from raw files to ``cloud.zarr``."""

import json

import numpy as np
import pytest
from flowio import create_fcs

from triptych.demo import cloud as demo
from triptych.engine.run import run_step
from triptych.errors import InputError, UsageError
from triptych.quantization.scales import transform
from triptych.readers.events import RejectedFile
from triptych.steps.import_cloud import STEP
from triptych.stores.cloud import open_cloud

LOGICLE = {"name": "logicle", "top": 262144.0, "decades": 4.5, "width": 0.5, "negative": 0.0}
N = 5000


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw")
    events, population = demo.simulate("control", "batch1", N, np.random.default_rng(0))
    demo.write_fcs(folder / "a.fcs", events)
    demo.write_labels(folder / "a.csv.gz", population)
    return folder, events, population


def imported(raw, out, settings=None, **inputs):
    outcome = run_step(STEP, {"raw": raw, **inputs}, out, settings or {}, kind="cloud")
    return open_cloud(out / "cloud.zarr"), outcome.manifest


def write(path, values, names, labels=None, keywords=None):
    with open(path, "wb") as file:
        create_fcs(file, np.asarray(values, np.float32).ravel(), names, labels, keywords or {})
    return path


def test_markers_are_compensated_and_transformed(recording, tmp_path):
    folder, events, population = recording
    cloud, manifest = imported(
        folder / "a.fcs", tmp_path, {"chunk_events": 1024}, population=folder / "a.csv.gz"
    )
    assert [channel.marker for channel in cloud.channels] == list(demo.MARKERS)
    linear = np.linalg.solve(demo.spillover().T, events[:, 2:10].astype(float).T).T
    expected = np.stack([transform(column, LOGICLE) for column in linear.T], axis=1)
    assert cloud.events[...] == pytest.approx(expected, abs=2e-5)
    assert cloud.mean == pytest.approx(expected.mean(axis=0), abs=1e-5)
    assert cloud.covariance == pytest.approx(np.cov(expected.T, bias=True), abs=1e-5)
    names = [demo.POPULATIONS[k].name for k in population]
    assert [cloud.populations[k] for k in cloud.population[...]] == names
    wanted = {"events": N, "channels": 8, "populations": 7, "masked_margin": 0, "masked_drift": 0}
    assert manifest["counts"] == wanted
    assert manifest["notes"][0] == "verdict: ok"
    assert any("compensated by SPILLOVER" in note for note in manifest["notes"])


@pytest.mark.parametrize(
    ("workers", "executor"), [(2, "threads"), pytest.param(2, "processes", marks=pytest.mark.slow)]
)
def test_workers_change_no_byte(recording, tmp_path, workers, executor):
    folder = recording[0]
    digests = [
        run_step(
            STEP, {"raw": folder / "a.fcs"}, tmp_path / name, {"chunk_events": 1024}, kind="cloud", **how
        ).manifest["output_digest"]
        for name, how in (("one", {}), ("two", {"workers": workers, "executor": executor}))
    ]
    assert digests[0] == digests[1]


def test_chunks_change_no_event(recording, tmp_path):
    folder = recording[0]
    small, _ = imported(folder / "a.fcs", tmp_path / "a", {"chunk_events": 1024})
    large, _ = imported(folder / "a.fcs", tmp_path / "b")
    assert (small.events[...] == large.events[...]).all()
    assert small.content != ""
    assert small.covariance == pytest.approx(large.covariance, rel=1e-9)


def test_channels_are_included_and_excluded_by_name_or_marker(recording, tmp_path):
    folder = recording[0]
    cloud, _ = imported(folder / "a.fcs", tmp_path, {"include": ["fsc-a"], "exclude": ["CD3", "APC-A"]})
    assert [channel.name for channel in cloud.channels] == ["FSC-A", *demo.DETECTORS[1:-1]]
    assert cloud.channels[0].unit == "x/262144"
    with pytest.raises(UsageError, match="'CD99'"):
        imported(folder / "a.fcs", tmp_path / "b", {"include": ["CD99"]})


def test_a_panel_decides(recording, tmp_path):
    panel = tmp_path / "panel.csv"
    panel.write_text("channel,marker,use\nBV421-A,CD3e,1\nSSC-A,,1\nPE-A,CD56,0\n")
    cloud, _ = imported(recording[0] / "a.fcs", tmp_path / "out", panel=panel)
    assert [channel.label for channel in cloud.channels] == ["SSC-A", "CD3e"]


def test_what_is_compensated_already_is_not_compensated_twice(tmp_path):
    values = np.random.default_rng(0).gamma(2, 3000, size=(500, 2))
    matrix = {"SPILL": "2,FITC-A,PE-A,1,0.5,0,1"}
    twice = write(tmp_path / "a.fcs", values, ["Comp-FITC-A", "Comp-PE-A"], keywords=matrix)
    cloud, manifest = imported(twice, tmp_path / "a")
    assert cloud.events[:, 1] == pytest.approx(transform(values[:, 1], LOGICLE), abs=1e-4)
    assert "applied already" in " ".join(manifest["notes"])
    once = write(tmp_path / "b.fcs", values, ["FITC-A", "PE-A"], keywords=matrix)
    cloud, _ = imported(once, tmp_path / "b")
    assert cloud.events[:, 1] == pytest.approx(
        transform(values[:, 1] - 0.5 * values[:, 0], LOGICLE), abs=1e-4
    )
    cloud, _ = imported(once, tmp_path / "c", {"compensation": "none"})
    assert cloud.events[:, 1] == pytest.approx(transform(values[:, 1], LOGICLE), abs=1e-4)
    with pytest.raises(InputError, match="no usable spillover"):
        imported(write(tmp_path / "d.fcs", values, ["A", "B"]), tmp_path / "d", {"compensation": "required"})


def test_transformed_events_are_left_as_they_are(tmp_path):
    values = np.arcsinh(np.random.default_rng(0).gamma(1, 500, size=(500, 2)) / 5)
    path = write(
        tmp_path / "a.fcs", values, ["FITC-A", "PE-A"], keywords={"SPILL": "2,FITC-A,PE-A,1,0.5,0,1"}
    )
    cloud, manifest = imported(path, tmp_path / "a")
    assert cloud.events[...] == pytest.approx(values, rel=1e-6)
    assert {channel.unit for channel in cloud.channels} == {"as recorded"}
    assert "transformed already" in " ".join(manifest["notes"])


def test_mass_cytometry_is_put_on_arcsinh_of_a_fifth(tmp_path):
    values = np.random.default_rng(0).gamma(0.3, 300, size=(300, 5))
    names = ["Time", "Nd142Di", "Nd144Di", "Sm149Di", "Ir191Di"]
    cloud, _ = imported(
        write(tmp_path / "a.fcs", values, names, ["", "CD19", "CD11b", "CD25", "DNA1"]), tmp_path / "a"
    )
    assert [channel.label for channel in cloud.channels] == ["CD19", "CD11b", "CD25"]
    assert cloud.events[...] == pytest.approx(np.arcsinh(values[:, 1:4].astype(np.float32) / 5), rel=1e-5)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_tables_give_the_same_cloud(tmp_path, suffix):
    import pandas as pd

    values = np.random.default_rng(0).gamma(1, 4000, size=(9000, 3)).astype(np.float32)
    fcs, _ = imported(
        write(tmp_path / "a.fcs", values, ["CD3", "CD4", "CD8"]), tmp_path / "fcs", {"chunk_events": 2048}
    )
    table = pd.DataFrame(values.astype(float), columns=["CD3", "CD4", "CD8"])
    path = tmp_path / f"a.{suffix}"
    table.to_csv(path, index=False) if suffix == "csv" else table.to_parquet(path, row_group_size=1000)
    cloud, _ = imported(path, tmp_path / "table", {"chunk_events": 2048})
    assert (cloud.events[...] == fcs.events[...]).all()
    assert cloud.content == fcs.content


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_value_that_is_not_finite_is_named_and_may_be_excluded(tmp_path, value):
    values = np.random.default_rng(0).gamma(1, 4000, size=(3000, 3))
    values[2077, 1] = value
    path = write(tmp_path / "a.fcs", values, ["CD3", "CD4", "CD8"])
    with pytest.raises(RejectedFile, match=r"a\.fcs holds (nan|inf) in channel CD4 of event 2078") as caught:
        imported(path, tmp_path / "a", {"chunk_events": 1024})
    assert caught.value.reason == "not_finite"
    cloud, _ = imported(path, tmp_path / "b", {"chunk_events": 1024, "exclude": ["CD4"]})
    assert np.isfinite(cloud.events[...]).all()


def test_labels_must_fit_the_events(recording, tmp_path):
    labels = tmp_path / "labels.csv"
    labels.write_text("population\nB cells\n")
    with pytest.raises(InputError, match=f"1 labels for {N} events"):
        imported(recording[0] / "a.fcs", tmp_path / "out", population=labels)


def test_equal_channels_get_different_labels(tmp_path):
    path = write(tmp_path / "a.fcs", np.full((10, 3), 5e3), ["X", "X", "Y"], ["CD3", "CD3", "CD4"])
    cloud, _ = imported(path, tmp_path / "a")
    assert [channel.label for channel in cloud.channels] == ["CD3 (X) #1", "CD3 (X) #2", "CD4"]


def test_the_manifest_says_nothing_of_paths(recording, tmp_path):
    _, manifest = imported(recording[0] / "a.fcs", tmp_path)
    assert str(recording[0]) not in json.dumps(dict(manifest))


NAMES = ["FSC-A", "FSC-H", "SSC-A", "CD3", "CD4", "CD8", "CD19", "Zombie", "Time"]
FAULTS = ("margin", "doublet", "debris", "dead", "drift")


def faulty(n=40_000, seed=0):
    """A recording with planted faults, and which events have them."""
    rng = np.random.default_rng(seed)
    height = np.where(rng.random(n) < 0.2, 90_000, 55_000) * np.exp(rng.normal(0, 0.08, n))
    area = height * 1.15 * np.exp(rng.normal(0, 0.03, n))
    side = 25_000 * np.exp(rng.normal(0, 0.3, n))
    markers = np.where(rng.random((n, 4)) < 0.4, 20_000, 200) * np.exp(rng.normal(0, 0.4, (n, 4)))
    viability = 300 * np.exp(rng.normal(0, 0.4, n))
    truth = {
        name: rng.random(n) < share for name, share in zip(FAULTS, (0.01, 0.04, 0.08, 0.06, 0), strict=True)
    }
    truth["debris"] &= ~truth["doublet"]
    area[truth["doublet"]] *= 1.9
    height[truth["debris"]] = 5_000 * np.exp(rng.normal(0, 0.3, truth["debris"].sum()))
    area[truth["debris"]] = 1.15 * height[truth["debris"]]
    side[truth["debris"]] = 3_000
    viability[truth["dead"]] = 30_000 * np.exp(rng.normal(0, 0.4, truth["dead"].sum()))
    truth["drift"][24_000:26_400] = True
    markers[truth["drift"]] *= 0.3
    markers[truth["margin"], 1] = 262_143.0
    time = np.arange(n) * 0.01
    return np.column_stack([area, height, side, markers, viability, time]), truth


def flags_of(cloud):
    bits = cloud.quality[...]
    return {mask.name: (bits >> k & 1).astype(bool) for k, mask in enumerate(cloud.masks)}


def test_planted_faults_are_masked_and_no_event_is_lost(tmp_path):
    values, truth = faulty()
    path = write(tmp_path / "a.fcs", values, NAMES, keywords={f"p{j}r": "262144" for j in range(1, 10)})
    cloud, manifest = imported(path, tmp_path / "a", {"chunk_events": 4096})
    found = flags_of(cloud)
    assert tuple(found) == FAULTS
    assert cloud.events.shape[0] == len(values)
    assert [mask.events for mask in cloud.masks] == [int(flags.sum()) for flags in found.values()]
    assert manifest["counts"]["masked_dead"] == cloud.masks[3].events
    assert "Zombie" not in [channel.name for channel in cloud.channels]
    for name, flags in found.items():
        recall, precision = (flags & truth[name]).sum() / np.array([truth[name].sum(), flags.sum()])
        assert recall > 0.85, name
        assert precision > 0.85, name
    assert any(note.startswith("mask doublet marks") for note in manifest["notes"])


def test_masks_depend_on_no_chunk_and_may_be_chosen(tmp_path):
    values, _ = faulty(20_000)
    path = write(tmp_path / "a.fcs", values, NAMES)
    small, _ = imported(path, tmp_path / "a", {"chunk_events": 1024})
    large, _ = imported(path, tmp_path / "b", {"chunk_events": 16_384})
    assert (small.quality[...] == large.quality[...]).all()
    assert small.masks == large.masks
    some, _ = imported(path, tmp_path / "c", {"masks": ["dead", "doublet"], "dead_above": 5_000.0})
    assert [mask.name for mask in some.masks] == ["doublet", "dead"]
    assert (flags_of(some)["dead"] == (values[:, 7].astype(np.float32) > 5_000)).all()
    assert (flags_of(some)["doublet"] == flags_of(small)["doublet"]).all()
    none, manifest = imported(path, tmp_path / "d", {"masks": []})
    assert (none.quality, none.masks) == (None, ())
    assert not any("mask" in note for note in manifest["notes"])
    assert (none.events[...] == small.events[...]).all()


def test_time_that_runs_in_pieces_is_sorted_before_windows_are_judged(tmp_path):
    values, truth = faulty()
    order = np.random.default_rng(1).permutation(len(values))
    cloud, _ = imported(write(tmp_path / "a.fcs", values[order], NAMES), tmp_path / "a", {"masks": ["drift"]})
    flags = flags_of(cloud)["drift"]
    assert (flags & truth["drift"][order]).sum() > 0.85 * max(flags.sum(), truth["drift"].sum())


def test_masks_that_cannot_be_judged_are_named(tmp_path):
    values = np.random.default_rng(0).gamma(2, 3000, size=(500, 2))
    _, manifest = imported(write(tmp_path / "a.fcs", values, ["FITC-A", "PE-A"]), tmp_path / "a")
    notes = " ".join(manifest["notes"])
    for name in ("doublet", "debris", "dead", "drift"):
        assert f"mask {name} was not judged: the file has no" in notes


def test_oddities_of_the_file_are_in_the_verdict(tmp_path):
    values = np.random.default_rng(0).uniform(1, 200, size=(500, 2))
    path = write(tmp_path / "a.fcs", values, ["FITC-A", "PE-A"], keywords={"p1r": "100", "p2r": "512"})
    _, manifest = imported(path, tmp_path / "a")
    assert manifest["notes"][0].startswith("verdict: warned (range")


def test_a_matrix_that_cannot_be_read_is_in_the_verdict(tmp_path):
    values = np.random.default_rng(0).uniform(1, 200, size=(500, 2))
    path = write(tmp_path / "a.fcs", values, ["FITC-A", "PE-A"], keywords={"SPILL": "2,FITC-A,PE-A,1,0,1"})
    _, manifest = imported(path, tmp_path / "a")
    assert manifest["notes"][0].startswith("verdict: warned (")
    assert "spillover" in manifest["notes"][0]


@pytest.mark.parametrize("gain", ["1e-300", "1e-36"])
def test_what_float32_cannot_hold_is_named(tmp_path, gain):
    values = np.full((500, 2), 3000.0)
    path = write(tmp_path / "a.fcs", values, ["FITC-A", "PE-A"], keywords={"p2g": gain})
    with pytest.raises(RejectedFile, match=r"in channel PE-A of event 1;") as caught:
        imported(path, tmp_path / "a", {"transform": "none"})
    assert caught.value.reason == "not_finite"


def test_every_file_of_the_parsers_is_imported_and_every_bad_one_ends_typed(shared_data, tmp_path):
    for path in sorted((shared_data / "cloud" / "parsers").iterdir()):
        cloud, manifest = imported(path, tmp_path / path.name)
        assert cloud.events.shape[0] == manifest["counts"]["events"]
        assert manifest["notes"][0].startswith("verdict: ")
    reasons = {}
    for path in sorted((shared_data / "cloud" / "badinput").iterdir()):
        try:
            reasons[path.stem] = imported(path, tmp_path / path.name)[1]["notes"][0]
        except RejectedFile as error:
            reasons[path.stem] = error.reason
    assert sorted(reasons.values()) == sorted(
        [
            "format",
            "verdict: warned (offsets)",
            "spillover",
            "spillover",
            "byte_order",
            "empty",
            "not_finite",
            "total",
            "truncated",
            "empty",
        ]
    )


def test_lymphocytes_are_no_debris(shared_data, tmp_path):
    cloud, _ = imported(shared_data / "cloud" / "optimalflow" / "cytometry09.fcs", tmp_path / "a")
    assert all(mask.events < 0.001 * cloud.events.shape[0] for mask in cloud.masks)


def test_preprocessed_and_raw_of_one_recording(shared_data, tmp_path):
    folder = shared_data / "cloud" / "flowsom_py"
    raw, notes = imported(folder / "not_preprocessed.fcs", tmp_path / "raw")
    done, _ = imported(folder / "ff.fcs", tmp_path / "done")
    assert [c.label for c in raw.channels] == [c.label for c in done.channels]
    assert "l/d" not in [c.label for c in raw.channels]
    assert any("compensated by SPILL" in note for note in notes["notes"])
    for j in range(len(raw.channels)):
        assert np.corrcoef(raw.events[:, j], done.events[:, j])[0, 1] > 0.9
