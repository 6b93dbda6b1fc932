from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from softkv_attention import ParameterError
from softkv_attention.transformer import ACTIVATIONS, FeedForward, Linear
from softkv_attention.transformer.feed_forward import erf

REFERENCES = {
    "relu": functional.relu,
    "gelu": functional.gelu,
    "gelu_tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "silu": functional.silu,
    "tanh": torch.tanh,
}
POINTS = np.concatenate([np.linspace(-8, 8, 101), [0.0, -1e-30, 1e4, -1e4]])


def test_each_has_its_reference():
    assert set(REFERENCES) == set(ACTIVATIONS)


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_activations_are_torchs(name, dtype, library):
    x = POINTS.astype(dtype)
    y = ACTIVATIONS[name](library(x))
    assert np.asarray(y).dtype == dtype
    np.testing.assert_allclose(
        y, REFERENCES[name](torch.as_tensor(x)), rtol=1e-6, atol=2e-6 if dtype == np.float32 else 1e-12
    )


def test_erf_in_float32_is_right_to_the_last_digit():
    ends = [0.0, -0.0, 1e-30, 3.9, 3.99999, 4.0, 4.1, 1e30, math.inf]
    x = np.concatenate([np.linspace(-6, 6, 100_003), np.geomspace(1e-12, 6, 10_007), ends, np.negative(ends)])
    x = x.astype(np.float32)
    expected = np.array([math.erf(number) for number in x.astype(np.float64)])
    np.testing.assert_allclose(erf(x).astype(np.float64), expected, rtol=2**-23, atol=0)
    np.testing.assert_array_equal(np.signbit(erf(x)), np.signbit(x))
    assert np.isnan(erf(np.array([math.nan], np.float32))).all()
    assert erf(np.zeros((2, 0, 3), np.float32)).shape == (2, 0, 3)


def test_a_network_takes_a_name_or_a_function(library, random):
    inner = Linear(library(random.normal(size=(3, 5))), library(random.normal(size=5)))
    outer = Linear(library(random.normal(size=(5, 3))))
    x = library(random.normal(size=(2, 7, 3)))
    by_name = FeedForward(inner, outer, "relu")(x)
    np.testing.assert_array_equal(by_name, FeedForward(inner, outer, ACTIVATIONS["relu"])(x))
    bent = np.maximum(np.asarray(x) @ np.asarray(inner.weight) + np.asarray(inner.bias), 0)
    np.testing.assert_allclose(by_name, bent @ np.asarray(outer.weight))


def test_an_unknown_activation_is_named():
    with pytest.raises(ParameterError, match="activation must be one of relu, gelu, gelu_tanh, silu, tanh, got"):
        FeedForward(Linear(np.eye(3)), Linear(np.eye(3)), "gleu")(np.ones((1, 3)))
