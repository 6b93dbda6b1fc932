"""One head of one text among others is the softmax of its logits over its own tokens, and of no neighbour's."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from attention import attend as definition
from attention.kernels.transformer.attention import attend
from attention.kernels.transformer.parameters import PANEL, TILE_QUERIES, Scratch, depth, empty_words, zero_rows
from tests.attention.kernels.transformer.kept import kept, numbers_of, words_of

OFF_BY = {0: 1e-5, 1: 2e-2, 2: 2e-2, 3: 1e-4}


@pytest.mark.parametrize("width", [32, 64])
def test_a_head_of_a_text(way, width):
    random = np.random.default_rng(width)
    lengths, heads = (3, 1, 12, 13, 33, 64), 2
    total, longest = sum(lengths), max(lengths)
    numbers = random.standard_normal((total, 3 * heads * width)).astype(np.float32)
    projected = words_of(numbers, way, spare=PANEL)
    # Unwritten memory is NaN, so reading it before writing would show in every way.
    across, parts = longest + 2 * PANEL, len(projected)
    keys, values = (empty_words(across * width * parts) for _ in range(2))
    weights = zero_rows(TILE_QUERIES, across, way)
    for words in (keys, values, weights):
        words[...] = 0x7FC07FC0
    logits, nothing = np.full((TILE_QUERIES, across), np.nan, np.float32), np.zeros((1, PANEL), np.float32)
    factors, sums = np.zeros(TILE_QUERIES, np.float32), np.zeros((PANEL, PANEL), np.float32)
    scratch = Scratch(keys, values, logits, weights, factors, weights, sums, nothing)
    out = zero_rows(total + PANEL, heads * width, way)
    words, first = depth(width, way), 0
    exact = kept(numbers, way)
    expected = np.zeros((total, heads * width))
    for length in lengths:
        for head in range(heads):
            for begin, end in pairwise([first, first + length // 3, first + length]):  # as two threads would
                attend(way, projected, first, length, begin, end, head, words, scratch, out)
            text = exact[first : first + length].reshape(length, 3, heads, width)[:, :, head]
            scaled = text[:, 0] * np.sqrt(width)  # the kernel is given queries that are scaled already
            expected[first : first + length, head * width : (head + 1) * width] = definition(
                scaled, text[:, 1], text[:, 2]
            ).output
        first += length
    np.testing.assert_allclose(numbers_of(out, way)[:total], expected, atol=OFF_BY[way], rtol=OFF_BY[way])
