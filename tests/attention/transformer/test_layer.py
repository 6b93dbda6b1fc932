from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from attention.transformer import LayerNorm, Residual


def test_rows_get_mean_0_and_variance_1_before_scale_and_shift(library, random):
    x = library(random.normal(3, 5, (2, 7, 13)))
    norm = LayerNorm(library(np.ones(13)), library(np.zeros(13)), epsilon=1e-12)
    y = np.asarray(norm(x))
    np.testing.assert_allclose(y.mean(-1), 0, atol=1e-12)
    np.testing.assert_allclose(y.var(-1), 1, atol=1e-9)


def test_shifting_and_stretching_a_row_changes_nothing(layer_norm, library, random):
    x, norm = library(random.normal(size=(7, 13)).astype(np.float32)), replace(layer_norm, epsilon=1e-12)
    np.testing.assert_allclose(norm(x), norm(3 * x + 5), atol=5e-6)


def test_a_constant_row_is_finite(layer_norm, library):
    y = layer_norm(library(np.full((2, 13), 4.0, np.float32)))
    np.testing.assert_allclose(y, np.broadcast_to(np.asarray(layer_norm.shift), (2, 13)), atol=1e-6)


def test_bfloat16_comes_back_as_bfloat16_but_is_worked_out_in_float32():
    x = torch.randn(5, 13).bfloat16()
    scale, shift = torch.randn(13).bfloat16(), torch.randn(13).bfloat16()
    y = LayerNorm(scale, shift)(x)
    exact = LayerNorm(scale.double(), shift.double())(x.double())
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y, exact.bfloat16())


def test_post_norm_and_pre_norm_are_their_formulas(layer_norm, library, random):
    x, w = (library(random.normal(size=(7, 13)).astype(np.float32)) for _ in range(2))
    post, pre = Residual(layer_norm), Residual(layer_norm, norm_first=True)
    np.testing.assert_allclose(post.add(x, post.read(x) * w), layer_norm(x + x * w))
    np.testing.assert_allclose(pre.add(x, pre.read(x) * w), x + layer_norm(x) * w)
