"""Every implementation of the kernels that this machine can run, as parameters of tests."""

from __future__ import annotations

from typing import Any

import pytest

from softkv_attention.kernels import in_numpy
from softkv_attention.kernels.in_c import KernelsInC
from softkv_attention.kernels.native.library import library_of, usable_kinds

IN_C = {kind.name: KernelsInC(library_of(kind)) for kind in usable_kinds()}
"""The kernels in C, by the kind of processor that they are for."""

IMPLEMENTATIONS: dict[str, Any] = {**IN_C, "NumPy": in_numpy}

EVERY = pytest.mark.parametrize("running", IMPLEMENTATIONS.values(), ids=IMPLEMENTATIONS)
EVERY_IN_C = pytest.mark.parametrize("running", IN_C.values(), ids=IN_C)
