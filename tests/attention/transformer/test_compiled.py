"""The encoder in C computes what the definition says, in every way of multiplying there is."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from softkv_attention import ParameterError, ShapeError
from softkv_attention.kernels.transformer import FLOAT32, INT16, THREE, TILES
from softkv_attention.transformer import (
    Architecture,
    Compiled,
    Embeddings,
    Positions,
    SentenceEncoder,
    compiles,
    initial,
    map_arrays,
)
from softkv_attention.transformer import compiled as module
from tests.attention.transformer.conftest import shaken

SIZES = Architecture(d_model=64, n_heads=2, d_ff=96, n_layers=2, norm_first=False)
OFF_BY = {FLOAT32: 1e-6, INT16: 3e-4, TILES: 3e-2, THREE: 1e-5}


def model_of(random, sizes=SIZES, *, types=True, **options):
    """A small BERT: 31 tokens, 2 types, 140 positions from row 2 of the table on, counted without token 1."""
    plain = initial.embeddings(random, 31, 142, sizes.d_model)
    positions = Positions(plain.positions.table, 2, padding=1)
    embeddings = Embeddings(
        plain.tokens, positions, plain.tokens[:2] + 1 if types else None, initial.layer_norm(sizes.d_model)
    )
    return shaken(random, SentenceEncoder(embeddings, initial.encoder(random, sizes), **options))


@pytest.fixture
def model(random):
    return model_of(random)


@pytest.fixture
def texts(random):
    lengths = np.array([3, 17, 1, 33, 8, 140, 64, 2])
    return random.integers(0, 31, lengths.sum()), lengths


def defined(model, tokens, lengths):
    """Return the vectors by the definition in float64, each text alone."""
    exact = map_arrays(lambda array: array.astype(np.float64), model)
    texts = np.split(tokens, np.cumsum(lengths)[:-1])
    return np.concatenate([exact(text[None], np.array([len(text)])) for text in texts])


def test_types_tell_the_two_texts_of_a_pair_apart(random, model, texts, way):
    tokens, lengths = texts
    types = random.integers(0, 2, len(tokens))
    exact = map_arrays(lambda array: array.astype(np.float64), model)
    parts = zip(np.split(tokens, np.cumsum(lengths)[:-1]), np.split(types, np.cumsum(lengths)[:-1]), strict=True)
    expected = np.concatenate([exact(text[None], np.array([len(text)]), kinds[None]) for text, kinds in parts])
    actual = Compiled(model)(tokens, lengths, types)
    np.testing.assert_allclose(actual, expected, atol=OFF_BY[way])
    assert np.abs(actual - Compiled(model)(tokens, lengths)).max() > 0.01


def test_invalid_types(random, kernels, model, texts):
    tokens, lengths = texts
    with pytest.raises(ParameterError, match="no token types"):
        Compiled(model_of(random, types=False))(tokens, lengths, np.zeros_like(tokens))
    with pytest.raises(ParameterError, match="type ids must lie from 0 to 1, got 2"):
        Compiled(model)(tokens, lengths, np.full_like(tokens, 2))
    with pytest.raises(ShapeError, match="of the tokens, got \\[3\\]"):
        Compiled(model)(tokens, lengths, np.zeros(3, np.int64))


@pytest.mark.parametrize("activation", ["relu", "gelu", "gelu_tanh", "silu"])
@pytest.mark.parametrize(
    "options", [{}, {"poolings": ("cls", "max", "mean"), "truncation": 150}, {"unit_length": False}]
)
@pytest.mark.parametrize("library", [np.asarray, torch.as_tensor], ids=["numpy", "torch"])
def test_models_of_every_kind(kernels, random, texts, activation, options, library):
    model = model_of(random, replace(SIZES, activation=activation, n_heads=1), types=activation == "gelu", **options)
    actual = Compiled(map_arrays(library, model))(*texts)
    expected = defined(model, *texts)
    assert actual.shape == expected.shape
    assert actual.dtype == np.float32
    length = 1 if options.get("unit_length", True) else 10
    np.testing.assert_allclose(actual, expected, atol=2 * length * OFF_BY[module.way_of("float32")])


def in_turns(stage, stages, rows, threads, multiple):
    """Run the stages as if each of the threads had come in turn, with its own parts."""
    edges = [rows * part // threads // multiple * multiple for part in range(threads)] + [rows]
    for number in range(stages):
        for first, last in reversed(list(pairwise(edges))):
            stage(number, first, last)


def test_the_precision_of_a_product_follows_the_processor(kernels, model, texts, monkeypatch):
    monkeypatch.setattr(
        module, "MAX_BATCH_TOKENS", 20
    )  # longer texts have room of their own, and many parts are shared out
    monkeypatch.setattr(module, "multiplies_bfloat16", lambda: True)
    precisions = ("float32", "int16", "bfloat16")
    expected = defined(model, *texts)
    off = [np.abs(Compiled(model, precision)(*texts) - expected).max() for precision in precisions]
    assert off[0] < 1e-5 < off[1] < OFF_BY[INT16] < off[2] < 3e-2


def test_threads_may_share_it(kernels, model, texts):
    compiled = Compiled(model)
    expected = compiled(*texts)
    with ThreadPoolExecutor(6) as pool:
        calls = [pool.submit(compiled, *texts) for _ in range(6)]
    for call in calls:
        np.testing.assert_array_equal(call.result(), expected)


def test_no_texts_and_integers_of_any_width(kernels, model, texts):
    compiled = Compiled(model)
    assert compiled(np.array([], np.int64), np.array([], np.int64)).shape == (0, compiled.dimension) == (0, 64)
    tokens, lengths = texts
    np.testing.assert_array_equal(compiled(tokens.astype(np.uint16), lengths.astype(np.uint8)), compiled(*texts))


@pytest.mark.parametrize(
    ("tokens", "lengths", "error", "message"),
    [
        ([1, 2, 3], [2], ShapeError, "sum to the 3 tokens, got .* a sum of 2"),
        ([1, 31], [2], ParameterError, "token ids must lie from 0 to 30, got 31"),
        ([1, -1], [2], ParameterError, "token ids must lie from 0 to 30, got -1"),
        ([1] * 141, [141], ShapeError, "140 positions, got a sequence of 141"),
        ([1.0, 2.0], [2], ParameterError, "tokens must be a row of integers, got float64"),
    ],
)
def test_invalid_tokens_and_lengths_are_refused(model, tokens, lengths, error, message):
    with pytest.raises(error, match=message):
        Compiled(model)(np.array(tokens), np.array(lengths))


def test_models_that_it_does_not_compute(random, monkeypatch):
    model = model_of(random)
    assert compiles(model)
    narrow = model_of(random, replace(SIZES, d_model=48))
    assert not compiles(narrow)
    with pytest.raises(ParameterError, match=r"multiples of 32, not 48.*call the model itself"):
        Compiled(narrow)
    with pytest.raises(ParameterError, match="precision must be float32, int16, bfloat16, got 'int8'"):
        Compiled(model, "int8")
    monkeypatch.setattr(module, "multiplies_bfloat16", lambda: False)
    with pytest.raises(ParameterError, match=r"AMX, which this one lacks: use int16 or float32"):
        Compiled(model, "bfloat16")
    monkeypatch.setattr(module, "encoder_kernels", lambda: None)
    with pytest.raises(ParameterError, match="the library of kernels is not in use"):
        Compiled(model)
