"""Activations as other tools read them: ``annotations.txt`` for MNE, ``events.tsv`` with ``events.json`` as in BIDS.

Onset is the start of the waveform and duration its length; ``peak`` is when the waveform is largest. All three are seconds
from the first sample of the recording, written with every digit: a reader gets the same float64 back. (Of the forms that
``mne.read_annotations`` knows, FIF keeps onsets as float32, and CSV takes them from the first annotation.)
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

ANNOTATIONS = "annotations.txt"
EVENTS = "events.tsv"
EVENTS_DESCRIPTION = "events.json"
ROWS_AT_ONCE = 8192
COLUMNS = ("onset", "duration", "trial_type", "sample", "amplitude", "peak")


@dataclass(frozen=True)
class Occurring:
    """When atoms occur.

    Attributes
    ----------
    atom, sample, amplitude : (n,) number of the atom, sample at which its waveform starts, amplitude in scaled units.
    sampling_rate_hz : of the samples.
    peaks : (K,) sample of each waveform's largest excursion, from its start.
    length : samples of a waveform.
    channels : (K,) name of the channel on which each atom is strongest.
    """

    atom: NDArray[np.int32]
    sample: NDArray[np.int64]
    amplitude: NDArray[np.float64]
    sampling_rate_hz: float
    peaks: NDArray[np.int64]
    length: int
    channels: tuple[str, ...]

    @property
    def duration_s(self) -> float:
        """Length of a waveform in seconds."""
        return self.length / self.sampling_rate_hz

    def rows(self, start: int) -> Iterator[tuple[float, str, int, float, float]]:
        """Onset (s), name, sample, amplitude and time of the peak (s) of some activations, from ``start`` on."""
        names, part = atom_names(len(self.peaks)), slice(start, start + ROWS_AT_ONCE)
        atom, sample = self.atom[part], self.sample[part]
        return zip(
            (sample / self.sampling_rate_hz).tolist(),
            [names[k] for k in atom],
            sample.tolist(),
            self.amplitude[part].tolist(),
            ((sample + self.peaks[atom]) / self.sampling_rate_hz).tolist(),
            strict=True,
        )

    def starts(self) -> range:
        """Where each piece of rows begins."""
        return range(0, len(self.atom), ROWS_AT_ONCE)


def files(occurring: Occurring) -> dict[str, Iterator[bytes]]:
    """Names of the three files, and their contents piece by piece: equal activations give equal bytes."""
    return {
        ANNOTATIONS: annotations_text(occurring),
        EVENTS: events_table(occurring),
        EVENTS_DESCRIPTION: iter([events_description(occurring)]),
    }


def atom_names(count: int) -> list[str]:
    """``atom-00``, ``atom-01``, ...: of one width, so that they sort."""
    width = max(2, len(str(count - 1)))
    return [f"atom-{k:0{width}d}" for k in range(count)]


def annotations_text(occurring: Occurring) -> Iterator[bytes]:
    """Content of ``annotations.txt``; ``mne.read_annotations`` makes annotations of it that count from the first sample."""
    duration = occurring.duration_s
    yield _text(["# MNE-Annotations", "# onset, duration, description"])
    for start in occurring.starts():
        yield _text([f"{onset!r},{duration!r},{name}" for onset, name, *_ in occurring.rows(start)])


def events_table(occurring: Occurring) -> Iterator[bytes]:
    """Content of ``events.tsv``, as BIDS has it."""
    duration = occurring.duration_s
    yield _text(["\t".join(COLUMNS)])
    for start in occurring.starts():
        yield _text(
            [
                f"{onset!r}\t{duration!r}\t{name}\t{sample}\t{amplitude!r}\t{peak!r}"
                for onset, name, sample, amplitude, peak in occurring.rows(start)
            ]
        )


def events_description(occurring: Occurring) -> bytes:
    """Content of ``events.json``: what the columns of ``events.tsv`` mean, in which units."""
    levels = {
        name: f"Atom {k} of dictionary.zarr, strongest on channel {channel}"
        for k, (name, channel) in enumerate(
            zip(atom_names(len(occurring.peaks)), occurring.channels, strict=True)
        )
    }
    content: dict[str, Any] = {
        "onset": {"Description": "Start of the waveform, from the first sample.", "Units": "s"},
        "duration": {"Description": "Length of the waveform.", "Units": "s"},
        "trial_type": {"LongName": "Atom", "Description": "Which atom occurs.", "Levels": levels},
        "sample": {
            "Description": f"Sample of signal.zarr, which has {occurring.sampling_rate_hz!r} samples a second, at which the "
            "waveform starts, from 0; not a sample of the raw recording."
        },
        "amplitude": {
            "Description": "Amplitude of the atom, whose map and waveform have norm 1, on channels divided by the scales of "
            "dictionary.zarr.",
            "Units": "arbitrary",
        },
        "peak": {"Description": "When the waveform is largest, from the first sample.", "Units": "s"},
    }
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()


def _text(lines: list[str]) -> bytes:
    return ("\n".join(lines) + "\n").encode()
