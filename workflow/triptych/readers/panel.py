"""What channels are, from their names: markers, scatter, time, viability and the rest; and the panel file of a study."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from triptych.errors import InputError
from triptych.readers.events import Column

ISOTOPE = re.compile(
    r"(?:^|[^a-z])\(?([a-z]{1,2})(\d{2,3})\)?(?:d[id])?(?:$|[^a-z0-9])|^\(?(\d{2,3})([a-z]{1,2})\)?(?:d[id])?(?:$|_)",
    re.IGNORECASE,
)
METALS = frozenset(
    re.findall(
        r"\w+",
        "y rh pd ag cd in i xe cs ba la ce pr nd sm eu gd tb dy ho er tm yb lu hf ta w os ir pt au pb bi sn te br",
    )
)
TIME = re.compile(r"^(hdr-)?time\b|^hdr-t$", re.IGNORECASE)
SCATTER = re.compile(
    r"^(v|b|r|u|yg)?(fsc|ssc|bsc|fs|ss|fals)(\d*)([^a-z]|area|height|width|$)|^(forward|side) scatter",
    re.IGNORECASE,
)
INSTRUMENT = re.compile(
    r"^(event[ _-]?(length|number|count|#|id)|cell[ _-]?length|width|center|offset|residual|amplitude|bead ?dist|"
    r"hdr-\w+|file ?(number|id)?|sample ?id|index|row|ungated.*)$",
    re.IGNORECASE,
)
VIABILITY = re.compile(
    r"^l/d$|live|dead|viab|zombie|fixable|7-?aad|\bdapi\b|\bpi\b|propidium|sytox|cisplatin|\bfvd|fvs\d|^ld$",
    re.IGNORECASE,
)
DNA = re.compile(r"\bdna[ _-]?\d*\b|dna\d|intercalator|^ir19[13]|^19[13]ir", re.IGNORECASE)
BEAD = re.compile(r"\bbeads?\d*\b|\beq ?bead", re.IGNORECASE)
BARCODE = re.compile(r"^bc[ _-]?\d+$|barcode|^pd10[2-9]di$|^pd110di$", re.IGNORECASE)
PULSE = re.compile(r"^(.*)[-_ ](a|h|w|area|height|width)$", re.IGNORECASE)

SCATTER_MEASURE = re.compile(
    r"(?:[-_ ]|lin|log|fsc|ssc|fs|ss)(area|height|width|a|h|w)(?:[-_ ]?(?:lin|log))?$"
)


@dataclass(frozen=True)
class Described:
    """A channel with what it is: ``index`` in the file, ``column``, ``marker`` and ``role``."""

    index: int
    column: Column
    marker: str
    role: str


@dataclass(frozen=True)
class PanelRow:
    """A line of a panel file."""

    channel: str
    marker: str
    use: bool


def is_mass_cytometry(columns: Sequence[Column], text: Mapping[str, str]) -> bool:
    """Whether a file comes from a mass cytometer: at least a third of its channels are named by isotopes."""
    isotopes = sum(has_isotope(column.name) for column in columns)
    return isotopes >= 3 and isotopes * 3 >= len(columns)


def has_isotope(name: str) -> bool:
    """Whether a name holds an isotope: ``Nd142Di``, ``(Nd142)Di``, ``142Nd_CD19``."""
    for found in ISOTOPE.finditer(name):
        symbol, mass = (found[1], found[2]) if found[1] else (found[4], found[3])
        if symbol.lower() in METALS and 75 <= int(mass) <= 215:
            return True
    return False


def describe(columns: Sequence[Column], mass: bool) -> list[Described]:
    """The role of every channel.

    Roles: ``time``, ``scatter``, ``instrument``, ``viability``, ``dna``, ``bead``, ``barcode``, ``pulse`` (height or width of
    a signal whose area is there too; area where most signals of the file have only heights), ``unlabelled`` (no marker
    where other channels have one), ``marker``.
    """
    signals = _signals(columns)
    described = [
        Described(j, column, _marker(column), _role(column, signals, mass))
        for j, column in enumerate(columns)
    ]
    labelled = sum(d.role == "marker" and bool(d.marker) for d in described)
    if labelled < 2:
        return described
    return [
        Described(d.index, d.column, d.marker, "unlabelled") if d.role == "marker" and not d.marker else d
        for d in described
    ]


def _marker(column: Column) -> str:
    """What the label adds to the name."""
    label = column.label.strip()
    if label.lower().startswith(f"{column.name.lower()}:"):
        return column.name
    pulse = PULSE.match(column.name)
    generic = re.fullmatch(r"fl\d+([- _]?\w+)?", label, re.IGNORECASE)
    same = label.lower() == column.name.lower() or (pulse is not None and label.lower() == pulse[1].lower())
    return "" if same or generic or label in ("-", "NA", "empty") else label


def _role(column: Column, signals: Mapping[str, str], mass: bool) -> str:
    name, label = column.name.strip(), column.label.strip()
    if TIME.search(name):
        return "time"
    if SCATTER.search(name):
        return "scatter"
    if INSTRUMENT.search(name) or re.match(r"hdr-", label, re.IGNORECASE):
        return "instrument"
    if VIABILITY.search(label) or VIABILITY.search(name):
        return "viability"
    if mass and (DNA.search(label) or DNA.search(name)):
        return "dna"
    if mass and (BEAD.search(label) or BEAD.search(name)):
        return "bead"
    if mass and (BARCODE.search(label) or BARCODE.search(name)):
        return "barcode"
    pulse = PULSE.match(name)
    if pulse is not None and signals[pulse[1].lower()] != pulse[2].lower()[0]:
        return "pulse"
    return "marker"


def _signals(columns: Sequence[Column]) -> dict[str, str]:
    """For every signal (``PE`` of ``PE-A``) the measure of its pulse that stands for it: ``a``, ``h`` or ``w``.

    Area before height before width, of those that at least half of the signals have; a signal without it has its own first.
    """
    measures: dict[str, set[str]] = {}
    for column in columns:
        if (pulse := PULSE.match(column.name.strip())) and not SCATTER.search(column.name):
            measures.setdefault(pulse[1].lower(), set()).add(pulse[2].lower()[0])
    shared = [
        letter for letter in "ahw" if 2 * sum(letter in found for found in measures.values()) >= len(measures)
    ]
    usual = shared[0] if shared else "a"
    return {signal: usual if usual in found else min(found) for signal, found in measures.items()}


def scatter_of(described: Sequence[Described], letter: str, measures: str) -> Described | None:
    """The scatter channel of an angle (``"f"`` or ``"s"``) by the first of some measures of the pulse that it has.

    ``measures`` is a run of ``a`` (area), ``h`` (height), ``w`` (width) and ``-`` (a name that says none).
    """
    found: dict[str, Described] = {}
    for d in described:
        name = d.column.name.strip().lower()
        angle = re.match(r"(?:[vbru]|yg)?([fs])", name)
        if d.role != "scatter" or angle is None or angle[1] != letter:
            continue
        measure = SCATTER_MEASURE.search(name)
        found.setdefault(measure[1][0] if measure else "-", d)
    return next((found[measure] for measure in measures if measure in found), None)


def is_width(d: Described) -> bool:
    """Whether a channel measures the width of a pulse, which is no intensity."""
    return re.search(r"([-_ ]w|width)$", d.column.name.strip(), re.IGNORECASE) is not None


def read_panel(path: Path) -> list[PanelRow]:
    """Read a panel file: CSV with a header and the columns ``channel``, ``marker`` and, if wanted, ``use`` (1 or 0).

    Raises
    ------
    InputError : a column is missing, a channel stands twice, or ``use`` is neither 0 nor 1.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
            header = [name.strip().lower() for name in reader.fieldnames or []]
            lines = [
                dict(zip(header, (value or "" for value in line.values()), strict=False)) for line in reader
            ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as CSV ({error}); save it as CSV in UTF-8") from error
    if not {"channel", "marker"} <= set(header):
        raise InputError(
            f"{path} has columns {', '.join(header) or 'none'}; a panel needs channel, marker and, if wanted, use"
        )
    rows = []
    for line in lines:
        use = line.get("use", "1").strip() or "1"
        if use not in ("0", "1"):
            raise InputError(f"{path} has use = {use!r} for channel {line['channel']!r}; write 1 or 0")
        rows.append(PanelRow(line["channel"].strip(), line["marker"].strip(), use == "1"))
    names = [row.channel.lower() for row in rows]
    if len(set(names)) < len(names):
        twice = next(row.channel for row in rows if names.count(row.channel.lower()) > 1)
        raise InputError(f"{path} names channel {twice!r} twice; keep one line")
    return rows


def apply_panel(path: Path, described: Sequence[Described], panel: Sequence[PanelRow]) -> list[Described]:
    """The channels that a panel uses, with its markers, in the order of the file.

    Raises
    ------
    InputError : the panel names a channel that the recording does not have.
    """
    by_name = {d.column.name.lower(): d for d in described}
    for row in panel:
        if row.channel.lower() not in by_name:
            raise InputError(
                f"{path} names channel {row.channel!r}, which the recording does not have; "
                f"its channels are {', '.join(d.column.name for d in described)}"
            )
    used = {row.channel.lower(): row for row in panel if row.use}
    return [
        Described(d.index, d.column, used[key].marker or d.marker, d.role)
        for d in described
        if (key := d.column.name.lower()) in used
    ]
