"""The arithmetic that reads many rows, in machine code and in NumPy: all that imports numba or llvmlite.

`kernels()` are those an answer is made by; `Kernels` says what each of them does.
"""

from __future__ import annotations

from attention.kernels.engine import (
    can_compile,
    choose,
    held,
    kernels,
    limit_workers,
    machine_code,
    one_blas_thread,
    pool,
    products_are_exact,
    side_by_side,
    workers,
)
from attention.kernels.interface import (
    ABOVE_MEAN,
    NO_ADDENDS,
    CandidateLists,
    CodedKeys,
    CodedValues,
    Kernels,
)
from attention.kernels.listed.interface import TOTALS, Totals
from attention.kernels.machine_code import encodes, prepare, prepare_transformer, stand_in, stop
