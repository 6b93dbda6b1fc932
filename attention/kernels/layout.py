"""Matrices of bytes in the order in which a processor's dot-product instructions read them.

Such an instruction multiplies 64 unsigned bytes with 64 signed ones and adds every four neighbours to one of 16 sums.
So 16 rows lie side by side, four components of each at a time: the 16 sums are then those of 16 rows, and nothing is
left to be added across them. Signed bytes are stored 128 higher, which a caller takes off again, 128·Σ of the other
factor.
"""

from __future__ import annotations

import numpy as np

from attention.dtypes import I8, I32, Bytes, Index
from attention.shared_memory import Room, private

LANES, DEEP = 16, 4

PANEL = 64
"""Rows that are multiplied at a time, four groups of 16; storage is rounded up to as many."""

OFFSET = 128

LEVELS = 127
"""The most that a signed byte holds on both sides of 0."""

FINE_LEVELS = 127 * 256 + 127
"""The most that two signed bytes hold, one of them 256 times the other."""

CHUNK = 1024
"""Values whose codes lie together."""

WEIGHT_LEVELS = (2**31 - 1) // (LEVELS * CHUNK)
"""The most levels that a weight of 16 bits has: a chunk's sum of levels times codes fits into 32 bits."""


def rows_room(rows: int, width: int, room: Room = private) -> Bytes:
    """Room for so many rows: uint8[groups, words, 16, 4], components beyond the width being 0 once written."""
    return room((-(-rows // PANEL) * (PANEL // LANES), -(-width // DEEP), LANES, DEEP), np.uint8)


def put_rows(into: Bytes, start: int, rows: I8) -> None:
    """Store `rows` int8[n, d] from row `start` on."""
    places = np.arange(start, start + len(rows))
    words = into.view(np.uint32)[..., 0]
    words[places // LANES, :, places % LANES] = _shifted(rows, DEEP).view(np.uint32)


def rows_at(stored: Bytes, places: Index, width: int) -> I8:
    """int8[n, width]: the rows at `places`."""
    words = stored.view(np.uint32)[..., 0]
    found = np.ascontiguousarray(words[places // LANES, :, places % LANES]).view(np.uint8)
    return (found[:, :width] ^ np.uint8(OFFSET)).view(np.int8)


def columns_room(chunks: int, rows: int, width: int, room: Room = private) -> Bytes:
    """Room for `chunks` matrices of `rows` rows (a multiple of 4), turned: columns are what lies side by side."""
    return room((chunks, -(-width // PANEL) * (PANEL // LANES), rows // DEEP, LANES, DEEP), np.uint8)


def put_columns(into: Bytes, start: int, rows: I8) -> None:
    """Store `rows` int8[n, d] from row `start` of one turned matrix uint8[groups, words, 16, 4] on."""
    wide = _shifted(rows, into.shape[0] * LANES).reshape(len(rows), into.shape[0], LANES)
    # Four rows side by side are the bytes of one word: whole words are moved several times faster than bytes are.
    first = min(-start % DEEP, len(rows))
    last = first + (len(rows) - first) // DEEP * DEEP
    four = wide[first:last].reshape(-1, DEEP, *wide.shape[1:])
    turned = np.empty((len(four), *wide.shape[1:], DEEP), dtype=np.uint8)
    for place in range(DEEP):
        turned[..., place] = four[:, place]
    words = slice((start + first) // DEEP, (start + last) // DEEP)
    into.view(np.uint32)[:, words, :, 0] = turned.view(np.uint32)[..., 0].transpose(1, 0, 2)
    edges = np.r_[0:first, last : len(rows)]
    places = start + edges
    into[:, places // DEEP, :, places % DEEP] = wide[edges]


def columns_of(stored: Bytes, first: int, stop: int, width: int) -> I8:
    """int8[n, width]: rows `first` to `stop` of one turned matrix."""
    places = np.arange(first, stop)
    found = stored[:, places // DEEP, :, places % DEEP].reshape(len(places), -1)
    return (found[:, :width] ^ np.uint8(OFFSET)).view(np.int8)


def packed(rows: I8) -> I32:
    """int32[n, words]: the other factor, `rows` int8[n, d], four components to a word."""
    wide = np.zeros((len(rows), -(-rows.shape[1] // DEEP) * DEEP), dtype=np.int8)
    wide[:, : rows.shape[1]] = rows
    return wide.view(np.int32)


def _shifted(rows: I8, step: int) -> Bytes:
    """uint8[n, ≥ d], 128 higher, the width rounded up to a multiple of `step`."""
    wide = np.zeros((len(rows), -(-rows.shape[1] // step) * step), dtype=np.int8)
    wide[:, : rows.shape[1]] = rows
    return wide.view(np.uint8) ^ np.uint8(OFFSET)
