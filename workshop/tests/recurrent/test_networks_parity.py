"""Recurrent layers against nn.GRU and nn.LSTM: outputs, states at the ends, gradients, sequences of many lengths."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from softkv_attention.transformer import Linear, arrays, map_arrays
from softkv_workshop.recurrent import GRU, LSTM, Recurrent

SIZES = [(2, 7, 5, 3, 1), (3, 5, 4, 11, 2), (5, 13, 9, 6, 3)]  # batch, n, d_in, d, layers: all distinct
KINDS = [(nn.GRU, GRU), (nn.LSTM, LSTM)]


def recurrent(module, kind):
    """Return a recurrent layer with the same parameters."""
    cells = []
    for layer in range(module.num_layers):
        W_x, W_h, b_x, b_h = (
            getattr(module, f"{name}_l{layer}") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        cells.append(kind(Linear(W_x.T, b_x), Linear(W_h.T, b_h)))
    return Recurrent(tuple(cells))


def ends(states):
    """Return the final states of torch's module: [..., state_width] of each layer."""
    parts = states if isinstance(states, tuple) else (states,)
    return [torch.cat(pair, dim=-1) for pair in zip(*parts, strict=True)]


@pytest.mark.parametrize(("torchs", "kind"), KINDS)
@pytest.mark.parametrize(("batch", "n", "d_in", "d", "layers"), SIZES)
def test_outputs_states_and_gradients(torchs, kind, batch, n, d_in, d, layers):
    torch.manual_seed(n)
    module = torchs(d_in, d, layers, batch_first=True)
    ours = recurrent(module, kind)
    x, own_input = (torch.randn(batch, n, d_in, requires_grad=True) for _ in range(2))
    own_input.data = x.data.clone()
    expected, states = module(x)
    actual, own_states = ours(own_input)
    torch.testing.assert_close(actual, expected, atol=1e-6, rtol=1e-5)
    for one, other in zip(own_states, ends(states), strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)
    expected.square().sum().backward()
    expected_gradients = [parameter.grad.clone() for parameter in module.parameters()]
    module.zero_grad()
    actual.square().sum().backward()
    torch.testing.assert_close(own_input.grad, x.grad, atol=1e-5, rtol=1e-4)
    for parameter, gradient in zip(module.parameters(), expected_gradients, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("torchs", "kind"), KINDS)
def test_sequences_end_where_their_lengths_say(torchs, kind):
    torch.manual_seed(1)
    module, lengths = torchs(5, 7, 2, batch_first=True), torch.tensor([9, 6, 1, 3])
    x = torch.randn(4, 9, 5)
    packed, states = module(pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False))
    expected, _ = pad_packed_sequence(packed, batch_first=True)
    actual, own_states = recurrent(module, kind)(x, lengths=lengths)
    for row, length in enumerate(lengths):
        torch.testing.assert_close(actual[row, :length], expected[row, :length], atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(actual[row, length:], actual[row, length - 1].expand(9 - length, -1))
    for one, other in zip(own_states, ends(states), strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(("torchs", "kind"), KINDS)
def test_numpy_computes_the_same_and_goes_on_from_a_state(torchs, kind):
    torch.manual_seed(2)
    on_torch = recurrent(torchs(5, 7, 2, batch_first=True), kind)
    on_numpy = map_arrays(lambda tensor: tensor.detach().numpy(), on_torch)
    x = np.random.default_rng(0).standard_normal((3, 8, 5)).astype(np.float32)
    whole, end = on_numpy(x)
    torch.testing.assert_close(torch.from_numpy(whole), on_torch(torch.from_numpy(x))[0], atol=1e-6, rtol=1e-5)
    first, between = on_numpy(x[:, :3])
    rest, same = on_numpy(x[:, 3:], between)
    np.testing.assert_array_equal(np.concatenate([first, rest], axis=1), whole)
    for one, other in zip(same, end, strict=True):
        np.testing.assert_array_equal(one, other)
    assert [name for name, _ in arrays(on_numpy)][:2] == ["cells.0.input.weight", "cells.0.input.bias"]
