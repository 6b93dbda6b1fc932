"""A whole encoder over the packed tokens of some texts: embeddings, layers, pooling, in one compiled function."""

from __future__ import annotations

import numpy as np
from numba import float32, int64, njit, uint32

from attention.dtypes import F32, I64
from attention.kernels.cpu import TRANSFORMER, array, compiled, record
from attention.kernels.transformer.attending import attend
from attention.kernels.transformer.normalising import normalise
from attention.kernels.transformer.parameters import FIRST, MAXIMUM, MEAN, NONE, ROWS, Network, Room
from attention.kernels.transformer.products import multiply
from attention.kernels.transformer.rows import add, finish
from attention.kernels.transformer.tile_blocks import leave_unit, take_unit
from attention.kernels.transformer.words import PANEL, TILES, Words


@njit(nogil=True, inline="always")
def _through(
    way: int, rows: int, a: Words, matrices: Words, bias: F32, layer: int, curve: int, out: Words, sums: F32
) -> None:
    """out[: rows] = curve(a · matrix + bias), as words."""
    words = a.shape[2]
    part = bias.shape[1] * words
    size = a.shape[0] * part
    for row in range(0, rows, ROWS):
        some = min(ROWS, rows - row)
        for column in range(0, bias.shape[1], PANEL):
            multiply(way, some, a, row, 0, matrices, layer * size + column * words, PANEL, part, words, sums, 0)
            finish(way, sums, some, bias, layer, column, PANEL, curve, out, row)


@njit(nogil=True, inline="always")
def _onto(way: int, rows: int, a: Words, matrices: Words, bias: F32, layer: int, x: F32, y: F32, sums: F32) -> None:
    """y[: rows] = x + a · matrix + bias."""
    words = a.shape[2]
    part = bias.shape[1] * words
    size = a.shape[0] * part
    for row in range(0, rows, ROWS):
        some = min(ROWS, rows - row)
        for column in range(0, bias.shape[1], PANEL):
            multiply(way, some, a, row, 0, matrices, layer * size + column * words, PANEL, part, words, sums, 0)
            add(sums, some, bias, layer, column, PANEL, x, y, row)


@njit(nogil=True, inline="always")
def _norms(way: int, rows: int, network: Network, number: int, room: Room) -> None:
    """y, brought to mean 0 and variance 1, to x and its words."""
    epsilon = network.epsilons[number]
    normalise(way, room.y, rows, network.scales, network.shifts, number, epsilon, room.x, room.read)


@njit(nogil=True, inline="always")
def _embed(network: Network, tokens: I64, lengths: I64, room: Room) -> None:
    """The sum of each token's and its position's vector, to y."""
    row = 0
    for length in lengths:
        for position in range(length):
            token, place, into = network.tokens[tokens[row]], network.positions[position], room.y[row]
            for j in range(len(into)):
                into[j] = token[j] + place[j]
            row += 1


@njit(nogil=True, inline="always")
def _pool(x: F32, lengths: I64, pooling: int, out: F32) -> None:
    """One vector of each text, from those of its tokens."""
    row = 0
    for text in range(len(lengths)):
        into = out[text]
        for j in range(x.shape[1]):
            into[j] = x[row, j]
        if pooling != FIRST:
            for token in range(row + 1, row + lengths[text]):
                for j in range(x.shape[1]):
                    into[j] = max(into[j], x[token, j]) if pooling == MAXIMUM else into[j] + x[token, j]
        if pooling == MEAN:
            for j in range(x.shape[1]):
                into[j] /= np.float32(lengths[text])
        row += lengths[text]


_words_1, _words_3, _reals = array(uint32, 1), array(uint32, 3), array(float32, 2)
_NETWORK = record(Network, _reals, _reals, *[_words_1] * 4, *[_reals] * 6, array(float32, 1))
_ROOM = record(
    Room,
    _reals,
    _reals,
    _words_3,
    _words_3,
    _words_1,
    _words_3,
    _words_3,
    _words_1,
    _words_1,
    _reals,
    _words_3,
    array(float32, 1),
    _reals,
)


@compiled(
    int64,
    _NETWORK,
    int64,
    int64,
    array(int64, 1),
    array(int64, 1),
    array(int64, 1),
    _ROOM,
    array(float32, 3),
    fastmath=False,
    among=TRANSFORMER,
)
def encode(
    way: int,
    network: Network,
    heads: int,
    curve: int,
    tokens: I64,
    lengths: I64,
    poolings: I64,
    room: Room,
    out: F32,
) -> None:
    """The vectors of b texts, whose tokens lie one behind the other.

    Args:
        way: which words the network's matrices and the room are of.
        network: its parameters.
        heads: of how many heads a layer is.
        curve: the activation, a number of `CURVES`.
        tokens: int64[t], each below n_vocabulary.
        lengths: int64[b], at least 1 each, at most n_positions; they sum to t.
        poolings: int64[p]
        room: for as many tokens.
        out: float32[p, b, d], is filled; nothing in it is of unit length.
    """
    rows = len(tokens)
    words = room.joined.shape[2] // heads
    if way >= TILES:
        take_unit()
    _embed(network, tokens, lengths, room)
    _norms(way, rows, network, 0, room)
    for layer in range(network.output_bias.shape[0]):
        _through(
            way, rows, room.read, network.projections, network.projections_bias, layer, NONE, room.projected, room.sums
        )
        first = 0
        for length in lengths:
            for head in range(heads):
                attend(
                    way,
                    room.projected,
                    room.flat,
                    first,
                    length,
                    head,
                    words,
                    room.keys,
                    room.values,
                    room.logits,
                    room.weights,
                    room.factors,
                    room.sums,
                    room.joined,
                )
            first += length
        _onto(way, rows, room.joined, network.output, network.output_bias, layer, room.x, room.y, room.sums)
        _norms(way, rows, network, 2 * layer + 1, room)
        _through(way, rows, room.read, network.inner, network.inner_bias, layer, curve, room.bent, room.sums)
        _onto(way, rows, room.bent, network.outer, network.outer_bias, layer, room.x, room.y, room.sums)
        _norms(way, rows, network, 2 * layer + 2, room)
    if way >= TILES:
        leave_unit()
    for number in range(len(poolings)):
        _pool(room.x, lengths, poolings[number], out[number])
