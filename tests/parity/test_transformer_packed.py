"""The kernel `Packed` against the definition it stands beside, `SentenceEncoder` on `attend`.

Packed attends through torch's scaled_dot_product_attention over sequences of equal length, and multiplies by
matrices prepared by oneDNN with the activation fused; the definition pads, masks and does neither.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from attention.transformer import (
    Architecture,
    Embeddings,
    LayerNorm,
    Packed,
    SentenceEncoder,
    arrays,
    initial,
    map_arrays,
)
from tests.thorough import crossed

N_VOCABULARY, N_POSITIONS = 101, 43


def model(activation, norm_first, poolings=("mean",), unit_length=True, seed=0):
    random = np.random.default_rng(seed)
    sizes = Architecture(d_model=21, n_heads=3, d_ff=47, n_layers=3, activation=activation, norm_first=norm_first)
    embeddings = initial.embeddings(random, N_VOCABULARY, N_POSITIONS, sizes.d_model)
    norm = LayerNorm(np.ones(21, np.float32), np.zeros(21, np.float32), 1e-12)
    embeddings = Embeddings(embeddings.tokens, embeddings.positions, None if norm_first else embeddings.tokens, norm)
    encoder = SentenceEncoder(embeddings, initial.encoder(random, sizes), poolings, unit_length)
    jitter = lambda array: array + 0.1 * random.standard_normal(array.shape, dtype=np.float32)  # noqa: E731
    return map_arrays(lambda array: torch.from_numpy(jitter(array)), encoder)


def texts(lengths, seed=1):
    random = np.random.default_rng(seed)
    return random.integers(0, N_VOCABULARY, sum(lengths)), np.array(lengths)


def padded(tokens, lengths):
    table = np.zeros((len(lengths), max(lengths)), np.int64)
    for row, sequence in zip(table, np.split(tokens, np.cumsum(lengths)[:-1]), strict=True):
        row[: len(sequence)] = sequence
    return torch.from_numpy(table), torch.from_numpy(lengths)


LENGTHS = [[1], [43], [5, 5, 5], [7, 2, 7, 31, 2, 2, 43, 1], list(range(1, 44))]


@crossed(
    {
        "lengths": LENGTHS,
        "norm_first": [False, True],
        "activation": ["gelu", "gelu_tanh", "relu", "silu"],
    }
)
def test_packed_is_the_definition(lengths, norm_first, activation):
    encoder = model(activation, norm_first)
    tokens, lengths = texts(lengths)
    expected = encoder(*padded(tokens, lengths)).numpy()
    actual = Packed(encoder)(tokens, lengths)
    assert actual.dtype == np.float32
    assert np.abs(actual - expected).max() < 1e-6


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("activation", ["gelu", "gelu_tanh", "relu", "silu"])
def test_packed_without_onednn_is_the_definition_too(monkeypatch, norm_first, activation):
    monkeypatch.setattr("attention.transformer.packed.has_onednn", lambda weight: False)
    encoder = model(activation, norm_first)
    tokens, lengths = texts([7, 2, 7, 31])
    expected = encoder(*padded(tokens, lengths)).numpy()
    assert np.abs(Packed(encoder)(tokens, lengths) - expected).max() < 1e-6


@pytest.mark.parametrize("poolings", [("mean",), ("cls",), ("max",), ("max", "cls", "mean")])
@pytest.mark.parametrize("unit_length", [False, True])
def test_every_pooling(poolings, unit_length):
    encoder = model("gelu", False, poolings, unit_length)
    tokens, lengths = texts([7, 2, 7, 31])
    expected = encoder(*padded(tokens, lengths)).numpy()
    actual = Packed(encoder)(tokens, lengths)
    assert actual.shape == (4, 21 * len(poolings))
    assert np.abs(actual - expected).max() < (1e-6 if unit_length else 1e-5)


def test_bfloat16_is_near_the_definition_in_float32():
    encoder = model("gelu", False)
    rounded = map_arrays(lambda tensor: tensor.bfloat16(), encoder)
    tokens, lengths = texts([7, 2, 7, 31, 19])
    expected = encoder(*padded(tokens, lengths)).numpy()
    actual = Packed(rounded)(tokens, lengths)
    assert actual.dtype == np.float32
    assert all(tensor.dtype == torch.bfloat16 for _, tensor in arrays(rounded))
    assert np.sum(actual * expected, axis=-1).min() > 0.999
