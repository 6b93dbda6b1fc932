"""xᵀ·M·x of a few vectors and a symmetric matrix, compiled by numba; `in_numpy` has the same in NumPy.

A BLAS would leave a thread spinning beside the scan.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import float32, float64, njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from attention.dtypes import F32, F64
from attention.kernels.cpu import array, arrays, compiled
from attention.kernels.layout import LANES
from attention.kernels.simd import REALS, Lanes

ROWS = 8
"""Of the matrix, to a step: so many sums are under way, and each vector that is read serves all of them."""

SMALLEST = 1e-300
"""A square below this is taken for 0."""

_LONG = ir.IntType(64)


def _rows(count: int) -> Callable[..., None]:
    """The intrinsic that fills float32[count, 16] with the products of some columns of some rows with 16 vectors."""
    # A register has one component of each of 16 vectors; an element of the matrix is meant for all of them.

    @intrinsic
    def products(typing_context: Any, matrix: Any, first: Any, begin: Any, end: Any, side: Any, sums: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            _, first, begin, end, _, _ = arguments
            matrix, side, sums = arrays(context, builder, signature, arguments, 0, 4, 5)
            width = cgutils.unpack_tuple(builder, matrix.shape)[1]
            rows = [
                builder.gep(matrix.data, [builder.mul(builder.add(first, _LONG(row)), width)]) for row in range(count)
            ]
            before, loop, after = builder.block, builder.append_basic_block(), builder.append_basic_block()
            none = ir.Constant(REALS, [0.0] * LANES)
            builder.cbranch(builder.icmp_signed("<", begin, end), loop, after)
            builder.position_at_end(loop)
            column = builder.phi(_LONG)
            column.add_incoming(begin, before)
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
            builder.cbranch(builder.icmp_signed("<", following, end), loop, after)
            builder.position_at_end(after)
            found = [builder.phi(REALS) for _ in rows]
            for total, then in zip(found, added, strict=True):
                total.add_incoming(none, before)
                total.add_incoming(then, loop)
            for number, total in enumerate(found):
                Lanes(builder, total).store(builder.gep(sums.data, [_LONG(number * LANES)]))
            return context.get_dummy_value()

        return types.void(matrix, types.int64, types.int64, types.int64, side, sums), build

    return products


_eight, _one = _rows(ROWS), _rows(1)


@njit(nogil=True, fastmath=True)
def _form(unit: F32, matrix: F32) -> float:
    """Of one vector, beside which the others of 16 would be nothing."""
    form = 0.0
    for i in range(len(matrix)):
        row, total = matrix[i], float32(0.0)
        for j in range(i):
            total += row[j] * unit[j]
        form += np.float64(unit[i]) * (2 * np.float64(total) + np.float64(row[i]) * np.float64(unit[i]))
    return form


@njit(nogil=True, fastmath=True)
def _add(below: F32, within: F32, side: F32, first: int, rows: int, forms: F64) -> None:
    """Add to forms float64[16] what some rows come to: what is left of their square on the diagonal counts twice."""
    for i in range(rows):
        for lane in range(LANES):
            total = 2 * np.float64(below[i, lane]) + np.float64(within[i, lane])
            forms[lane] += total * np.float64(side[first + i, lane])


@compiled(array(float64, 2), array(float32, 2), fastmath=False)
def quadratic_forms(vectors: F64, matrix: F32) -> tuple[F64, F64]:
    """See `Kernels`."""
    width = len(matrix)
    squares, forms = np.zeros(len(vectors)), np.empty(len(vectors))
    units = np.zeros((-(-len(vectors) // LANES) * LANES, width), dtype=np.float32)
    for vector in range(len(vectors)):
        for i in range(width):
            squares[vector] += vectors[vector, i] * vectors[vector, i]
        shorter = 1 / math.sqrt(max(squares[vector], SMALLEST))
        for i in range(width):
            units[vector, i] = vectors[vector, i] * shorter
    if len(vectors) == 1:
        forms[0] = _form(units[0], matrix)
        return squares, forms
    side, found = np.empty((width, LANES), dtype=np.float32), np.empty(LANES)
    below, within = np.empty((ROWS, LANES), dtype=np.float32), np.empty((ROWS, LANES), dtype=np.float32)
    for start in range(0, len(vectors), LANES):
        for i in range(width):
            for lane in range(LANES):
                side[i, lane] = units[start + lane, i]
        found[:] = 0.0
        for first in range(0, width, ROWS):
            rows = min(ROWS, width - first)
            if rows == ROWS:
                _eight(matrix, first, 0, first, side, below)
                _eight(matrix, first, first, first + rows, side, within)
            else:
                for i in range(rows):
                    _one(matrix, first + i, 0, first, side, below[i : i + 1])
                    _one(matrix, first + i, first, first + rows, side, within[i : i + 1])
            _add(below, within, side, first, rows, found)
        for lane in range(min(LANES, len(vectors) - start)):
            forms[start + lane] = found[lane]
    return squares, forms
