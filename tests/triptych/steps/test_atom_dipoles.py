"""Dipoles of atoms against those that mne fits one by one, and what the import keeps for them."""

import importlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import mne
import numpy as np
import pytest

from triptych.demo import signal as demo
from triptych.engine.run import run_step
from triptych.readers.mne import read_header
from triptych.steps.atom_dipoles import (
    atom_dipoles,
    dipole_columns,
    head_positions,
    head_sphere,
    lead_field,
    modelled_rows,
)
from triptych.stores.signal import SignalInfo, open_signal

PLACES = np.array(
    [[-0.04, 0.0, 0.09], [0.03, 0.055, 0.02], [0.02, -0.06, 0.05], [0.05, 0.01, 0.06], [0.0, 0.02, 0.1]]
)
MOMENTS = np.array([[0.2, 1.0, 0.1], [0.3, 0.2, 1.0], [1.0, 0.0, 0.4], [0.0, 1.0, 0.5], [1.0, 0.3, 0.0]])


def _imported(raw: mne.io.RawArray, folder: Path) -> SignalInfo:
    path = folder / "made_raw.fif"
    raw.save(path, fmt="double", verbose="ERROR")
    declared = importlib.import_module("triptych.steps.import_signal").STEP
    run_step(declared, {"raw": path}, folder / "import_signal", {})
    return open_signal(folder / "import_signal" / "signal.zarr").info


def _noise(info: mne.Info, scale: float) -> mne.io.RawArray:
    generator = np.random.default_rng(0)
    return mne.io.RawArray(
        scale * generator.standard_normal((len(info["ch_names"]), 3000)), info, verbose="ERROR"
    )


@pytest.fixture(scope="module")
def electric(tmp_path_factory: pytest.TempPathFactory) -> SignalInfo:
    """60 electrodes by name."""
    montage = mne.channels.make_standard_montage("biosemi64")
    info = mne.create_info(montage.ch_names[:60], 300.0, "eeg", verbose="ERROR")
    info.set_montage(montage)
    return _imported(_noise(info, 1e-5), tmp_path_factory.mktemp("eeg"))


@pytest.fixture(scope="module")
def magnetic(tmp_path_factory: pytest.TempPathFactory) -> SignalInfo:
    """The demo's helmet, moved against the head."""
    info = demo._info(*demo.helmet())
    turn = np.eye(4)
    turn[:3, :3] = [[0.995, -0.0998, 0.0], [0.0998, 0.995, 0.0], [0.0, 0.0, 1.0]]
    turn[:3, 3] = [0.003, 0.004, -0.002]
    with info._unlock():
        info["dev_head_t"] = mne.Transform("meg", "head", turn)
    return _imported(_noise(info, 1e-13), tmp_path_factory.mktemp("meg"))


def _mne_info(info: SignalInfo) -> Any:
    """The sensors as mne describes them, from what the signal keeps."""
    described = mne.create_info(list(info.names), info.sampling_rate_hz, list(info.types), verbose="ERROR")
    for channel, location, coil in zip(described["chs"], info.locations, info.coil_types, strict=True):
        channel["loc"] = np.nan_to_num(location)
        channel["coil_type"] = coil
    with described._unlock():
        described["dev_head_t"] = mne.Transform("meg", "head", np.nan_to_num(info.device_to_head))
    return described


@pytest.mark.parametrize("kind", ["electric", "magnetic"])
def test_dipoles_are_those_of_mne(kind: str, request: pytest.FixtureRequest) -> None:
    info: SignalInfo = request.getfixturevalue(kind)
    rows = list(range(len(info.names)))
    sphere = head_sphere(info)
    field = lead_field(info, rows, np.ones(len(rows)), sphere)
    clean = np.einsum("pni,ni->np", field(PLACES), MOMENTS)
    noise = np.random.default_rng(3).standard_normal(clean.shape)
    noise *= np.array([0, 0.05, 0.1, 0.2, 0.3])[:, None] * clean.std(axis=1, keepdims=True)
    maps = clean + (noise - noise.mean(axis=1, keepdims=True) if kind == "electric" else noise)
    found = atom_dipoles(maps / info.channel_scales, info.channel_scales, info, rows, sphere)
    evoked = mne.EvokedArray(maps.T * 1e-8, _mne_info(info), verbose="ERROR")
    if kind == "electric":
        evoked.set_eeg_reference(projection=True, verbose="ERROR")
    model = mne.make_sphere_model(tuple(sphere.center), sphere.radius, verbose="ERROR")
    covariance = mne.make_ad_hoc_cov(evoked.info, verbose="ERROR")
    theirs, _ = mne.fit_dipole(evoked, covariance, model, verbose="ERROR")
    apart = np.linalg.norm(found.places - theirs.pos, axis=1)
    assert apart.max() < 0.003
    np.testing.assert_allclose(found.fits, theirs.gof / 100, atol=0.02)
    assert (found.fits >= theirs.gof / 100 - 1e-3).all()
    away = np.linalg.norm(found.places - PLACES, axis=1)
    assert away[0] < 0.001
    assert found.fits[0] > 0.999
    assert away.max() < 0.01


def test_nothing_is_said_where_it_cannot_be_known(electric: SignalInfo, capfd: pytest.CaptureFixture) -> None:
    spatial, scales = np.random.default_rng(0).standard_normal((3, 60)), electric.channel_scales
    rows = list(range(60))
    unplaced = replace(electric, locations=np.full((60, 12), np.nan), positions=np.full((60, 3), np.nan))
    older = replace(electric, locations=np.empty((0, 12)), coil_types=())
    few = electric.locations.copy()
    few[7:] = np.nan
    for info in (unplaced, older, replace(electric, locations=few)):
        found = dipole_columns(spatial, scales, info, rows, head_sphere(info))
        assert all(np.isnan(column).all() for column in found.values())
    huge = replace(electric, locations=electric.locations * 10, head_sphere=electric.head_sphere * 10)
    assert np.isnan(atom_dipoles(spatial, scales, huge, rows, head_sphere(huge)).fits).all()
    some = electric.locations.copy()
    some[50:] = np.nan
    found = dipole_columns(spatial, scales, replace(electric, locations=some), rows, head_sphere(electric))
    assert all(np.isfinite(column).all() for column in found.values())
    assert (found["dipole_depth_m"] > 0.009).all()
    assert "".join(capfd.readouterr()) == ""


def test_meg_without_the_place_of_the_head_has_no_dipole(magnetic: SignalInfo) -> None:
    nowhere = replace(magnetic, device_to_head=np.full((4, 4), np.nan))
    assert modelled_rows(nowhere, range(64)) == []
    assert np.isnan(head_positions(nowhere, range(64))).all()
    assert modelled_rows(magnetic, range(64)) == list(range(64))


def test_the_import_keeps_sensors_and_head(magnetic: SignalInfo, electric: SignalInfo) -> None:
    positions, normals = demo.helmet()
    np.testing.assert_allclose(magnetic.locations[:, :3], positions, atol=1e-6)
    np.testing.assert_allclose(magnetic.locations[:, 9:], normals, atol=1e-6)
    assert set(magnetic.coil_types) == {demo.POINT_MAGNETOMETER}
    turned = positions @ magnetic.device_to_head[:3, :3].T + magnetic.device_to_head[:3, 3]
    np.testing.assert_allclose(head_positions(magnetic, range(64)), turned, atol=1e-6)
    np.testing.assert_allclose(electric.locations[:, :3], electric.positions)
    assert electric.head_sphere[3] == pytest.approx(0.095, abs=0.005)
    np.testing.assert_allclose(head_positions(electric, [3, 5]), electric.positions[[3, 5]])


def test_the_sphere_is_that_of_the_head_or_of_its_electrodes_or_common(
    magnetic: SignalInfo, electric: SignalInfo, tmp_path: Path
) -> None:
    assert head_sphere(electric).radius == electric.head_sphere[3]
    lost = replace(electric, head_sphere=np.full(4, np.nan))
    assert head_sphere(lost).radius == pytest.approx(electric.head_sphere[3], abs=0.002)
    common = head_sphere(magnetic)
    np.testing.assert_allclose([*common.center, common.radius], [0, 0, 0.04, 0.095])
    raw = _noise(mne.create_info(["Fp1", "Cz", "O2"], 100.0, "eeg", verbose="ERROR"), 1e-5)
    raw.save(tmp_path / "bare_raw.fif", verbose="ERROR")
    header = read_header(tmp_path / "bare_raw.fif", montage="none")
    assert np.isnan(header.head_sphere).all()
    assert np.isnan(header.locations[:, :3]).all()
