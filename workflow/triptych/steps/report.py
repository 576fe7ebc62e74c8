"""The report of a study: one HTML page that opens without a network.

Reads the result folder of every other step. ``content.json`` and ``figures/`` depend on manifests and stores alone; the
page ``report.html`` is rendered from them together with what the results cost (``provenance.json`` of every folder), which
differs from run to run, so the page is in no digest and is made again whenever the report is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from triptych.engine.step import Context, Input, Map, Reduce, Settings, Step
from triptych.steps import NAMES

if TYPE_CHECKING:
    from triptych.report.content import Study

NAME = "report"
CONTENT = "content.json"
FIGURES = "figures"
PAGE = "report.html"


class ReportSettings(Settings):
    """Settings of report."""

    title: str = Field("A triptych study", min_length=1, description="Title of the page.")
    max_samples_in_detail: int = Field(
        12, ge=0, le=1000, description="Samples of each kind that are shown with figures of their own."
    )


def _study(context: Context) -> Study:
    from triptych.report.content import StepInfo, Study
    from triptych.steps import load_step

    steps = [load_step(name) for name in NAMES if name in context.collections]
    groups = {name: context.collections[name] for name in NAMES if name in context.collections}
    return Study(
        context.settings.title,
        [StepInfo(s.name, s.help, s.scope, s.kinds) for s in steps],
        context.sheet,
        context.left_out,
        {name: {key: source.path for key, source in group.items()} for name, group in groups.items()},
        {
            name: {key: source.manifest or {} for key, source in group.items()}
            for name, group in groups.items()
        },
    )


def drawn(_context: Context, index: int) -> list[str]:
    """Where the panels of one unit wait for the page."""
    return [f"scratch/drawn/{index}.npz"]


def count_units(context: Context) -> int:
    """Samples shown in detail, and one for each kind."""
    from triptych.report.content import units

    return len(units(_study(context), context.settings.max_samples_in_detail))


def draw_unit(context: Context, index: int) -> None:
    """Draw the figures of one sample, or of all samples of a kind."""
    import json

    import numpy as np

    from triptych.engine.files import save_arrays
    from triptych.report.content import budget, draw, units

    study, most = _study(context), context.settings.max_samples_in_detail
    made = draw(study, units(study, most)[index], budget(study, most))
    files = {"panels": json.dumps(made.panels).encode(), **made.pictures}
    save_arrays(
        context.path(*drawn(context, index)),
        {key: np.frombuffer(data, np.uint8) for key, data in files.items()},
    )


def gather(context: Context) -> None:
    """Write the content and the figures."""
    import json

    from triptych.engine.files import load_arrays, write_bytes, write_json
    from triptych.report.content import Drawn, assemble, units

    study, most = _study(context), context.settings.max_samples_in_detail
    made = {}
    for index, unit in enumerate(units(study, most)):
        files = {
            key: data.tobytes() for key, data in load_arrays(context.path(*drawn(context, index))).items()
        }
        made[unit] = Drawn(json.loads(files.pop("panels")), files)
    content = assemble(study, most, made)
    for key, picture in content.pictures.items():
        write_bytes(context.path(key), picture)
    write_json(context.path(CONTENT), content.values)


def render(context: Context) -> None:
    """Write the page from content, figures and the provenance of every result."""
    import json

    from triptych.engine.files import write_bytes
    from triptych.engine.manifest import PROVENANCE, read_json
    from triptych.report.page import render_page

    content = json.loads(context.path(CONTENT).read_text())
    folder = context.path(FIGURES)
    pictures = {f"{FIGURES}/{p.name}": p.read_bytes() for p in sorted(folder.glob("*"))}
    provenance = {
        name: {
            key: read_json(source.path / PROVENANCE) or {}
            for key, source in context.collections[name].items()
        }
        for name in NAMES
        if name in context.collections
    }
    write_bytes(context.path(PAGE), render_page(content, pictures, provenance).encode())


def summary(context: Context) -> dict[str, Any]:
    """What the report shows."""
    import json

    content = json.loads(context.path(CONTENT).read_text())
    figures = len(list(context.path(FIGURES).glob("*")))
    counts = {"samples": len(content["samples"]["rows"]), "results": content["results"], "figures": figures}
    return {"counts": counts, "scores": {}, "notes": []}


STEP = Step(
    name=NAME,
    version=1,
    scope="cohort",
    kinds=(),
    help="One offline HTML page of everything that is done.",
    settings=ReportSettings,
    inputs=tuple(
        Input(name=name, help=f"result folders of {name.replace('_', '-')}", required=False, many=True)
        for name in NAMES
        if name != NAME
    ),
    outputs=(CONTENT, FIGURES),
    phases=(
        Map("draw", count_units, drawn, draw_unit),
        Reduce("gather", owns=lambda context: (CONTENT, FIGURES), work=gather),
    ),
    summary=summary,
    render=render,
)
