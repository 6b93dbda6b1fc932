"""EncoderLayer and DecoderLayer against nn.TransformerEncoderLayer and nn.TransformerDecoderLayer."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from softkv_attention import causal, padding
from softkv_attention.heads import Heads
from softkv_attention.transformer import (
    Decoder,
    DecoderLayer,
    Encoder,
    EncoderLayer,
    FeedForward,
    LayerNorm,
    Linear,
    Residual,
    map_arrays,
)

TOLERANCE = 1e-5
SIZES = [  # batch, n, d_model, n_heads, d_ff: all distinct, so that a wrong axis cannot pass
    (2, 7, 15, 3, 11),
    (3, 5, 14, 7, 23),
    (5, 13, 22, 2, 17),
]
FORMS = [(False, "relu"), (False, "gelu"), (True, "relu"), (True, "gelu")]  # norm_first, activation


def linear(module: nn.Linear) -> Linear:
    return Linear(module.weight.T, module.bias)


def norm(module: nn.LayerNorm) -> LayerNorm:
    return LayerNorm(module.weight, module.bias, module.eps)


def heads(module: nn.MultiheadAttention) -> Heads:
    W_Q, W_K, W_V = module.in_proj_weight.chunk(3)
    b_Q, b_K, b_V = module.in_proj_bias.chunk(3)
    output = linear(module.out_proj)
    return Heads(W_Q.T, W_K.T, W_V.T, output.weight, module.num_heads, b_Q=b_Q, b_K=b_K, b_V=b_V, b_O=output.bias)


def encoder_layer(module: nn.TransformerEncoderLayer, norm_first: bool, activation: str) -> EncoderLayer:
    return EncoderLayer(
        attention=heads(module.self_attn),
        attention_residual=Residual(norm(module.norm1), norm_first),
        feed_forward=FeedForward(linear(module.linear1), linear(module.linear2), activation),
        feed_forward_residual=Residual(norm(module.norm2), norm_first),
    )


def decoder_layer(module: nn.TransformerDecoderLayer, norm_first: bool, activation: str) -> DecoderLayer:
    return DecoderLayer(
        attention=heads(module.self_attn),
        attention_residual=Residual(norm(module.norm1), norm_first),
        cross_attention=heads(module.multihead_attn),
        cross_attention_residual=Residual(norm(module.norm2), norm_first),
        feed_forward=FeedForward(linear(module.linear1), linear(module.linear2), activation),
        feed_forward_residual=Residual(norm(module.norm3), norm_first),
    )


def randomised(module: nn.Module) -> nn.Module:
    """Make every parameter random: torch begins with biases of 0 and scales of 1, which would hide a mistake."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    return module


def torch_layer(kind, d_model, n_heads, d_ff, norm_first, activation, seed):
    torch.manual_seed(seed)
    return randomised(
        kind(d_model, n_heads, d_ff, dropout=0.0, activation=activation, batch_first=True, norm_first=norm_first)
    )


torch_encoder = partial(torch_layer, nn.TransformerEncoderLayer)
torch_decoder = partial(torch_layer, nn.TransformerDecoderLayer)


def same_gradients(ours, theirs, inputs, parameters):
    """Compare the gradients of a random direction of the output, for all inputs and parameters."""
    direction = torch.randn_like(theirs)
    expected = torch.autograd.grad((theirs * direction).sum(), [*inputs, *parameters], retain_graph=True)
    result = torch.autograd.grad((ours * direction).sum(), [*inputs, *parameters])
    for one, other in zip(result, expected, strict=True):
        scale = 1 + other.abs().max()
        assert ((one - other).abs().max() / scale) < TOLERANCE


@pytest.mark.parametrize(("norm_first", "activation"), FORMS)
@pytest.mark.parametrize(("batch", "n", "d_model", "n_heads", "d_ff"), SIZES)
def test_an_encoder_layer_is_torchs_with_its_gradients(batch, n, d_model, n_heads, d_ff, norm_first, activation):
    reference = torch_encoder(d_model, n_heads, d_ff, norm_first, activation, seed=n)
    layer = encoder_layer(reference, norm_first, activation)
    x = torch.randn(batch, n, d_model, requires_grad=True)

    expected, actual = reference(x), layer(x)

    assert (actual - expected).abs().max() < TOLERANCE
    same_gradients(actual, expected, [x], list(reference.parameters()))


@pytest.mark.parametrize(("norm_first", "activation"), FORMS)
def test_an_encoder_layer_with_padding_and_a_causal_mask(norm_first, activation):
    batch, n, d_model, n_heads, d_ff = 3, 7, 10, 5, 13
    reference = torch_encoder(d_model, n_heads, d_ff, norm_first, activation, seed=1)
    layer = encoder_layer(reference, norm_first, activation)
    x, lengths = torch.randn(batch, n, d_model, requires_grad=True), torch.tensor([7, 2, 5])
    padded = torch.arange(n) >= lengths[:, None]

    expected = reference(x, src_mask=~causal(n, n, like=x), src_key_padding_mask=padded)  # torch masks what is True
    result = layer(x, causal(n, n, like=x) & padding(lengths, n))

    assert (result - expected)[~padded].abs().max() < TOLERANCE
    same_gradients(result[~padded], expected[~padded], [x], list(reference.parameters()))


@pytest.mark.parametrize(("norm_first", "activation"), FORMS)
@pytest.mark.parametrize(("batch", "n", "d_model", "n_heads", "d_ff"), SIZES)
def test_a_decoder_layer_is_torchs_with_its_gradients(batch, n, d_model, n_heads, d_ff, norm_first, activation):
    m = n + 4
    reference = torch_decoder(d_model, n_heads, d_ff, norm_first, activation, seed=n)
    decoder = Decoder((decoder_layer(reference, norm_first, activation),))
    x = torch.randn(batch, m, d_model, requires_grad=True)
    memory = torch.randn(batch, n, d_model, requires_grad=True)

    expected = reference(x, memory, tgt_mask=~causal(m, m, like=x))
    result = decoder(x, memory)

    assert (result - expected).abs().max() < TOLERANCE
    same_gradients(result, expected, [x, memory], list(reference.parameters()))


@pytest.mark.parametrize("norm_first", [False, True])
def test_a_decoder_layer_with_padding_on_both_sides(norm_first):
    batch, m, n, d_model, n_heads, d_ff = 3, 5, 7, 10, 2, 13
    reference = torch_decoder(d_model, n_heads, d_ff, norm_first, "gelu", seed=2)
    decoder = Decoder((decoder_layer(reference, norm_first, "gelu"),))
    x, memory = torch.randn(batch, m, d_model), torch.randn(batch, n, d_model)
    target_lengths, memory_lengths = torch.tensor([5, 1, 3]), torch.tensor([2, 7, 4])
    padded = torch.arange(m) >= target_lengths[:, None]

    expected = reference(
        x,
        memory,
        tgt_mask=~causal(m, m, like=x),
        tgt_key_padding_mask=padded,
        memory_key_padding_mask=torch.arange(n) >= memory_lengths[:, None],
    )
    result = decoder(x, memory, mask=padding(target_lengths, m), memory_mask=padding(memory_lengths, n))

    assert (result - expected)[~padded].abs().max() < TOLERANCE


@pytest.mark.parametrize("norm_first", [False, True])
def test_a_stack_with_a_last_norm_is_nn_transformer_encoder_in_numpy_too(norm_first):
    batch, n, d_model, n_heads, d_ff, n_layers = 2, 7, 15, 5, 11, 3
    torch.manual_seed(3)
    template = torch_encoder(d_model, n_heads, d_ff, norm_first, "gelu", seed=3)
    reference = nn.TransformerEncoder(template, n_layers, norm=nn.LayerNorm(d_model), enable_nested_tensor=False)
    randomised(reference)
    layers = tuple(encoder_layer(layer, norm_first, "gelu") for layer in reference.layers)
    encoder = Encoder(layers, norm(reference.norm))
    x = torch.randn(batch, n, d_model)

    with torch.no_grad():
        expected = reference(x)
        assert (encoder(x) - expected).abs().max() < TOLERANCE
    in_numpy = map_arrays(lambda tensor: tensor.detach().numpy(), encoder)
    assert np.abs(in_numpy(x.numpy()) - expected.numpy()).max() < TOLERANCE
