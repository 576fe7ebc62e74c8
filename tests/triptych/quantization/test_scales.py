"""Compensation and transforms."""

import numpy as np
import pytest
from flowutils.transforms import logicle

from triptych.quantization.scales import compensate, fast_logicle, looks_transformed, transform, unit

LOGICLE = {"name": "logicle", "top": 262144.0, "decades": 4.5, "width": 0.5, "negative": 0.0}


def test_compensation_undoes_spillover():
    rng = np.random.default_rng(0)
    true = rng.gamma(2, 1000, size=(100, 4))
    matrix = np.eye(3) + np.triu(rng.random((3, 3)) * 0.2, 1)
    seen = true.copy()
    seen[:, [3, 0, 2]] = true[:, [3, 0, 2]] @ matrix
    assert compensate(seen, [3, 0, 2], matrix) == pytest.approx(true)
    assert (compensate(seen, [3, 0, 2], matrix)[:, 1] == true[:, 1]).all()


def test_logicle_is_one_at_the_top_and_increasing_through_zero():
    values = np.linspace(-5000, 262144, 2001)
    scaled = transform(values, LOGICLE)
    assert scaled[-1] == pytest.approx(1)
    assert (np.diff(scaled) > 0).all()
    assert transform(np.zeros(1), LOGICLE)[0] == pytest.approx(0.5 / 4.5)


@pytest.mark.parametrize(
    ("scale", "name"),
    [
        (LOGICLE, "logicle(T=262144, M=4.5, W=0.5, A=0)"),
        ({"name": "arcsinh", "cofactor": 5.0}, "arcsinh(x/5)"),
        ({"name": "linear", "top": 1024.0}, "x/1024"),
        ({"name": "none"}, "as recorded"),
    ],
)
def test_units_name_the_parameters(scale, name):
    assert unit(scale) == name


def test_other_scales():
    values = np.array([-10.0, 0.0, 10.0])
    assert transform(values, {"name": "arcsinh", "cofactor": 5}) == pytest.approx(np.arcsinh(values / 5))
    assert transform(values, {"name": "linear", "top": 20}) == pytest.approx([-0.5, 0, 0.5])
    assert (transform(values, {"name": "none"}) == values).all()
    with pytest.raises(ValueError, match="unknown scale"):
        transform(values, {"name": "cube"})


def test_compressed_scales_are_recognised():
    raw = np.random.default_rng(0).gamma(1, 2000, size=(1000, 3))
    assert not looks_transformed(raw)
    assert looks_transformed(np.arcsinh(raw / 5))
    assert looks_transformed(transform(raw[:, 0], LOGICLE))
    assert not looks_transformed(np.full((3, 3), np.nan))


@pytest.mark.parametrize(
    "parameters",
    [
        (262_144.0, 4.5, 0.5, 0.0),
        (262_144.0, 4.5, 0.0, 0.0),
        (1_000.0, 4.0, 1.0, 0.5),
        (16_777_216.0, 7.2, 0.5, 0.3),
    ],
)
def test_the_interpolated_logicle_is_that_of_flowutils(parameters):
    top, decades, width, negative = parameters
    rng = np.random.default_rng(0)
    values = rng.normal(size=50_000) * np.exp(rng.normal(-6, 3, 50_000)) * top
    values[:4] = 0.0, top, 100 * top, -100 * top
    expected = logicle(values, None, t=top, m=decades, w=width, a=negative)
    assert np.abs(fast_logicle(values, *parameters) - expected).max() < 1e-12
    assert (
        fast_logicle(values, *parameters)[7::100] == fast_logicle(values[7::100].copy(), *parameters)
    ).all()


def test_compensation_does_not_depend_on_the_rows_beside():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(999, 6))
    matrix = np.eye(5) + 0.1 * rng.random((5, 5))
    whole = compensate(values, [1, 2, 3, 4, 5], matrix)
    assert (whole[100:117] == compensate(values[100:117], [1, 2, 3, 4, 5], matrix)).all()
    assert whole[:, 1:] @ matrix == pytest.approx(values[:, 1:], abs=1e-12)
