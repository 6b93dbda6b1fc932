"""How this processor multiplies best."""

from __future__ import annotations

from attention.kernels.transformer.words import BFLOAT16, FLOAT32, THREE, TILES


def way_of(precision: str) -> int:
    """The way for "float32" or "bfloat16": by tiles where there is a matrix unit; imports the compiler."""
    from attention.kernels.transformer.tile_blocks import usable

    if precision == "float32":
        return THREE if usable() else FLOAT32
    return TILES if usable() else BFLOAT16


def columns_of(way: int) -> int:
    """How many columns of a matrix lie side by side in a panel; imports the compiler."""
    from attention.kernels.transformer import products

    return products.columns_of(way)
