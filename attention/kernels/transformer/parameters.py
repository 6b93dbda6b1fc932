"""What a whole encoder is computed from, and the room that it takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from attention.dtypes import F32
from attention.kernels.transformer.words import FLOAT32, PANEL, Words, rows_of, words_room

ROWS = 96
"""Tokens that a panel of a matrix is multiplied by before the next one is read."""

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
    """What lies between two operations, for some texts at a time.

    Attributes:
        x, y: float32[rows, d], what a branch is given, and that with what it adds.
        read: uint32[parts, rows, …], x as words.
        projected: queries, keys and values; `flat` is the same in a row.
        joined, bent: the heads' outputs, and the widened rows.
        keys, values, logits, weights, factors, sums: of one head, see `attend`.
    """

    x: F32
    y: F32
    read: Words
    projected: Words
    flat: Words
    joined: Words
    bent: Words
    keys: Words
    values: Words
    logits: F32
    weights: Words
    factors: F32
    sums: F32


def room(network: Network, way: int, rows: int, longest: int) -> Room:
    """For so many tokens together, and so many of one text."""
    width, inner = network.output_bias.shape[1], network.inner_bias.shape[1]
    read = rows_of(rows + SPARE, width, way)
    across = -(-longest // PANEL) * PANEL + PANEL
    projected = rows_of(rows + SPARE, 3 * width, way)
    return Room(
        # Words of float32 are the numbers themselves.
        x=read[0].view(np.float32) if way == FLOAT32 else np.zeros((rows + SPARE, width), dtype=np.float32),
        y=np.zeros((rows + SPARE, width), dtype=np.float32),
        read=read,
        projected=projected,
        flat=projected.reshape(-1),
        joined=rows_of(rows + SPARE, width, way),
        bent=rows_of(rows + SPARE, inner, way),
        keys=words_room(across * width),
        values=words_room(across * width),
        logits=np.zeros((TILE_QUERIES, across), dtype=np.float32),
        weights=rows_of(TILE_QUERIES, across, way),
        factors=np.zeros(TILE_QUERIES, dtype=np.float32),
        sums=np.zeros((ROWS, PANEL), dtype=np.float32),
    )
