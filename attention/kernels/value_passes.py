"""Weighted sums of values, compiled by numba; `portable` has the same in NumPy."""

# numba has types of its own and none that mypy knows: of this module it can only check the signatures.
# mypy: disable-error-code="no-any-return, call-arg, arg-type, return-value, var-annotated"

from __future__ import annotations

import numpy as np
from numba import boolean, float32, float64, int32, int64, njit, uint8
from numpy.typing import NDArray

from attention.kernels.compiling import array, compiled
from attention.kernels.cpu import fetch
from attention.kernels.dot import byte_products
from attention.kernels.dot_amx import padded
from attention.kernels.layout import DEEP, LANES, LEVELS, OFFSET, RUN
from attention.kernels.weight_levels import add_coarse, add_fine, coarse_levels, fine_levels, sum_and_largest

LINE = 64
"""Bytes that are brought into the cache together."""

AHEAD = 3
"""Rows that are on their way while one is read."""


@compiled(array(float32, 2), int64, fastmath=True)
def weight_of(weights: NDArray[np.float32], rows: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(sums float64[q], largest float64[q]) of the first `rows` of weights float32[q, ≥ r], contiguous."""
    width, full = weights.shape[1], rows - rows % RUN
    sums, largest = np.zeros(weights.shape[0]), np.zeros(weights.shape[0])
    for j in range(weights.shape[0]):
        total, most = 0.0, float32(0.0)
        for first in range(0, full, RUN):
            here, highest = sum_and_largest(weights, j * width + first)
            total += here
            most = max(most, highest)
        for i in range(full, rows):
            total += weights[j, i]
            most = max(most, weights[j, i])
        sums[j], largest[j] = total, most
    return sums, largest


@njit(nogil=True)
def _levels(
    weights: NDArray[np.float32],
    query: int,
    scales: NDArray[np.float32],
    first: int,
    inverse: float,
    most: int,
    packed: NDArray[np.int8],
) -> tuple[int, bool]:
    """Fill a query's rows of packed int8[planes·q, chunk] with weight·scale·inverse in whole levels, from `first` on.

    In one byte, or in two, of which the first one counts 256 times; see `blend`. In one, what is above `most` is 0.

    Returns:
        The sum of all levels, and whether one was above.
    """
    chunk, width = packed.shape[1], weights.shape[1]
    stop = min(first + chunk, len(scales))
    full = stop - (stop - first) % RUN
    total, above = 0, False
    for start in range(first, full, RUN):
        if most > LEVELS:
            place = 2 * query * chunk + start - first
            total += fine_levels(weights, query * width + start, scales, start, inverse, packed, place, place + chunk)
        else:
            levels, high = coarse_levels(
                weights,
                query * width + start,
                scales,
                start,
                inverse,
                most,
                packed,
                query * chunk + start - first,
            )
            total += levels
            above |= high
    for i in range(full, stop):
        level = np.rint(weights[query, i] * scales[i] * inverse)
        if level > most:
            above = True
            level = float32(0)
        whole = int32(level)
        total += whole
        if most > LEVELS:
            packed[2 * query, i - first] = np.int8((whole + 128) >> 8)
            packed[2 * query + 1, i - first] = np.int8(whole)
        else:
            packed[query, i - first] = np.int8(whole)
    return total, above


@compiled(
    array(uint8, 5),
    array(float32, 2),
    array(float32, 1),
    array(float32, 1),
    int64,
    array(float32, 2),
    array(float64, 2),
    boolean,
    fastmath=True,
)
def blend(
    codes: NDArray[np.uint8],
    weights: NDArray[np.float32],
    scales: NDArray[np.float32],
    steps: NDArray[np.float32],
    most: int,
    values: NDArray[np.float32],
    outputs: NDArray[np.float64],
    unit: bool,
) -> None:
    """Add Σ weight·value over some chunks of coded values.

    Args:
        codes: uint8[chunks, groups, depth, 16, 4], turned; see `ValueCodes`.
        weights: float32[q, ≥ r], contiguous.
        scales: float32[r], of the coded values.
        steps: float32[q], the size of one level of weight·scale.
        most: levels there are: at most 127, or two bytes' worth. A row above them is added by itself.
        values: float32[r, d_v], the originals.
        outputs: float64[q, d_v], added to.
        unit: whether the processor's matrix unit may be used.
    """
    q, width, chunk = weights.shape[0], outputs.shape[1], codes.shape[2] * DEEP
    planes = 1 if most <= LEVELS else 2
    packed = np.zeros((padded(q * planes, codes.shape[2], unit), chunk), dtype=np.int8)
    words = packed.view(np.int32)
    offsets = np.empty(q, dtype=np.float64)
    products = np.empty((packed.shape[0], RUN), dtype=np.int32)
    for first in range(0, len(scales), chunk):
        stop = min(first + chunk, len(scales))
        if stop < first + chunk:
            packed[:] = 0
        for j in range(q):
            inverse = float32(1.0) / steps[j]
            total, above = _levels(weights, j, scales, first, inverse, most, packed)
            offsets[j] = float64(OFFSET) * total
            if above:
                for i in range(first, stop):
                    # Not the same comparison again, which may be rounded otherwise: a level of 0 that should be large.
                    if packed[j, i - first] == 0 and weights[j, i] * scales[i] * inverse > float32(1.0):
                        for t in range(width):
                            outputs[j, t] += np.float64(weights[j, i]) * np.float64(values[i, t])
        here = codes[first // chunk]
        for group in range(0, codes.shape[1], RUN // LANES):
            byte_products(here, group, words, products, unit)
            lowest = group * LANES
            for j in range(q):
                if lowest + RUN <= width and planes == 1:
                    add_coarse(products, j, offsets[j], steps[j], outputs, j * width + lowest)
                elif lowest + RUN <= width:
                    add_fine(products, 2 * j, offsets[j], steps[j], outputs, j * width + lowest)
                else:
                    for t in range(lowest, width):
                        product = float64(products[j * planes, t - lowest])
                        if planes == 2:
                            product = 256.0 * product + products[2 * j + 1, t - lowest]
                        outputs[j, t] += steps[j] * (product - offsets[j])


@compiled(array(float32, 2), array(int64, 1), array(int64, 1), array(float64, 1), array(float64, 2), fastmath=True)
def add_rows(
    values: NDArray[np.float32],
    rows: NDArray[np.int64],
    queries: NDArray[np.int64],
    weights: NDArray[np.float64],
    outputs: NDArray[np.float64],
) -> None:
    """outputs[query] += weight·values[row] for each of m triples.

    Args:
        values: float32[r, d_v].
        rows, queries: int64[m].
        weights: float64[m].
        outputs: float64[q, d_v], added to.
    """
    for m in range(len(rows)):
        weight = weights[m]
        row, query = rows[m], queries[m]
        for t in range(values.shape[1]):
            outputs[query, t] += weight * np.float64(values[row, t])


@njit(fastmath=True)
def _products_of_one(
    vectors: NDArray[np.float32], rows: NDArray[np.int64], query: NDArray[np.float64], products: NDArray[np.float64]
) -> None:
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
def all_products(
    vectors: NDArray[np.float32], rows: NDArray[np.int64], queries: NDArray[np.float64], products: NDArray[np.float64]
) -> None:
    """Fill products float64[q, m] with query·row of every query float64[q, d] and each of m rows of float32[n, d]."""
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
def all_sums(
    vectors: NDArray[np.float32], rows: NDArray[np.int64], weights: NDArray[np.float64], outputs: NDArray[np.float64]
) -> None:
    """outputs float64[q, d] += weights float64[q, m] times m rows of vectors float32[n, d]."""
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


@compiled(array(float32, 2), array(int64, 1), array(float64, 2), array(int64, 1), fastmath=True)
def row_products(
    vectors: NDArray[np.float32], rows: NDArray[np.int64], queries: NDArray[np.float64], asked: NDArray[np.int64]
) -> NDArray[np.float64]:
    """float64[m], query·row for each of m pairs, every row summed alike: copies of a row have the same product.

    Args:
        vectors: float32[n, d].
        rows, asked: int64[m], which row and which query.
        queries: float64[q, d].
    """
    found = np.empty(len(rows))
    length = vectors.shape[1] * vectors.itemsize
    for m in range(len(rows)):
        # Rows lie far apart: the processor does not see by itself which comes next.
        if m + AHEAD < len(rows):
            place = vectors.ctypes.data + np.uintp(rows[m + AHEAD] * vectors.strides[0])
            for line in range(0, length, LINE):
                fetch(place + np.uintp(line))
        row, query = rows[m], asked[m]
        total = 0.0
        for t in range(vectors.shape[1]):
            total += np.float64(vectors[row, t]) * queries[query, t]
        found[m] = total
    return found


@compiled(array(float64, 2), array(float64, 2), fastmath=True)
def quadratic_forms(vectors: NDArray[np.float64], matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """float64[q], xᵀ·M·x of each of vectors float64[q, d]. A BLAS would leave a thread spinning beside the scan."""
    forms = np.zeros(vectors.shape[0])
    for a in range(matrix.shape[0]):
        for j in range(vectors.shape[0]):
            total = 0.0
            for b in range(matrix.shape[1]):
                total += matrix[a, b] * vectors[j, b]
            forms[j] += total * vectors[j, a]
    return forms
