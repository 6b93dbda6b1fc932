"""Kernels that read many rows, in C and in NumPy.

`kernels()` returns the implementation in use: C if a library was built that this processor can run, else NumPy. The
protocol `Kernels` in `interface.py` documents each function.

`in_c.py` checks arrays and passes their addresses to the loops in `native/`; `candidates_in_c.py` does so for lists of
candidates. `in_numpy.py` has the same functions in plain NumPy: they are the reference that tests compare
with, and the fallback. `one_scan.py` has in a few calls, in C only, what a scan for many queries does in a dozen.
`dispatch.py` chooses, and has the threads. Codes lie as dot-product instructions read them: 16 rows side by side
(`layout.py`).
"""

from __future__ import annotations

from softkv_attention.kernels.dispatch import (
    kernels,
    kernels_in_c,
    kernels_in_numpy,
    limit_workers,
    one_blas_thread,
    one_thread,
    pin_kernels,
    pool,
    products_are_exact,
    run_in_parallel,
    use_kernels,
    workers,
)
from softkv_attention.kernels.interface import (
    ABOVE_MEAN,
    FLOAT_CHUNK,
    FLOAT_ROWS,
    HEAVIEST,
    NO_ADDENDS,
    TERM_FLOOR,
    TOTALS,
    CandidateLists,
    CodedKeys,
    CodedValues,
    FloatRows,
    Kernels,
    RowMasses,
    RowRun,
    SoftmaxOptions,
    Totals,
)
from softkv_attention.kernels.layout import similarity_columns
from softkv_attention.kernels.native.library import missing_kind, reason_for_numpy
from softkv_attention.kernels.one_scan import CodedBlock, CodedRows, ScannedRows, ScanOptions
from softkv_attention.kernels.transformer import multiplies_int16, use_encoder
