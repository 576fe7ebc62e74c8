"""dictionary.zarr and activations.parquet."""

from pathlib import Path

import numpy as np
import pytest

from triptych.errors import InputError
from triptych.stores import dictionary


def made() -> dictionary.Dictionary:
    generator = np.random.default_rng(0)
    return dictionary.Dictionary(
        spatial=generator.standard_normal((2, 3)),
        temporal=generator.standard_normal((2, 5)),
        sampling_rate_hz=150.0,
        names=("a", "b", "c"),
        types=("mag",) * 3,
        scales=np.array([1e-13] * 3),
        penalty=0.5,
        penalty_max=5.0,
        explained=np.array([0.4, 0.1]),
        history=np.array([[10.0, 9.0, 1.0], [8.5, 8.0, 0.0]]),
        certificate={"objective": 8.0, "duality_gap": 0.01},
    )


def test_a_dictionary_comes_back(tmp_path: Path) -> None:
    dictionary.write_dictionary(tmp_path / "d.zarr", made())
    found = dictionary.open_dictionary(tmp_path / "d.zarr")
    for name in ("spatial", "temporal", "scales", "explained", "history"):
        np.testing.assert_array_equal(getattr(found, name), getattr(made(), name))
    assert (found.names, found.penalty, found.certificate) == (("a", "b", "c"), 0.5, made().certificate)


def test_equal_dictionaries_have_equal_bytes(tmp_path: Path) -> None:
    stored = []
    for name in ("a", "b"):
        dictionary.write_dictionary(tmp_path / name, made())
        files = sorted(path for path in (tmp_path / name).rglob("*") if path.is_file())
        stored.append([(path.relative_to(tmp_path / name), path.read_bytes()) for path in files])
    assert stored[0] == stored[1]


def test_what_is_no_dictionary_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        dictionary.open_dictionary(tmp_path / "none")
    dictionary.write_dictionary(tmp_path / "d.zarr", made())
    (tmp_path / "d.zarr" / "spatial" / "zarr.json").unlink()
    with pytest.raises(InputError, match="not a whole dictionary"):
        dictionary.open_dictionary(tmp_path / "d.zarr")


def test_activations_come_back(tmp_path: Path) -> None:
    path = tmp_path / "activations.parquet"
    dictionary.write_activations(
        path,
        np.array([1, 0], np.int32),
        np.array([30, 60]),
        np.array([2.0, 1.5]),
        np.array([2.5, 0.0]),
        150.0,
        np.array([4, 7]),
    )
    found = dictionary.read_activations(path)
    assert found.columns["amplitude_unbiased"].tolist() == [2.5, 0.0]
    assert found.columns["time_s"].tolist() == [0.2, 0.4]
    assert found.attributes == {"sampling_rate_hz": 150.0, "peaks": [4, 7]}
