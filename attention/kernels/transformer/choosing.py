"""How this processor multiplies best."""

from __future__ import annotations

import sys

from attention.kernels.transformer.words import BFLOAT16, FLOAT32, THREE, TILES


def way_of(precision: str) -> int:
    """The way for "float32" or "bfloat16": by tiles where there is a matrix unit; imports the compiler."""
    from attention.kernels.transformer.tile_blocks import usable

    if precision == "float32":
        return THREE if usable() else FLOAT32
    return TILES if usable() else BFLOAT16


def multiplies_bfloat16() -> bool:
    """Whether bfloat16 is faster than float32: by AVX512_BF16 or AMX. Elsewhere each number is widened: half as fast.

    It asks the compiler if that is told already which processor to compile for, else the processor.
    """
    if "attention.kernels.cpu" not in sys.modules:
        import llvmlite.binding as llvm

        has = llvm.get_host_cpu_features()
        return bool(has.get("avx512bf16") or (has.get("amx-tile") and has.get("amx-bf16")))
    from attention.kernels.transformer.lane_blocks import MULTIPLIES_PAIRS
    from attention.kernels.transformer.tile_blocks import usable

    return MULTIPLIES_PAIRS or usable()


def columns_of(way: int) -> int:
    """How many columns of a matrix lie side by side in a panel; imports the compiler."""
    from attention.kernels.transformer import products

    return products.columns_of(way)
