"""Every way of multiplying that there is."""

from __future__ import annotations

import pytest

from tests.attention.kernels.transformer.kept import OFF_BY


@pytest.fixture(params=list(OFF_BY), ids=["float32", "bfloat16", "tiles", "three"])
def way(request):
    return request.param
