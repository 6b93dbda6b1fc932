"""Parameters of an encoder, packed for the products in C, and the memory that computing it needs.

They are packed into words of four bytes: one float32, or two consecutive bfloat16 or int16. A product runs over words:
it multiplies two float32, or two pairs, and adds the result to one sum. So all formats share one layout.

Of integers, each GROUP inputs of a column, or of a row, are multiples of one float32, their unit, which follows their
words. A last group is filled with zeros.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from softkv_attention.aligned import private
from softkv_attention.arrays import F32, I64

Words: TypeAlias = npt.NDArray[np.uint32]

PANEL = 32
"""Columns that AMX multiplies at a time. Widths of heads and layers are multiples of it."""

FLOAT32, INT16, TILES, THREE = range(4)
"""Ways to multiply: float32; int16; bfloat16 with AMX; float32 by three AMX products.

For three products a number has two parts: the nearest bfloat16, and the bfloat16 nearest to the rest. The products are
high by high, low by high and high by low.
"""


def parts(way: int) -> int:
    """Return how many bfloat16 a number is split into in this way to multiply: two for THREE, else one.

    With one part, the number is a float32 or a bfloat16.
    """
    return 2 if way == THREE else 1


def depth(numbers: int, way: int) -> int:
    """Return how many words of four bytes hold `numbers` packed numbers, an even count.

    A word is one float32 for the way FLOAT32, else two numbers. With integers, each group has one word more.
    """
    if way == INT16:
        return -(-numbers // GROUP) * (GROUP // 2 + 1)
    return numbers if way == FLOAT32 else numbers // 2


def attention_way(way: int) -> int:
    """Return the way to multiply in attention: float32 if matrices have integers."""
    return FLOAT32 if way == INT16 else way


def zero_rows(count: int, width: int, way: int) -> Words:
    """Return uint32[parts, count, words], `count` rows of `width` packed zeros.

    `way` says how numbers are packed.
    """
    room = empty_words(parts(way), count, depth(width, way))
    room[...] = 0
    return room


def empty_words(*shape: int) -> Words:
    """Return uninitialised memory uint32[shape], aligned to a cache line."""
    return private(shape, np.uint32)


def pack_panels(matrices: Iterable[F32], count: int, way: int, columns: int) -> Words:
    """Pack matrices float32[depth, n] as panels, uint32[count, parts, n/columns, words, columns].

    A panel is some columns of a matrix, side by side: each word of the first column, then the same word of the next.

    Args:
        matrices: `count` matrices of one shape, of which one at a time is in memory; n is a multiple of `columns`.
        count: their number.
        way: how numbers are packed, one of FLOAT32, INT16, TILES and THREE.
        columns: the number of columns of a panel, from `columns_of`.
    """
    packed = empty_words(0)
    for number, matrix in enumerate(matrices):
        if number == 0:
            numbers, width = matrix.shape
            packed = empty_words(count, parts(way), width // columns, depth(numbers, way), columns)
        into = packed[number]
        if way == INT16:
            into[0] = round_columns(matrix, columns)
        elif way == FLOAT32:
            into[0] = _panels(np.ascontiguousarray(matrix, dtype=np.float32).view(np.uint32), columns)
        else:
            _pack_bfloat16(matrix, columns, into)
    return packed


def _pack_bfloat16(matrix: F32, columns: int, into: Words) -> None:
    """Fill uint32[parts, n/columns, words, columns] with a matrix float32[depth, n]: two rows of bfloat16 to a word.

    Each part after the first has the rounding errors of the one before.
    """
    # Some rows at a time, so that all passes over them read the L2 cache.
    for first in range(0, len(matrix), ROUNDED_ROWS):
        rest = np.array(matrix[first : first + ROUNDED_ROWS], dtype=np.float32, order="C")
        near = np.empty_like(rest)
        words = slice(first // 2, (first + len(rest)) // 2)
        for number, part in enumerate(into):
            if number > 0:
                rest -= near
            bits = to_bfloat16(rest, near).view(np.uint32)
            part[:, words] = _panels((bits[0::2] >> np.uint32(16)) | bits[1::2], columns)


def _panels(words: Words, columns: int) -> Words:
    """Divide words uint32[words, n] into panels, uint32[n/columns, words, columns]."""
    return words.reshape(len(words), -1, columns).transpose(1, 0, 2)


def round_columns(matrix: F32, columns: int) -> Words:
    """Round a matrix float32[depth, n] to integers, and return uint32[n/columns, words, columns].

    The unit of a column's group is the smallest with which no sum of products overflows: products with integers of a
    row, up to LARGEST, sum to less than 2³¹. Each number has 16 bits.
    """
    spare = -len(matrix) % GROUP
    # A unit follows from a sum, whose last digit follows from the order in memory.
    groups = np.pad(np.ascontiguousarray(matrix), ((0, spare), (0, 0))).reshape(-1, GROUP, matrix.shape[1])
    size = np.abs(groups)
    # Rounding adds at most 1/2 to each number. A ten-thousandth is more than the error of a sum in float32.
    limit = (2**31 / LARGEST - GROUP / 2) / 1.0001
    unit = np.maximum(size.sum(axis=1) / np.float32(limit), size.max(axis=1) / np.float32(2**15 - 1))
    unit = np.maximum(unit, np.float32(1e-30))
    np.rint(np.divide(groups, unit[:, None], out=size), out=size)
    packed = np.empty((matrix.shape[1] // columns, len(groups), GROUP // 2 + 1, columns), np.uint32)
    pairs = size.astype(np.int16).reshape(len(groups), GROUP // 2, 2, -1, columns)
    packed[:, :, :-1].view(np.int16).reshape(*packed[:, :, :-1].shape, 2)[...] = pairs.transpose(3, 0, 1, 4, 2)
    packed[:, :, -1] = unit.view(np.uint32).reshape(len(groups), -1, columns).transpose(1, 0, 2)
    return packed.reshape(len(packed), -1, columns)


def to_bfloat16(numbers: F32, out: F32 | None = None) -> F32:
    """Return the bfloat16 nearest to each number, ties to even, as float32 in the shape of `numbers`, or in `out`."""
    bits = np.ascontiguousarray(numbers, dtype=np.float32).view(np.uint32)
    near = np.empty_like(bits) if out is None else out.view(np.uint32)
    np.right_shift(bits, np.uint32(16), out=near)
    near &= np.uint32(1)
    near += np.uint32(0x7FFF)
    near += bits
    near &= np.uint32(0xFFFF0000)  # the upper half of a float32 is a bfloat16
    return near.view(np.float32)


ROUNDED_ROWS = 64
"""Rows of a matrix, an even number, that are rounded to bfloat16 at a time."""

MAX_ROWS = 192
"""The largest number of tokens of a pass through a layer."""

WIDENED = 384
"""Hidden units of the feed-forward layer that are computed and multiplied again at a time."""

GROUP, LARGEST = 128, 12287
"""Inputs whose integers are multiples of one float32, and the largest integer of a row."""

QUERIES = 12
"""Tokens of a text that attend at a time, so that their logits stay in the L1 cache."""

TILE_QUERIES = 16
"""Tokens of a text that attend at a time with AMX."""

SPARE = PANEL
"""Rows after the last token, because keys are read 32 at a time."""

NONE, RELU, GELU, GELU_TANH, SILU = range(5)
CURVES: Mapping[object, int] = {"relu": RELU, "gelu": GELU, "gelu_tanh": GELU_TANH, "silu": SILU}
"""Activations by their name in `FeedForward`."""

MEAN, FIRST, MAXIMUM, LAST = range(4)
POOLINGS: Mapping[str, int] = {"mean": MEAN, "cls": FIRST, "max": MAXIMUM, "last": LAST}

NO_NORM, LAYER_NORM, RMS_NORM = range(3)
"""Normalisations: none; to mean 0 and variance 1; to a mean of squares of 1."""

UNLIMITED = 1 << 40
"""A number of positions beyond every text's."""


class Design(NamedTuple):
    """The numbers that describe an encoder's layers, which are alike.

    Attributes:
        heads: the number of attention heads, whose queries differ.
        key_heads: the number of heads of keys and values, which divides `heads`: consecutive queries share them.
        head_width: the width of a head, a multiple of 32.
        curve: the activation, a value of `CURVES`.
        gated: 1 if the activated gate multiplies the hidden units, else 0.
        norm_first: 1 if a layer normalises what its branches read (pre-norm), 0 if it normalises sums (post-norm).
        turned: 1 if queries and keys are normalised or rotated by their position, else 0.
        normalises_heads: 1 if queries and keys are normalised, else 0.
    """

    heads: int
    key_heads: int
    head_width: int
    curve: int
    gated: int
    norm_first: int
    turned: int
    normalises_heads: int


class Network(NamedTuple):
    """The packed parameters of an encoder of l layers.

    Its 2·(2·l + 1) normalisations have numbers. Number 2·i normalises what layer i reads, or with post-norm the sum
    before layer i; the last layer is followed by number 2·l. Number 2·i + 1 does the same for the feed-forward network
    of layer i. Number 2·l + 1 + n normalises the branch, or the embeddings, before they are added up for number n.

    Attributes:
        tokens: float32[n_vocabulary, d], the token vectors.
        token_scale: the number that token vectors are multiplied by.
        positions: float32[n_types·n_positions, d], the position vectors, with that of the token type added, type by
            type. Positions beyond the last have its vector, so a model without position vectors has one row.
        projections: uint32[…], the matrices W_Q, W_K and W_V of each layer, from `pack_panels`; W_Q is scaled.
        output: uint32[…], the matrix after each layer's heads.
        inner: uint32[…], the matrix to each layer's hidden units. With gates, panels of the gate and of the hidden
            units alternate.
        outer: uint32[…], the matrix from each layer's hidden units.
        projections_bias, output_bias, inner_bias, outer_bias: float32[l, n]
        norms: int64[2·(2·l + 1)], the kind of each normalisation: NO_NORM, LAYER_NORM or RMS_NORM.
        scales, shifts: float32[2·(2·l + 1), d]
        epsilons: float32[2·(2·l + 1)]
        head_scales: float32[2·l, d_k], the scales of the queries, then of the keys, of each layer.
        head_epsilons: float32[2·l]
        rotations: float32[kinds, n_positions, d_k], the cosines, then the sines, of each position's angles.
        rotation_of: int64[l], the kind of each layer's rotation.
        windows: int64[l, 2], how many positions back and ahead a token attends to.
        distances: float32[n_heads, 2·n], added to logits: column n + i is for a key i positions after the query. It
            reaches 32 positions beyond every text. Without such biases it has no columns.
    """

    tokens: F32
    token_scale: float
    positions: F32
    projections: Words
    output: Words
    inner: Words
    outer: Words
    projections_bias: F32
    output_bias: F32
    inner_bias: F32
    outer_bias: F32
    norms: I64
    scales: F32
    shifts: F32
    epsilons: F32
    head_scales: F32
    head_epsilons: F32
    rotations: F32
    rotation_of: I64
    windows: I64
    distances: F32


class Activations(NamedTuple):
    """Activations of the tokens of some texts, shared by the threads that compute them.

    Attributes:
        x: float32[rows, d], the vectors of the tokens, to which the output of attention or of the feed-forward network
            is added next. With post-norm they are normalised.
        read: uint32[parts, rows, …], the normalised vectors, packed, which attention or the feed-forward network reads
            next.
        projected: uint32[1 or 2, parts, rows, …], queries, keys and values of one layer, packed. With two, layers
            alternate, so that a thread can write the next layer's while another still reads this one's.
        joined: uint32[parts, rows, …], the outputs of all heads side by side, packed. Integers take the place of the
            float32 that they are rounded from.
    """

    x: F32
    read: Words
    projected: Words
    joined: Words


class Scratch(NamedTuple):
    """Buffers that one thread needs while it encodes.

    Attributes:
        keys, values, logits, weights, factors: buffers of one attention head; see `native/attention.h`.
        hidden: uint32[parts, MAX_ROWS, …], hidden units of the feed-forward network after the activation, packed.
        sums: float32[MAX_ROWS, …], the products of some rows with one or two panels of a matrix, behind numbers of a
            group that wait to be rounded.
        head: float32[MAX_ROWS, d_k], the queries or keys of one head before they are rotated.
        y: float32[MAX_ROWS, d], the output of attention or of the feed-forward network, and then its sum with the
            input.
    """

    keys: Words
    values: Words
    logits: F32
    weights: Words
    factors: F32
    hidden: Words
    sums: F32
    head: F32
    y: F32


def room(network: Network, design: Design, way: int, rows: int, *, threads: int = 1) -> Activations:
    """Return memory for the activations of `rows` tokens, which `threads` threads share.

    `way` says how numbers are packed and multiplied.
    """
    width, joined = network.output_bias.shape[1], design.heads * design.head_width
    read = zero_rows(rows + SPARE, width, way)
    joining = attention_way(way)
    projected = [zero_rows(rows + SPARE, network.projections_bias.shape[1], joining) for _ in range(min(threads, 2))]
    return Activations(
        # A float32 packed into a word keeps its bits.
        x=read[0].view(np.float32)
        if way == FLOAT32 and not design.norm_first
        else np.zeros((rows + SPARE, width), dtype=np.float32),
        read=read,
        projected=projected[0][None] if threads == 1 else np.stack(projected),
        joined=zero_rows(rows + SPARE, max(joined, depth(joined, way)), joining),
    )


def scratch(network: Network, design: Design, way: int, longest: int) -> Scratch:
    """Return the buffers of one thread, for texts of up to `longest` tokens.

    `way` says how numbers are packed and multiplied.
    """
    width = network.output_bias.shape[1]
    across = -(-longest // PANEL) * PANEL + PANEL
    return Scratch(
        keys=empty_words(across * design.head_width),
        values=empty_words(across * design.head_width),
        logits=np.zeros((TILE_QUERIES, across), dtype=np.float32),
        weights=zero_rows(TILE_QUERIES, across, attention_way(way)),
        factors=np.zeros(TILE_QUERIES, dtype=np.float32),
        hidden=zero_rows(MAX_ROWS, WIDENED, way),
        sums=np.zeros((MAX_ROWS, GROUP + PANEL if way == INT16 else 2 * PANEL), dtype=np.float32),
        head=np.zeros((MAX_ROWS, design.head_width), dtype=np.float32),
        y=np.zeros((MAX_ROWS, width), dtype=np.float32),
    )
