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
    from zarr.codecs import Crc32cCodec, ZstdCodec

    checked = {"compressors": [ZstdCodec(level=3), Crc32cCodec()]}
    # write_elem, because AnnData.write_zarr adds consolidated metadata, which Zarr 3 does not specify.
    with (
        anndata.settings.override(zarr_write_format=3, auto_shard_zarr_v3=False),
        zarr.config.set({"array.write_empty_chunks": True}),
    ):
        group = zarr.open_group(path, mode="w", zarr_format=3)
        anndata.io.write_elem(group, "/", annotated, dataset_kwargs=checked)


def open_embedding(path: Path) -> AnnData:
    """Read an AnnData.

    Raises
    ------
    InputError : there is no AnnData at the path.
    """
    import anndata
    import zarr

    try:
        for name, array in zarr.open_group(path, mode="r").members(max_depth=None):
            # Zarr reads a chunk that is lost as zeros; AnnData writes none for what is null.
            if isinstance(array, zarr.Group) or array.attrs.get("encoding-type") == "null":
                continue
            if array.nchunks_initialized < array.nchunks:
                raise ValueError(f"{name} has lost a chunk")
        return anndata.read_zarr(path)
    except Exception as error:  # anndata has errors of its own for every kind of damage
        raise InputError(
            f"{path} is not a whole AnnData ({type(error).__name__}); run the step that writes it again with --verify"
        ) from error
