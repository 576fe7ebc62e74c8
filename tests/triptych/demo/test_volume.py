"""The painted stacks are deterministic, in native format, and their truth fits the picture."""

from pathlib import Path

import numpy as np
import tifffile

from triptych.demo import volume


def test_stacks_and_truth(tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(volume, "SHAPE", (10, 96, 96))
    monkeypatch.setattr(volume.paint, "__defaults__", ((10, 96, 96),))
    rows = volume.make(tmp_path / "a", seed=3)
    assert [row["group"] for row in rows] == ["control", "treated"]
    for row in rows:
        assert (row["kind"], row["voxel_size_nm"]) == ("volume", "80,40,40")
        image = tifffile.imread(tmp_path / "a" / row["path"])
        cells, nuclei, mitochondria = (
            tifffile.imread(tmp_path / "a" / row[f"labels_{kind}"])
            for kind in ("cell", "nucleus", "mitochondrion")
        )
        assert image.shape == cells.shape == (10, 96, 96)
        assert image.dtype == np.uint8
        assert (cells > 0).all()
        assert not (nuclei.astype(bool) & mitochondria.astype(bool)).any()
        wall = np.zeros(cells.shape, bool)
        wall[:, 1:] |= cells[:, 1:] != cells[:, :-1]
        assert image[wall].mean() < image[~wall].mean() - 40
        assert image[mitochondria > 0].mean() < image[(nuclei == 0) & (mitochondria == 0)].mean() - 20
        for nucleus in np.unique(nuclei[nuclei > 0]):
            assert np.unique(cells[nuclei == nucleus]).tolist() == [nucleus]
    again = volume.make(tmp_path / "b", seed=3)
    for row in again:
        assert (tmp_path / "a" / row["path"]).read_bytes() == (tmp_path / "b" / row["path"]).read_bytes()
    other = volume.make(tmp_path / "c", seed=4)
    assert (tmp_path / "c" / other[0]["path"]).read_bytes() != (tmp_path / "a" / rows[0]["path"]).read_bytes()
