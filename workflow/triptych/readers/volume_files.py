"""Which reader opens a raw volume."""

from __future__ import annotations

from pathlib import Path

from triptych.errors import InputError
from triptych.readers.ome_zarr import OmeZarr, is_zarr
from triptych.readers.raw_volume import RawVolume, Role
from triptych.readers.tiff import TiffFolder, TiffStack


def open_raw_volume(
    path: Path, role: Role = "image", dataset: str | None = None, *, verify: bool = True
) -> RawVolume:
    """Open a TIFF file, a folder of TIFF slices, or an OME-Zarr group.

    Parameters
    ----------
    dataset : array path inside an OME-Zarr group; None takes its highest resolution.
    verify : also look at every page or slice (done once, before any block is read).

    Raises
    ------
    InputError
        With one sentence that names the file, what is wrong, and the remedy.
    """
    if not path.exists():
        raise InputError(f"{path} does not exist: correct the path")
    if path.is_dir() and is_zarr(path):
        return OmeZarr(path, role, dataset)
    if dataset:
        raise InputError(
            f"{path} is no OME-Zarr group, so it has no dataset {dataset!r}: leave the column `dataset` empty"
        )
    if path.is_dir():
        return TiffFolder(path, role, verify=verify)
    if path.suffix.lower() not in {".tif", ".tiff", ".btf", ".tf8"}:
        raise InputError(
            f"{path} is no volume this reader knows: give a TIFF file, a folder of TIFF slices or an OME-Zarr group"
        )
    return TiffStack(path, role, verify=verify)
