"""The fastest way to multiply on this processor."""

from __future__ import annotations

import sys

from attention.kernels.transformer.parameters import BFLOAT16, FLOAT32, THREE, TILES


def way_of(precision: str) -> int:
    """Return the fastest way to multiply at a precision, "float32" or "bfloat16", on this processor.

    A way is a number that `parameters` defines: it says how numbers are packed and which instruction multiplies them.
    With AMX, the matrix unit, another way is faster. This imports the compiler.
    """
    from attention.kernels.transformer.products import usable

    if precision == "float32":
        return THREE if usable() else FLOAT32
    return TILES if usable() else BFLOAT16


def multiplies_bfloat16() -> bool:
    """Return whether bfloat16 is faster than float32, which needs AVX512_BF16 or AMX.

    Without them each number is widened first, at half of float32's speed. The answer is about numba's target if that is
    already fixed, else about the host.
    """
    if "attention.kernels.cpu" not in sys.modules:
        import llvmlite.binding as llvm

        has = llvm.get_host_cpu_features()
        return bool(has.get("avx512bf16") or (has.get("amx-tile") and has.get("amx-bf16")))
    from attention.kernels.transformer.products import MULTIPLIES_PAIRS, usable

    return MULTIPLIES_PAIRS or usable()


def columns_of(way: int) -> int:
    """Return the number of columns of a matrix that are packed side by side, as one panel, for this way to multiply.

    A way is one of FLOAT32, BFLOAT16, TILES and THREE. This imports the compiler.
    """
    from attention.kernels.transformer import products

    return products.columns_of(way)
