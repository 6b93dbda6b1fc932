"""Activations in machine code are those of the definition."""

from __future__ import annotations

import numpy as np
import pytest

from attention.kernels.transformer.parameters import CURVES, FLOAT32, NONE
from attention.kernels.transformer.row_operations import BY_NUMBER
from attention.transformer import ACTIVATIONS
from tests.attention.kernels.transformer.steps import NAMES, steps_of


def bent(steps, curve, x):
    """Return the activation of float32[n], n a multiple of 16."""
    width = len(x)
    out = np.zeros((1, 1, width), np.uint32)
    no_bias = np.full((1, width), -0.0, np.float32)  # x + −0 is x, for 0 and −0 too
    steps.finish(FLOAT32, x[None], 1, no_bias, 0, 0, width, curve, 0, out, 0, 0)
    return out[0, 0].view(np.float32)


@pytest.fixture(scope="module", params=NAMES)
def curves(request):
    x = np.concatenate([np.linspace(-12, 12, 100_000), [-1e30, -200, -88, -0.0, 0, 88, 200, 1e30], np.zeros(8)])
    x = x.astype(np.float32)
    return x, np.stack([bent(steps_of(request.param), curve, x) for curve in range(len(BY_NUMBER))])


@pytest.mark.parametrize("name", list(CURVES))
def test_a_curve_is_that_of_its_name(curves, name):
    x, bent = curves
    with np.errstate(over="ignore"):
        expected = ACTIVATIONS[name](x.astype(np.float64))
    in_range = np.abs(x) <= 200
    off = np.abs(bent[CURVES[name]] - expected)[in_range] / np.maximum(1, x[in_range])
    assert off.max() < 8e-7
    assert bent[CURVES[name]][x == np.float32(1e30)] == np.float32(1e30)
    np.testing.assert_allclose(bent[CURVES[name]][x == np.float32(-1e30)], 0, atol=1e-6)


def test_none_is_the_number_itself(curves):
    x, bent = curves
    np.testing.assert_array_equal(bent[NONE].view(np.uint32), x.view(np.uint32))
    assert {number for number, _ in BY_NUMBER} == {NONE, *CURVES.values()} == set(range(len(BY_NUMBER)))
