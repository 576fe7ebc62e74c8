"""A key by which channels of one cohort are matched: what a label says about the marker, without dye, isotope and spelling.

``CD3``, ``cd3``, ``CD-3``, ``CD3 FITC``, ``FITC CD3``, ``170Er_CD3`` and ``CD3.APC-H7`` have the same key; ``CD45`` and
``CD45RA`` do not.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

GREEK = str.maketrans({"α": "a", "β": "b", "γ": "g", "δ": "d", "ε": "e", "κ": "k", "λ": "l", "ζ": "z"})
METALS = "y|rh|pd|ag|cd|in|i|xe|cs|ba|la|ce|pr|nd|pm|sm|eu|gd|tb|dy|ho|er|tm|yb|lu|hf|ta|w|os|ir|pt|au|pb|bi|sn|te|br"
# Cadmium 106 to 116 is a metal, CD106 a marker: the mass must come first, or be marked by "Di".
ISOTOPE = re.compile(
    rf"(?<![a-z0-9])(?:\(?(?:{METALS})\)?\d{{2,3}}\)?d[id]|\(?\d{{2,3}}\)?-?(?:{METALS})(?:d[id])?)(?![a-z0-9])"
    rf"|(?<![a-z0-9])\(?(?!cd|i\d|in?\d)(?:{METALS})\)?(?:7|8|9|1\d|20)\d(?![a-z0-9])"
)
TANDEM = (
    r"[ ./-]?(?:cy\W?\d(?:[., -]5)?|vio\W?\d+|fire\W?\d+|dazzle\W?\d*|cf\W?\d+|h7|r700|alexa(?:[ -]?fluor)?\W?\d*|"
    r"af\W?\d+|ef(?:luor)?\W?\d+|\d{3})"
)
DYES = re.compile(
    r"(?<![a-z0-9])(?:"
    rf"(?:percp|pe|apc|fitc|af\d{{3}}|bb\d{{3}}){TANDEM}|"
    r"percp[ -]?ef(?:luor)?[ -]?\d+|fitc|percp|apc|pe|ecd|pc\d(?:\.5)?|pacific[ -]?(?:blue|orange|green)|pacblue|pacb|pb|po|"
    r"am[ -]?cyan|krome[ -]?orange|ko|tx[ -]?red|(?:pe[ -]?)?texas[ -]?red|tr|cy\d(?:\.5)?|"
    r"(?:alexa[ -]?fluor|alexa|af|a|dl|dylight|atto|cf|efluor|ef|super[ -]?bright|sb|qdot|qd|horizon|"
    r"bv|buv|bb|br|by|byg|ryg|ruv|rb|ry|real(?:blue|yellow)|brilliant[ -]?(?:violet|ultraviolet|blue)|"
    r"spark[ -]?(?:blue|violet|nir|yg|uv|red)|nova[ -]?fluor[ -]?\w*|nf[a-z]{1,2}|cfluor[ -]?[a-z]+|vio[ -]?(?:blue|green|bright)?)"
    r"[ -]?\d{3}(?:[ -]?(?:ls|p))?|v\d{3}|vio(?:blue|green)|viobright|vio\d+"
    r")(?![a-z0-9])"
)
PULSE = re.compile(r"(?<=[a-z0-9])(?<!hla)(?<!granzyme)[-_ .](?:a|h|w|area|height|width)(?=\)?$)")


def matching_key(label: str, detector: str = "") -> str:
    """The marker that a label names, in lower-case letters and digits.

    Left out: marks of compensation, isotopes, dyes, the name of the detector, the measure of a pulse, ``anti-``,
    punctuation. A label of nothing else is its own key.

    Parameters
    ----------
    label : ``$PnS`` or a marker of a panel; the detector stands for an empty one.
    detector : ``$PnN``, whose dye is left out of the label too.

    Examples
    --------
    >>> matching_key("CD45RA.PE"), matching_key("142Nd_CD19"), matching_key("HLA-DR"), matching_key("FITC-A")
    ('cd45ra', 'cd19', 'hladr', 'fitca')
    """
    text = _plain(label) or _plain(detector)
    rest = ISOTOPE.sub(" ", text.replace("_", " ")).replace("::", " ")
    own = PULSE.sub("", _plain(detector))
    if own and len(own) > 1 and _bare(own) != _bare(PULSE.sub("", text)):
        rest = re.sub(rf"(?<![a-z0-9]){re.escape(own.replace('_', ' '))}(?![a-z0-9])", " ", rest)
    rest = DYES.sub(" ", PULSE.sub("", rest.strip()))
    rest = re.sub(r"(?<![a-z0-9])anti(?:-human|-mouse)?[- ]", " ", rest)
    return _bare(rest) or _bare(text)


def matching_keys(labels: Sequence[str], detectors: Sequence[str]) -> tuple[str, ...]:
    """Keys of the channels of one sample, each once: where two would share one, all they say is their key."""
    keys = [matching_key(label, detector) for label, detector in zip(labels, detectors, strict=True)]
    for full in (labels, [f"{a} {b}" for a, b in zip(labels, detectors, strict=True)]):
        often = Counter(keys)
        keys = [
            key if often[key] == 1 else _bare(_plain(text)) or key
            for key, text in zip(keys, full, strict=True)
        ]
    often = Counter(keys)
    return tuple(key if often[key] == 1 else f"{key}#{j + 1}" for j, key in enumerate(keys))


def natural_order(key: str) -> tuple[tuple[int, int, str], ...]:
    """For sorting: runs of digits count as numbers, so CD4 stands before CD14."""
    return tuple(
        (0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.findall(r"\d+|\D+", key)
    )


def _plain(text: str) -> str:
    low = text.strip().lower().translate(GREEK)
    if low.startswith("<") and low.endswith(">"):
        low = low[1:-1]
    return re.sub(r"^comp[-_ ]+", "", low)


def _bare(text: str) -> str:
    return re.sub(r"[^a-z0-9+]+", "", text)
