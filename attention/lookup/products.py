"""Products and sums of codes, compiled by numba; `portable` has the same in NumPy."""

# numba has types of its own and none that mypy knows: of this module it can only check the signatures.
# mypy: disable-error-code="no-any-return, call-arg, arg-type"

import numpy as np
from numba import float32, int32
from numpy.typing import NDArray

from attention.lookup.compiling import compiled


@compiled(fastmath=False)
def fine_dots(codes: NDArray[np.int8], queries: NDArray[np.int16], products: NDArray[np.int32]) -> None:
    """Fill products int32[r, q] with those of codes int8[r, d] and queries int16[q, d], row after row from memory."""
    for i in range(codes.shape[0]):
        for j in range(queries.shape[0]):
            total = int32(0)
            for t in range(codes.shape[1]):
                total = int32(total + int32(int32(codes[i, t]) * int32(queries[j, t])))
            products[i, j] = total


@compiled(fastmath=False)
def fine_sums(codes: NDArray[np.int8], first: int, levels: NDArray[np.int16], sums: NDArray[np.float64]) -> None:
    """Fill sums float64[d_v, q] with products of coded values `first` to `first + r` and levels int16[q, r].

    Args:
        codes: int8[chunks, d_v, c], see `ValueCodes`; 32 bits hold 512 terms exactly.
    """
    rows, width, chunk = levels.shape[1], codes.shape[1], codes.shape[2]
    flat = codes.reshape(-1)
    sums[:] = 0.0
    done = 0
    while done < rows:
        within = (first + done) % chunk
        run = min(chunk - within, rows - done)
        base = (first + done) // chunk * (width * chunk) + within
        for t in range(width):
            for j in range(levels.shape[0]):
                whole = 0.0
                for start in range(0, run, 512):
                    stop = min(start + 512, run)
                    some = flat[base + t * chunk + start : base + t * chunk + stop]
                    level = levels[j, done + start : done + stop]
                    total = int32(0)
                    for i in range(some.size):
                        total = int32(total + int32(int32(some[i]) * int32(level[i])))
                    whole += total
                sums[t, j] += whole
        done += run


@compiled(fastmath=True)
def fine_levels(
    weights: NDArray[np.float32], scales: NDArray[np.float32], steps: NDArray[np.float32], levels: NDArray[np.int16]
) -> None:
    """Fill levels int16[q, r] with weights float32[q, ≥ r] times scales float32[r], in steps float32[q]."""
    for j in range(weights.shape[0]):
        inverse = float32(1.0) / steps[j]
        for i in range(len(scales)):
            levels[j, i] = np.int16(int32(np.rint(weights[j, i] * scales[i] * inverse)))


@compiled(fastmath=True)
def coarse_levels(
    weights: NDArray[np.float32],
    scales: NDArray[np.float32],
    steps: NDArray[np.float32],
    levels: NDArray[np.int8],
    values: NDArray[np.float32],
    outputs: NDArray[np.float64],
) -> None:
    """The same in 8 bits; a weight above their range is added at once, times its value, and gets level 0.

    Args:
        weights: float32[q, ≥ r].
        scales: float32[r], of the coded values.
        steps: float32[q], the size of one level.
        levels: int8[q, r], filled.
        values: float32[r, d_v], the originals.
        outputs: float64[q, d_v].
    """
    q, rows = len(weights), len(scales)
    for j in range(q):
        inverse = float32(1.0) / steps[j]
        above = 0
        for i in range(rows):
            level = np.rint(weights[j, i] * scales[i] * inverse)
            above += int32(level > float32(127.0))
            levels[j, i] = np.int8(int32(level if level <= float32(127.0) else float32(-1.0)))
        if above > 0:
            for i in range(rows):
                if levels[j, i] == -1:
                    levels[j, i] = 0
                    weight = np.float64(weights[j, i])
                    for t in range(values.shape[1]):
                        outputs[j, t] += weight * np.float64(values[i, t])


@compiled(fastmath=True)
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
