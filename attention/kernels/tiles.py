"""The matrix unit of some x86 processors (AMX): eight tile registers of 16 rows of 64 bytes.

Source: Intel 64 and IA-32 Architectures Software Developer's Manual.
"""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from attention.kernels.cpu import arrays

TILES_OF_UNIT, TILE_ROWS, TILE_BYTES = 8, 16, 64
TILE_WORDS = TILE_BYTES // 4
"""Words of four bytes in each row of a tile."""

SHAPES = np.zeros(64, dtype=np.uint8)
"""The operand of ldtilecfg: palette 1, and eight tiles of 16 rows of 64 bytes."""
SHAPES[0] = 1
SHAPES[16:32:2] = TILE_BYTES
SHAPES[48:56] = TILE_ROWS

LONG, BYTE = ir.IntType(64), ir.IntType(8)
PLACE = BYTE.as_pointer()

_ARCH_PRCTL, _REQUEST, _TILE_DATA = 158, 0x1023, 18


@cache
def allowed() -> bool:
    """Return whether Linux permits this process to use the matrix unit.

    Each process must ask once.
    """
    if platform.system() != "Linux":
        return False
    return ctypes.CDLL(None).syscall(_ARCH_PRCTL, _REQUEST, _TILE_DATA) == 0


def instruction(builder: Any, name: str, *kinds: Any) -> Callable[..., None]:
    """Return a function that emits one of the matrix unit's instructions."""
    function = builder.module.declare_intrinsic(f"llvm.x86.{name}", fnty=ir.FunctionType(ir.VoidType(), kinds))
    return lambda *operands: builder.call(function, operands)


@intrinsic
def begin(typing_context: Any, shapes: Any) -> Any:
    """Configure the unit's tile registers with the shapes in SHAPES (ldtilecfg)."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        # ldtilecfg reads 64 bytes: the palette, and of tmm0 to tmm7 the bytes a row (uint16) and the rows (uint8).
        (shapes,) = arrays(context, builder, signature, arguments, 0)
        instruction(builder, "ldtilecfg", PLACE)(builder.bitcast(shapes.data, PLACE))
        return context.get_dummy_value()

    return types.void(shapes), build


@intrinsic
def end(typing_context: Any) -> Any:
    """Release the unit's tile registers (tilerelease)."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        instruction(builder, "tilerelease")()
        return context.get_dummy_value()

    return types.void(), build
