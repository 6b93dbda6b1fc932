"""The encoder's kernels give the same bits on every kind of processor: sums have a written order."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from softkv_attention.kernels.native.library import library_of, usable_kinds
from softkv_attention.kernels.transformer import FLOAT32, INT16, POOLINGS, Encoder
from softkv_attention.transformer import compiled, map_arrays
from tests.attention.transformer.test_compiled_families import MODELS, model_of

DIGESTS = {
    "MPNet": ("5d94b083b4a6ee8d", "bd1171f6393c02eb"),
    "NomicBERT": ("6330a93f020d8632", "ae6efc0b34934e16"),
    "ModernBERT": ("dec6eca6e28ec21b", "fbb838b7ad60196a"),
    "Llama": ("35c04feab4848f96", "1821cf4f41988823"),
    "Qwen3": ("c48ddd2835e73ae3", "b51f11ca910a7f74"),
    "Gemma 3": ("d3fa087eb93dd0f5", "48d52c49b7f5b1e6"),
    "EmbeddingGemma": ("d0acad6b636014d5", "c9049b15964c5cbf"),
    "ReGLU": ("6020205878e77d49", "ea6c6051defa11cd"),
    "causal windows": ("78b367c13cb1a28c", "52911b6477a256e3"),
    "last token": ("2c37cab04f68a89a", "e5fe5803d6858e72"),
    "more hidden units than a pass": ("5c75744be2cd8972", "20a4cbdac2a26872"),
}
"""Of models that together run every line of the encoder: the vectors by float32 and by int16, as SHA-256, shortened.

A change of the order of sums changes them. Stored vectors then differ in their last digits from new ones.
"""


def fixed(name):
    """Return a model whose parameters have few digits, so that no library of mathematics decides one of them."""
    return map_arrays(rounded, model_of(np.random.default_rng(7), **MODELS[name]))


def rounded(array):
    return (np.round(array * 2**12) / 2**12).astype(np.float32)


def network_of(model, way, columns):
    """Return the packed parameters of a model, with angles of few digits."""
    network = compiled.network(model, way, columns)
    return network._replace(rotations=rounded(network.rotations))


def some_texts():
    """Return the tokens, the lengths and every pooling of some texts."""
    lengths = np.array([3, 1, 33, 70, 2])
    return np.random.default_rng(8).integers(0, 31, lengths.sum()), lengths, np.array(list(POOLINGS.values()))


def encoded(kernels, model, way):
    """Return the vectors of some texts, float32[poolings, texts, d], before they are scaled."""
    tokens, lengths, poolings = some_texts()
    network = network_of(model, way, kernels.columns_of(way))
    prepared = kernels.network(network, compiled.design(model), way)
    positions = np.arange(len(tokens)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    out = np.zeros((len(poolings), len(lengths), network.tokens.shape[1]), np.float32)
    room, buffers = prepared.room(len(tokens)), prepared.scratch(len(tokens))
    stages = len(network.output_bias) + 2
    prepared.encode(tokens, positions, lengths, poolings, room, buffers, 0, len(tokens), 0, stages, out)
    return out


def digest(vectors):
    return hashlib.sha256(vectors.tobytes()).hexdigest()[:16]


@pytest.mark.parametrize("kind", usable_kinds(), ids=lambda kind: kind.name)
@pytest.mark.parametrize("name", DIGESTS)
def test_the_bits_are_the_recorded_ones(kind, name):
    encoder, model = Encoder(library_of(kind)), fixed(name)
    assert tuple(digest(encoded(encoder, model, way)) for way in (FLOAT32, INT16)) == DIGESTS[name]
