"""What a whole encoder is computed from, and the room that it takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from attention.dtypes import F32
from attention.kernels.transformer.words import FLOAT32, PANEL, Words, rows_of, words_room

ROWS = 96
"""Tokens that a layer is computed for at a time: what lies between its operations stays in the second cache."""

MORE_ROWS = 192
"""The same where a panel has 16 columns, which stay in the first cache.

Measured on AVX2: batches are 3 to 5 hundredths faster than with 96, for a panel is brought from memory half as often.
"""

WIDENED = 384
"""Numbers of a widened row that are made at a time, and multiplied again."""

QUERIES = 12
"""Tokens of a text that attend at a time: their logits lie in the first cache."""

TILE_QUERIES = 16
"""The same where a matrix unit multiplies."""

SPARE = PANEL
"""Rows behind the last token: keys are read 32 at a time."""

NONE, RELU, GELU, GELU_TANH, SILU = range(5)
CURVES: Mapping[object, int] = {"relu": RELU, "gelu": GELU, "gelu_tanh": GELU_TANH, "silu": SILU}
"""Activations, by the name that a `FeedForward` has for them."""

MEAN, FIRST, MAXIMUM = range(3)
POOLINGS: Mapping[str, int] = {"mean": MEAN, "cls": FIRST, "max": MAXIMUM}


class Network(NamedTuple):
    """The parameters of an encoder of l layers, post-norm.

    Attributes:
        tokens: float32[n_vocabulary, d]
        positions: float32[n_positions, d], those from the first token on; token types are added.
        projections, output, inner, outer: uint32[…], the layers' matrices as `words.panels` has them; queries are
            scaled.
        projections_bias, output_bias, inner_bias, outer_bias: float32[l, n]
        scales, shifts: float32[1 + 2·l, d]: of the embeddings, then of each layer's two.
        epsilons: float32[1 + 2·l]
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


class Room(NamedTuple):
    """What lies between two operations on the tokens of some texts; threads that share them share it.

    Attributes:
        x: float32[rows, d], what a branch is given.
        read: uint32[parts, rows, …], x as words.
        projected: uint32[1 or 2, parts, rows, …], queries, keys and values; of one layer, or in turns of every second
            one, so that a thread writes the next layer's while another reads.
        joined: uint32[parts, rows, …], the heads' outputs.
    """

    x: F32
    read: Words
    projected: Words
    joined: Words


class Scratch(NamedTuple):
    """What one thread computes with.

    Attributes:
        keys, values, logits, weights, factors: of one head, see `attend`.
        bent: uint32[parts, MORE_ROWS, …], some of the widened numbers of some rows.
        sums: float32[MORE_ROWS, 32], of a panel.
        y: float32[MORE_ROWS, d], what a branch adds, and that with what it was given.
    """

    keys: Words
    values: Words
    logits: F32
    weights: Words
    factors: F32
    bent: Words
    sums: F32
    y: F32


def room(network: Network, way: int, rows: int, *, threads: int = 1) -> Room:
    """For so many tokens together, which so many threads share."""
    width = network.output_bias.shape[1]
    read = rows_of(rows + SPARE, width, way)
    projected = [rows_of(rows + SPARE, 3 * width, way) for _ in range(min(threads, 2))]
    return Room(
        # Words of float32 are the numbers themselves.
        x=read[0].view(np.float32) if way == FLOAT32 else np.zeros((rows + SPARE, width), dtype=np.float32),
        read=read,
        projected=projected[0][None] if threads == 1 else np.stack(projected),
        joined=rows_of(rows + SPARE, width, way),
    )


def scratch(network: Network, way: int, longest: int) -> Scratch:
    """For texts of so many tokens at most."""
    width = network.output_bias.shape[1]
    across = -(-longest // PANEL) * PANEL + PANEL
    return Scratch(
        keys=words_room(across * width),
        values=words_room(across * width),
        logits=np.zeros((TILE_QUERIES, across), dtype=np.float32),
        weights=rows_of(TILE_QUERIES, across, way),
        factors=np.zeros(TILE_QUERIES, dtype=np.float32),
        bent=rows_of(MORE_ROWS, WIDENED, way),
        sums=np.zeros((MORE_ROWS, PANEL), dtype=np.float32),
        y=np.zeros((MORE_ROWS, width), dtype=np.float32),
    )
