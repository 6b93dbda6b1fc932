"""Heads of one text among others are softmaxes over what a token attends to, and over no neighbour's tokens."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from attention import attend as definition
from attention.kernels.transformer.parameters import (
    NONE,
    PANEL,
    TILE_QUERIES,
    UNLIMITED,
    Design,
    Scratch,
    empty_words,
    zero_rows,
)
from tests.attention.kernels.transformer.kept import kept, numbers_of, words_of
from tests.thorough import crossed

OFF_BY = {0: 1e-5, 1: 2e-2, 2: 2e-2, 3: 1e-4}


@crossed(
    {
        "back, ahead": [(UNLIMITED, UNLIMITED), (UNLIMITED, 0), (5, 5), (40, 0)],
        "width, heads, key_heads": [(32, 2, 2), (64, 3, 1)],
        "biased": [False, True],
    }
)
def test_heads_of_a_text(steps, way, width, heads, key_heads, back, ahead, biased):
    random = np.random.default_rng(width)
    lengths, group = (3, 1, 12, 13, 33, 64, 90), heads // key_heads
    total, longest = sum(lengths), max(lengths)
    numbers = random.standard_normal((total, (heads + 2 * key_heads) * width)).astype(np.float32)
    projected = words_of(numbers, way, spare=PANEL)
    # Unwritten memory is NaN, so reading it before writing would show in every way.
    across, parts = longest + 2 * PANEL, len(projected)
    keys, values = (empty_words(across * width * parts) for _ in range(2))
    weights = zero_rows(TILE_QUERIES, across, way)
    for words in (keys, values, weights):
        words[...] = 0x7FC07FC0
    logits, nothing = np.full((TILE_QUERIES, across), np.nan, np.float32), np.zeros((1, PANEL), np.float32)
    factors, sums = np.zeros(TILE_QUERIES, np.float32), np.zeros((PANEL, PANEL), np.float32)
    scratch = Scratch(keys, values, logits, weights, factors, weights, sums, nothing, nothing)
    design = Design(heads, key_heads, width, NONE, 0, 0, 0, 0)
    reach = longest + PANEL
    distances = random.standard_normal((heads, 2 * reach)).astype(np.float32)[:, : 2 * reach * biased]
    out = zero_rows(total + PANEL, heads * width, way)
    first = 0
    exact = kept(numbers, way)
    expected = np.zeros((total, heads, width))
    for length in lengths:
        for head in range(key_heads):
            for begin, end in pairwise([first, first + length // 3, first + length]):  # as two threads would
                where = (projected, first, length, begin, end)
                steps.attend(way, *where, design, head, back, ahead, distances, scratch, out)
        text = exact[first : first + length].reshape(length, -1, width).swapaxes(0, 1)
        distance = np.arange(length) - np.arange(length)[:, None]
        query, key, value = text[:heads], text[heads : heads + key_heads], text[heads + key_heads :]
        expected[first : first + length] = definition(
            query * np.sqrt(width),  # the kernel is given queries that are scaled already
            np.repeat(key, group, axis=0),
            np.repeat(value, group, axis=0),
            mask=(distance >= -back) & (distance <= ahead),
            bias=distances[:, reach + distance] if biased else None,
        ).output.swapaxes(0, 1)
        first += length
    expected = expected.reshape(total, -1)
    np.testing.assert_allclose(numbers_of(out, way)[:total], expected, atol=OFF_BY[way], rtol=OFF_BY[way])
