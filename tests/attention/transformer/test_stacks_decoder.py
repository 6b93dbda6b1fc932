from __future__ import annotations

import numpy as np
import pytest

from softkv_attention import ParameterError, padding
from softkv_attention.transformer import initial, map_arrays

M, N = 11, 7


@pytest.fixture
def x(random, library):
    return library(random.normal(size=(2, M, 15)).astype(np.float32))


@pytest.fixture
def memory(random, library):
    return library(random.normal(size=(2, N, 15)).astype(np.float32))


def in_steps(decoder, x, memory, sizes, mask=None, memory_mask=None):
    state, outputs = decoder.start(memory, memory_mask), []
    for size in sizes:
        first, last = state.length, state.length + size
        part = None if mask is None else mask[..., :last]
        y, state = decoder.step(x[:, first:last], state, part)
        outputs.append(np.asarray(y))
    assert state.length == M
    return np.concatenate(outputs, axis=1)


@pytest.mark.parametrize("steps", [[1] * M, [3, 1, 7], [10, 1], [M]])
def test_steps_give_the_output_of_one_pass(decoder, x, memory, steps):
    np.testing.assert_allclose(in_steps(decoder, x, memory, steps), decoder(x, memory), atol=1e-5)


def test_steps_with_padding_in_target_and_memory(decoder, x, memory, library):
    mask, memory_mask = padding(library(np.array([M, 4])), M), padding(library(np.array([2, N])), N)
    whole = decoder(x, memory, mask=mask, memory_mask=memory_mask)
    steps = in_steps(decoder, x, memory, [2, 1, 8], mask, memory_mask)
    np.testing.assert_allclose(steps, whole, atol=1e-5)
    np.testing.assert_allclose(np.asarray(whole)[:1], decoder(x[:1], memory[:1, :2]), atol=1e-5)


def test_a_state_can_be_gone_on_from_twice(decoder, x, memory):
    _, state = decoder.step(x[:, :4], decoder.start(memory))
    once, _ = decoder.step(x[:, 4:6], state)
    other, _ = decoder.step(x[:, 6:8], state)
    again, _ = decoder.step(x[:, 4:6], state)
    np.testing.assert_array_equal(once, again)
    assert np.abs(np.asarray(once) - np.asarray(other)).max() > 1e-3
    assert state.length == 4


def test_memory_and_cross_attention_belong_together(decoder, x, memory, random, sizes, library):
    with pytest.raises(ParameterError, match="pass the encoder's output"):
        decoder(x)
    alone = map_arrays(library, initial.decoder(random, sizes, cross_attention=False))
    with pytest.raises(ParameterError, match="leave it out"):
        alone(x, memory)
    assert tuple(alone(x).shape) == (2, M, 15)
