"""Activations in machine code are those of the definition."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from attention.kernels.cpu import arrays
from attention.kernels.layout import LANES
from attention.kernels.simd import REALS, Lanes
from attention.kernels.transformer.parameters import CURVES, NONE
from attention.kernels.transformer.row_operations import BY_NUMBER
from attention.transformer import ACTIVATIONS


@intrinsic
def bend_all(typing_context, x, bent):
    def build(context, builder, signature, arguments):
        x, bent = arrays(context, builder, signature, arguments, 0, 1)
        width = builder.extract_value(bent.shape, 1)
        with numba.core.cgutils.for_range_slice(builder, ir.IntType(64)(0), width, ir.IntType(64)(LANES)) as (index, _):
            lanes = Lanes.load(builder, REALS, builder.gep(x.data, [index]))
            for number, bend in BY_NUMBER:
                row = builder.mul(width, ir.IntType(64)(number))
                bend(lanes).store(builder.gep(bent.data, [builder.add(row, index)]))
        return context.get_dummy_value()

    return types.void(x, bent), build


@pytest.fixture(scope="module")
def curves():
    x = np.concatenate([np.linspace(-12, 12, 100_000), [-1e30, -200, -88, -0.0, 0, 88, 200, 1e30], np.zeros(8)])
    x = x.astype(np.float32)
    bent = np.zeros((len(BY_NUMBER), len(x)), np.float32)
    numba.njit(lambda x, bent: bend_all(x, bent))(x, bent)
    return x, bent


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
    np.testing.assert_array_equal(bent[NONE], x)
    assert {number for number, _ in BY_NUMBER} == {NONE, *CURVES.values()} == set(range(len(BY_NUMBER)))
