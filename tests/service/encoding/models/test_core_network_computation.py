"""The ways to compute a model of the core agree."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from softkv_attention.kernels.transformer import use_encoder
from softkv_attention.transformer import Compiled, arrays, map_arrays
from softkv_service.encoding.errors import ModelUnusable
from softkv_service.encoding.models.core_network import Computation, embed_by_definition
from tests.bfloat16 import ROUGH

LENGTHS = np.array([3, 17, 1, 9, 9])


@pytest.fixture
def texts():
    return np.random.default_rng(3).integers(0, 30_000, LENGTHS.sum()), LENGTHS


@pytest.fixture
def without_kernels():
    """Encode as where no library of kernels was built."""
    use_encoder("numpy")
    yield
    use_encoder(None)


@pytest.mark.parametrize("precision", ["float32", "int16", ROUGH])
def test_the_kernels_compute_by_default(encoder, texts, precision):
    compute, compiled = Computation(encoder.network.model, precision, None), Compiled(encoder.network.model, precision)
    assert (compute.precision, compute.memory_bytes) == (precision, compiled.memory_bytes)
    np.testing.assert_array_equal(compute(*texts), compiled(*texts))


def test_without_the_kernels_torch_or_numpy_computes_in_float32(encoder, texts, without_kernels, monkeypatch):
    model = encoder.network.model
    compute = Computation(model, "float32", threads=None)
    assert compute.memory_bytes == sum(array.nbytes for _, array in arrays(model))
    np.testing.assert_array_equal(compute(*texts), embed_by_definition(map_arrays(torch.as_tensor, model), *texts))
    monkeypatch.setitem(sys.modules, "torch", None)  # as if torch were not installed
    compute = Computation(model, "float32", threads=None)
    np.testing.assert_array_equal(compute(*texts), embed_by_definition(model, *texts))
    with pytest.raises(ModelUnusable, match="the library of kernels is not in use on this machine: say PRECISION"):
        Computation(model, "bfloat16", threads=None)
    assert Computation(model, "int16", threads=None).precision == "float32"


def test_torch_and_compiled_networks_agree_with_the_definition(encoder, texts):
    model = encoder.network.model
    result = embed_by_definition(model, *texts)
    in_torch = embed_by_definition(map_arrays(torch.as_tensor, model), *texts)
    np.testing.assert_allclose(result, in_torch, rtol=0, atol=1e-6)
    tokens, lengths = texts
    parts = np.split(tokens, np.cumsum(lengths)[:-1])
    alone = [embed_by_definition(model, part, np.array([len(part)])) for part in parts]
    np.testing.assert_array_equal(result, np.concatenate(alone))
    np.testing.assert_allclose(result, Compiled(model)(*texts), rtol=0, atol=1e-5)


def test_computation_uses_the_configured_number_of_threads(encoder):
    assert Computation(encoder.network.model, "float32", threads=1)._compute.threads == 1
