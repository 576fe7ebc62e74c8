"""Where the membranes are: a probability for every voxel, from second derivatives or from a given map.

Reads ``--image`` of import_volume. With ``--probability`` (a raw file of the same voxels) the given map enters instead.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, model_validator

from triptych.engine.geometry import Grid
from triptych.engine.step import Context, Estimate, Input, Map, Reduce, Step
from triptych.errors import InputError
from triptych.steps.volume_geometry import BlockSettings, extent_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from triptych.segmentation.membrane import Filter

BOUNDARIES = "boundaries.ome.zarr"
CALIBRATION = "scratch/calibration.npz"


class PredictBoundariesSettings(BlockSettings):
    """Settings of predict_boundaries. Without effect, but the last ones, where a probability map is given."""

    polarity: Literal["dark", "bright"] = Field(
        "dark", description="Membranes are darker or brighter than what they divide."
    )
    sigma_nm: float = Field(
        15.0,
        gt=0,
        le=10_000,
        description="Width (standard deviation) of the Gaussian in nm; at least 0.8 voxels are used.",
    )
    membrane_level: float = Field(
        2.5,
        gt=0,
        le=100,
        description="A response of this many times the median response of the volume has probability 1/2.",
    )
    low_percentile: float = Field(
        1.0, ge=0, lt=100, description="Grey value mapped to 0, as percentile of the volume."
    )
    high_percentile: float = Field(
        99.0, gt=0, le=100, description="Grey value mapped to 1, as percentile of the volume."
    )

    @model_validator(mode="after")
    def _percentiles_ascend(self) -> Self:
        if self.low_percentile >= self.high_percentile:
            raise ValueError("low_percentile must lie below high_percentile")
        return self


def _grid(context: Context) -> Grid:
    return Grid(extent_of(context.source("image"))[0], context.settings.block_shape)


def _filter(context: Context) -> Filter:
    from triptych.segmentation.intensity import percentile
    from triptych.segmentation.membrane import plan_filter
    from triptych.stores.volume import read_histogram

    settings, path = context.settings, context.source("image")
    values, counts = read_histogram(path)
    low, high = (percentile(values, counts, p) for p in (settings.low_percentile, settings.high_percentile))
    if high <= low:
        raise InputError(f"{path} has no contrast: {settings.low_percentile:g} to {settings.high_percentile:g} % of its "
                         f"voxels have grey value {low}; check the raw image")  # fmt: skip
    return plan_filter(extent_of(path)[1], settings.sigma_nm, low, high, settings.polarity)


def _response(context: Context, index: int) -> npt.NDArray[np.float32]:
    """Response of the voxels of one block, computed with its halo."""
    from triptych.segmentation.membrane import membrane_response
    from triptych.stores.volume import open_volume

    grid, plan = _grid(context), _filter(context)
    image = open_volume(context.source("image"))
    return membrane_response(image.read(grid.outer(index, plan.halo)), plan)[grid.inside(index, plan.halo)]


def _given(context: Context) -> bool:
    return "probability" in context.inputs


def _response_count(context: Context) -> int:
    return 0 if _given(context) else len(_grid(context))


def _response_key(context: Context, index: int) -> Sequence[str]:
    return [f"scratch/responses/{index}.npz"]


def _count_responses(context: Context, index: int) -> None:
    from triptych.engine.files import save_arrays
    from triptych.segmentation.membrane import response_histogram

    (key,) = _response_key(context, index)
    save_arrays(context.path(key), {"histogram": response_histogram(_response(context, index))})


def _metadata(context: Context) -> Sequence[str]:
    from triptych.stores.volume import metadata_keys

    return [*metadata_keys(BOUNDARIES, *extent_of(context.source("image")), channels=True), CALIBRATION]


def _prepare(context: Context) -> None:
    """Calibrate responses by their median over the volume (or check the given map), then write the metadata."""
    import numpy as np

    from triptych.engine.files import load_arrays, save_arrays
    from triptych.readers.volume_files import open_raw_volume
    from triptych.segmentation.membrane import half_response
    from triptych.stores.volume import create

    shape, size = extent_of(context.source("image"))
    half = 0.0
    attributes: dict[str, Any] = {"origin": "given"}
    if _given(context):
        with open_raw_volume(context.source("probability"), "probability") as raw:
            if raw.shape != shape:
                raise InputError(
                    f"{raw.path} has shape {raw.shape}, the image {shape}: give probabilities of the same voxels"
                )
    else:
        parts = (
            load_arrays(context.path(key))
            for i in range(len(_grid(context)))
            for key in _response_key(context, i)
        )
        half = half_response(
            np.sum([part["histogram"] for part in parts], axis=0), context.settings.membrane_level
        )
        attributes = {"origin": "second derivatives", "half_response": half}
    save_arrays(context.path(CALIBRATION), {"half": np.asarray(half)})
    create(
        context.path(BOUNDARIES),
        shape,
        "uint8",
        size,
        "probability",
        chunk_shape=context.settings.chunk_shape,
        shard_shape=context.settings.block_shape,
        channels=("boundary",),
        attributes=attributes,
    )


def _block_count(context: Context) -> int:
    return len(_grid(context))


def _shard(context: Context, index: int) -> Sequence[str]:
    from triptych.stores.volume import shard_keys

    return shard_keys(BOUNDARIES, 0, _grid(context).core(index), context.settings.block_shape, channels=1)


def _write_probability(context: Context, index: int) -> None:
    from triptych.engine.files import load_arrays
    from triptych.readers.volume_files import open_raw_volume
    from triptych.segmentation.membrane import membrane_probability
    from triptych.segmentation.whole import as_bytes
    from triptych.stores.volume import open_volume

    z, y, x = _grid(context).core(index)
    array = open_volume(context.path(BOUNDARIES)).array
    if _given(context):
        with open_raw_volume(context.source("probability"), "probability", verify=False) as raw:
            array[0, z, y, x] = as_bytes(raw.read((z, y, x)))
    else:
        half = float(load_arrays(context.path(CALIBRATION))["half"])
        array[0, z, y, x] = membrane_probability(_response(context, index), half)


def _summary(context: Context) -> dict[str, Any]:
    from triptych.stores.volume import open_volume

    attributes = open_volume(context.path(BOUNDARIES)).attributes
    notes = ["boundary probabilities were given, not computed"] if _given(context) else []
    scores = {} if _given(context) else {"half_response": attributes["half_response"]}
    return {
        "counts": {"voxels": math.prod(extent_of(context.source("image"))[0])},
        "scores": scores,
        "notes": notes,
    }


def _estimate(extent: Mapping[str, Any], settings: Any) -> Estimate:
    grid = Grid(tuple(extent["shape"]), settings.block_shape)
    block = math.prod(min(b, n) for b, n in zip(settings.block_shape, extent["shape"], strict=True))
    return Estimate(
        blocks=2 * len(grid),
        output_bytes=math.prod(extent["shape"]) // 2,
        memory_bytes=300_000_000 + 14 * block,
        files=len(grid) + 2,
    )


STEP = Step(
    name="predict_boundaries",
    version=1,
    scope="sample",
    kinds=("volume",),
    help="A membrane probability for every voxel, by second derivatives or from a given map.",
    settings=PredictBoundariesSettings,
    inputs=(
        Input(
            "image", "image of import-volume", store="image.ome.zarr", producers={"volume": "import_volume"}
        ),
        Input(
            "probability",
            "a boundary map of the same voxels to use instead",
            sheet="probability",
            required=False,
        ),
    ),
    outputs=(BOUNDARIES,),
    phases=(
        Map("responses", _response_count, _response_key, _count_responses),
        Reduce("prepare", _metadata, _prepare),
        Map("probability", _block_count, _shard, _write_probability),
    ),
    summary=_summary,
    estimate=_estimate,
)
