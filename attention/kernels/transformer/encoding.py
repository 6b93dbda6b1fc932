"""A whole encoder over the packed tokens of some texts, in one compiled function: embeddings, layers, pooling.

It runs in stages, so that threads can share texts. The first stage embeds tokens and projects queries, keys and values.
Each further stage computes one layer's attention and feed-forward, and projects for the next. The last stage pools. A
stage starts when the previous one is complete for all tokens.
"""

from __future__ import annotations

import numpy as np
from numba import float32, int64, njit, uint32

from attention.arrays import F32, I64
from attention.kernels.cpu import TRANSFORMER, array, kernel, record
from attention.kernels.transformer.attention import attend
from attention.kernels.transformer.parameters import (
    FIRST,
    FLOAT32,
    MAXIMUM,
    MEAN,
    MORE_ROWS,
    NONE,
    QUERIES,
    ROWS,
    TILE_QUERIES,
    TILES,
    WIDENED,
    Activations,
    Network,
    Scratch,
    Words,
)
from attention.kernels.transformer.products import WIDE, columns_of, leave_unit, multiply, take_unit
from attention.kernels.transformer.row_operations import add, finish, normalise


@njit(nogil=True, inline="always")
def _pass_rows(way: int, left: int) -> int:
    """Return how many of the `left` remaining tokens the next pass through a layer computes.

    Passes have similar sizes, so that the last one is not nearly empty. Intermediate results stay in the cache: a pass
    has at most ROWS tokens with AVX-512 or AMX, else at most MORE_ROWS.

    Args:
        way: how matrices are multiplied, one of FLOAT32, BFLOAT16, TILES and THREE; see `parameters`.
        left: the number of tokens that are not computed yet, at least 1.
    """
    block = TILE_QUERIES if way >= TILES else QUERIES
    maximum = ROWS if WIDE or way >= TILES else MORE_ROWS
    blocks = -(-left // block)
    return min(-(-blocks // -(-blocks // (maximum // block))) * block, left)


@njit(nogil=True, inline="always")
def _activate_products(
    way: int,
    rows: int,
    a: Words,
    row: int,
    matrices: Words,
    bias: F32,
    layer: int,
    begin: int,
    end: int,
    curve: int,
    out: Words,
    line: int,
    sums: F32,
) -> None:
    """Set some rows of `out` to curve(a · matrix + bias), packed, for columns `begin` to `end` of the matrix.

    Args:
        way: how numbers are packed and multiplied; see `parameters`.
        rows: the number of rows.
        a: uint32[parts, …, words], of which rows from `row` on are multiplied.
        matrices: the panels of all layers' matrices, flat; `layer` chooses one.
        bias: float32[layers, n].
        curve: the activation, a value of `CURVES`.
        out: uint32[parts, …, words], written from row `line` on; column `begin` becomes its first.
        sums: float32[≥ rows, 32], a buffer.
    """
    words, across = a.shape[2], columns_of(way)
    part = bias.shape[1] * words
    first = layer * a.shape[0] * part
    for column in range(begin, end, across):
        multiply(way, rows, a, row, 0, matrices, first + column * words, across, part, words, sums, 0, False)
        finish(way, sums, rows, bias, layer, column, across, curve, out, line, column - begin)


@njit(nogil=True, inline="always")
def _store_products(
    way: int, rows: int, a: Words, row: int, matrices: Words, layer: int, depth: int, begin: int, end: int, y: F32
) -> None:
    """Set y[: rows] to a · matrix, over words `begin` to `end` of the matrix's depth; if `begin` is not 0, add to y.

    Args:
        way: how numbers are packed and multiplied; see `parameters`.
        rows: the number of rows.
        a: uint32[parts, …, words], of which rows from `row` on are multiplied.
        matrices: the panels of all layers' matrices, flat; `layer` chooses one.
        depth: the number of words of a column of the matrix.
        y: float32[≥ rows, n].
    """
    part, across = y.shape[1] * depth, columns_of(way)
    first = layer * a.shape[0] * part + begin * across
    for column in range(0, y.shape[1], across):
        start = first + column * depth
        multiply(way, rows, a, row, 0, matrices, start, across, part, end - begin, y, column, begin > 0)


@njit(nogil=True, inline="always")
def _embed(network: Network, tokens: I64, lengths: I64, row: int, rows: int, y: F32) -> None:
    """Set y[: rows] to the embeddings of `rows` tokens from token `row` on: the sums of token and position vectors."""
    first = 0
    for length in lengths:
        for index in range(max(first, row), min(first + length, row + rows)):
            token, position, into = network.tokens[tokens[index]], network.positions[index - first], y[index - row]
            for j in range(len(into)):
                into[j] = token[j] + position[j]
        first += length


@njit(nogil=True, inline="always")
def _attend(
    way: int, heads: int, projected: Words, lengths: I64, first: int, last: int, room: Activations, scratch: Scratch
) -> None:
    """Compute the outputs of all attention heads for tokens `first` to `last`, and store them in `room.joined`.

    Each token attends to its own text.
    """
    words, start = room.joined.shape[2] // heads, 0
    for length in lengths:
        begin, end = max(start, first), min(start + length, last)
        if begin < end:
            for head in range(heads):
                attend(way, projected, start, length, begin, end, head, words, scratch, room.joined)
        start += length


@njit(nogil=True, inline="always")
def _finish_layer(
    way: int, network: Network, layer: int, curve: int, room: Activations, scratch: Scratch, row: int, rows: int
) -> None:
    """Compute what follows attention in a layer, for `rows` tokens from `row` on.

    It starts at the heads' outputs in `room.joined`, and ends before the layer's second normalisation. The result is in
    `scratch.y`.
    """
    hidden, y = scratch.hidden, scratch.y
    joined = room.joined.shape[2]
    _store_products(way, rows, room.joined, row, network.output, layer, joined, 0, joined, y)
    add(y, rows, network.output_bias, layer, room.x, row)
    _normalise_rows(way, rows, network, 2 * layer + 1, room, y, row)
    width = network.inner_bias.shape[1]
    for begin in range(0, width, WIDENED):
        end = min(begin + WIDENED, width)
        _activate_products(
            way,
            rows,
            room.read,
            row,
            network.inner,
            network.inner_bias,
            layer,
            begin,
            end,
            curve,
            hidden,
            0,
            scratch.sums,
        )
        numbers = 1 if way == FLOAT32 else 2  # per word
        _store_products(
            way, rows, hidden, 0, network.outer, layer, width // numbers, begin // numbers, end // numbers, y
        )
    add(y, rows, network.outer_bias, layer, room.x, row)


@njit(nogil=True, inline="always")
def _normalise_rows(way: int, rows: int, network: Network, number: int, room: Activations, y: F32, row: int) -> None:
    """Normalise rows of y by the network's normalisation `number`, and store them from row `row` of the activations on.

    They are stored as float32 in `room.x`, and packed in `room.read`.
    """
    epsilon = network.epsilons[number]
    normalise(way, y, rows, network.scales, network.shifts, number, epsilon, room.x, room.read, row)


@njit(nogil=True, inline="always")
def _pool(x: F32, lengths: I64, pooling: int, out: F32) -> None:
    """Set out[i] to one vector of text i, pooled from the vectors x of its tokens, for all texts.

    `pooling` is a value of `POOLINGS`: the mean, the maximum, or the first token's vector.
    """
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
_ROOM = record(Activations, _reals, _words_3, array(uint32, 4), _words_3)
_SCRATCH = record(Scratch, _words_1, _words_1, _reals, _words_3, array(float32, 1), _words_3, _reals, _reals)


@kernel(
    int64,
    _NETWORK,
    int64,
    int64,
    array(int64, 1),
    array(int64, 1),
    array(int64, 1),
    _ROOM,
    _SCRATCH,
    int64,
    int64,
    int64,
    int64,
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
    room: Activations,
    scratch: Scratch,
    first: int,
    last: int,
    begin: int,
    end: int,
    out: F32,
) -> None:
    """Compute the vectors of b texts, or only some stages of that for some of their tokens.

    The texts' tokens are concatenated. Stage 0 embeds tokens, stages 1 to l compute the layers, and stage l + 1 pools.

    Args:
        way: how numbers are packed and multiplied, one of FLOAT32, BFLOAT16, TILES and THREE; see `parameters`.
        network: the parameters of l layers.
        heads: the number of attention heads.
        curve: the activation, a value of `CURVES`.
        tokens: int64[t], below n_vocabulary.
        lengths: int64[b], from 1 to n_positions; they sum to t.
        poolings: int64[p], values of `POOLINGS`.
        room: activations of t tokens, as earlier stages left them.
        scratch: this thread's buffers, for texts of these lengths.
        first, last: the range of tokens to compute.
        begin, end: the range of stages to compute, of l + 2; the last stage pools all texts.
        out: float32[p, b, d], filled by the last stage; vectors are not normalised.
    """
    layers = network.output_bias.shape[0]
    if way >= TILES:
        take_unit()
    for stage in range(begin, min(end, layers + 1)):
        if stage > 0:
            _attend(
                way, heads, room.projected[(stage - 1) % room.projected.shape[0]], lengths, first, last, room, scratch
            )
        row = first
        while row < last:
            rows = _pass_rows(way, last - row)
            if stage == 0:
                _embed(network, tokens, lengths, row, rows, scratch.y)
            else:
                _finish_layer(way, network, stage - 1, curve, room, scratch, row, rows)
            _normalise_rows(way, rows, network, 2 * stage, room, scratch.y, row)
            if stage < layers:
                _activate_products(
                    way,
                    rows,
                    room.read,
                    row,
                    network.projections,
                    network.projections_bias,
                    stage,
                    0,
                    network.projections_bias.shape[1],
                    NONE,
                    room.projected[stage % room.projected.shape[0]],
                    row,
                    scratch.sums,
                )
            row += rows
    if way >= TILES:
        leave_unit()
    if end > layers + 1:
        for number in range(len(poolings)):
            _pool(room.x, lengths, poolings[number], out[number])
