"""Panels of a signal: atoms, when they occur, what they are linked to, and how learning went."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from triptych.report import choice, links
from triptych.report.panel import Panel
from triptych.report.style import BLUE, DIVERGING, GREY, INK, LIGHT, RED, new_figure
from triptych.stores.dictionary import Dictionary, open_dictionary, read_activations
from triptych.stores.signal import SignalInfo, open_signal, read_events
from triptych.stores.table import read_table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ATOMS_SHOWN = 12
RASTER_SHOWN_S = 60.0
HEAD_M = 0.095
MIN_CHANNELS_MAPPED = 8


def panels(
    sample: str, folders: Mapping[str, Path], manifests: Mapping[str, Mapping[str, Any]]
) -> list[Panel]:
    """Panels of one sample from the steps that are finished."""
    found: list[Panel] = []
    learned = next((step for step in ("learn_atoms", "learn_cohort_atoms") if step in folders), "")
    if learned and "import_signal" in folders:
        digest = str(manifests.get("import_signal", {}).get("output_digest", ""))
        atoms = open_dictionary(folders[learned] / "dictionary.zarr", digest)
        info = open_signal(folders["import_signal"] / "signal.zarr").info
        found.append(_atoms_panel(sample, atoms, info, folders, manifests))
        found += _labels_panels(sample, folders)
        if "encode_signal" in folders:
            found.append(_raster_panel(sample, info, folders, manifests))
        found.append(_learning_panel(sample, atoms, manifests))
    if "choose_atoms" in folders:
        found.append(choice.panel(sample, folders["choose_atoms"]))
    if "link_events" in folders:
        found += links.panels(sample, folders["link_events"])
    return found


def _atoms_panel(
    sample: str,
    atoms: Dictionary,
    info: SignalInfo,
    folders: Mapping[str, Path],
    manifests: Mapping[str, Mapping[str, Any]],
) -> Panel:
    shown = [k for k in range(len(atoms.spatial)) if atoms.explained[k] > 0][:ATOMS_SHOWN]
    placed = sensor_plane(info.positions)
    kind, rows = _mapped_sensors(atoms, info, placed)
    described = _described(folders)
    labels = list(described.get("label", ())) if described is not None else []
    figure = new_figure(18.0, 1.6 + 1.75 * -(-len(shown) // 2) + 0.9)
    grid = figure.add_gridspec(
        -(-len(shown) // 2), 7, width_ratios=[0.8, 1.7, 1.2, 0.08, 0.8, 1.7, 1.2], hspace=0.02, wspace=0.02
    )
    names = _truth_names(manifests)
    for place, k in enumerate(shown):
        row, column = place // 2, 4 * (place % 2)
        bottom = place >= len(shown) - 2
        map_axes = figure.add_subplot(grid[row, column])
        map_axes.set_axis_off()
        if rows:
            topography(
                map_axes,
                atoms.spatial[k] * np.sign(atoms.temporal[k][np.abs(atoms.temporal[k]).argmax()]),
                rows,
                placed,
                atoms.types,
            )
        known = names.get(k) or (labels[k] if labels and labels[k] != "unclear" else "")
        title = f"{k} {known}".strip()
        map_axes.set_title(title, fontsize=7.5, loc="left", pad=2)
        _waveform(figure.add_subplot(grid[row, column + 1]), atoms, k, bottom=bottom, described=described)
        _spectrum(figure.add_subplot(grid[row, column + 2]), atoms, k, bottom=bottom)
    maps = (
        f"Maps show {kind} sensors seen from above, nose up, each scaled to its own largest value."
        if rows
        else ("The recording has no sensor positions, so maps are left out.")
    )
    return Panel(
        title=f"Atoms of {sample}",
        caption=(
            f"The {len(shown)} of {len(atoms.spatial)} atoms that explain most variance, in that order: map, waveform (unit norm, "
            f"largest excursion positive) and power spectrum. {maps} Percent: variance that the atom explains alone; /min: "
            "occurrences per minute. Names mark the atom that meets a kind of known event best (of a family its strongest); other "
            "words are labels, with their reasons below. Atoms of one family share a map and the shape of their waveforms."
        ),
        figure=figure,
        table=_shown_columns(described) if described is not None else None,
    )


def _truth_names(manifests: Mapping[str, Mapping[str, Any]]) -> dict[int, str]:
    scores = manifests.get("describe_atoms", {}).get("scores", {})
    names: dict[int, list[str]] = {}
    for key, value in scores.items():
        if key.endswith("_atom"):
            names.setdefault(int(value), []).append(key.removesuffix("_atom"))
    return {k: ", ".join(kinds) for k, kinds in names.items()}


def _described(folders: Mapping[str, Path]) -> pd.DataFrame | None:
    if "describe_atoms" not in folders:
        return None
    table = read_table(folders["describe_atoms"] / "atoms.parquet")
    shown = {name: column for name, column in table.columns.items() if not pd.isna(column).all()}
    units = {name: table.fields[name].unit for name in shown}
    frame = pd.DataFrame(
        {
            name.replace("_", " ") + (f" ({units[name]})" if units[name] not in ("", "1") else ""): column
            for name, column in shown.items()
        }
    )
    return frame.round(3)


def _shown_columns(described: pd.DataFrame) -> pd.DataFrame:
    """The columns of the table of atoms that a reader looks at first; reasons have a table of their own."""
    left_out = ("activations", "dipole x (m)", "dipole y (m)", "dipole z (m)", "reason")
    return described[[name for name in described.columns if name not in left_out]].head(ATOMS_SHOWN)


def _labels_panels(sample: str, folders: Mapping[str, Path]) -> list[Panel]:
    """Why every atom is called brain, artefact or unclear; none where that was not judged."""
    described = _described(folders)
    if described is None or "reason" not in described.columns:
        return []
    counts = described["label"].value_counts().sort_index()
    said = ", ".join(f"{count} {label}" for label, count in counts.items())
    return [
        Panel(
            title=f"What the atoms of {sample} are",
            caption=f"Label of each atom, and the numbers that decided: {said}.",
            table=described[["atom", "family", "label", "reason"]],
        )
    ]


def _waveform(axes: Axes, atoms: Dictionary, k: int, *, bottom: bool, described: pd.DataFrame | None) -> None:
    times = np.arange(atoms.temporal.shape[1]) / atoms.sampling_rate_hz * 1000
    axes.axhline(0, color=LIGHT, linewidth=0.5)
    axes.plot(times, atoms.temporal[k], color=BLUE, linewidth=1.0)
    limit = 1.15 * np.abs(atoms.temporal[k]).max()
    axes.set(xlim=(0, times[-1]), ylim=(-limit, limit), yticks=[])
    axes.spines["left"].set_visible(False)
    text = f"{100 * atoms.explained[k]:.1f} %"
    if described is not None:
        text += f", {described['rate (1/min)'][k]:.0f}/min"
    axes.set_title(text, loc="right", fontsize=6.5, fontweight="normal", pad=1)
    if bottom:
        axes.set_xlabel("time (ms)")
    else:
        axes.set_xticklabels([])


def _spectrum(axes: Axes, atoms: Dictionary, k: int, *, bottom: bool) -> None:
    size = 8 * atoms.temporal.shape[1]
    frequency = np.fft.rfftfreq(size, 1 / atoms.sampling_rate_hz)
    power = np.abs(np.fft.rfft(atoms.temporal[k], size)) ** 2
    axes.fill_between(frequency, power / power.max(), color=LIGHT, linewidth=0)
    axes.plot(frequency, power / power.max(), color=INK, linewidth=0.8)
    axes.set(
        xlim=(0, min(45.0, atoms.sampling_rate_hz / 2)), ylim=(0, 1.1), yticks=[], xticks=[0, 10, 20, 30, 40]
    )
    axes.spines["left"].set_visible(False)
    if bottom:
        axes.set_xlabel("frequency (Hz)")
    else:
        axes.set_xticklabels([])


def sensor_plane(positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sensors seen from above: azimuthal equidistant projection about the centre of a fitted sphere, (P, 2) metres.

    The equator of the sphere falls on the outline of the head; sensors without a position are NaN.
    """
    plane = np.full((len(positions), 2), np.nan)
    known = np.isfinite(positions).all(axis=1)
    if known.sum() < 4:
        return plane
    points = positions[known]
    # |p - c|^2 = r^2 is linear in c and r^2 - |c|^2.
    design = np.column_stack([2 * points, np.ones(len(points))])
    center = np.linalg.lstsq(design, (points**2).sum(axis=1), rcond=None)[0][:3]
    away = points - center
    polar = np.arccos(np.clip(away[:, 2] / np.linalg.norm(away, axis=1), -1, 1))
    azimuth = np.arctan2(away[:, 1], away[:, 0])
    radius = HEAD_M * polar / (np.pi / 2)
    plane[known] = np.column_stack([radius * np.cos(azimuth), radius * np.sin(azimuth)])
    return plane


def _mapped_sensors(atoms: Dictionary, info: SignalInfo, plane: NDArray[np.float64]) -> tuple[str, list[int]]:
    """One type of sensor for the maps: magnetometers, else EEG, else gradiometers; none where positions are missing."""
    if tuple(atoms.names) != tuple(info.names):
        return "", []
    for kind, word in (("mag", "magnetometer"), ("eeg", "EEG"), ("grad", "planar gradiometer")):
        rows = [i for i, t in enumerate(atoms.types) if t == kind and np.isfinite(plane[i]).all()]
        if len(rows) >= MIN_CHANNELS_MAPPED:
            return word, rows
    return "", []


def topography(
    axes: Axes,
    values: NDArray[np.float64],
    rows: Sequence[int],
    plane: NDArray[np.float64],
    types: Sequence[str],
) -> None:
    """Draw one map; planar gradiometers at one place are shown by their root mean square."""
    import mne

    places, where = np.unique(np.round(plane[list(rows)], 4), axis=0, return_inverse=True)
    where = where.ravel()
    own = values[list(rows)]
    counts = np.bincount(where)
    if types[rows[0]] == "grad":
        shown, cmap = np.sqrt(np.bincount(where, own**2) / counts), "Reds"
        limits = (0.0, float(shown.max()) or 1.0)
    else:
        shown, cmap = np.bincount(where, own) / counts, DIVERGING
        largest = float(np.abs(shown).max()) or 1.0
        limits = (-largest, largest)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mne.viz.plot_topomap(
            shown, places, axes=axes, show=False, cmap=cmap, vlim=limits, contours=4, sensors=False,
            sphere=(0, 0, 0, HEAD_M), extrapolate="local", outlines="head", res=48,
        )  # fmt: skip


def _raster_panel(
    sample: str, info: SignalInfo, folders: Mapping[str, Path], manifests: Mapping[str, Mapping[str, Any]]
) -> Panel:
    table = read_activations(folders["encode_signal"] / "activations.parquet")
    columns, peaks = table.columns, np.array(table.attributes["peaks"])
    n_atoms = min(len(peaks), ATOMS_SHOWN)
    times = (columns["sample"] + peaks[columns["atom"]]) / info.sampling_rate_hz
    duration = info.samples / info.sampling_rate_hz
    start = 0.0
    stop = min(duration, start + RASTER_SHOWN_S)
    marks = _marks(folders)
    lanes = len(marks)
    figure = new_figure(18.0, 2.2 + 0.42 * (n_atoms + lanes))
    axes = figure.add_subplot()
    largest = np.array(
        [
            np.percentile(columns["amplitude"][columns["atom"] == k], 98)
            if (columns["atom"] == k).any()
            else 1.0
            for k in range(n_atoms)
        ]
    )
    for k in range(n_atoms):
        own = (columns["atom"] == k) & (times >= start) & (times < stop)
        height = np.minimum(1.0, columns["amplitude"][own] / largest[k])
        axes.vlines(times[own], k + 0.42 - 0.84 * height, k + 0.42, color=BLUE, linewidth=0.9)
    labels = [str(k) for k in range(n_atoms)]
    names = _truth_names(manifests)
    labels = [f"{names[k]}  {k}" if k in names else str(k) for k in range(n_atoms)]
    for lane, (name, onsets, known) in enumerate(marks):
        inside = onsets[(onsets >= start) & (onsets < stop)]
        y = n_atoms + lane
        axes.vlines(inside, y - 0.35, y + 0.35, color=RED if known else GREY, linewidth=0.9)
        labels.append(f"{name} ({'known' if known else 'event'})")
    for begin, end in info.bad_spans:
        if begin < stop and end > start:
            axes.axvspan(max(begin, start), min(end, stop), color=LIGHT, linewidth=0)
    axes.set_yticks(range(n_atoms + lanes), labels)
    axes.set(xlim=(start, stop), ylim=(n_atoms + lanes - 0.4, -0.6), xlabel="time (s)", ylabel="atom")
    axes.tick_params(axis="y", length=0)
    return Panel(
        title=f"Activations of {sample}",
        caption=(
            f"Activations of the first {n_atoms} atoms at the peaks of their waveforms, {start:g} to {stop:g} of {duration:.4g} s; "
            "heights are amplitudes relative to each atom's 98th percentile. Red: known events (onsets); grey: events in the "
            f"recording; light bands: bad spans. {_truth_sentence(manifests)}"
        ),
        figure=figure,
    )


def _truth_sentence(manifests: Mapping[str, Mapping[str, Any]]) -> str:
    scores = manifests.get("describe_atoms", {}).get("scores", {})
    kinds = [key.removesuffix("_atom") for key in scores if key.endswith("_atom")]
    return " ".join(
        f"{kind.capitalize()}: {_finder(scores, kind)} finds {100 * scores[f'{kind}_recall']:.0f} % of the known events, "
        f"{100 * scores[f'{kind}_precision']:.0f} % of its occurrences are such."
        for kind in kinds
    )


def _finder(scores: Mapping[str, Any], kind: str) -> str:
    number, size = scores[f"{kind}_atom"], scores.get(f"{kind}_atoms", 1)
    return f"atom {number}" if size == 1 else f"the family of atom {number} ({size} atoms)"


def _marks(folders: Mapping[str, Path]) -> list[tuple[str, NDArray[np.float64], bool]]:
    """Lanes of known events and of events in the recording."""
    lanes: list[tuple[str, NDArray[np.float64], bool]] = []
    for file, known in (("truth.parquet", True), ("events.parquet", False)):
        path = folders["import_signal"] / file
        if not path.exists():
            continue
        columns = read_events(path).columns
        for kind in sorted(set(columns["kind"].tolist()))[:8]:
            lanes.append((kind, columns["onset_s"][columns["kind"] == kind], known))
    return lanes


def _learning_panel(sample: str, atoms: Dictionary, manifests: Mapping[str, Mapping[str, Any]]) -> Panel:
    figure = new_figure(8.8, 5.0)
    axes = figure.add_subplot()
    history = atoms.history
    steps = np.arange(1, len(history) + 1)
    axes.plot(steps, history[:, 1], color=BLUE, marker="o", markersize=2.5)
    edited = history[:, 2] > 0
    axes.plot(
        steps[edited],
        history[edited, 1],
        "o",
        color=RED,
        markersize=3.0,
        label="atoms added, moved or replaced",
    )
    axes.set(xlabel="iteration", ylabel="objective F")
    if edited.any():
        axes.legend(loc="upper right")
    certificate = atoms.certificate
    return Panel(
        title=f"Learning of {sample}",
        caption=(
            f"Objective after each update of the atoms. At the end F = {certificate['objective']:.6g}, at most "
            f"{certificate['duality_gap']:.3g} above the minimum for these atoms (duality gap); the code explains "
            f"{100 * certificate['explained_variance']:.1f} % of the variance. lambda = {atoms.penalty:.4g}, "
            f"{atoms.penalty / atoms.penalty_max:.3g} of lambda_max = {atoms.penalty_max:.4g} (scaled units)."
        ),
        figure=figure,
    )
