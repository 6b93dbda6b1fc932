"""Tests that need a processor on which bfloat16 is faster than float32, for elsewhere it is refused."""

from __future__ import annotations

import pytest

from attention.kernels import can_compile
from attention.kernels.transformer import multiplies_bfloat16

needs_bfloat16 = pytest.mark.skipif(
    not (can_compile() and multiplies_bfloat16()), reason="this processor has neither AVX512_BF16 nor AMX"
)
ROUGH = pytest.param("bfloat16", marks=needs_bfloat16)
