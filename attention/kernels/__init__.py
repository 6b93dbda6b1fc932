"""Kernels that read many rows, compiled by numba and in NumPy; the only package that imports numba or llvmlite.

`kernels()` returns the implementation in use. The protocol `Kernels` documents each function.
"""

from __future__ import annotations

from attention.kernels.dispatch import (
    can_compile,
    kernels,
    limit_workers,
    machine_code,
    one_blas_thread,
    pin_kernels,
    pool,
    products_are_exact,
    run_in_parallel,
    use_kernels,
    workers,
)
from attention.kernels.interface import (
    ABOVE_MEAN,
    NO_ADDENDS,
    TOTALS,
    CandidateLists,
    CodedKeys,
    CodedValues,
    Kernels,
    Totals,
)
from attention.kernels.machine_code import prepare, prepare_transformer, stop, transformer_ready, use_numpy_until_ready
