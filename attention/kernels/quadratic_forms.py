"""xᵀ·M·x of a few vectors and a symmetric matrix, compiled by numba; `in_numpy` has the same in NumPy.

A BLAS would leave a thread spinning beside the scan.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import float32, njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from attention.dtypes import F32, F64
from attention.kernels.cpu import array, arrays, compiled
from attention.kernels.layout import LANES
from attention.kernels.simd import REALS, Lanes

ROWS = 8
"""Of the matrix, to a step: so many sums are under way, and each vector that is read serves all of them."""

_LONG = ir.IntType(64)


def _rows(count: int) -> Callable[..., None]:
    """The intrinsic that fills float32[count, 16] with the products of some rows, up to a column, with 16 vectors."""
    # A register has one component of each of 16 vectors; an element of the matrix is meant for all of them.

    @intrinsic
    def products(typing_context: Any, matrix: Any, first: Any, columns: Any, side: Any, sums: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            _, first, columns, _, _ = arguments
            matrix, side, sums = arrays(context, builder, signature, arguments, 0, 3, 4)
            width = cgutils.unpack_tuple(builder, matrix.shape)[1]
            rows = [
                builder.gep(matrix.data, [builder.mul(builder.add(first, _LONG(row)), width)]) for row in range(count)
            ]
            before, loop, after = builder.block, builder.append_basic_block(), builder.append_basic_block()
            none = ir.Constant(REALS, [0.0] * LANES)
            builder.cbranch(builder.icmp_signed(">", columns, _LONG(0)), loop, after)
            builder.position_at_end(loop)
            column = builder.phi(_LONG)
            column.add_incoming(_LONG(0), before)
            totals = [builder.phi(REALS) for _ in rows]
            vectors = Lanes.load(builder, REALS, builder.gep(side.data, [builder.mul(column, _LONG(LANES))]))
            added = []
            for row, total in zip(rows, totals, strict=True):
                element = Lanes.everywhere(builder, builder.load(builder.gep(row, [column])))
                added.append((Lanes(builder, total) + element * vectors).value)
            following = builder.add(column, _LONG(1))
            column.add_incoming(following, loop)
            for total, then in zip(totals, added, strict=True):
                total.add_incoming(none, before)
                total.add_incoming(then, loop)
            builder.cbranch(builder.icmp_signed("<", following, columns), loop, after)
            builder.position_at_end(after)
            found = [builder.phi(REALS) for _ in rows]
            for total, then in zip(found, added, strict=True):
                total.add_incoming(none, before)
                total.add_incoming(then, loop)
            for number, total in enumerate(found):
                Lanes(builder, total).store(builder.gep(sums.data, [_LONG(number * LANES)]))
            return context.get_dummy_value()

        return types.void(matrix, types.int64, types.int64, side, sums), build

    return products


_eight, _one = _rows(ROWS), _rows(1)


@njit(nogil=True, fastmath=True)
def _form(vector: F32, matrix: F32) -> float:
    """Of one vector, beside which the others of 16 would be nothing."""
    form = 0.0
    for i in range(len(matrix)):
        row, total = matrix[i], float32(0.0)
        for j in range(i):
            total += row[j] * vector[j]
        form += np.float64(vector[i]) * (2 * np.float64(total) + np.float64(row[i]) * np.float64(vector[i]))
    return form


@compiled(array(float32, 2), array(float32, 2), fastmath=False)
def quadratic_forms(vectors: F32, matrix: F32) -> F64:
    """See `Kernels`."""
    forms, width = np.zeros(len(vectors)), len(matrix)
    if len(vectors) == 1:
        forms[0] = _form(vectors[0], matrix)
        return forms
    side, sums = np.zeros((width, LANES), dtype=np.float32), np.empty((ROWS, LANES), dtype=np.float32)
    for start in range(0, len(vectors), LANES):
        here = min(LANES, len(vectors) - start)
        for i in range(width):
            for lane in range(here):
                side[i, lane] = vectors[start + lane, i]
        for first in range(0, width, ROWS):
            rows = min(ROWS, width - first)
            if rows == ROWS:
                _eight(matrix, first, first, side, sums)
            else:
                for i in range(rows):
                    _one(matrix, first + i, first, side, sums[i : i + 1])
            # What is below the diagonal counts twice, but in the square of these rows that lies on it.
            for i in range(rows):
                for lane in range(here):
                    total = 2 * np.float64(sums[i, lane])
                    for j in range(rows):
                        total += np.float64(matrix[first + i, first + j]) * np.float64(side[first + j, lane])
                    forms[start + lane] += total * np.float64(side[first + i, lane])
    return forms
