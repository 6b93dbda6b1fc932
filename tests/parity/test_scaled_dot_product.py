"""attend against torch.nn.functional.scaled_dot_product_attention, forwards and backwards."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from softkv_attention import attend, causal

BATCH, HEADS, M, N, D, D_V = 2, 3, 11, 7, 5, 13

MASKS = {"none": None, "causal": causal(M, N, like=torch.empty(0)), "random": torch.rand(BATCH, 1, M, N) > 0.4}
MASKS["random"][..., 0] = True


def inputs(dtype):
    torch.manual_seed(5)
    shapes = (BATCH, HEADS, M, D), (BATCH, HEADS, N, D), (BATCH, HEADS, N, D_V)
    return [torch.randn(shape, dtype=dtype, requires_grad=True) for shape in shapes]


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-6), (torch.float64, 1e-14)])
@pytest.mark.parametrize("temperature", [0.1, 1.0, 10.0])
def test_output_and_gradients(mask, dtype, tolerance, temperature):
    arrays = inputs(dtype)
    ours = attend(*arrays, mask=MASKS[mask], temperature=temperature).output
    theirs = scaled_dot_product_attention(*arrays, attn_mask=MASKS[mask], scale=1 / (temperature * D**0.5))
    torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=10 * tolerance)

    direction = torch.randn_like(ours)
    our_gradients = torch.autograd.grad(ours, arrays, direction)
    their_gradients = torch.autograd.grad(theirs, arrays, direction)
    for our_gradient, their_gradient in zip(our_gradients, their_gradients, strict=True):
        torch.testing.assert_close(our_gradient, their_gradient, rtol=tolerance, atol=100 * tolerance)


def test_bias_and_its_gradient():
    arrays = inputs(torch.float64)
    bias = torch.randn(HEADS, M, N, dtype=torch.float64, requires_grad=True)
    ours, theirs = attend(*arrays, bias=bias).output, scaled_dot_product_attention(*arrays, attn_mask=bias)
    torch.testing.assert_close(ours, theirs, rtol=1e-13, atol=1e-13)
    direction = torch.randn_like(ours)
    (our_gradient,), (their_gradient,) = (torch.autograd.grad(o, [bias], direction) for o in (ours, theirs))
    torch.testing.assert_close(our_gradient, their_gradient, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("normaliser", ["softmax", "sparsemax", "entmax15"])
def test_gradients_match_finite_differences(normaliser):
    torch.manual_seed(3)
    arrays = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in ((3, 5), (7, 5), (7, 2))]
    bias, null = torch.randn(3, 7, dtype=torch.float64), torch.randn(3, dtype=torch.float64)
    mask = torch.rand(3, 7) > 0.2
    mask[1] = False

    def outputs(query, key, value, bias, null):
        attended = attend(query, key, value, bias=bias, null=null, mask=mask, normaliser=normaliser)
        numbers = [attended.output, attended.weights, attended.null_weight]
        return tuple(numbers if attended.log_partition is None else [*numbers, attended.log_partition])

    assert torch.autograd.gradcheck(outputs, (*arrays, bias.requires_grad_(), null.requires_grad_()))


@pytest.mark.parametrize("temperature", [0.0, 1e-30, 1.0, float("inf")])
@pytest.mark.parametrize("normaliser", ["softmax", "sparsemax", "entmax15", "one_hot"])
def test_gradients_of_a_masked_row_are_finite(temperature, normaliser):
    arrays = inputs(torch.float32)
    mask = torch.ones(M, N, dtype=torch.bool)
    mask[3] = False
    mask[4, 1:] = False
    output = attend(*arrays, mask=mask, temperature=temperature, normaliser=normaliser).output
    for gradient in torch.autograd.grad(output.sum(), arrays, allow_unused=True):
        assert gradient is None or torch.isfinite(gradient).all()
