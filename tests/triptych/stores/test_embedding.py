"""``embedding.zarr``: AnnData that others read, equal bytes for equal content, codecs without objects."""

import anndata
import numpy as np
import pandas as pd
import pytest

from triptych.errors import InputError
from triptych.stores.embedding import open_embedding, write_embedding


def annotated() -> anndata.AnnData:
    obs = pd.DataFrame(
        {"group": np.array(["a", "b"], dtype=object)}, index=pd.Index(["s1", "s2"], dtype=object)
    )
    found = anndata.AnnData(X=np.eye(2), obs=obs, var=pd.DataFrame(index=pd.Index(["f", "g"], dtype=object)))
    found.obsm["X_lot"] = np.ones((2, 1))
    found.uns["explained"] = np.array([1.0])
    return found


def files(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_round_trip_and_equal_bytes(tmp_path):
    write_embedding(tmp_path / "a.zarr", annotated())
    write_embedding(tmp_path / "b.zarr", annotated())
    found = files(tmp_path / "a.zarr")
    assert found == files(tmp_path / "b.zarr")
    assert not any(
        word in content for content in found.values() for word in (b"pickle", b"json2", b"consolidated")
    )
    again = open_embedding(tmp_path / "a.zarr")
    assert again.obs["group"].tolist() == ["a", "b"]
    assert (again.obsm["X_lot"] == 1).all()


def test_what_is_no_embedding_is_refused(tmp_path):
    with pytest.raises(InputError, match="not a whole AnnData"):
        open_embedding(tmp_path / "none.zarr")


@pytest.mark.parametrize("name", ["X", "obsm/X_lot", "obs/group", "uns/explained", "obsp/w2"])
def test_a_damaged_or_lost_chunk_is_refused(tmp_path, name):
    given = annotated()
    given.obsp["w2"] = np.zeros((2, 2))
    write_embedding(tmp_path / "a.zarr", given)
    assert (open_embedding(tmp_path / "a.zarr").obsp["w2"] == 0).all()
    (chunk,) = (path for path in (tmp_path / "a.zarr" / name / "c").rglob("*") if path.is_file())
    content = bytearray(chunk.read_bytes())
    for at in range(len(content)):
        chunk.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        with pytest.raises(InputError, match="not a whole AnnData"):
            open_embedding(tmp_path / "a.zarr")
    chunk.unlink()
    with pytest.raises(InputError, match="not a whole AnnData"):
        open_embedding(tmp_path / "a.zarr")
