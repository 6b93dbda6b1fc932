"""Kernels that read many rows, compiled by numba and in NumPy; the only package that imports numba or llvmlite.

`kernels()` returns the implementation in use. The protocol `Kernels` documents each function.

The same loops are written in C, in `native/`, and called by `in_c.py`. They answer unless no library of them was built; then numba's do.

`machine_code.py` loads machine code, or starts a process that compiles it, before a question waits for it. Until it is
loaded, the exact path answers, by BLAS. `cache.py` keeps machine code in a folder named by a digest of its sources, its
compilers and the processor. So stale code is never loaded, and every checkout and process shares a folder.

Codes lie as dot-product instructions read them: 16 rows side by side (`layout.py`). `simd.py` emits vectors of 16
numbers by construction, because the compiler did not find all of them. Passes bind their arrays once, outside the loop
over panels: array arguments and slices inside it would count references. What they do with 64 rows is in `Lanes`.
"""

from __future__ import annotations

from attention.kernels.dispatch import (
    can_compile,
    kernels,
    kernels_in_c,
    kernels_in_numpy,
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
from attention.kernels.native.library import reason_for_numpy
from attention.kernels.transformer import use_encoder
