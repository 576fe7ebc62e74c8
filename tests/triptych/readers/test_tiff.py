"""TIFF volumes of many makers are read region by region; broken ones are refused in one sentence."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from triptych.errors import InputError
from triptych.readers.tiff import slice_files
from triptych.readers.volume_files import open_raw_volume

STACK = np.random.default_rng(0).integers(0, 60_000, (5, 70, 90)).astype(np.uint16)
REGION = (slice(1, 5), slice(10, 65), slice(37, 88))
VARIANTS = {
    "plain": {},
    "BigTIFF": {"bigtiff": True},
    "deflate, predictor": {"compression": "zlib", "predictor": True},
    "deflated tiles": {"compression": "zlib", "tile": (32, 32)},
    "deflated strips": {"compression": "zlib", "rowsperstrip": 16},
    "LZW": {"compression": "lzw", "predictor": True},
    "Zstd": {"compression": "zstd"},
    "plain tiles": {"tile": (32, 48)},
    "big-endian": {"byteorder": ">"},
    "no metadata": {"metadata": None},
}


def write(path: Path, data: np.ndarray = STACK, **options: object) -> Path:
    tifffile.imwrite(path, data, photometric="minisblack", **options)
    return path


@pytest.mark.parametrize("name", VARIANTS)
def test_regions_equal_the_array(tmp_path: Path, name: str) -> None:
    with open_raw_volume(write(tmp_path / "a.tif", **VARIANTS[name])) as raw:
        assert raw.shape == STACK.shape
        assert raw.dtype == np.uint16
        assert raw.voxel_size_nm is None
        np.testing.assert_array_equal(raw.read(REGION), STACK[REGION])


def test_only_uncompressed_stacks_are_mapped(tmp_path: Path) -> None:
    with open_raw_volume(write(tmp_path / "a.tif")) as raw:
        assert raw.direct
    with open_raw_volume(write(tmp_path / "b.tif", compression="zlib")) as raw:
        assert not raw.direct


def test_voxel_size_of_imagej_and_ome(tmp_path: Path) -> None:
    imagej = write(
        tmp_path / "ij.tif",
        imagej=True,
        resolution=(100, 100),
        metadata={"axes": "ZYX", "spacing": 0.04, "unit": "um"},
    )
    sizes = {"PhysicalSizeX": 10, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 0.01, "PhysicalSizeZ": 0.04}
    ome = write(tmp_path / "o.ome.tif", ome=True, metadata={"axes": "ZYX", **sizes})
    for path in (imagej, ome):
        with open_raw_volume(path) as raw:
            assert raw.voxel_size_nm == pytest.approx((40, 10, 10))


@pytest.mark.parametrize("name", ["plain", "deflated strips", "BigTIFF", "no metadata"])
@pytest.mark.parametrize("share", [0.0, 0.0001, 0.001, 0.3, 0.7, 0.98])
def test_truncated_files_are_refused(tmp_path: Path, name: str, share: float) -> None:
    path = write(tmp_path / "a.tif", **VARIANTS[name])
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(InputError, match=r"a\.tif"), open_raw_volume(path) as raw:
        raw.read((slice(0, 5), slice(0, 70), slice(0, 90)))


def test_damaged_pixels_are_refused_when_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", compression="zlib")
    with tifffile.TiffFile(path) as tiff:
        offset = tiff.pages[2].dataoffsets[0]
    content = bytearray(path.read_bytes())
    content[offset : offset + 64] = bytes(64)
    path.write_bytes(content)
    with open_raw_volume(path) as raw, pytest.raises(InputError, match="slice 2"):
        raw.read(REGION)


def test_absurd_header_takes_no_memory(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", STACK[:2], compression="zlib", metadata=None)
    with tifffile.TiffFile(path, mode="r+b") as tiff:
        for page in tiff.pages:
            for tag in ("ImageWidth", "ImageLength", "RowsPerStrip"):
                page.tags[tag].overwrite(60_000)
    with pytest.raises(InputError, match="broken"):
        open_raw_volume(path)


@pytest.mark.parametrize(
    ("data", "options", "word"),
    [
        (np.zeros((4, 8, 8, 3), np.uint8), {"photometric": "rgb"}, "colour"),
        (np.zeros((8, 8), np.uint8), {}, "at least two slices"),
        (np.zeros((4, 8, 8), np.float32), {}, "float32"),
        (np.zeros((4, 8, 8), np.int16), {}, "int16"),
        (np.zeros((2, 3, 8, 8), np.uint8), {"imagej": True, "metadata": {"axes": "ZCYX"}}, "axes"),
        (np.zeros((4, 8, 8), np.uint8), {"photometric": "miniswhite"}, "MinIsWhite"),
    ],
)
def test_ambiguous_images_are_refused(tmp_path: Path, data: np.ndarray, options: dict, word: str) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, data, **({"photometric": "minisblack"} | options))
    with pytest.raises(InputError, match=word):
        open_raw_volume(path)


def test_pages_of_different_shapes_are_refused(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        for rows in (8, 8, 9):
            tiff.write(np.zeros((rows, 8), np.uint8), photometric="minisblack", metadata=None)
    with pytest.raises(InputError, match="series"):
        open_raw_volume(tmp_path / "a.tif")


@pytest.mark.parametrize(
    ("value", "word"), [(np.nan, "NaN"), (np.inf, "NaN"), (1.5, "scale"), (-0.1, "scale")]
)
def test_probabilities_lie_between_0_and_1(tmp_path: Path, value: float, word: str) -> None:
    data = np.full((3, 8, 8), 0.5, np.float32)
    data[1, 2, 3] = value
    with (
        open_raw_volume(write(tmp_path / "p.tif", data), "probability") as raw,
        pytest.raises(InputError, match=word),
    ):
        raw.read((slice(0, 3), slice(0, 8), slice(0, 8)))


def test_negative_labels_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "l.tif", np.full((3, 8, 8), -1, np.int32))
    with open_raw_volume(path, "labels") as raw, pytest.raises(InputError, match="negative"):
        raw.read((slice(0, 3), slice(0, 8), slice(0, 8)))


def folder_of(tmp_path: Path, names: list[str]) -> Path:
    for number, name in enumerate(names):
        write(tmp_path / name, STACK[number % 5], metadata=None)
    return tmp_path


def test_slices_are_ordered_by_number(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, [f"s2_{n}.tif" for n in (8, 9, 10, 11)])
    (folder / "notes.txt").write_text("not a slice")
    with open_raw_volume(folder) as raw:
        np.testing.assert_array_equal(
            raw.read((slice(0, 4), slice(3, 60), slice(5, 80))), STACK[:4, 3:60, 5:80]
        )


@pytest.mark.parametrize(
    ("names", "word"),
    [
        (["a1.tif", "a2.tif", "a4.tif"], "slice 3 is missing"),
        (["a1.tif", "a01.tif"], "count in one number"),
        (["a1.tif", "b2.tif"], "mixes"),
        (["a1_1.tif", "a2_2.tif"], "count in one number"),
        (["x1.tif", "x01.tif", "x2.tif"], "twice, also as x.*: remove one"),
        (["x1.tif"], "at least two slices"),
    ],
)
def test_folders_without_one_order_are_refused(tmp_path: Path, names: list[str], word: str) -> None:
    with pytest.raises(InputError, match=word):
        slice_files(folder_of(tmp_path, names))


def test_slices_of_other_shape_or_type_are_refused(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, ["a1.tif", "a2.tif", "a3.tif"])
    write(folder / "a3.tif", STACK[0, :-1], metadata=None)
    with pytest.raises(InputError, match=r"a3\.tif.*one shape"):
        open_raw_volume(folder)
    write(folder / "a3.tif", STACK[0].astype(np.uint8), metadata=None)
    with pytest.raises(InputError, match=r"a3\.tif.*one shape"):
        open_raw_volume(folder)


def test_missing_and_unknown_paths_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.raw").write_bytes(b"1234")
    (tmp_path / "empty").mkdir()
    for name, word in (("none.tif", "exist"), ("a.raw", "TIFF"), ("empty", "no TIFF slice")):
        with pytest.raises(InputError, match=word):
            open_raw_volume(tmp_path / name)
    with pytest.raises(InputError, match="dataset"):
        open_raw_volume(write(tmp_path / "a.tif"), dataset="0")
