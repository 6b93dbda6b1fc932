"""Parameters of an encoder, packed for the products, and the buffers that computing it needs.

They are packed into words of four bytes: one float32, or two consecutive bfloat16. A product runs over words: it
multiplies two float32, or two pairs of bfloat16, and adds the result to one sum. So both formats share one layout.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from attention.arrays import F32
from attention.shared_memory import private

Words: TypeAlias = npt.NDArray[np.uint32]

PANEL = 32
"""Columns that AMX multiplies at a time. Widths of heads and layers are multiples of it."""

FLOAT32, BFLOAT16, TILES, THREE = range(4)
"""Ways to multiply: float32; bfloat16; bfloat16 with AMX; float32 by three AMX products.

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

    A word is one float32 for the way FLOAT32, else two bfloat16.
    """
    return numbers if way == FLOAT32 else numbers // 2


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


def pack_panels(matrices: Sequence[F32], way: int, columns: int) -> Words:
    """Pack l matrices float32[depth, n] as panels, uint32[l, parts, n/columns, words, columns].

    A panel is some columns of a matrix, side by side: each word of the first column, then the same word of the next.

    Args:
        matrices: l matrices of one shape; n is a multiple of `columns`.
        way: how numbers are packed, one of FLOAT32, BFLOAT16, TILES and THREE.
        columns: the number of columns of a panel, from `columns_of`.
    """
    numbers, width = matrices[0].shape
    packed = empty_words(len(matrices), parts(way), width // columns, depth(numbers, way), columns)
    for into, matrix in zip(packed, matrices, strict=True):
        if way == FLOAT32:
            into[0] = interleave_columns(
                np.ascontiguousarray(matrix, dtype=np.float32).view(np.uint32)[:, None], columns
            )
            continue
        rest = np.asarray(matrix, dtype=np.float32)
        for part in into:
            near = to_bfloat16(rest)
            part[...] = interleave_columns(np.stack([near[0::2], near[1::2]], axis=1).astype(np.uint32), columns)
            rest = rest - from_bfloat16(near)
    return packed


def interleave_columns(numbers: Words, columns: int) -> Words:
    """Interleave columns of a matrix, as uint32[n/columns, words, columns].

    `numbers` is [words, numbers per word, n]: the bits of the numbers. All numbers of a word are joined in it.
    """
    shifts = np.arange(numbers.shape[1], dtype=np.uint32)[:, None] * np.uint32(16)
    whole: Words = np.bitwise_or.reduce(numbers << shifts, axis=1)
    return whole.reshape(len(whole), -1, columns).transpose(1, 0, 2)


def to_bfloat16(numbers: F32) -> npt.NDArray[np.uint16]:
    """Return the bits of the bfloat16 nearest to each number, ties to even, in the shape of `numbers`."""
    bits = np.ascontiguousarray(numbers, dtype=np.float32).view(np.uint32)
    return ((bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)).astype(np.uint16)


def from_bfloat16(bits: npt.NDArray[np.uint16]) -> F32:
    """Return as float32 the bfloat16 numbers with these bits."""
    return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)


ROWS = 96
"""Tokens per pass through a layer, so that intermediate results stay in the L2 cache."""

MORE_ROWS = 192
"""Tokens per pass if a panel has 16 columns, which stay in the L1 cache.

Measured on AVX2: batches are 3 to 5 % faster than with 96, because panels are loaded from memory half as often.
"""

WIDENED = 384
"""Hidden units of the feed-forward layer that are computed and multiplied again at a time."""

QUERIES = 12
"""Tokens of a text that attend at a time, so that their logits stay in the L1 cache."""

TILE_QUERIES = 16
"""Tokens of a text that attend at a time with AMX."""

SPARE = PANEL
"""Rows after the last token, because keys are read 32 at a time."""

NONE, RELU, GELU, GELU_TANH, SILU = range(5)
CURVES: Mapping[object, int] = {"relu": RELU, "gelu": GELU, "gelu_tanh": GELU_TANH, "silu": SILU}
"""Activations by their name in `FeedForward`."""

MEAN, FIRST, MAXIMUM = range(3)
POOLINGS: Mapping[str, int] = {"mean": MEAN, "cls": FIRST, "max": MAXIMUM}


class Network(NamedTuple):
    """The packed parameters of an encoder of l layers, each of which normalises after its residual sums (post-norm).

    Attributes:
        tokens: float32[n_vocabulary, d], the token vectors.
        positions: float32[n_positions, d], the position vectors, with that of the token type added.
        projections: uint32[…], the matrices W_Q, W_K and W_V of each layer, from `pack_panels`; W_Q is scaled.
        output: uint32[…], the matrix after each layer's heads.
        inner, outer: uint32[…], the two matrices of each layer's feed-forward network.
        projections_bias, output_bias, inner_bias, outer_bias: float32[l, n]
        scales, shifts: float32[1 + 2·l, d], of the normalisations: of the embeddings, then two of each layer.
        epsilons: float32[1 + 2·l], of the same normalisations.
    """

    tokens: F32
    positions: F32
    projections: Words
    output: Words
    inner: Words
    outer: Words
    projections_bias: F32
    output_bias: F32
    inner_bias: F32
    outer_bias: F32
    scales: F32
    shifts: F32
    epsilons: F32


class Activations(NamedTuple):
    """Activations of the tokens of some texts, shared by the threads that compute them.

    Attributes:
        x: float32[rows, d], the normalised vectors of the tokens, which attention or the feed-forward network reads
            next.
        read: uint32[parts, rows, …], the same as x, packed.
        projected: uint32[1 or 2, parts, rows, …], queries, keys and values of one layer, packed. With two, layers
            alternate, so that a thread can write the next layer's while another still reads this one's.
        joined: uint32[parts, rows, …], the outputs of all heads side by side, packed.
    """

    x: F32
    read: Words
    projected: Words
    joined: Words


class Scratch(NamedTuple):
    """Buffers that one thread needs while it encodes.

    Attributes:
        keys, values, logits, weights, factors: buffers of one attention head; see `attention.attend`.
        hidden: uint32[parts, MORE_ROWS, …], hidden units of the feed-forward network after the activation, packed.
        sums: float32[MORE_ROWS, 32], the product of some rows with a panel of a matrix.
        y: float32[MORE_ROWS, d], the output of attention or of the feed-forward network, and then its sum with the
            input.
    """

    keys: Words
    values: Words
    logits: F32
    weights: Words
    factors: F32
    hidden: Words
    sums: F32
    y: F32


def room(network: Network, way: int, rows: int, *, threads: int = 1) -> Activations:
    """Return memory for the activations of `rows` tokens, which `threads` threads share.

    `way` says how numbers are packed and multiplied.
    """
    width = network.output_bias.shape[1]
    read = zero_rows(rows + SPARE, width, way)
    projected = [zero_rows(rows + SPARE, 3 * width, way) for _ in range(min(threads, 2))]
    return Activations(
        # A float32 packed into a word keeps its bits.
        x=read[0].view(np.float32) if way == FLOAT32 else np.zeros((rows + SPARE, width), dtype=np.float32),
        read=read,
        projected=projected[0][None] if threads == 1 else np.stack(projected),
        joined=zero_rows(rows + SPARE, width, way),
    )


def scratch(network: Network, way: int, longest: int) -> Scratch:
    """Return the buffers of one thread, for texts of up to `longest` tokens.

    `way` says how numbers are packed and multiplied.
    """
    width = network.output_bias.shape[1]
    across = -(-longest // PANEL) * PANEL + PANEL
    return Scratch(
        keys=empty_words(across * width),
        values=empty_words(across * width),
        logits=np.zeros((TILE_QUERIES, across), dtype=np.float32),
        weights=zero_rows(TILE_QUERIES, across, way),
        factors=np.zeros(TILE_QUERIES, dtype=np.float32),
        hidden=zero_rows(MORE_ROWS, WIDENED, way),
        sums=np.zeros((MORE_ROWS, PANEL), dtype=np.float32),
        y=np.zeros((MORE_ROWS, width), dtype=np.float32),
    )
