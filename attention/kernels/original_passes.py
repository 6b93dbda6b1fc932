"""Compiled passes over the float32 originals of rows: products, weighted sums, 8-bit codes, quadratic forms."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import float32, float64, int8, int32, int64, njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from attention.arrays import F32, F64, I8, I64
from attention.kernels.cpu import array, arrays, fetch, kernel
from attention.kernels.layout import LANES, LEVELS
from attention.kernels.simd import REALS, Lanes

CACHE_LINE = 64
"""Bytes of a cache line."""

AHEAD = 3
"""Rows to prefetch ahead of the one being read."""


@njit(nogil=True, inline="always")
def _fetch_row(vectors: F32, row: int) -> None:
    """Prefetch vectors[row] into the cache.

    Rows lie far apart, so the hardware cannot predict the next one.
    """
    address = vectors.ctypes.data + np.uintp(row * vectors.strides[0])
    for line in range(0, vectors.shape[1] * vectors.itemsize, CACHE_LINE):
        fetch(address + np.uintp(line))


@kernel(array(float32, 2), array(int64, 1), array(int64, 1), array(float64, 1), array(float64, 2), fastmath=True)
def add_rows(
    values: F32,
    rows: I64,
    queries: I64,
    weights: F64,
    outputs: F64,
) -> None:
    """Add weight·value of each of m rows to the output of one query.

    Row rows[i] of `values` goes to outputs[queries[i]] with weights[i]. `Kernels.add_rows` has the shapes.
    """
    m, last = 0, len(rows) - 1
    while m <= last:
        query = queries[m]
        for ahead in range(m + 4, min(m + 8, last + 1)):
            _fetch_row(values, rows[ahead])
        if m + 3 <= last and queries[m + 1] == query and queries[m + 2] == query and queries[m + 3] == query:
            # Four rows at once, so that an output is read and written once for all four.
            row_a, row_b, row_c, row_d = values[rows[m]], values[rows[m + 1]], values[rows[m + 2]], values[rows[m + 3]]
            a, b, c, d = weights[m], weights[m + 1], weights[m + 2], weights[m + 3]
            output = outputs[query]
            for t in range(values.shape[1]):
                output[t] += (a * np.float64(row_a[t]) + b * np.float64(row_b[t])) + (
                    c * np.float64(row_c[t]) + d * np.float64(row_d[t])
                )
            m += 4
        else:
            weight, row, output = weights[m], values[rows[m]], outputs[query]
            for t in range(values.shape[1]):
                output[t] += weight * np.float64(row[t])
            m += 1


@njit(fastmath=True)
def _products_of_one(vectors: F32, rows: I64, query: F64, products: F64) -> None:
    """Fill products float64[m] with the dot product of one query float64[d] with each of m rows.

    Rows are not converted to float64 first.
    """
    last = len(rows) - 1
    for first in range(0, len(rows), 4):
        # Beyond the end, repeat the last row.
        indices = (first, min(first + 1, last), min(first + 2, last), min(first + 3, last))
        row_a, row_b = vectors[rows[indices[0]]], vectors[rows[indices[1]]]
        row_c, row_d = vectors[rows[indices[2]]], vectors[rows[indices[3]]]
        a, b, c, d = 0.0, 0.0, 0.0, 0.0
        for t in range(len(query)):
            component = query[t]
            a += np.float64(row_a[t]) * component
            b += np.float64(row_b[t]) * component
            c += np.float64(row_c[t]) * component
            d += np.float64(row_d[t]) * component
        products[indices[0]] = a
        products[indices[1]] = b
        products[indices[2]] = c
        products[indices[3]] = d


@kernel(array(float32, 2), array(int64, 1), array(float64, 2), array(float64, 2), fastmath=True)
def all_products(vectors: F32, rows: I64, queries: F64, products: F64) -> None:
    """Fill products float64[q, m] with the dot product of every query float64[q, d] with each of m rows.

    The rows are those of `vectors` float32[n, d] at the indices `rows`.
    """
    if len(queries) == 1:
        _products_of_one(vectors, rows, queries[0], products[0])
        return
    four = np.zeros((4, vectors.shape[1]))
    for first in range(0, len(rows), 4):
        for index in range(min(4, len(rows) - first)):
            four[index] = vectors[rows[first + index]]
        for j in range(queries.shape[0]):
            a, b, c, d = 0.0, 0.0, 0.0, 0.0
            for t in range(vectors.shape[1]):
                component = queries[j, t]
                a += four[0, t] * component
                b += four[1, t] * component
                c += four[2, t] * component
                d += four[3, t] * component
            dot_products = (a, b, c, d)
            for index in range(min(4, len(rows) - first)):
                products[j, first + index] = dot_products[index]


@kernel(array(float32, 2), array(int64, 1), array(float64, 2), array(float64, 2), fastmath=True)
def all_sums(vectors: F32, rows: I64, weights: F64, outputs: F64) -> None:
    """Add the sum of m rows, weighted by float64[q, m], to the outputs float64[q, d].

    The rows are those of `vectors` float32[n, d] at the indices `rows`.
    """
    four = np.zeros((4, vectors.shape[1]))
    shares = np.zeros(4)
    for first in range(0, len(rows), 4):
        count = min(4, len(rows) - first)
        for index in range(count):
            four[index] = vectors[rows[first + index]]
        for j in range(weights.shape[0]):
            shares[:] = 0.0
            shares[:count] = weights[j, first : first + count]
            if shares.any():
                a, b, c, d = shares[0], shares[1], shares[2], shares[3]
                for t in range(vectors.shape[1]):
                    outputs[j, t] += a * four[0, t] + b * four[1, t] + c * four[2, t] + d * four[3, t]


@njit(fastmath=True)
def _square_sum(row: F64) -> float:
    """Return Σ x² over a row float64[d], in any order.

    It is the only step of `code_rows` that the compiler may reorder.
    """
    total = 0.0
    for t in range(len(row)):
        total += row[t] * row[t]
    return total


@kernel(
    array(float32, 2),
    array(int8, 2),
    array(float32, 2),
    array(float64, 1),
    array(float64, 1),
    array(float64, 1),
    fastmath=False,
)
def code_rows(vectors: F32, codes: I8, left: F32, scales: F64, squares: F64, total: F64) -> None:
    """Code n vectors in 8 bits: each component x becomes the integer nearest to x/scale, with scale = max|x|/127.

    Codes, residuals `left`, scales and sums are written to the other arguments; see `Kernels.code_rows`.
    """
    # One pass over a row, which the L1 cache holds. Two loops write two arrays each, because the compiler vectorises a
    # loop only if it has to check few pairs of arrays for overlap.
    width = vectors.shape[1]
    sizes, exact = vectors.view(np.int32), np.empty(width)
    longest = np.zeros(1, dtype=np.int32)
    size = longest.view(np.float32)
    for m in range(len(vectors)):
        largest = int32(0)
        for t in range(width):
            largest = max(largest, sizes[m, t] & int32(0x7FFFFFFF))
        longest[0] = largest
        scale = np.float64(size[0]) / LEVELS
        step = scale if largest > 0 else 1.0
        for t in range(width):
            component = np.float64(vectors[m, t])
            code = np.rint(component / step)
            codes[m, t] = np.int8(np.int32(code))
            exact[t] = component - code * scale
        for t in range(width):
            left[m, t] = exact[t]
            total[t] += exact[t]
        scales[m] = scale
        squares[m] = _square_sum(exact)


@kernel(array(float32, 2), array(int64, 1), fastmath=False)
def residual_sum(vectors: F32, rows: I64) -> F64:
    """Return float64[d], the sum of x − x̂ over the rows of `vectors` at the indices `rows`.

    x̂ is the row x decoded from its 8-bit code.
    """
    # Each step is in float64, in the order of `codes.quantisation.to_codes`, and never fused with another. So a
    # component halfway between two codes is rounded as it was when it was coded. The bits of floats without their sign
    # are ordered like the floats, and a maximum of integers vectorises.
    width = vectors.shape[1]
    sizes, total = vectors.view(np.int32), np.zeros(width)
    longest = np.zeros(1, dtype=np.int32)
    size = longest.view(np.float32)
    for m in range(len(rows)):
        if m + AHEAD < len(rows):
            _fetch_row(vectors, rows[m + AHEAD])
        row = rows[m]
        largest = int32(0)
        for t in range(width):
            largest = max(largest, sizes[row, t] & int32(0x7FFFFFFF))
        if largest == 0:
            continue
        longest[0] = largest
        scale = np.float64(size[0]) / LEVELS
        for t in range(width):
            component = np.float64(vectors[row, t])
            total[t] += component - np.rint(component / scale) * scale
    return total


@kernel(array(float32, 2), array(int64, 1), array(float64, 2), array(int64, 1), fastmath=True)
def row_products(vectors: F32, rows: I64, queries: F64, query_of: I64) -> F64:
    """Return float64[m], the dot product of vectors[rows[i]] and queries[query_of[i]] for each pair i."""
    products = np.empty(len(rows))
    for m in range(len(rows)):
        if m + AHEAD < len(rows):
            _fetch_row(vectors, rows[m + AHEAD])
        row, query = rows[m], query_of[m]
        total = 0.0
        for t in range(vectors.shape[1]):
            total += np.float64(vectors[row, t]) * queries[query, t]
        products[m] = total
    return products


ROWS = 8
"""Rows of the matrix per step: each vector that is read is used for this number of sums."""

SMALLEST = 1e-300
"""A squared norm below this counts as 0."""

_LONG = ir.IntType(64)


def _rows(count: int) -> Callable[..., None]:
    """Return an intrinsic that fills float32[count, 16] with the products of `count` matrix rows with 16 vectors.

    An intrinsic is a function that emits instructions. Only columns `begin` to `end` of the matrix are multiplied.
    """
    # A register holds one component of each of 16 vectors; an element of the matrix is broadcast to all lanes.

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
            zero = ir.Constant(REALS, [0.0] * LANES)
            builder.cbranch(builder.icmp_signed("<", begin, end), loop, after)
            builder.position_at_end(loop)
            column = builder.phi(_LONG)
            column.add_incoming(begin, before)
            totals = [builder.phi(REALS) for _ in rows]
            vectors = Lanes.load(builder, REALS, builder.gep(side.data, [builder.mul(column, _LONG(LANES))]))
            added = []
            for row, total in zip(rows, totals, strict=True):
                element = Lanes.broadcast(builder, builder.load(builder.gep(row, [column])))
                added.append((Lanes(builder, total) + element * vectors).value)
            following = builder.add(column, _LONG(1))
            column.add_incoming(following, loop)
            for total, then in zip(totals, added, strict=True):
                total.add_incoming(zero, before)
                total.add_incoming(then, loop)
            builder.cbranch(builder.icmp_signed("<", following, end), loop, after)
            builder.position_at_end(after)
            finals = [builder.phi(REALS) for _ in rows]
            for total, then in zip(finals, added, strict=True):
                total.add_incoming(zero, before)
                total.add_incoming(then, loop)
            for number, total in enumerate(finals):
                Lanes(builder, total).store(builder.gep(sums.data, [_LONG(number * LANES)]))
            return context.get_dummy_value()

        return types.void(matrix, types.int64, types.int64, types.int64, side, sums), build

    return products


_eight, _one = _rows(ROWS), _rows(1)


@njit(nogil=True, fastmath=True)
def _form(unit: F32, matrix: F32) -> float:
    """Return the quadratic form xᵀ·M·x of one vector x of length one, for a symmetric matrix float32[d, d]."""
    form = 0.0
    for i in range(len(matrix)):
        row, total = matrix[i], float32(0.0)
        for j in range(i):
            total += row[j] * unit[j]
        form += np.float64(unit[i]) * (2 * np.float64(total) + np.float64(row[i]) * np.float64(unit[i]))
    return form


@njit(nogil=True, fastmath=True)
def _add(below: F32, within: F32, side: F32, first: int, rows: int, forms: F64) -> None:
    """Add the contribution of a block of matrix rows to the quadratic forms float64[16] of 16 vectors.

    The products left of the block's diagonal square count twice, because the matrix is symmetric.

    Args:
        below: float32[≥ rows, 16], products of the matrix rows with the vectors, over the columns before `first`.
        within: float32[≥ rows, 16], the same over the columns from `first` to `first + rows`.
        side: float32[d, 16], the vectors, one per column.
        first, rows: the block's first matrix row and their number.
    """
    for i in range(rows):
        for lane in range(LANES):
            total = 2 * np.float64(below[i, lane]) + np.float64(within[i, lane])
            forms[lane] += total * np.float64(side[first + i, lane])


@kernel(array(float64, 2), array(float32, 2), fastmath=False)
def quadratic_forms(vectors: F64, matrix: F32) -> tuple[F64, F64]:
    """Return ‖x‖² and xᵀ·M·x/‖x‖² of each vector x, as float64[q] each.

    `vectors` is float64[q, d], and `matrix` float32[d, d] is the symmetric M. `Kernels.quadratic_forms` bounds the
    error.
    """
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
    side, block_forms = np.empty((width, LANES), dtype=np.float32), np.empty(LANES)
    below, within = np.empty((ROWS, LANES), dtype=np.float32), np.empty((ROWS, LANES), dtype=np.float32)
    for start in range(0, len(vectors), LANES):
        for i in range(width):
            for lane in range(LANES):
                side[i, lane] = units[start + lane, i]
        block_forms[:] = 0.0
        for first in range(0, width, ROWS):
            rows = min(ROWS, width - first)
            if rows == ROWS:
                _eight(matrix, first, 0, first, side, below)
                _eight(matrix, first, first, first + rows, side, within)
            else:
                for i in range(rows):
                    _one(matrix, first + i, 0, first, side, below[i : i + 1])
                    _one(matrix, first + i, first, first + rows, side, within[i : i + 1])
            _add(below, within, side, first, rows, block_forms)
        for lane in range(min(LANES, len(vectors) - start)):
            forms[start + lane] = block_forms[lane]
    return squares, forms
