"""What the report says, without when and where it was made: sections, panels, tables and pictures of figures.

The content depends on manifests and stores alone, so it is the same bytes for the same results.
"""

from __future__ import annotations

import importlib
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from triptych.report.panel import Panel
from triptych.report.style import style, to_png, to_svg

if TYPE_CHECKING:
    import pandas as pd

Manifests = Mapping[str, Mapping[str, Mapping[str, Any]]]
Folders = Mapping[str, Mapping[str, Path]]

KINDS = ("volume", "cloud", "signal")
TITLES = {"volume": "Volumes", "cloud": "Clouds", "signal": "Signals"}
FIELDS = ("group", "batch", "subject", "session")
# Cohort steps whose results a sample's own panels show.
SHOWN_WITH_SAMPLES = ("find_populations", "learn_cohort_atoms")
MOST_SVG_BYTES = 250_000
MOST_FIGURE_BYTES = 6_500_000
FINE_DPI, COARSE_DPI = 200, 100
MOST_TABLE_ROWS = 500
MOST_SCORE_COLUMNS = 8

_one_at_a_time = threading.Lock()


@dataclass(frozen=True)
class StepInfo:
    """What the report has to know of a step: its name, help, version, scope and kinds of samples."""

    name: str
    help: str
    scope: str
    kinds: tuple[str, ...]

    @property
    def title(self) -> str:
        """Name as on the command line."""
        return self.name.replace("_", "-")


@dataclass(frozen=True)
class Study:
    """Every finished result of a study.

    Attributes
    ----------
    title : of the report.
    steps : in the order of the pipeline.
    sheet : sample -> its fields (kind, group, ...).
    left_out : sample -> reason.
    folders, manifests : step -> sample (or kind, for cohort steps) -> result folder, manifest.
    """

    title: str
    steps: Sequence[StepInfo]
    sheet: Mapping[str, Mapping[str, str]]
    left_out: Mapping[str, str]
    folders: Folders
    manifests: Manifests

    def kind_of(self, sample: str) -> str:
        """Kind of a sample, from the sheet or from the first manifest that tells it."""
        if kind := self.sheet.get(sample, {}).get("kind"):
            return kind
        for step in self.steps:
            manifest = self.manifests.get(step.name, {}).get(sample)
            if manifest is not None and step.scope == "sample":
                return str(manifest.get("kind") or step.kinds[0])
        return ""

    def samples(self, kind: str | None = None) -> list[str]:
        """Samples with at least one finished step, by name."""
        found = {
            name for step in self.steps if step.scope == "sample" for name in self.folders.get(step.name, {})
        }
        return sorted(name for name in found if kind is None or self.kind_of(name) == kind)

    def of(self, key: str, scope: str) -> tuple[dict[str, Path], dict[str, Mapping[str, Any]]]:
        """Folders and manifests of one sample (scope sample) or one kind (scope cohort), by step."""
        names = [s.name for s in self.steps if s.scope == scope and key in self.folders.get(s.name, {})]
        return {n: self.folders[n][key] for n in names}, {n: self.manifests[n][key] for n in names}


@dataclass(frozen=True)
class Content:
    """What the page shows: JSON values, and the pictures by key (``figures/...svg`` or ``.png``)."""

    values: dict[str, Any]
    pictures: dict[str, bytes]


@dataclass(frozen=True)
class Unit:
    """What is drawn in one go: the panels of one sample, or those of all samples of a kind (sample None)."""

    kind: str
    sample: str | None

    @property
    def stem(self) -> str:
        """Beginning of the names of its figures."""
        return f"figures/{self.kind}-{self.sample or 'all-samples'}"


@dataclass(frozen=True)
class Drawn:
    """The panels of a unit as JSON values, and their pictures by key."""

    panels: list[dict[str, Any]]
    pictures: dict[str, bytes]


def units(study: Study, max_samples_in_detail: int) -> list[Unit]:
    """Everything that is to be drawn, in the order of the page."""
    found: list[Unit] = []
    for kind in KINDS:
        if names := study.samples(kind):
            found += [Unit(kind, None), *(Unit(kind, name) for name in names[:max_samples_in_detail])]
    return found


def draw(study: Study, unit: Unit, most_bytes: int) -> Drawn:
    """Draw the panels of a unit; its figures turn coarser where they would take more than ``most_bytes`` together.

    Units are drawn one after the other in a process, since matplotlib's style belongs to the process.
    """
    with _one_at_a_time, style():
        if unit.sample is None:
            made = _cohort_panels(*study.of(unit.kind, "cohort"))
        else:
            made = _sample_panels(unit.kind, unit.sample, *_with_cohort(study, unit.kind, unit.sample))
        pictures: dict[str, bytes] = {}
        panels = []
        for panel in made:
            values: dict[str, Any] = {
                "title": panel.title,
                "caption": panel.caption,
                "figure": None,
                "table": None,
            }
            if panel.figure is not None:
                left = most_bytes - sum(map(len, pictures.values()))
                extension, picture = _picture(panel.figure, left)
                values["figure"] = f"{unit.stem}-{len(pictures) + 1}.{extension}"
                values["width_cm"] = float(panel.figure.get_figwidth() * 2.54)
                pictures[values["figure"]] = picture
            if panel.table is not None:
                values["table"] = frame_table(panel.table)
            panels.append(values)
    return Drawn(panels, pictures)


def _picture(figure: Any, most_bytes: int) -> tuple[str, bytes]:
    """A figure as SVG, as fine PNG where that is much smaller, as coarse PNG where bytes run short."""
    chosen = ("svg", to_svg(figure))
    if len(chosen[1]) > MOST_SVG_BYTES:
        fine = to_png(figure, FINE_DPI)
        chosen = min(chosen, ("png", fine), key=lambda one: len(one[1]))
    if len(chosen[1]) > most_bytes:
        coarse = to_png(figure, COARSE_DPI)
        chosen = min(chosen, ("png", coarse), key=lambda one: len(one[1]))
    return chosen


def budget(study: Study, max_samples_in_detail: int) -> int:
    """Bytes that the figures of one unit may take, so that the page stays light to open."""
    return MOST_FIGURE_BYTES // max(1, len(units(study, max_samples_in_detail)))


def assemble(study: Study, max_samples_in_detail: int, drawn: Mapping[Unit, Drawn]) -> Content:
    """Gather what was drawn, and every table of a study.

    Parameters
    ----------
    study : its finished results.
    max_samples_in_detail : samples of each kind whose own panels are shown; the others are in the tables.
    drawn : every unit of ``units``.
    """
    sections = []
    for kind in KINDS:
        if names := study.samples(kind):
            shown = names[:max_samples_in_detail]
            section = {
                "kind": kind,
                "title": TITLES[kind],
                "id": anchor(kind),
                "scores": _scores(study, kind, names),
                "cohort": drawn[Unit(kind, None)].panels,
                "samples": [
                    {"name": name, "id": anchor(kind, name), "panels": drawn[Unit(kind, name)].panels}
                    for name in shown
                ],
                "hidden": names[max_samples_in_detail:],
            }
            sections.append(section)
    values = {
        "title": study.title,
        "left_out": [{"sample": name, "reason": why} for name, why in sorted(study.left_out.items())],
        "samples": _sample_table(study),
        "sections": sections,
        "notes": _notes(study),
        "methods": _methods(study),
        "results": sum(len(group) for group in study.folders.values()),
    }
    return Content(values, {key: picture for one in drawn.values() for key, picture in one.pictures.items()})


def collect(study: Study, max_samples_in_detail: int) -> Content:
    """Draw every figure and gather every table of a study, in memory."""
    most = budget(study, max_samples_in_detail)
    drawn = {unit: draw(study, unit, most) for unit in units(study, max_samples_in_detail)}
    return assemble(study, max_samples_in_detail, drawn)


def _with_cohort(
    study: Study, kind: str, sample: str
) -> tuple[dict[str, Path], dict[str, Mapping[str, Any]]]:
    """Folders and manifests of a sample, and of the cohort steps that its panels show."""
    folders, manifests = study.of(sample, "sample")
    shared_folders, shared_manifests = study.of(kind, "cohort")
    for step in SHOWN_WITH_SAMPLES:
        if step in shared_folders:
            folders[step], manifests[step] = shared_folders[step], shared_manifests[step]
    return folders, manifests


def _sample_panels(
    kind: str, name: str, folders: Mapping[str, Path], manifests: Mapping[str, Mapping[str, Any]]
) -> list[Panel]:
    """Panels of one sample; the module of a kind is imported when there is a sample of it."""
    module = importlib.import_module(f"triptych.report.{kind}")
    made: list[Panel] = module.panels(name, folders, manifests)
    return made


def _cohort_panels(folders: Mapping[str, Path], manifests: Mapping[str, Mapping[str, Any]]) -> list[Panel]:
    """Panels of all samples of one kind."""
    from triptych.report import analysis, comparison, populations

    return [
        *comparison.cohort_panels(folders, manifests),
        *populations.cohort_panels(folders, manifests),
        *analysis.cohort_panels(folders, manifests),
    ]


def frame_table(frame: pd.DataFrame) -> dict[str, Any]:
    """A table as text; long ones are cut, and say so."""
    rows = [[cell(value) for value in row] for row in frame.iloc[:MOST_TABLE_ROWS].itertuples(index=False)]
    cut = max(0, len(frame) - MOST_TABLE_ROWS)
    return {"columns": [str(c) for c in frame.columns], "rows": rows, "cut": cut}


def cell(value: Any) -> str:
    """A value as a reader wants it: four significant digits, thousands parted, nothing for missing."""
    if value is None or value != value:  # noqa: PLR0124  # only NaN differs from itself
        return ""
    if isinstance(value, bool) or type(value).__name__ in ("bool", "bool_"):
        return "yes" if value else "no"
    if isinstance(value, int) or type(value).__name__.startswith(("int", "uint")):
        return f"{value:,}"
    if isinstance(value, float) or type(value).__name__.startswith("float"):
        number = float(value)
        if abs(number) < 1e6 and number == int(number):
            return f"{int(number):,}"
        if 1e4 <= abs(number) < 1e9:
            return f"{number:,.0f}"
        return f"{number:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {cell(v)}" for key, v in value.items())
    if isinstance(value, list | tuple):
        return " × ".join(cell(v) for v in value)
    return str(value)


def anchor(*parts: str) -> str:
    """An id for links, from text."""
    return "-".join(re.sub(r"[^A-Za-z0-9]+", "-", part).strip("-").lower() for part in parts)


def _sample_table(study: Study) -> dict[str, Any]:
    fields = [f for f in FIELDS if any(study.sheet.get(name, {}).get(f) for name in study.samples())]
    rows = []
    for kind in KINDS:
        for name in study.samples(kind):
            _, manifests = study.of(name, "sample")
            first: Mapping[str, Any] = next(iter(manifests.values()), {})
            counts = "; ".join(f"{_words(k)} {cell(v)}" for k, v in first.get("counts", {}).items())
            known = [study.sheet.get(name, {}).get(f, "") for f in fields]
            rows.append([name, kind, *known, counts, f"{len(manifests)}"])
    return {"columns": ["sample", "kind", *fields, "recording", "steps done"], "rows": rows, "cut": 0}


def _words(name: str) -> str:
    return name.replace("_", " ")


def _scores(study: Study, kind: str, names: list[str]) -> dict[str, Any] | None:
    """Every score of every sample of a kind."""
    columns: dict[tuple[str, str], None] = {}
    found: dict[str, dict[tuple[str, str], Any]] = {}
    for name in names:
        for step, manifest in study.of(name, "sample")[1].items():
            for key, value in manifest.get("scores", {}).items():
                columns[step, key] = None
                found.setdefault(name, {})[step, key] = value
    if not columns:
        return None
    scored = [name for name in names if name in found]
    if len(scored) <= MOST_SCORE_COLUMNS:  # few samples stand side by side, so that they are easy to compare
        rows = [
            [_words(key), step.replace("_", "-"), *(cell(found[name].get((step, key))) for name in scored)]
            for step, key in columns
        ]
        return {"columns": ["score", "step", *scored], "rows": rows, "cut": 0}
    rows = [[name, *(cell(found[name].get(c)) for c in columns)] for name in scored]
    heads = [f"{step.replace('_', '-')}: {_words(key)}" for step, key in columns]
    return {
        "columns": ["sample", *heads],
        "rows": rows[:MOST_TABLE_ROWS],
        "cut": max(0, len(rows) - MOST_TABLE_ROWS),
    }


def _notes(study: Study) -> dict[str, Any]:
    """What the steps noted, equal notes of one step together."""
    said: dict[tuple[str, str], list[str]] = {}
    for step in study.steps:
        for key, manifest in sorted(study.manifests.get(step.name, {}).items()):
            for note in manifest.get("notes", []):
                said.setdefault((step.title, str(note)), []).append(key)
    rows = [[step, ", ".join(keys), note] for (step, note), keys in said.items()]
    return {
        "columns": ["step", "of", "note"],
        "rows": rows[:MOST_TABLE_ROWS],
        "cut": max(0, len(rows) - MOST_TABLE_ROWS),
    }


def _methods(study: Study) -> list[dict[str, Any]]:
    """Each step that ran: what it does, its version and its settings, once for each set of settings."""
    methods = []
    for step in study.steps:
        variants: dict[tuple[Any, ...], dict[str, Any]] = {}
        for key, manifest in sorted(study.manifests.get(step.name, {}).items()):
            settings = {name: _setting(value) for name, value in sorted(manifest.get("settings", {}).items())}
            same = (manifest.get("version"), *settings.items())
            variant = variants.setdefault(
                same, {"of": [], "version": manifest.get("version"), "settings": list(settings.items())}
            )
            variant["of"].append(key)
        if variants:
            methods.append({"step": step.title, "help": step.help, "variants": list(variants.values())})
    return methods


def _setting(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_setting(v) for v in value) + "]"
    return "none" if value is None else str(value)
