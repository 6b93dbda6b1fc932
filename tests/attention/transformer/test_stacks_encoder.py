from __future__ import annotations

import numpy as np
import pytest
import torch

from softkv_attention import attend, padding
from softkv_attention.transformer import initial, map_arrays

N = 7


@pytest.fixture
def x(random, library):
    return library(random.normal(size=(2, N, 15)).astype(np.float32))


def test_positions_are_a_set_permuting_them_permutes_the_output(encoder, x, random):
    order = random.permutation(N)
    np.testing.assert_allclose(encoder(x[:, order]), np.asarray(encoder(x))[:, order], atol=2e-5)


def test_a_sequence_of_padding_only_stays_finite(encoder, x, library):
    assert np.isfinite(np.asarray(encoder(x, padding(library(np.array([0, 3])), N)))).all()


def test_steps_end_in_the_output_and_hold_the_arrays_of_attend(encoder, x):
    steps = list(encoder.steps(x))
    assert len(steps) == 3
    last = steps[-1].output if encoder.norm is None else encoder.norm(steps[-1].output)
    np.testing.assert_array_equal(last, encoder(x))

    query, key, value = steps[1].attention.query, steps[1].attention.key, steps[1].attention.value
    assert tuple(query.shape) == (2, 5, N, 3)
    attended = attend(query, key, value)
    np.testing.assert_array_equal(steps[1].attention.attended.weights, attended.weights)
    np.testing.assert_allclose(np.asarray(attended.weights).sum(-1), 1, atol=1e-6)


def test_bfloat16_and_float64_keep_their_type(random, sizes):
    encoder = map_arrays(torch.from_numpy, initial.encoder(random, sizes))
    x = torch.from_numpy(random.normal(size=(2, N, 15)))
    exact = map_arrays(torch.Tensor.double, encoder)(x)
    rounded = map_arrays(torch.Tensor.bfloat16, encoder)(x.bfloat16())
    assert exact.dtype == torch.float64
    assert rounded.dtype == torch.bfloat16
    assert torch.nn.functional.cosine_similarity(rounded.double(), exact, dim=-1).min() > 0.99
