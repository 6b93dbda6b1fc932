"""The order of bytes in stored codes, such that dot-product instructions can read them.

Such an instruction multiplies 64 unsigned bytes with 64 signed bytes, and adds every four neighbouring products to one
of 16 sums. So 16 rows are interleaved, four components at a time: each sum then belongs to one row, and no horizontal
addition is needed. Signed bytes are stored with 128 added; the caller subtracts 128·Σ of the other factor.
"""

from __future__ import annotations

import numpy as np

from softkv_attention.aligned import Room, private
from softkv_attention.arrays import I8, I32, Bytes, Index

LANES, DEEP = 16, 4

PANEL = 64
"""Rows multiplied at a time, four groups of 16. Storage is rounded up to a multiple."""

OFFSET = 128

LEVELS = 127
"""The largest absolute value of a code of one signed byte."""

FINE_LEVELS = 127 * 256 + 127
"""The largest absolute value of a code of two signed bytes."""


def fine_levels(width: int) -> int:
    """Return the largest absolute value of a query's 16-bit code, whose products with keys of a width fit 32 bits."""
    return min(FINE_LEVELS, (2**31 - 1) // (LEVELS * width))


CHUNK = 1024
"""Values whose codes are stored together."""

WEIGHT_LEVELS = (2**31 - 1) // (LEVELS * CHUNK)
"""The largest level of a 16-bit weight, so that a chunk's sum of levels times codes fits into 32 bits."""


def rows_room(rows: int, width: int, room: Room = private) -> Bytes:
    """Return uninitialised memory for the codes of `rows` vectors, uint8[groups, words, 16, 4].

    A group has 16 rows, and a word four components. The number of rows is rounded up to a multiple of 64. Padding
    components are 0 once rows are written. `room` allocates an array of a shape and a type.
    """
    return room((-(-rows // PANEL) * (PANEL // LANES), -(-width // DEEP), LANES, DEEP), np.uint8)


def put_rows(into: Bytes, start: int, rows: I8) -> None:
    """Store codes int8[n, d] as rows `start` to `start + n` of uint8[groups, words, 16, 4].

    16 rows are interleaved, four components at a time, and 128 is added to each code.
    """
    rows_of = np.arange(start, start + len(rows))
    words = into.view(np.uint32)[..., 0]
    words[rows_of // LANES, :, rows_of % LANES] = _shift(rows, DEEP).view(np.uint32)


def similarity_columns(queries: int) -> int:
    """Return the number of similarities that `Kernels.blend_rows` stores of a row: a multiple of 16."""
    return -(-queries // LANES) * LANES


def rows_at(stored: Bytes, indices: Index, width: int) -> I8:
    """Return int8[n, width], the codes of the rows at `indices` [n] of uint8[groups, words, 16, 4]."""
    words = stored.view(np.uint32)[..., 0]
    bytes_of_rows = np.ascontiguousarray(words[indices // LANES, :, indices % LANES]).view(np.uint8)
    return (bytes_of_rows[:, :width] ^ np.uint8(OFFSET)).view(np.int8)


def columns_room(chunks: int, rows: int, width: int, room: Room = private) -> Bytes:
    """Return uninitialised memory for transposed codes, uint8[chunks, groups, words, 16, 4].

    Each chunk is one matrix of `rows` rows, a multiple of 4, and `width` columns. Its columns are interleaved in groups
    of 16, four rows to a word. `room` allocates an array of a shape and a type.
    """
    return room((chunks, -(-width // PANEL) * (PANEL // LANES), rows // DEEP, LANES, DEEP), np.uint8)


def put_columns(into: Bytes, start: int, rows: I8) -> None:
    """Store codes int8[n, d] as rows `start` to `start + n` of one transposed matrix uint8[groups, words, 16, 4].

    16 columns are interleaved, four rows at a time, and 128 is added to each code.
    """
    wide = _shift(rows, into.shape[0] * LANES).reshape(len(rows), into.shape[0], LANES)
    # Four interleaved rows form one word: moving words is several times faster than moving bytes.
    first = min(-start % DEEP, len(rows))
    last = first + (len(rows) - first) // DEEP * DEEP
    four = wide[first:last].reshape(-1, DEEP, *wide.shape[1:])
    turned = np.empty((len(four), *wide.shape[1:], DEEP), dtype=np.uint8)
    for byte in range(DEEP):
        turned[..., byte] = four[:, byte]
    words = slice((start + first) // DEEP, (start + last) // DEEP)
    into.view(np.uint32)[:, words, :, 0] = turned.view(np.uint32)[..., 0].transpose(1, 0, 2)
    edges = np.r_[0:first, last : len(rows)]
    indices = start + edges
    into[:, indices // DEEP, :, indices % DEEP] = wide[edges]


def columns_of(stored: Bytes, first: int, stop: int, width: int) -> I8:
    """Return int8[stop − first, width], the codes of rows `first` to `stop` of one transposed matrix.

    The matrix is uint8[groups, words, 16, 4], from `columns_room`.
    """
    indices = np.arange(first, stop)
    bytes_of_rows = stored[:, indices // DEEP, :, indices % DEEP].reshape(len(indices), -1)
    return (bytes_of_rows[:, :width] ^ np.uint8(OFFSET)).view(np.int8)


def pack(rows: I8) -> I32:
    """Pack codes int8[n, d] into int32[n, words], four components to a word, with zeros after the last.

    This is the form of queries and weights, which stored codes are multiplied with.
    """
    wide = np.zeros((len(rows), -(-rows.shape[1] // DEEP) * DEEP), dtype=np.int8)
    wide[:, : rows.shape[1]] = rows
    return wide.view(np.int32)


def _shift(rows: I8, step: int) -> Bytes:
    """Return codes with 128 added, as uint8[n, ≥ d].

    The width is rounded up to a multiple of `step`; padding components are 0 before 128 is added.
    """
    wide = np.zeros((len(rows), -(-rows.shape[1] // step) * step), dtype=np.int8)
    wide[:, : rows.shape[1]] = rows
    return wide.view(np.uint8) ^ np.uint8(OFFSET)
