"""Products of interleaved bytes, 64 rows at a time, by the best that the processor has."""

# numba has types of its own and none that mypy knows: of this module it can only check the signatures.
# mypy: disable-error-code="no-any-return, call-arg"

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from attention.kernels.dot_amx import LINES, by_unit, has_unit
from attention.kernels.dot_vnni import by_instruction, by_loop, has_instruction

_few_at_a_time = by_instruction if has_instruction() else by_loop


@njit(nogil=True, inline="always")
def _without_unit(
    codes: NDArray[np.uint8], group: int, packed: NDArray[np.int32], products: NDArray[np.int32], unit: bool
) -> None:
    """Fill products int32[q, 64] with those of 64 rows from `group` on and packed int32[q, depth].

    Args:
        codes: uint8[groups, depth, 16, 4], contiguous.
        group: a multiple of 4.
        unit: whether the matrix unit may be used, see `matrix_unit.usable`; compiled code outlives the answer to that.
    """
    _few_at_a_time(codes, group, packed, 0, products)


@njit(nogil=True, inline="always")
def _with_unit(
    codes: NDArray[np.uint8], group: int, packed: NDArray[np.int32], products: NDArray[np.int32], unit: bool
) -> None:
    """The same, many queries together."""
    done = by_unit(codes, group, packed, products) if unit and packed.shape[0] >= LINES else 0
    if done < packed.shape[0]:
        _few_at_a_time(codes, group, packed, done, products)


byte_products = _with_unit if has_unit() else _without_unit
