"""The ways to compute a model of the core agree."""

from __future__ import annotations

import numpy as np
import pytest

from attention.kernels import machine_code
from attention.transformer import Compiled, Packed
from service.encoding.models.core_network import Computation, embed_by_definition
from tests.bfloat16 import ROUGH

LENGTHS = np.array([3, 17, 1, 9, 9])


@pytest.fixture
def texts():
    return np.random.default_rng(3).integers(0, 30_000, LENGTHS.sum()), LENGTHS


@pytest.fixture
def standing_in(monkeypatch):
    monkeypatch.setattr(machine_code, "_numpy_encodes", True)


@pytest.mark.parametrize("precision", ["float32", ROUGH])
def test_until_there_is_machine_code_the_definition_answers_in_float32(
    encoder, texts, standing_in, monkeypatch, precision
):
    model = encoder.network.model
    compute = Computation(model, precision, threads=None)
    np.testing.assert_array_equal(compute(*texts), embed_by_definition(model, *texts))
    monkeypatch.setattr(machine_code, "_numpy_encodes", False)
    np.testing.assert_array_equal(compute(*texts), Compiled(model, precision)(*texts))
    monkeypatch.setattr(machine_code, "_numpy_encodes", True)  # a process that has the code keeps it
    np.testing.assert_array_equal(compute(*texts), Compiled(model, precision)(*texts))


def test_packed_and_compiled_networks_agree_with_the_definition(encoder, texts):
    model = encoder.network.model
    result = embed_by_definition(model, *texts)
    np.testing.assert_allclose(result, Packed(model)(*texts), rtol=0, atol=1e-6)
    np.testing.assert_allclose(result, Compiled(model)(*texts), rtol=0, atol=1e-5)


@pytest.mark.usefixtures("machine_code")
def test_computation_uses_the_configured_number_of_threads(encoder):
    compute = Computation(encoder.network.model, "float32", threads=1)
    compute(np.array([101, 102]), np.array([2]))
    assert compute._settled.threads == 1
