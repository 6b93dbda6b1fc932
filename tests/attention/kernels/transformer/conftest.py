"""Every way of multiplying that there is, by every kind of kernels."""

from __future__ import annotations

import pytest

from attention.kernels.transformer.products import HAS_UNIT, leave_unit, take_unit, usable
from tests.attention.kernels.transformer.kept import OFF_BY
from tests.attention.kernels.transformer.steps import NAMES, Steps, steps_of


@pytest.fixture(params=list(OFF_BY), ids=["float32", "bfloat16", "tiles", "three"])
def way(request):
    """A way to multiply, in a thread that may use AMX, the matrix unit, if the processor has it."""
    if HAS_UNIT and not usable():
        pytest.skip("the system does not permit the matrix unit")
    take_unit()
    yield request.param
    leave_unit()


@pytest.fixture(params=NAMES)
def steps(request) -> Steps:
    """The steps of the encoder by themselves: of numba, then of the library in C."""
    return steps_of(request.param)
