"""Lloyd over the chunks of one sample or of a cohort: what quantize_cloud and quantize_cohort share.

A *part* is a set of rows that is quantized alone: all rows, or one of two random halves whose distance says how far two
recordings of one sample would lie apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import Field, field_validator

from triptych.engine.step import Input, Kind, Settings
from triptych.errors import InputError
from triptych.steps.cloud_settings import MASKS
from triptych.steps.described_rows import Rows

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from triptych.engine.step import State
    from triptych.quantization.lloyd import CellSums

Part = str
WHOLE: Part = "whole"
HALVES: tuple[Part, Part] = ("half_a", "half_b")
GREATEST = 1e15


class QuantizationSettings(Settings):
    """Settings that quantize_cloud and quantize_cohort share."""

    n_centers: int = Field(64, ge=1, le=4096, description="Centers of the measure, at most.")
    passes: int = Field(8, ge=1, le=1000, description="Exact passes over all events, at most.")
    tolerance: float = Field(
        2e-3,
        ge=0,
        lt=1,
        description="Stop when moving the centers to the means of their cells takes less than this share from the "
        "inertia: 0.002 is 0.1 % of epsilon, a sixtieth of what twice as many centers would buy in ten dimensions.",
    )
    subsample_size: int = Field(
        80000, ge=16, le=10_000_000, description="Events that seeding and first passes look at."
    )
    subsample_passes: int = Field(
        8,
        ge=0,
        le=1000,
        description="Passes over an eighth of the subsample before the exact ones, half as many over a quarter, and so on.",
    )
    seed: int = Field(0, ge=0, description="Seed of the subsample, of the seeding and of the halves.")
    leave_out: tuple[str, ...] = Field(
        ("margin", "doublet", "dead"),
        description="Quality masks whose events take no part (clouds): margin, doublet, debris, dead, drift. The events stay "
        "in the cloud; name fewer masks to bring them back.",
    )
    scaled_kinds: tuple[Kind, ...] = Field(
        ("volume", "signal"),
        description="Kinds whose features are centred and scaled by the cohort's scaling before they are compared.",
    )
    clip: float = Field(
        10.0,
        gt=0,
        description="Scaled features end at this many interquartile ranges from the cohort's median.",
    )

    @field_validator("leave_out")
    @classmethod
    def _known(cls, masks: tuple[str, ...]) -> tuple[str, ...]:
        """A mask spelt wrong would bring back its events without a word."""
        if wrong := [name for name in masks if name not in MASKS]:
            raise ValueError(f"there is no mask {wrong[0]}; masks are {', '.join(MASKS)}")
        return masks


def read_rows(rows: Rows, index: int) -> NDArray[np.floating[Any]]:
    """The rows of a chunk that take part.

    Raises
    ------
    InputError : a value is so great that the squares of its distances leave float32.
    """
    import numpy as np

    values = rows.read(index)
    if values.size and max(float(values.max()), -float(values.min())) > GREATEST:
        row, j = (int(i) for i in np.argwhere(np.abs(values) > GREATEST)[0])
        raise InputError(
            f"{rows.path} has {values[row, j]:.3g} for {rows.features[j]} in row {rows.numbers(index)[row] + 1}, beyond "
            f"{GREATEST:g}, which cannot be quantized; mend the recording or leave out that channel or sample"
        )
    return values


def _scaling_wanted(settings: Any, row: Mapping[str, str]) -> bool:
    return row["kind"] in settings.scaled_kinds


SCALING = Input(
    "scaling",
    "scaling.parquet of the cohort",
    store="scaling.parquet",
    producers=dict.fromkeys(("volume", "cloud", "signal"), "scale_features"),
    required=False,
    when=_scaling_wanted,
)


@dataclass(frozen=True)
class Drawn:
    """What a chunk gives to the start: ``counts`` of rows by part, the drawn rows, and to which part each belongs."""

    counts: dict[Part, int]
    values: NDArray[np.floating[Any]]
    in_b: NDArray[np.bool_]


def draw(rows: Rows, drawn: NDArray[np.int64], seed: int, index: int) -> Drawn:
    """Rows of a chunk that the subsample names and that take part."""
    import numpy as np

    from triptych.quantization.seeding import half_of

    start, stop = rows.stretch(index)
    numbers = rows.numbers(index)
    in_b = half_of(start, stop, seed)[numbers - start]
    wanted = np.isin(numbers, drawn[(drawn >= start) & (drawn < stop)], assume_unique=True)
    counts = {WHOLE: len(numbers), HALVES[0]: int((~in_b).sum()), HALVES[1]: int(in_b.sum())}
    values = read_rows(rows, index)[wanted] if wanted.any() else np.empty((0, len(rows.kept)))
    return Drawn(counts, values, in_b[wanted])


def select(values: NDArray[Any], in_b: NDArray[np.bool_], part: Part) -> NDArray[Any]:
    """The rows of a part."""
    if part == WHOLE:
        return values
    return values[in_b if part == HALVES[1] else ~in_b]


def sums_of_chunk(
    rows: Rows, state: State, parts: tuple[Part, ...], seed: int, device: str, index: int
) -> list[CellSums]:
    """One Lloyd pass over one chunk for each of the parts."""
    from triptych.quantization import lloyd
    from triptych.quantization.seeding import half_of

    start, stop = rows.stretch(index)
    values = read_rows(rows, index)
    in_b = half_of(start, stop, seed)[rows.numbers(index) - start]
    return [
        lloyd.partial(
            select(values, in_b, part), state[f"{part}_centers"], None, state[f"{part}_offset"], device
        )
        for part in parts
    ]


def started(offset: Any, centers: Any, part: Part = WHOLE) -> State:
    """The state of a part before its first pass."""
    import numpy as np

    values = {"offset": offset, "centers": centers, "history": np.empty(0), "gain": np.array(np.inf)}
    return {f"{part}_{name}": np.asarray(value) for name, value in values.items()}


def moved(state: State, sums: CellSums, part: Part = WHOLE) -> State:
    """The state of a part after a pass."""
    import numpy as np

    from triptych.quantization import lloyd

    history = np.append(state[f"{part}_history"], sums.inertia)
    lloyd.check_fall(history, sums, state[f"{part}_centers"])
    centers = lloyd.finish(sums, state[f"{part}_centers"])
    return {
        f"{part}_centers": centers,
        f"{part}_history": history,
        f"{part}_gain": np.array(sums.gain),
    }


def is_settled(state: State, tolerance: float, part: Part = WHOLE) -> bool:
    """Whether another pass would gain too little to matter."""
    return bool(state[f"{part}_gain"] <= tolerance)
