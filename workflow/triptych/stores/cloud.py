"""``cloud.zarr``: events by channels in chunks of rows, one file per chunk.

``events`` (n, d) float32 and, where given, ``population`` (n,) uint16 and ``quality`` (n,) uint8, of which bit k is set where
mask k doubts the event; no event is deleted. The attributes of the group name the channels and masks and hold the moments of
the events. The group's own metadata is written last, so a cloud without it is not whole.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import Crc32cCodec, ZstdCodec

from triptych.errors import InputError

STORE = "cloud.zarr"
UNASSIGNED = np.iinfo(np.uint16).max


@dataclass(frozen=True)
class Channel:
    """A channel of a cloud.

    Attributes
    ----------
    name : detector, as in the file (``"FITC-A"``, ``"Nd142Di"``).
    marker : what it shows (``"CD4"``); empty where the file does not say.
    role : ``"marker"``, ``"scatter"``, ``"time"``, ...
    unit : of the stored numbers, the transform included; equal units mean comparable numbers.
    transform : name and parameters.
    """

    name: str
    marker: str
    role: str
    unit: str
    transform: dict[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The marker, or the detector where there is none."""
        return self.marker or self.name


@dataclass(frozen=True)
class Mask:
    """A reversible mark on events: bit k of ``quality`` for the k-th mask.

    Attributes
    ----------
    name : ``"margin"``, ``"doublet"``, ``"debris"``, ``"dead"`` or ``"drift"``.
    rule : one sentence with the numbers used.
    events : number of events it marks.
    """

    name: str
    rule: str
    events: int


@dataclass(frozen=True)
class Cloud:
    """An open cloud: ``events``, ``population`` and ``quality`` are Zarr arrays, read by slices of rows.

    ``masks`` are those of ``quality`` in the order of its bits, lowest first; without one ``quality`` is None.
    """

    events: Any
    population: Any | None
    channels: tuple[Channel, ...]
    populations: tuple[str, ...]
    content: str
    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]
    masks: tuple[Mask, ...] = ()
    quality: Any | None = None

    @property
    def chunk_events(self) -> int:
        """Rows of a chunk."""
        return int(self.events.chunks[0])


def create_arrays(
    path: Path,
    n_events: int,
    n_channels: int,
    chunk_events: int,
    *,
    population: bool,
    quality: bool = False,
) -> None:
    """Write the metadata of the arrays; the chunks are then written by ``write_chunk``, in any order."""
    codecs = [ZstdCodec(level=3), Crc32cCodec()]
    zarr.create_array(
        store=path / "events",
        shape=(n_events, n_channels),
        chunks=(chunk_events, n_channels),
        dtype="float32",
        fill_value=float("nan"),
        compressors=codecs,
        dimension_names=("event", "channel"),
    )
    if population:
        zarr.create_array(
            store=path / "population",
            shape=(n_events,),
            chunks=(chunk_events,),
            dtype="uint16",
            fill_value=UNASSIGNED,
            compressors=codecs,
            dimension_names=("event",),
        )
    if quality:
        zarr.create_array(
            store=path / "quality",
            shape=(n_events,),
            chunks=(chunk_events,),
            dtype="uint8",
            fill_value=0,
            compressors=codecs,
            dimension_names=("event",),
        )


def array_metadata(*, population: bool, quality: bool = False) -> list[str]:
    """Keys of the metadata files that ``create_arrays`` writes, relative to the result folder."""
    names = ["events", *(["population"] if population else []), *(["quality"] if quality else [])]
    return [f"{STORE}/{name}/zarr.json" for name in names]


def chunk_keys(index: int, *, population: bool, quality: bool = False) -> list[str]:
    """Keys of the files of one chunk of rows, relative to the result folder; one of ``quality`` without a mark is no file."""
    names = [*(["population"] if population else []), *(["quality"] if quality else [])]
    return [f"{STORE}/events/c/{index}/0", *(f"{STORE}/{name}/c/{index}" for name in names)]


def write_chunk(
    path: Path,
    index: int,
    events: NDArray[np.float32],
    population: NDArray[np.uint16] | None,
    quality: NDArray[np.uint8] | None = None,
) -> None:
    """Write one whole chunk of rows."""
    stored = zarr.open_array(path / "events", mode="r+")
    first = index * stored.chunks[0]
    stored[first : first + len(events)] = events
    if population is not None:
        labels = zarr.open_array(path / "population", mode="r+")
        labels[first : first + len(events)] = population
    if quality is not None:
        zarr.open_array(path / "quality", mode="r+")[first : first + len(events)] = quality


def write_attributes(
    path: Path,
    channels: tuple[Channel, ...],
    populations: tuple[str, ...],
    content: str,
    mean: NDArray[np.float64],
    covariance: NDArray[np.float64],
    masks: tuple[Mask, ...] = (),
) -> None:
    """Write the group's metadata: the last write, which makes the cloud whole."""
    zarr.create_group(
        path,
        attributes={
            "triptych": "cloud",
            "channels": [asdict(channel) for channel in channels],
            "populations": list(populations),
            "content_sha256": content,
            "mean": mean.tolist(),
            "covariance": covariance.tolist(),
            "masks": [asdict(mask) for mask in masks],
        },
    )


def open_cloud(path: Path) -> Cloud:
    """Open a cloud to read it.

    Raises
    ------
    InputError : there is no whole cloud at the path.
    """
    remedy = "give the cloud.zarr that import_cloud wrote, or run import_cloud again"
    if not path.exists():
        raise InputError(f"{path} does not exist; {remedy}")
    try:
        group = zarr.open_group(path, mode="r")
        attributes: dict[str, Any] = dict(group.attrs)
        if attributes.get("triptych") != "cloud":
            raise InputError(f"{path} is not a cloud of triptych; {remedy}")
        return Cloud(
            events=group["events"],
            population=group["population"] if attributes["populations"] else None,
            channels=tuple(Channel(**channel) for channel in attributes["channels"]),
            populations=tuple(attributes["populations"]),
            content=attributes["content_sha256"],
            mean=np.array(attributes["mean"], dtype=np.float64),
            covariance=np.array(attributes["covariance"], dtype=np.float64),
            masks=tuple(Mask(**mask) for mask in attributes["masks"]),
            quality=group["quality"] if attributes["masks"] else None,
        )
    except (KeyError, TypeError, ValueError, FileNotFoundError) as error:
        raise InputError(f"{path} is not a whole cloud ({type(error).__name__}); {remedy}") from error
