"""What tests need to know of bfloat16 on this processor: without AMX, it is refused."""

from __future__ import annotations

import pytest

from softkv_attention.kernels.transformer import THREE, multiplies_bfloat16, way_of

needs_bfloat16 = pytest.mark.skipif(not multiplies_bfloat16(), reason="this processor lacks AMX")
ROUGH = pytest.param("bfloat16", marks=needs_bfloat16)

FLOAT32_BY_TILES = way_of("float32") == THREE
"""Whether AMX multiplies float32 as sums of products of bfloat16, with larger errors."""
