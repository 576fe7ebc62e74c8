"""The page: needs no network, escapes what comes from data, says first who was left out, and is the same bytes."""

import base64
import html.parser
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from triptych.report import content as contents
from triptych.report.content import StepInfo, Study, anchor, cell, collect
from triptych.report.page import check_offline, data_uri, render_page, seconds
from triptych.report.panel import Panel
from triptych.report.style import new_figure

EVIL = "<script>alert('x')</script>"


def panels(sample: str, folders: dict[str, Path], manifests: dict[str, Any]) -> list[Panel]:
    """One figure and one table for each sample."""
    figure = new_figure(8, 5)
    figure.add_subplot().plot([0, 1], [0, len(sample)])
    table = pd.DataFrame({"name": [EVIL, sample], "value": [1234.5678, np.nan]})
    return [Panel("A line", f"From 0 to {len(sample)} µm; {EVIL}", figure, table)]


def study(samples: int = 3, **fields: Any) -> Study:
    names = [f"s{i}" for i in range(samples)]
    manifest = {
        "kind": "cloud",
        "version": 1,
        "counts": {"events": 12345},
        "scores": {"epsilon": 0.123456},
        "notes": ["compensated", EVIL],
        "settings": {"n_centers": 100, "include": ["a", "b"]},
    }
    return Study(
        title=f"Study {EVIL}",
        steps=[StepInfo("import_cloud", "Read.", "sample", ("cloud",))],
        sheet={name: {"kind": "cloud", "group": EVIL} for name in names},
        left_out=fields.get("left_out", {"s9": f"bad {EVIL}"}),
        folders={"import_cloud": {name: Path("/nowhere") / name for name in names}},
        manifests={"import_cloud": dict.fromkeys(names, manifest)},
    )


@pytest.fixture(autouse=True)
def _own_panels(monkeypatch: pytest.MonkeyPatch) -> None:
    def chosen(kind: str, name: str, *results: Any) -> list[Panel]:
        return panels(name, *results)

    monkeypatch.setattr(contents, "_sample_panels", chosen)


def page(of: Study, most: int = 12, provenance: Any = None) -> str:
    found = collect(of, most)
    return render_page(found.values, found.pictures, provenance or {})


class Reader(html.parser.HTMLParser):
    """Every tag with its attributes, the ids, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("img", "meta", "link", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.words.append(data)


def test_no_request_leaves_the_page() -> None:
    text = page(study())
    assert check_offline(text) == []
    assert "default-src 'none'" in text
    assert check_offline('<img src="https://example.org/x.png">') == ["https://example.org/x.png"]
    assert check_offline("<style>a{background:url(x.png)}</style>") == ["x.png"]


def test_text_from_data_is_escaped() -> None:
    found = Reader(page(study()))
    assert found.open == []
    assert [tag for tag, _ in found.tags].count("script") == 1
    assert EVIL in "".join(found.words)


def test_the_first_line_says_who_was_left_out() -> None:
    words = [w.strip() for w in Reader(page(study())).words if w.strip()]
    assert words[1:3] == ["Skip to the results", "Left out:"]
    assert words[3] == f"s9 (bad {EVIL})."
    assert "No sample was left out." in page(study(left_out={}))


def test_links_lead_somewhere_and_pictures_have_words() -> None:
    found = Reader(page(study()))
    ids = [attributes["id"] for _, attributes in found.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = [a["href"] for tag, a in found.tags if tag == "a"]
    assert {str(link)[1:] for link in links} <= set(ids)
    pictures = [a for tag, a in found.tags if tag == "img"]
    assert len(pictures) == 3
    assert all(a["alt"] and str(a["src"]).startswith("data:image/svg+xml;base64,") for a in pictures)
    assert base64.b64decode(str(pictures[0]["src"]).partition(",")[2]).startswith(b"<svg")


def test_same_results_same_bytes() -> None:
    first, second = collect(study(), 12), collect(study(), 12)
    assert first == second
    other = {
        "import_cloud": {
            "s0": {"wall_s": 61.0, "cpu_s": 3.0, "peak_memory_bytes": 2**30, "versions": {"numpy": "2"}}
        }
    }
    text = page(study(), provenance=other)
    assert "1 min 01 s" in text
    assert "1,024 MiB" in text
    assert "numpy 2" in text


def test_samples_beyond_the_limit_are_named() -> None:
    text = page(study(5), most=2)
    assert text.count("<img") == 2
    assert "Not shown in detail: s2, s3, s4." in text


def test_heavy_figures_become_small_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    def scatter(*_: object) -> list[Panel]:
        figure = new_figure(8, 5)
        figure.add_subplot().scatter(*np.random.default_rng(0).random((2, 5000)), s=1)
        return [Panel("many points", "5,000 of them", figure)]

    monkeypatch.setattr(contents, "_sample_panels", scatter)
    sizes = []
    for most in (contents.MOST_FIGURE_BYTES, 1000):
        drawn = contents.draw(study(), contents.Unit("cloud", "s0"), most)
        (panel,) = drawn.panels
        assert panel["figure"] == "figures/cloud-s0-1.png"
        assert panel["width_cm"] == pytest.approx(8)
        assert data_uri(panel["figure"], drawn.pictures[panel["figure"]]).startswith("data:image/png;base64,")
        sizes.append(len(drawn.pictures[panel["figure"]]))
    assert sizes[1] < sizes[0]


def test_numbers_as_a_reader_wants_them() -> None:
    values = [
        None,
        float("nan"),
        True,
        1234567,
        0.00012345,
        12345.678,
        3.0,
        [3, 4],
        np.float32(0.5),
        np.int8(3),
    ]
    wanted = ["", "", "yes", "1,234,567", "0.0001234", "12,346", "3", "3 × 4", "0.5", "3"]
    assert [cell(v) for v in values] == wanted
    assert cell(1e300) == "1e+300"
    assert cell({"a": 1, "b": 0.5}) == "a: 1, b: 0.5"
    assert cell(float("inf")) == "inf"
    assert [seconds(v) for v in (None, 0.123, 59.6, 61, 3700)] == [
        "?",
        "0.12 s",
        "60 s",
        "1 min 01 s",
        "1 h 01 min",
    ]
    assert anchor("cloud", "s 1/µ_2.") == "cloud-s-1-2"


def test_nothing_to_report_is_still_a_page() -> None:
    empty = Study("t", [], {}, {}, {}, {})
    assert "Overview" in page(empty)


@pytest.mark.slow
def test_a_browser_shows_it_without_complaint(tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    (tmp_path / "report.html").write_text(page(study()))
    command = [
        browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run",
        f"--user-data-dir={tmp_path / 'profile'}", "--enable-logging=stderr", "--v=0", "--dump-dom",
        (tmp_path / "report.html").as_uri(),
    ]  # fmt: skip
    found = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert not re.findall(r"CONSOLE.*", found.stderr)
    buttons = re.findall(r'class="save [a-z]+"[^>]*>', found.stdout)
    assert buttons
    assert all("hidden" not in button for button in buttons)
