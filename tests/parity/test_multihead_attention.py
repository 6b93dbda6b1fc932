"""Heads against torch.nn.MultiheadAttention, forwards and backwards."""

from __future__ import annotations

import pytest
import torch

from softkv_attention import Heads, causal, padding

BATCH, M, N, HEADS, D_HEAD = 2, 11, 7, 3, 5
D_MODEL, D_KEY, D_VALUE = HEADS * D_HEAD, 13, 17


def heads_of(theirs):
    """Return the same parameters, still the module's own for the gradient."""
    W_Q, W_K, W_V = (
        theirs.in_proj_weight.chunk(3)
        if theirs.in_proj_weight is not None
        else (theirs.q_proj_weight, theirs.k_proj_weight, theirs.v_proj_weight)
    )
    b_Q, b_K, b_V = (None,) * 3 if theirs.in_proj_bias is None else theirs.in_proj_bias.chunk(3)
    W_O, b_O = theirs.out_proj.weight, theirs.out_proj.bias
    return Heads(W_Q.T, W_K.T, W_V.T, W_O.T, HEADS, b_Q, b_K, b_V, b_O)


def reference(bias=True, **widths):
    torch.manual_seed(3)
    module = torch.nn.MultiheadAttention(D_MODEL, HEADS, bias=bias, batch_first=True, dtype=torch.float64, **widths)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return module


def compare(theirs, query, key, value, mask):
    """Compare output, weights and all gradients; the mask is ours, True if a query may attend."""
    ours = heads_of(theirs)
    leaves = [*{id(array): array for array in (query, key, value)}.values(), *theirs.parameters()]
    hidden = None if mask is None else ~mask.expand(BATCH, M, key.shape[1]).repeat_interleave(HEADS, 0)
    expected, weights = theirs(query, key, value, attn_mask=hidden, average_attn_weights=False)
    steps = ours.steps(query, key, value, mask)
    torch.testing.assert_close(steps.output, expected, rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(steps.attended.weights, weights, rtol=1e-11, atol=1e-12)

    direction = torch.randn_like(expected)
    gradients = torch.autograd.grad(steps.output, leaves, direction)
    for one, other in zip(gradients, torch.autograd.grad(expected, leaves, direction), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


def inputs(*shapes):
    return [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]


@pytest.mark.parametrize("bias", [True, False])
def test_self_attention(bias):
    theirs = reference(bias)
    (x,) = inputs((BATCH, M, D_MODEL))
    compare(theirs, x, x, x, None)


def test_causal_self_attention():
    theirs = reference()
    (x,) = inputs((BATCH, M, D_MODEL))
    compare(theirs, x, x, x, causal(M, M, like=x))


def test_cross_attention_of_three_widths_with_padding():
    theirs = reference(kdim=D_KEY, vdim=D_VALUE)
    query, key, value = inputs((BATCH, M, D_MODEL), (BATCH, N, D_KEY), (BATCH, N, D_VALUE))
    compare(theirs, query, key, value, padding(torch.tensor([2, 5]), N))
