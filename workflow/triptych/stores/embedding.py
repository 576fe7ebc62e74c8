"""``embedding.zarr``: AnnData on Zarr 3, readable by anndata, scanpy and any Zarr reader, without object codecs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from triptych.errors import InputError

if TYPE_CHECKING:
    from anndata import AnnData

STORE = "embedding.zarr"


def write_embedding(path: Path, annotated: AnnData) -> None:
    """Write an AnnData as Zarr 3; equal content gives equal bytes."""
    import anndata
    import zarr

    # write_elem, because AnnData.write_zarr adds consolidated metadata, which Zarr 3 does not specify.
    with anndata.settings.override(zarr_write_format=3, auto_shard_zarr_v3=False):
        anndata.io.write_elem(zarr.open_group(path, mode="w", zarr_format=3), "/", annotated)


def open_embedding(path: Path) -> AnnData:
    """Read an AnnData.

    Raises
    ------
    InputError : there is no AnnData at the path.
    """
    import anndata

    try:
        return anndata.read_zarr(path)
    except (KeyError, ValueError, OSError, AttributeError) as error:
        raise InputError(
            f"{path} is not a whole AnnData ({type(error).__name__}); run the step that writes it again"
        ) from error
