"""Two MEG recordings through a spherical conductor, with known heartbeats, blinks, mu waves and evoked responses.

Sources inside the head go through mne's spherical forward model to point magnetometers on a helmet; the heart is a magnetic
dipole in the chest, whose field falls on the helmet from below. The second recording has twice as many mu waves and half the
evoked response of the first.

References
----------
Sarvas: Basic mathematical and electromagnetic concepts of the biomagnetic inverse problem, Phys. Med. Biol. 1987 (sphere).
Cole, Voytek: Brain oscillations and the importance of waveform shape, Trends Cogn. Sci. 2017 (the arch shape of mu).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

RATE_HZ = 300.0
DURATION_S = 75.0
N_SENSORS = 64
HEAD_CENTER = np.array([0.0, 0.0, 0.04])
SCALP_RADIUS = 0.1  # mne puts the inner skull, which bounds the conductor, at nine tenths
HELMET_RADIUS = 0.12
POINT_MAGNETOMETER = 2000
MU_0_OVER_4_PI = 1e-7
SENSOR_NOISE_T = 2.5e-14
BACKGROUND_DIPOLES = 120
BACKGROUND_AM = 2.5e-9


@dataclass(frozen=True)
class Recording:
    """What differs between the two recordings."""

    sample: str
    group: str
    mu_interval_s: float
    evoked_am: float


RECORDINGS = (
    Recording("meg-a", "strong", 3.2, 60e-9),
    Recording("meg-b", "weak", 1.6, 30e-9),
)
KINDS = ("heartbeat", "blink", "mu", "evoked")


def make(folder: Path, seed: int = 0) -> list[dict[str, str]]:
    """Write the recordings and their known events; returns rows of the sample sheet.

    Parameters
    ----------
    folder : where ``raw/signal/`` is made.
    seed : of all random numbers.
    """
    (folder / "raw" / "signal").mkdir(parents=True, exist_ok=True)
    rows = []
    for number, recording in enumerate(RECORDINGS):
        generator = np.random.Generator(np.random.PCG64([seed, number]))
        data, truth, triggers = simulate(recording, generator)
        raw_path = Path("raw") / "signal" / f"{recording.sample}_raw.fif"
        truth_path = Path("raw") / "signal" / f"{recording.sample}_events.tsv"
        _write_fif(folder / raw_path, data, triggers)
        lines = ["onset_s\tkind", *(f"{onset:.4f}\t{kind}" for onset, kind in sorted(truth))]
        (folder / truth_path).write_text("\n".join(lines) + "\n")
        rows.append(
            {
                "sample": recording.sample,
                "kind": "signal",
                "path": raw_path.as_posix(),
                "subject": recording.sample,
                "group": recording.group,
                "labels_events": truth_path.as_posix(),
            }
        )
    return rows


def simulate(
    recording: Recording, generator: np.random.Generator
) -> tuple[Floats, list[tuple[float, str]], list[float]]:
    """Field of the sensors (T), EOG and ECG (V), the known events, and the times of the triggers."""
    n = int(DURATION_S * RATE_HZ)
    positions, orientations = helmet()
    eye, motor, visual = (
        np.array([0.02, 0.078, 0.012]),
        np.array([-0.042, 0.0, 0.1]),
        np.array([0.025, -0.07, 0.05]),
    )
    spread = _random_dipoles(generator, BACKGROUND_DIPOLES)
    sources = np.concatenate([[eye, motor, visual], spread])
    gains = lead_field(positions, orientations, sources)
    truth: list[tuple[float, str]] = []
    maps = {
        "blink": gains[:, 0] @ np.array([0.0, 0.1, 1.0]),
        "mu": gains[:, 1] @ np.array([0.2, 1.0, 0.0]),
        "evoked": gains[:, 2] @ np.array([1.0, 0.0, 0.4]),
        "heartbeat": magnetic_dipole(
            positions, orientations, np.array([0.02, 0.05, -0.42]), np.array([0.3, 0.5, 0.8])
        ),
    }
    strength = {"blink": 120e-9, "mu": 45e-9, "evoked": recording.evoked_am, "heartbeat": 0.7e-6}
    onsets = {
        "heartbeat": _train(generator, 0.92, 0.05, 0.3),
        "blink": _train(generator, 4.6, 1.2, 1.0),
        "mu": _train(generator, recording.mu_interval_s, 0.25 * recording.mu_interval_s, 0.8),
        "evoked": _train(generator, 1.55, 0.22, 1.2),
    }
    data = np.zeros((N_SENSORS + 2, n))
    for kind in KINDS:
        course = np.zeros(n)
        for onset in onsets[kind]:
            _add(course, onset, WAVES[kind]() * generator.uniform(0.75, 1.25))
            truth.append((float(onset), kind))
        data[:N_SENSORS] += np.outer(maps[kind] * strength[kind], course)
        if kind == "blink":
            data[N_SENSORS] += 180e-6 * course
        if kind == "heartbeat":
            data[N_SENSORS + 1] += 1e-3 * course
    moments = _pink(generator, BACKGROUND_DIPOLES, n) * BACKGROUND_AM
    tangents = _tangents(generator, spread)
    data[:N_SENSORS] += np.einsum("sdi,di->sd", gains[:, 3:], tangents) @ moments
    data[:N_SENSORS] += SENSOR_NOISE_T * generator.standard_normal((N_SENSORS, n))
    data[N_SENSORS:] += np.array([[6e-6], [2e-5]]) * generator.standard_normal((2, n))
    return data, truth, [float(onset) for onset in onsets["evoked"]]


def helmet() -> tuple[Floats, Floats]:
    """Sensors on the upper part of a sphere around the head, pointing outwards: positions (m) and unit normals."""
    index = np.arange(N_SENSORS)
    height = 1.0 - (index + 0.5) / N_SENSORS * 1.25
    angle = index * np.pi * (3 - np.sqrt(5))
    flat = np.sqrt(1 - height**2)
    normals = np.stack([flat * np.cos(angle), flat * np.sin(angle), height], axis=1)
    return HEAD_CENTER + HELMET_RADIUS * normals, normals


def lead_field(positions: Floats, normals: Floats, sources: Floats) -> Floats:
    """Field at the sensors of unit dipoles along x, y, z, (sensors, sources, 3) T per A m."""
    import mne

    info = _info(positions, normals)
    sphere = mne.make_sphere_model(tuple(HEAD_CENTER), SCALP_RADIUS, verbose="ERROR")
    space = mne.setup_volume_source_space(
        pos={"rr": sources, "nn": np.tile([0.0, 0.0, 1.0], (len(sources), 1))}, verbose="ERROR"
    )
    solution = mne.make_forward_solution(
        info, trans=None, src=space, bem=sphere, meg=True, eeg=False, mindist=0.0, verbose="ERROR"
    )
    gain = np.asarray(solution["sol"]["data"], dtype=np.float64)
    if gain.shape[1] != 3 * len(sources):
        raise ValueError("a source of the demo lies outside the head")
    return gain.reshape(len(positions), len(sources), 3)


def magnetic_dipole(positions: Floats, normals: Floats, place: Floats, moment: Floats) -> Floats:
    """Field along the normals of a magnetic dipole in free space, (sensors,) T per A m^2."""
    away = positions - place
    distance = np.linalg.norm(away, axis=1, keepdims=True)
    field = MU_0_OVER_4_PI * (3 * away * (away @ moment)[:, None] / distance**5 - moment / distance**3)
    along: Floats = (field * normals).sum(axis=1)
    return along


def _info(positions: Floats, normals: Floats) -> Any:
    import mne

    names = [f"MAG{i + 1:03d}" for i in range(len(positions))]
    info = mne.create_info(names, RATE_HZ, "mag", verbose="ERROR")
    for channel, position, normal in zip(info["chs"], positions, normals, strict=True):
        side = np.cross(normal, [0.0, 1.0, 0.0] if abs(normal[1]) < 0.9 else [1.0, 0.0, 0.0])
        side /= np.linalg.norm(side)
        channel["loc"] = np.concatenate([position, side, np.cross(normal, side), normal])
        channel["coil_type"] = POINT_MAGNETOMETER
    with info._unlock():
        info["dev_head_t"] = mne.Transform("meg", "head", np.eye(4))
    return info


def _write_fif(path: Path, data: Floats, triggers: list[float]) -> None:
    import mne

    pulses = np.zeros((1, data.shape[1]))
    for onset in triggers:
        first = round(onset * RATE_HZ)
        pulses[0, first : first + 6] = 1
    positions, normals = helmet()
    sensors = _info(positions, normals)
    others = mne.create_info(["EOG001", "ECG001", "STI101"], RATE_HZ, ["eog", "ecg", "stim"], verbose="ERROR")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        raw = mne.io.RawArray(data[:N_SENSORS], sensors, verbose="ERROR")
        raw.add_channels(
            [mne.io.RawArray(np.concatenate([data[N_SENSORS:], pulses]), others, verbose="ERROR")],
            force_update_info=True,
        )
        raw.save(path, overwrite=True, fmt="single", verbose="ERROR")


def _train(generator: np.random.Generator, interval: float, jitter: float, first: float) -> Floats:
    """Onsets one interval apart on average, none in the last 1.2 s."""
    gaps = interval + jitter * generator.uniform(-1.7, 1.7, int(2 * DURATION_S / interval))
    onsets = first + np.cumsum(gaps) - gaps[0]
    kept: Floats = onsets[onsets < DURATION_S - 1.2]
    return kept


def _add(course: Floats, onset: float, wave: Floats) -> None:
    first = round(onset * RATE_HZ)
    course[first : first + len(wave)] += wave


def _times(duration: float) -> Floats:
    return np.arange(int(duration * RATE_HZ)) / RATE_HZ


def _heart() -> Floats:
    """P, QRS and T of a beat; largest 0.2 s after its onset."""
    t = _times(0.62)
    bumps = (
        (0.08, 0.022, 0.12),
        (0.175, 0.009, -0.15),
        (0.2, 0.011, 1.0),
        (0.228, 0.01, -0.22),
        (0.44, 0.045, 0.28),
    )
    beat: Floats = np.sum([a * np.exp(-0.5 * ((t - c) / w) ** 2) for c, w, a in bumps], axis=0)
    return beat


def _blink() -> Floats:
    t = _times(0.42)
    wave: Floats = np.sin(np.pi * t / 0.42) ** 2 * np.exp(-2.0 * t / 0.42) * 2.2
    return wave


def _mu() -> Floats:
    """Seven cycles of 10 Hz whose arches are sharper than their troughs."""
    t = _times(0.7)
    wave: Floats = np.hanning(len(t)) * (np.cos(2 * np.pi * 10 * t) + 0.45 * np.cos(4 * np.pi * 10 * t + 0.6))
    return wave


def _evoked() -> Floats:
    """A response with peaks near 90 and 170 ms."""
    t = _times(0.4)
    wave: Floats = (
        np.exp(-0.5 * ((t - 0.09) / 0.018) ** 2)
        - 0.8 * np.exp(-0.5 * ((t - 0.17) / 0.035) ** 2)
        + 0.3 * np.exp(-0.5 * ((t - 0.28) / 0.05) ** 2)
    )
    return wave


WAVES = {"heartbeat": _heart, "blink": _blink, "mu": _mu, "evoked": _evoked}


def _random_dipoles(generator: np.random.Generator, count: int) -> Floats:
    """Places in the upper shell of the head."""
    away = generator.standard_normal((count, 3))
    away[:, 2] = np.abs(away[:, 2])
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    places: Floats = HEAD_CENTER + away * generator.uniform(0.05, 0.08, (count, 1))
    return places


def _tangents(generator: np.random.Generator, places: Floats) -> Floats:
    """Unit directions across the radius: a sphere hides radial currents."""
    radial = places - HEAD_CENTER
    across = np.cross(radial, generator.standard_normal(places.shape))
    directions: Floats = across / np.linalg.norm(across, axis=1, keepdims=True)
    return directions


def _pink(generator: np.random.Generator, rows: int, n: int) -> Floats:
    """Noise of unit variance whose power falls as 1 / f above 1 Hz."""
    spectrum = np.fft.rfft(generator.standard_normal((rows, n)), axis=1)
    frequency = np.fft.rfftfreq(n, 1 / RATE_HZ)
    spectrum /= np.sqrt(np.maximum(frequency, 1.0))
    noise = np.fft.irfft(spectrum, n, axis=1)
    scaled: Floats = noise / noise.std(axis=1, keepdims=True)
    return scaled
