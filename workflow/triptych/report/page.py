"""The page: one HTML file that needs no network, from the content, its pictures and what the results cost.

Everything that comes from data is escaped; pictures are data URIs; a content security policy forbids every request.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from triptych import __version__
from triptych.report.content import cell

Provenance = Mapping[str, Mapping[str, Mapping[str, Any]]]

MIME = {"svg": "image/svg+xml", "png": "image/png"}
MIB = 2**20


def render_page(content: Mapping[str, Any], pictures: Mapping[str, bytes], provenance: Provenance) -> str:
    """The report as one HTML document.

    Parameters
    ----------
    content : values of ``report.content.collect``.
    pictures : key of a figure -> its SVG or PNG.
    provenance : step -> sample or kind -> its ``provenance.json``; what is missing is shown as unknown.
    """
    environment = Environment(
        loader=PackageLoader("triptych.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["words"] = lambda text: str(text).replace("_", " ")
    template = environment.get_template("page.html.j2")
    return template.render(
        content=content,
        figure=lambda key: data_uri(key, pictures[key]),
        extension=lambda key: key.rpartition(".")[2],
        costs=cost_table(provenance),
        versions=version_list(provenance),
        triptych=__version__,
    )


def data_uri(key: str, picture: bytes) -> str:
    """A picture as a ``data:`` address."""
    if key.endswith(".svg"):
        # Without XML declaration and document type, which name an address on the network.
        picture = re.sub(rb"^.*?(?=<svg)", b"", picture, count=1, flags=re.DOTALL)
    return f"data:{MIME[key.rpartition('.')[2]]};base64,{base64.b64encode(picture).decode()}"


def cost_table(provenance: Provenance) -> dict[str, Any]:
    """Wall time, CPU time and peak memory of every result, with sums per step."""
    steps: list[dict[str, Any]] = []
    longest = 0.0
    for step, group in provenance.items():
        rows = []
        for key, facts in sorted(group.items()):
            rows.append(
                {
                    "of": key,
                    "wall": seconds(facts.get("wall_s")),
                    "cpu": seconds(facts.get("blocks_cpu_s") or facts.get("cpu_s")),
                    "memory": _memory(facts.get("peak_memory_bytes")),
                    "workers": f"{facts.get('workers', '?')} {facts.get('executor', '')}".strip(),
                    "device": str(facts.get("device", "?")),
                    "restarts": cell(facts.get("restarts")),
                    "ended": str(facts.get("ended", "?")),
                }
            )
        wall = sum(float(facts.get("wall_s") or 0) for facts in group.values())
        cpu = sum(float(facts.get("blocks_cpu_s") or facts.get("cpu_s") or 0) for facts in group.values())
        peak = max((int(facts.get("peak_memory_bytes") or 0) for facts in group.values()), default=0)
        longest = max(longest, wall)
        steps.append(
            {
                "step": step.replace("_", "-"), "rows": rows, "runs": len(group), "wall_s": wall,
                "wall": seconds(wall), "cpu": seconds(cpu), "memory": _memory(peak),
            }
        )  # fmt: skip
    for entry in steps:
        entry["share"] = round(100 * entry["wall_s"] / longest, 1) if longest else 0
    whole = sum(entry["wall_s"] for entry in steps)
    return {"steps": steps, "wall": seconds(whole), "results": sum(entry["runs"] for entry in steps)}


def seconds(value: float | None) -> str:
    """A time as a reader says it."""
    if value is None:
        return "?"
    if value < 60:
        return f"{value:.2g} s" if value < 10 else f"{value:.0f} s"
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def _memory(value: float | None) -> str:
    return "?" if not value else f"{value / MIB:,.0f} MiB"


def version_list(provenance: Provenance) -> list[dict[str, Any]]:
    """The versions that made the results, once for each different set, and on which machines."""
    found: dict[tuple[tuple[str, str], ...], dict[str, Any]] = {}
    for group in provenance.values():
        for facts in group.values():
            versions: Mapping[str, str] = facts.get("versions") or {}
            entry = found.setdefault(
                tuple(versions.items()), {"versions": dict(versions), "machines": [], "n": 0}
            )
            entry["n"] += 1
            machine = f"{facts.get('host', '?')} ({facts.get('system', '?')})"
            if machine not in entry["machines"]:
                entry["machines"].append(machine)
    return list(found.values())


def check_offline(page: str) -> Sequence[str]:
    """Addresses in a page that a browser would fetch; empty for a page that needs no network."""
    attribute = re.compile(
        r"""(?:src|href|action|data|poster)\s*=\s*["'](?!#|data:)([^"']*)["']""", re.IGNORECASE
    )
    return [*attribute.findall(page), *re.findall(r"url\(\s*['\"]?(?!data:)([^)'\"]+)", page)]
