"""Single steps of the encoder in C: in these models every other step changes nothing, since it adds zeros.

A step reads the first components of a token's vector, and writes to components that were zero.
"""

from __future__ import annotations

import numpy as np
import pytest

from softkv_attention.heads import Heads
from softkv_attention.kernels.transformer.parameters import (
    FLOAT32,
    GROUP,
    INT16,
    LARGEST,
    THREE,
    TILES,
    round_columns,
    to_bfloat16,
)
from softkv_attention.transformer import (
    ACTIVATIONS,
    Compiled,
    Embeddings,
    Encoder,
    EncoderLayer,
    FeedForward,
    Linear,
    Residual,
    SentenceEncoder,
)

KEPT = {FLOAT32: 2e-6, INT16: 1 / LARGEST, TILES: 2**-7, THREE: 2**-14}
"""The error of a number that is stored once more for the next product: relative to it, or to its row's largest one."""


def zeros(*shape):
    return np.zeros(shape, np.float32)


def moving(width, begin, count, to=0, columns=None):
    """Return a matrix [width, columns] that moves the `count` components from `begin` on to those from `to` on."""
    matrix = zeros(width, columns or count)
    matrix[begin : begin + count, to : to + count] = np.eye(count)
    return matrix


def idle_attention(d):
    return Heads(*(zeros(d, 32) for _ in range(3)), zeros(32, d), 1)


def idle_network(d):
    return FeedForward(Linear(zeros(d, 32)), Linear(zeros(32, d)), "relu")


def encode(vectors, *, attention=None, network=None, norm=None, window=None, lengths=None, poolings=("cls",)):
    """Return what one layer and a last normalisation make of token vectors [n, d]; by default each is a text."""
    d, plain = vectors.shape[1], Residual(None, norm_first=True)
    layer = EncoderLayer(attention or idle_attention(d), plain, network or idle_network(d), plain, window=window)
    embeddings = Embeddings(vectors.astype(np.float32), None, None, None)
    model = SentenceEncoder(embeddings, Encoder((layer,), norm), poolings=poolings, unit_length=False)
    return Compiled(model)(np.arange(len(vectors)), np.ones(len(vectors), int) if lengths is None else lengths)


def rounded_rows(rows):
    """Return rows [n, d] in float64, each group of them in multiples of its largest number / LARGEST."""
    groups = np.pad(rows, ((0, 0), (0, -rows.shape[1] % GROUP))).reshape(len(rows), -1, GROUP)
    largest = np.maximum(np.abs(groups).max(axis=2, keepdims=True), np.float32(1e-30))
    integers = np.rint(groups * (np.float32(LARGEST) / largest)).astype(np.float64)
    return (integers * (largest / np.float32(LARGEST))).reshape(len(rows), -1)[:, : rows.shape[1]]


def rounded_columns(matrix):
    """Return the numbers float64 [d, n] that stand for a matrix in `round_columns`."""
    packed = round_columns(matrix, matrix.shape[1])[0].reshape(-1, GROUP // 2 + 1, matrix.shape[1])
    pairs = np.stack([packed[:, :-1] & 0xFFFF, packed[:, :-1] >> 16], axis=2).astype(np.uint16).view(np.int16)
    units = packed[:, -1].view(np.float32).astype(np.float64)
    return (pairs * units[:, None, None]).reshape(-1, matrix.shape[1])[: len(matrix)]


@pytest.mark.parametrize("depth", [32, 96, 1536])
def test_products_of_any_number_of_rows(way, depth):
    """A token attends to itself alone, so its value is its vector times W_V."""
    random = np.random.default_rng(depth)
    a, b = random.standard_normal((45, depth)), random.standard_normal((depth, 64))
    if way == TILES:
        a, b = (to_bfloat16(numbers) for numbers in (a, b))
    a, b = (numbers.astype(np.float32) for numbers in (a, b))
    d = depth + 64
    W_V = np.concatenate([b, zeros(64, 64)])
    attention = Heads(zeros(d, 64), zeros(d, 64), W_V, moving(64, 0, 64, depth, d), 2)
    vectors = np.concatenate([a, zeros(45, 64)], axis=1)
    result = encode(vectors, attention=attention)
    np.testing.assert_array_equal(result[:, :depth], a)
    exact = rounded_rows(vectors) @ rounded_columns(W_V) if way == INT16 else a.astype(np.float64) @ b
    tolerance = {FLOAT32: 3e-7, INT16: 3e-7, TILES: 1e-6, THREE: 2e-5}[way] * (np.abs(a) @ np.abs(b))
    largest = np.abs(exact).max(axis=1, keepdims=True) if way == INT16 else np.abs(exact)
    tolerance += largest * (0 if way == FLOAT32 else KEPT[way])
    assert (np.abs(result[:, depth:] - exact) <= tolerance).all()
    for rows in [*range(1, 19), 31, 32, 33]:
        alone = encode(vectors[:rows], attention=attention)
        np.testing.assert_array_equal(alone, result[:rows])  # a row does not notice its neighbours


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("name", ["relu", "gelu", "gelu_tanh", "silu"])
def test_a_curve_is_that_of_its_name(name):
    x = np.concatenate([np.linspace(-12, 12, 100_000), [-1e30, -200, -88, 0, 88, 200, 1e30], zeros(25)])
    x = x.astype(np.float32).reshape(-1, 32)
    network = FeedForward(Linear(moving(64, 0, 32)), Linear(moving(32, 0, 32, 32, 64)), name)
    bent = encode(np.concatenate([x, zeros(len(x), 32)], axis=1), network=network)[:, 32:]
    with np.errstate(over="ignore"):
        expected = ACTIVATIONS[name](x.astype(np.float64))
    in_range = np.abs(x) <= 200
    off = np.abs(bent - expected)[in_range] / np.maximum(1, x[in_range])
    assert off.max() < 8e-7
    assert bent[x == np.float32(1e30)] == np.float32(1e30)
    np.testing.assert_allclose(bent[x == np.float32(-1e30)], 0, atol=1e-6)


@pytest.mark.parametrize("spread", [0, 1, 30, 1e4])
@pytest.mark.parametrize("window", [0, 3, 40, None])
@pytest.mark.parametrize("way", [FLOAT32, TILES, THREE], indirect=True)  # with integers, attention is float32
def test_weights_are_a_softmax_s(way, spread, window):
    """The logit of a key is one of its components, which every way keeps exactly; a text's ends are its results."""
    random = np.random.default_rng(5)
    lengths = np.array([1, 2, 15, 16, 17, 40, 130])
    vectors = zeros(lengths.sum(), 128)
    logits = to_bfloat16((random.standard_normal(len(vectors)) * spread).astype(np.float32))
    vectors[:, 0], vectors[:, 32], vectors[:, 64:96] = 1, logits, random.standard_normal((len(vectors), 32))
    query, key, value = (moving(128, begin, 32) for begin in (0, 32, 64))
    attention = Heads(query, key, value, moving(32, 0, 32, 96, 128), 1, temperature=32**-0.5)
    result = encode(vectors, attention=attention, window=window, lengths=lengths, poolings=("cls", "last"))
    for text, ends in zip(np.split(vectors.astype(np.float64), np.cumsum(lengths)[:-1]), result, strict=True):
        reach = len(text) if window is None else window + 1
        for seen, pooled in ((text[:reach], ends[96:128]), (text[-reach:], ends[224:])):
            weights = np.exp(seen[:, 32] - seen[:, 32].max())
            expected = weights @ seen[:, 64:96] / weights.sum()
            np.testing.assert_allclose(pooled, expected, rtol=0, atol=4 * KEPT[way])
