"""A sentence encoder over the packed tokens of many texts, in machine code; `attention.transformer` defines it."""

from __future__ import annotations

from attention.kernels.transformer.parameters import CURVES, POOLINGS, Network, Room, room
from attention.kernels.transformer.words import BFLOAT16, FLOAT32, PANEL, THREE, TILES, Words, panels


def way_of(precision: str) -> int:
    """How this processor multiplies best in "float32" or "bfloat16"; imports the compiler."""
    from attention.kernels.transformer.tile_blocks import usable

    if precision == "float32":
        return THREE if usable() else FLOAT32
    return TILES if usable() else BFLOAT16
