from __future__ import annotations

import numpy as np
import torch

from softkv_attention.transformer import LayerNorm


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
