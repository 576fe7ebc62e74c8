"""TIFF volumes: one multipage file (classic or BigTIFF) or a folder of slices, read page by page.

Uncompressed contiguous stacks are mapped; of compressed pages only the strips or tiles that a region needs are decoded.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile

from triptych.errors import InputError
from triptych.readers.raw_volume import RawVolume, Region, Role, Spacing

# No lossless codec in use shrinks by more (deflate 1032, LZW 1365): a page that claims more is a broken header.
MAX_RATIO = 2000
# What tifffile only logs when the chain of pages is broken and pages behind the break are lost.
BROKEN = re.compile(
    r"invalid (page offset|offset to first page)|missing (data|ByteCounts)|incorrect (Strip|Tile)|failed to reshape"
)
NUMBER = re.compile(r"\d+")
NANOMETRES = {
    "nm": 1.0, "nanometer": 1.0, "nanometre": 1.0, "angstrom": 0.1, "å": 0.1, "um": 1e3, "µm": 1e3, "μm": 1e3,
    "micron": 1e3, "microns": 1e3, "micrometer": 1e3, "micrometre": 1e3, "mm": 1e6, "millimeter": 1e6,
    "cm": 1e7, "centimeter": 1e7, "m": 1e9, "meter": 1e9,
}  # fmt: skip


class TiffStack(RawVolume):
    """A multipage TIFF file of grey values."""

    def __init__(self, path: Path, role: Role, *, verify: bool = True) -> None:
        self.path, self.role = path, role
        self._tiff = _open(path)
        try:
            with _readable(path):
                series = _only_series(self._tiff, path)
                self._pages = list(series.pages)
                self.shape = _stack_shape(series, path)
                self.dtype = np.dtype(series.dtype).newbyteorder("=")
                self.voxel_size_nm = _voxel_size_nm(self._tiff)
                self._offset = series.dataoffset if series.keyframe.compression == 1 else None
                self._stored = np.dtype(f"{self._tiff.byteorder}{series.dtype.char}")
            self._accept()
            with _readable(path):
                self._check_sizes(path.stat().st_size, every=verify)
        except BaseException:
            self._tiff.close()
            raise
        self.direct = self._offset is not None

    def close(self) -> None:
        self._tiff.close()

    def _check_sizes(self, size: int, *, every: bool) -> None:
        """Refuse a file that ends before its data, before any memory is taken for them."""
        if self._offset is not None:
            needed = self._offset + int(np.prod(self.shape, dtype=object)) * self.dtype.itemsize
            if needed > size:
                raise _truncated(self.path, needed, size)
            return
        if len(self._pages) != self.shape[0] or any(page is None for page in self._pages):
            raise InputError(
                f"{self.path} announces {self.shape[0]} slices and holds {len(self._pages)}: "
                "copy it again from its source"
            )
        page_bytes = self.shape[1] * self.shape[2] * self.dtype.itemsize
        for number in range(len(self._pages)) if every else (0,):
            page = self._pages[number]
            ends = [
                offset + count for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True)
            ]
            if not ends or max(ends) > size:
                raise _truncated(self.path, max(ends, default=size + 1), size)
            if page_bytes > MAX_RATIO * max(1, sum(page.databytecounts)):
                raise InputError(
                    f"{self.path}: slice {number} announces {self.shape[1]} x {self.shape[2]} voxels in "
                    f"{sum(page.databytecounts)} bytes: its header is broken, copy it again from its source"
                )

    def _read(self, region: Region) -> npt.NDArray[Any]:
        if self._offset is not None:
            mapped = np.memmap(self.path, self._stored, "r", self._offset, self.shape)
            return np.array(mapped[region], dtype=self.dtype, order="C")
        out = np.zeros([s.stop - s.start for s in region], self.dtype)
        for row, number in enumerate(range(region[0].start, region[0].stop)):
            with _readable(self.path, f"slice {number}"):
                _read_page(self._tiff, self._pages[number], region[1], region[2], out[row])
        return out


class TiffFolder(RawVolume):
    """A folder of TIFF slices, ordered by the numbers in their names."""

    def __init__(self, path: Path, role: Role, *, verify: bool = True) -> None:
        self.path, self.role = path, role
        self._files = slice_files(path)
        (rows, columns), self.dtype = _slice_header(self._files[0])
        self.shape = (len(self._files), rows, columns)
        self._accept()
        for file in self._files[1:] if verify else ():
            self._check(file)

    def _check(self, file: Path) -> None:
        shape, dtype = _slice_header(file)
        if shape != self.shape[1:] or dtype != self.dtype:
            raise InputError(
                f"{file} is {shape[0]} x {shape[1]} {dtype.name}, the first slice is {self.shape[1]} x "
                f"{self.shape[2]} {self.dtype.name}: give slices of one shape and type"
            )

    def _read(self, region: Region) -> npt.NDArray[Any]:
        out = np.zeros([s.stop - s.start for s in region], self.dtype)
        for row, number in enumerate(range(region[0].start, region[0].stop)):
            self._check(self._files[number])
            with _open(self._files[number]) as tiff, _readable(self._files[number]):
                _read_page(tiff, tiff.pages[0], region[1], region[2], out[row])
        return out


def slice_files(folder: Path) -> list[Path]:
    """TIFF files of a folder in the order of the one number that counts their slices.

    Raises InputError where names give no single order, or a number is missing or twice there.
    """
    files = [
        f for f in folder.iterdir() if f.suffix.lower() in {".tif", ".tiff"} and not f.name.startswith(".")
    ]
    if not files:
        raise InputError(f"{folder} holds no TIFF slice: give a folder of .tif files or an OME-Zarr group")
    if len(files) == 1:
        raise InputError(f"{folder} holds one slice, {files[0].name}: a volume has at least two slices")
    keys = {file: tuple(int(n) for n in NUMBER.findall(file.stem)) for file in files}
    names = {NUMBER.sub("#", file.stem) for file in files}
    if len(names) > 1:
        a, b = sorted(names)[:2]
        raise InputError(f"{folder} mixes slices named like {a!r} and {b!r}: keep one series in a folder")
    varying = [i for i, values in enumerate(zip(*keys.values(), strict=True)) if len(set(values)) > 1]
    if len(varying) != 1:
        raise InputError(
            f"{folder}: the names of its slices do not count in one number: name them like slice_0001.tif"
        )
    files.sort(key=lambda file: keys[file][varying[0]])
    numbers = [keys[file][varying[0]] for file in files]
    for before, after, file in zip(numbers, numbers[1:], files[1:], strict=False):
        if after != before + 1:
            if after == before:
                raise InputError(
                    f"{folder} holds slice number {after} twice, also as {file.name}: remove one"
                )
            raise InputError(
                f"{folder}: slice {before + 1} is missing before {file.name}: add it or number the slices without gap"
            )
    return files


def _slice_header(file: Path) -> tuple[tuple[int, int], np.dtype[Any]]:
    """Shape and type of a slice, proven to be one whole grey page."""
    with _open(file) as tiff, _readable(file):
        if len(tiff.pages) != 1:
            raise InputError(f"{file} holds {len(tiff.pages)} pages: a slice of a folder is one page")
        page = tiff.pages[0]
        _refuse_colour(page, file)
        size = file.stat().st_size
        end = max(
            (o + c for o, c in zip(page.dataoffsets, page.databytecounts, strict=True)), default=size + 1
        )
        if end > size:
            raise _truncated(file, end, size)
        rows, columns = int(page.imagelength), int(page.imagewidth)
        if rows * columns * page.dtype.itemsize > MAX_RATIO * max(1, sum(page.databytecounts)):
            raise InputError(
                f"{file} announces {rows} x {columns} voxels in {sum(page.databytecounts)} bytes: "
                "its header is broken, copy it again from its source"
            )
        return (rows, columns), np.dtype(page.dtype).newbyteorder("=")


def _open(path: Path) -> tifffile.TiffFile:
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty: copy it again from its source")
    tiff = None
    try:
        with _readable(path):
            tiff = tifffile.TiffFile(path)
        return tiff
    except InputError:
        if tiff is not None:
            tiff.close()
        raise


class _Complaints(logging.Handler):
    """What tifffile logs in this thread about the structure of a file."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.thread = threading.get_ident()
        self.broken: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self.thread and BROKEN.search(record.getMessage()):
            self.broken.append(record.getMessage())


@contextmanager
def _readable(path: Path, place: str = "") -> Iterator[None]:
    """Turn whatever a broken file makes tifffile and its codecs raise or log into one sentence."""
    complaints, logger = _Complaints(), logging.getLogger("tifffile")
    logger.addHandler(complaints)
    try:
        yield
    except (InputError, MemoryError):
        if not complaints.broken:
            raise
    except Exception as error:
        if "imagecodecs" in str(error):
            raise InputError(
                f"{path} is compressed in a way that needs the package imagecodecs: install it, or save the file "
                "uncompressed or with deflate"
            ) from error
        where = f" at {place}" if place else ""
        raise InputError(
            f"{path} is no readable TIFF{where} ({error}): copy it again from its source"
        ) from error
    finally:
        logger.removeHandler(complaints)
    if complaints.broken:
        raise InputError(
            f"{path} is cut short or damaged ({complaints.broken[0]}): copy it again from its source"
        )


def _truncated(path: Path, needed: int, size: int) -> InputError:
    return InputError(
        f"{path} is cut short: its pages reach to byte {needed}, the file has {size}: copy it again from its source"
    )


def _refuse_colour(page: Any, path: Path) -> None:
    if page.samplesperpixel > 1 or page.photometric == tifffile.PHOTOMETRIC.PALETTE:
        raise InputError(f"{path} is a colour image: convert it to grey values")
    if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE and page.dtype != bool:
        raise InputError(f"{path} stores white as 0 (photometric MinIsWhite): save it with black as 0")


def _only_series(tiff: tifffile.TiffFile, path: Path) -> Any:
    series = tiff.series
    if not series:
        raise InputError(f"{path} holds no image: copy it again from its source")
    if len(series) > 1:
        shapes = ", ".join(" x ".join(map(str, s.shape)) for s in series[:3])
        raise InputError(f"{path} holds {len(series)} image series ({shapes}): save one stack of equal pages")
    _refuse_colour(series[0].keyframe, path)
    return series[0]


def _stack_shape(series: Any, path: Path) -> tuple[int, int, int]:
    shape = [(n, a) for n, a in zip(series.shape, series.axes, strict=True) if n > 1 or a in "YX"]
    if len(shape) == 2:
        raise InputError(
            f"{path} is one slice of {shape[0][0]} x {shape[1][0]} voxels: a volume has at least two slices"
        )
    axes = "".join(a for _, a in shape)
    if len(shape) != 3 or axes[1:] != "YX" or axes[0] in "CTS":
        raise InputError(
            f"{path} has axes {series.axes} of {series.shape}: save one stack of slices, axes z, y, x"
        )
    return int(shape[0][0]), int(shape[1][0]), int(shape[2][0])


def _read_page(
    tiff: tifffile.TiffFile, page: Any, rows: slice, columns: slice, out: npt.NDArray[Any]
) -> None:
    """Decode the strips or tiles of a page that meet a window, into ``out``."""
    key = page.keyframe
    high, wide = (
        (key.tilelength, key.tilewidth)
        if key.is_tiled
        else (min(key.rowsperstrip, key.imagelength), key.imagewidth)
    )
    across = -(-key.imagewidth // wide)
    wanted = [
        i * across + j
        for i in range(rows.start // high, -(-rows.stop // high))
        for j in range(columns.start // wide, -(-columns.stop // wide))
    ]
    offsets = [page.dataoffsets[i] for i in wanted]
    counts = [page.databytecounts[i] for i in wanted]
    for encoded, index in tiff.filehandle.read_segments(offsets, counts, indices=wanted):
        segment, _, _ = key.decode(encoded, index, jpegtables=key.jpegtables)
        top, left = index // across * high, index % across * wide
        if segment is None:
            continue
        plane = segment.reshape(segment.shape[-3:-1])
        inner_rows = slice(max(rows.start, top), min(rows.stop, top + plane.shape[0]))
        inner_columns = slice(max(columns.start, left), min(columns.stop, left + plane.shape[1]))
        out[
            inner_rows.start - rows.start : inner_rows.stop - rows.start,
            inner_columns.start - columns.start : inner_columns.stop - columns.start,
        ] = plane[
            inner_rows.start - top : inner_rows.stop - top,
            inner_columns.start - left : inner_columns.stop - left,
        ]


def _voxel_size_nm(tiff: tifffile.TiffFile) -> Spacing | None:
    """Voxel size where OME or ImageJ metadata state all three axes with a unit of length."""
    if tiff.is_ome and tiff.ome_metadata:
        return _ome_voxel_size_nm(tiff.ome_metadata)
    metadata = tiff.imagej_metadata or {}
    unit = NANOMETRES.get(str(metadata.get("unit", "")).replace("\\u00B5", "µ").strip().lower())
    spacing = metadata.get("spacing")
    page = tiff.pages[0]
    try:
        x, y = (page.tags[name].value for name in ("XResolution", "YResolution"))
        if unit is None or spacing is None:
            return None
        size = (float(spacing) * unit, y[1] / y[0] * unit, x[1] / x[0] * unit)
    except (KeyError, ZeroDivisionError, TypeError, ValueError):
        return None
    return size if min(size) > 0 else None


def _ome_voxel_size_nm(text: str) -> Spacing | None:
    pixels = re.search(r"<(?:\w+:)?Pixels\b[^>]*>", text)
    if pixels is None:
        return None
    size = []
    for axis in "ZYX":
        value = re.search(rf'PhysicalSize{axis}="([^"]+)"', pixels[0])
        unit = re.search(rf'PhysicalSize{axis}Unit="([^"]+)"', pixels[0])
        factor = NANOMETRES.get(unit[1].strip().lower()) if unit else NANOMETRES["um"]
        if value is None or factor is None:
            return None
        size.append(float(value[1]) * factor)
    z, y, x = size
    return (z, y, x) if min(size) > 0 else None
