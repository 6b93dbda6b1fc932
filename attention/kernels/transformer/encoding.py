"""A whole encoder over the packed tokens of some texts, in one compiled function: embeddings, layers, pooling.

It runs in stages, so that threads can share texts. The first stage embeds tokens and projects queries, keys and values.
Each further stage computes one layer's attention and feed-forward, and projects for the next. The last stage pools. A
stage starts when the previous one is complete for all tokens.
"""

from __future__ import annotations

import numpy as np
from numba import float32, float64, int64, njit, uint32

from attention.arrays import F32, I64
from attention.kernels.cpu import TRANSFORMER, array, kernel, record
from attention.kernels.transformer.attention import attend
from attention.kernels.transformer.parameters import (
    FLOAT32,
    LAST,
    MAXIMUM,
    MEAN,
    MORE_ROWS,
    NO_NORM,
    NONE,
    QUERIES,
    ROWS,
    TILE_QUERIES,
    TILES,
    WIDENED,
    Activations,
    Design,
    Network,
    Scratch,
    Words,
)
from attention.kernels.transformer.products import WIDE, columns_of, leave_unit, multiply, take_unit
from attention.kernels.transformer.row_operations import add, finish, normalise, rotate


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
    gated: int,
    out: Words,
    line: int,
    into: int,
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
        gated: 1 if every second panel is multiplied by the activated one before it, else 0.
        out: uint32[parts, …, words], written from row `line` on; column `begin` becomes column `into`.
        sums: float32[≥ rows, 64], a buffer.
    """
    words, across = a.shape[2], columns_of(way)
    part = bias.shape[1] * words
    first = layer * a.shape[0] * part
    for column in range(begin, end, across << gated):
        for side in range(0, across << gated, across):
            start = first + (column + side) * words
            multiply(way, rows, a, row, 0, matrices, start, across, part, words, sums, side, False)
        target = into + ((column - begin) >> gated)
        finish(way, sums, rows, bias, layer, column, across, curve, gated, out, line, target)


@njit(nogil=True, inline="always")
def _store_products(
    way: int,
    rows: int,
    a: Words,
    row: int,
    matrices: Words,
    layer: int,
    columns: int,
    depth: int,
    begin: int,
    end: int,
    first_column: int,
    y: F32,
) -> None:
    """Set y[: rows] to a · matrix, over words `begin` to `end` of the matrix's depth; if `begin` is not 0, add to y.

    Args:
        way: how numbers are packed and multiplied; see `parameters`.
        rows: the number of rows.
        a: uint32[parts, …, words], of which rows from `row` on are multiplied.
        matrices: the panels of all layers' matrices, flat; `layer` chooses one.
        columns, depth: the number of columns of the matrix, and the number of words of a column.
        first_column: the column of the matrix that becomes the first of y.
        y: float32[≥ rows, n].
    """
    part, across = columns * depth, columns_of(way)
    first = layer * a.shape[0] * part + begin * across
    for column in range(0, y.shape[1], across):
        start = first + (first_column + column) * depth
        multiply(way, rows, a, row, 0, matrices, start, across, part, end - begin, y, column, begin > 0)


@njit(nogil=True, inline="always")
def _embed(network: Network, tokens: I64, token_positions: I64, row: int, rows: int, y: F32) -> None:
    """Set y[: rows] to the embeddings of `rows` tokens from token `row` on: the sums of token and position vectors."""
    last, factor = network.positions.shape[0] - 1, np.float32(network.token_scale)
    for index in range(row, row + rows):
        token, position, into = (
            network.tokens[tokens[index]],
            network.positions[min(token_positions[index], last)],
            y[index - row],
        )
        for j in range(len(into)):
            into[j] = token[j] * factor + position[j]


@njit(nogil=True, inline="always")
def _project(
    way: int,
    network: Network,
    design: Design,
    layer: int,
    token_positions: I64,
    room: Activations,
    projected: Words,
    scratch: Scratch,
    row: int,
    rows: int,
) -> None:
    """Set rows of `projected` to the queries, keys and values of a layer, for `rows` tokens from `row` on.

    Queries and keys are normalised and rotated head by head, in float32.
    """
    read, width, n = room.read, design.head_width, network.projections_bias.shape[1]
    rotated = design.turned * (design.heads + design.key_heads)
    for head in range(rotated):
        _store_products(
            way,
            rows,
            read,
            row,
            network.projections,
            layer,
            n,
            read.shape[2],
            0,
            read.shape[2],
            head * width,
            scratch.head,
        )
        number = 2 * layer + (head >= design.heads)
        rotate(
            way,
            scratch.head,
            rows,
            network.projections_bias,
            layer,
            head * width,
            design.normalises_heads,
            network.head_scales,
            number,
            network.head_epsilons[number],
            network.rotations,
            network.rotation_of[layer],
            token_positions,
            projected,
            row,
            head * width,
        )
    _activate_products(
        way,
        rows,
        read,
        row,
        network.projections,
        network.projections_bias,
        layer,
        rotated * width,
        n,
        NONE,
        0,
        projected,
        row,
        rotated * width,
        scratch.sums,
    )


@njit(nogil=True, inline="always")
def _attend(
    way: int,
    network: Network,
    design: Design,
    layer: int,
    projected: Words,
    lengths: I64,
    first: int,
    last: int,
    room: Activations,
    scratch: Scratch,
) -> None:
    """Compute the outputs of all attention heads for tokens `first` to `last`, and store them in `room.joined`.

    Each token attends to its own text.
    """
    back, ahead = network.windows[layer]
    start = 0
    for length in lengths:
        begin, end = max(start, first), min(start + length, last)
        if begin < end:
            for head in range(design.key_heads):
                attend(
                    way,
                    projected,
                    start,
                    length,
                    begin,
                    end,
                    design,
                    head,
                    back,
                    ahead,
                    network.distances,
                    scratch,
                    room.joined,
                )
        start += length


@njit(nogil=True, inline="always")
def _finish_layer(
    way: int, network: Network, design: Design, layer: int, room: Activations, scratch: Scratch, row: int, rows: int
) -> None:
    """Compute what follows attention in a layer, for `rows` tokens from `row` on.

    It starts at the heads' outputs in `room.joined`, and ends before the normalisation after the layer. The result is
    in `scratch.y`.
    """
    hidden, y = scratch.hidden, scratch.y
    joined, d = room.joined.shape[2], y.shape[1]
    _store_products(way, rows, room.joined, row, network.output, layer, d, joined, 0, joined, 0, y)
    _add_branch(way, rows, network, 2 * layer + 1, network.output_bias, layer, room, y, row)
    _normalise_rows(way, rows, network, 2 * layer + 1, design.norm_first > 0, room, y, row)
    width, gated = network.inner_bias.shape[1] >> design.gated, design.gated
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
            begin << gated,
            end << gated,
            design.curve,
            gated,
            hidden,
            0,
            0,
            scratch.sums,
        )
        numbers = 1 if way == FLOAT32 else 2  # per word
        _store_products(
            way, rows, hidden, 0, network.outer, layer, d, width // numbers, begin // numbers, end // numbers, 0, y
        )
    _add_branch(way, rows, network, 2 * layer + 2, network.outer_bias, layer, room, y, row)


@njit(nogil=True, inline="always")
def _add_branch(
    way: int, rows: int, network: Network, number: int, bias: F32, layer: int, room: Activations, y: F32, row: int
) -> None:
    """Add the bias and the rows of `room.x` from `row` on to the output of a branch, y[: rows].

    If the network normalises the branch before the normalisation `number`, that comes first; the bias is then zero.
    """
    branch = len(network.epsilons) // 2 + number
    if network.norms[branch] != NO_NORM:
        _normalise_in_place(way, rows, network, branch, room, y, row)
    add(y, rows, bias, layer, room.x, row)


@njit(nogil=True, inline="always")
def _normalise_in_place(
    way: int, rows: int, network: Network, number: int, room: Activations, y: F32, row: int
) -> None:
    """Normalise rows of y by the network's normalisation `number`; rows of `room.read` from `row` on change too."""
    epsilon, kind = network.epsilons[number], network.norms[number]
    normalise(way, kind, y, rows, network.scales, network.shifts, number, epsilon, False, y, 0, room.read, row)


@njit(nogil=True, inline="always")
def _normalise_rows(
    way: int, rows: int, network: Network, number: int, keeps: bool, room: Activations, y: F32, row: int
) -> None:
    """Normalise rows of y by the network's normalisation `number`, and store them from row `row` of the activations on.

    They are packed in `room.read`. `room.x` gets them as float32, or if `keeps`, the rows before the normalisation.
    """
    epsilon, kind = network.epsilons[number], network.norms[number]
    normalise(way, kind, y, rows, network.scales, network.shifts, number, epsilon, keeps, room.x, row, room.read, row)


@njit(nogil=True, inline="always")
def _pool(x: F32, lengths: I64, pooling: int, out: F32) -> None:
    """Set out[i] to one vector of text i, pooled from the vectors x of its tokens, for all texts.

    `pooling` is a value of `POOLINGS`: the mean, the maximum, or the first or the last token's vector.
    """
    row = 0
    for text in range(len(lengths)):
        into, start = out[text], row + lengths[text] - 1 if pooling == LAST else row
        for j in range(x.shape[1]):
            into[j] = x[start, j]
        if pooling in (MEAN, MAXIMUM):
            for token in range(row + 1, row + lengths[text]):
                for j in range(x.shape[1]):
                    into[j] = max(into[j], x[token, j]) if pooling == MAXIMUM else into[j] + x[token, j]
        if pooling == MEAN:
            for j in range(x.shape[1]):
                into[j] /= np.float32(lengths[text])
        row += lengths[text]


_words_1, _words_3, _reals, _integers = array(uint32, 1), array(uint32, 3), array(float32, 2), array(int64, 1)
_NETWORK = record(
    Network,
    *[_reals, float64, _reals, *[_words_1] * 4, *[_reals] * 4, _integers, _reals, _reals, array(float32, 1)],
    *[_reals, array(float32, 1), array(float32, 3), _integers, array(int64, 2), _reals],
)
_DESIGN = record(Design, *[int64] * 8)
_ROOM = record(Activations, _reals, _words_3, array(uint32, 4), _words_3)
_SCRATCH = record(Scratch, _words_1, _words_1, _reals, _words_3, array(float32, 1), _words_3, _reals, _reals, _reals)


@kernel(
    int64,
    _NETWORK,
    _DESIGN,
    *[_integers] * 4,
    _ROOM,
    _SCRATCH,
    *[int64] * 4,
    array(float32, 3),
    fastmath=False,
    among=TRANSFORMER,
)
def encode(
    way: int,
    network: Network,
    design: Design,
    tokens: I64,
    token_positions: I64,
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
        design: what the layers are like.
        tokens: int64[t], below n_vocabulary.
        token_positions: int64[t], the position of each token in its text.
        lengths: int64[b], from 1 to n_positions; they sum to t.
        poolings: int64[p], values of `POOLINGS`.
        room: activations of t tokens, as earlier stages left them.
        scratch: this thread's buffers, for texts of these lengths.
        first, last: the range of tokens to compute.
        begin, end: the range of stages to compute, of l + 2; the last stage pools all texts.
        out: float32[p, b, d], filled by the last stage; vectors are not normalised.
    """
    layers, branches = network.output_bias.shape[0], len(network.epsilons) // 2
    if way >= TILES:
        take_unit()
    for stage in range(begin, min(end, layers + 1)):
        if stage > 0:
            projected = room.projected[(stage - 1) % room.projected.shape[0]]
            _attend(way, network, design, stage - 1, projected, lengths, first, last, room, scratch)
        row = first
        while row < last:
            rows = _pass_rows(way, last - row)
            if stage == 0:
                _embed(network, tokens, token_positions, row, rows, scratch.y)
                if network.norms[branches] != NO_NORM:
                    _normalise_in_place(way, rows, network, branches, room, scratch.y, row)
            else:
                _finish_layer(way, network, design, stage - 1, room, scratch, row, rows)
            keeps = design.norm_first > 0 and stage < layers
            _normalise_rows(way, rows, network, 2 * stage, keeps, room, scratch.y, row)
            if stage < layers:
                projected = room.projected[stage % room.projected.shape[0]]
                _project(way, network, design, stage, token_positions, room, projected, scratch, row, rows)
            row += rows
    if way >= TILES:
        leave_unit()
    if end > layers + 1:
        for number in range(len(poolings)):
            _pool(room.x, lengths, poolings[number], out[number])
