"""Products with the float32 originals and sums of them, compiled by numba; `in_numpy` has the same in NumPy."""

from __future__ import annotations

import numpy as np
from numba import float32, float64, int8, int32, int64, njit

from attention.dtypes import F32, F64, I8, I64
from attention.kernels.cpu import array, compiled, fetch
from attention.kernels.layout import LEVELS

CACHE_LINE = 64
"""Bytes that are brought into the cache together."""

AHEAD = 3
"""Rows that are on their way while one is read."""


@njit(nogil=True, inline="always")
def _fetch_row(vectors: F32, row: int) -> None:
    """Have a row brought into the cache: rows lie far apart, and the processor does not see which comes next."""
    place = vectors.ctypes.data + np.uintp(row * vectors.strides[0])
    for line in range(0, vectors.shape[1] * vectors.itemsize, CACHE_LINE):
        fetch(place + np.uintp(line))


@compiled(array(float32, 2), array(int64, 1), array(int64, 1), array(float64, 1), array(float64, 2), fastmath=True)
def add_rows(
    values: F32,
    rows: I64,
    queries: I64,
    weights: F64,
    outputs: F64,
) -> None:
    """See `Kernels`."""
    m, last = 0, len(rows) - 1
    while m <= last:
        query = queries[m]
        for ahead in range(m + 4, min(m + 8, last + 1)):
            _fetch_row(values, rows[ahead])
        if m + 3 <= last and queries[m + 1] == query and queries[m + 2] == query and queries[m + 3] == query:
            # Four at once, because an output is read and written as often as it is added to.
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
    """Fill products float64[m]: `all_products` of one query, for which rows need not be widened beforehand."""
    last = len(rows) - 1
    for first in range(0, len(rows), 4):
        # Behind the end the last row stands in.
        places = (first, min(first + 1, last), min(first + 2, last), min(first + 3, last))
        row_a, row_b = vectors[rows[places[0]]], vectors[rows[places[1]]]
        row_c, row_d = vectors[rows[places[2]]], vectors[rows[places[3]]]
        a, b, c, d = 0.0, 0.0, 0.0, 0.0
        for t in range(len(query)):
            component = query[t]
            a += np.float64(row_a[t]) * component
            b += np.float64(row_b[t]) * component
            c += np.float64(row_c[t]) * component
            d += np.float64(row_d[t]) * component
        products[places[0]] = a
        products[places[1]] = b
        products[places[2]] = c
        products[places[3]] = d


@compiled(array(float32, 2), array(int64, 1), array(float64, 2), array(float64, 2), fastmath=True)
def all_products(vectors: F32, rows: I64, queries: F64, products: F64) -> None:
    """See `Kernels`."""
    if len(queries) == 1:
        _products_of_one(vectors, rows, queries[0], products[0])
        return
    four = np.zeros((4, vectors.shape[1]))
    for first in range(0, len(rows), 4):
        for at in range(min(4, len(rows) - first)):
            four[at] = vectors[rows[first + at]]
        for j in range(queries.shape[0]):
            a, b, c, d = 0.0, 0.0, 0.0, 0.0
            for t in range(vectors.shape[1]):
                component = queries[j, t]
                a += four[0, t] * component
                b += four[1, t] * component
                c += four[2, t] * component
                d += four[3, t] * component
            found = (a, b, c, d)
            for at in range(min(4, len(rows) - first)):
                products[j, first + at] = found[at]


@compiled(array(float32, 2), array(int64, 1), array(float64, 2), array(float64, 2), fastmath=True)
def all_sums(vectors: F32, rows: I64, weights: F64, outputs: F64) -> None:
    """See `Kernels`."""
    four = np.zeros((4, vectors.shape[1]))
    shares = np.zeros(4)
    for first in range(0, len(rows), 4):
        here = min(4, len(rows) - first)
        for at in range(here):
            four[at] = vectors[rows[first + at]]
        for j in range(weights.shape[0]):
            shares[:] = 0.0
            shares[:here] = weights[j, first : first + here]
            if shares.any():
                a, b, c, d = shares[0], shares[1], shares[2], shares[3]
                for t in range(vectors.shape[1]):
                    outputs[j, t] += a * four[0, t] + b * four[1, t] + c * four[2, t] + d * four[3, t]


@njit(fastmath=True)
def _square_sum(row: F64) -> float:
    """Return Σ row², many components at a time: the only step of `code_rows` whose order is free."""
    total = 0.0
    for t in range(len(row)):
        total += row[t] * row[t]
    return total


@compiled(
    array(float32, 2),
    array(int8, 2),
    array(float32, 2),
    array(float64, 1),
    array(float64, 1),
    array(float64, 1),
    fastmath=False,
)
def code_rows(vectors: F32, codes: I8, left: F32, scales: F64, squares: F64, total: F64) -> None:
    """See `Kernels`."""
    # One pass over a row, which the first-level cache holds. Two loops write two arrays each: with four the compiler
    # would have to compare more addresses than it does before it takes several components at a time.
    width = vectors.shape[1]
    sizes, exact = vectors.view(np.int32), np.empty(width)
    longest = np.zeros(1, dtype=np.int32)
    size = longest.view(np.float32)
    for m in range(len(vectors)):
        most = int32(0)
        for t in range(width):
            most = max(most, sizes[m, t] & int32(0x7FFFFFFF))
        longest[0] = most
        scale = np.float64(size[0]) / LEVELS
        step = scale if most > 0 else 1.0
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


@compiled(array(float32, 2), array(int64, 1), fastmath=False)
def residual_sum(vectors: F32, rows: I64) -> F64:
    """See `Kernels`."""
    # Each step in float64, in the order of `codes.quantisation.to_codes` and never joined with another: so a component
    # at the edge between two codes is rounded as it was when it was coded. Bits of a float without its sign are in
    # order, and the largest of integers is found many at a time.
    width = vectors.shape[1]
    sizes, total = vectors.view(np.int32), np.zeros(width)
    longest = np.zeros(1, dtype=np.int32)
    size = longest.view(np.float32)
    for m in range(len(rows)):
        if m + AHEAD < len(rows):
            _fetch_row(vectors, rows[m + AHEAD])
        row = rows[m]
        most = int32(0)
        for t in range(width):
            most = max(most, sizes[row, t] & int32(0x7FFFFFFF))
        if most == 0:
            continue
        longest[0] = most
        scale = np.float64(size[0]) / LEVELS
        for t in range(width):
            component = np.float64(vectors[row, t])
            total[t] += component - np.rint(component / scale) * scale
    return total


@compiled(array(float32, 2), array(int64, 1), array(float64, 2), array(int64, 1), fastmath=True)
def row_products(vectors: F32, rows: I64, queries: F64, asked: I64) -> F64:
    """See `Kernels`."""
    found = np.empty(len(rows))
    for m in range(len(rows)):
        if m + AHEAD < len(rows):
            _fetch_row(vectors, rows[m + AHEAD])
        row, query = rows[m], asked[m]
        total = 0.0
        for t in range(vectors.shape[1]):
            total += np.float64(vectors[row, t]) * queries[query, t]
        found[m] = total
    return found
