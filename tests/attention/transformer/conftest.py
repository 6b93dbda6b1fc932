"""Small models with random parameters, in NumPy and in torch."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from attention.transformer import Architecture, Embeddings, LayerNorm, SentenceEncoder, initial, mapped

LIBRARIES: dict[str, Callable] = {"numpy": np.asarray, "torch": torch.as_tensor}


@pytest.fixture(params=list(LIBRARIES))
def library(request) -> Callable:
    """Takes NumPy arrays to the library under test."""
    return LIBRARIES[request.param]


@pytest.fixture
def random():
    return np.random.default_rng(7)


@pytest.fixture(params=[False, True], ids=["post-norm", "pre-norm"])
def sizes(request) -> Architecture:
    return Architecture(d_model=15, n_heads=5, d_ff=11, n_layers=3, norm_first=request.param)


def shaken(random, parameters):
    """Every array moved a little: biases begin at 0 and scales at 1, where a mistake would not show."""
    return mapped(lambda array: array + 0.2 * random.standard_normal(array.shape).astype(array.dtype), parameters)


@pytest.fixture
def encoder(random, sizes, library):
    return mapped(library, shaken(random, initial.encoder(random, sizes)))


@pytest.fixture
def decoder(random, sizes, library):
    return mapped(library, shaken(random, initial.decoder(random, sizes, cross_attention=True)))


@pytest.fixture
def sentence_encoder(random, library) -> SentenceEncoder:
    """A small BERT: 31 tokens, 2 types, 19 positions."""
    sizes = Architecture(d_model=15, n_heads=5, d_ff=11, n_layers=3, norm_first=False)
    plain = initial.embeddings(random, 31, 19, sizes.d_model)
    embeddings = Embeddings(plain.tokens, plain.positions, plain.tokens[:2] + 1, initial.layer_norm(15))
    model = SentenceEncoder(embeddings, initial.encoder(random, sizes))
    return mapped(library, shaken(random, model))


@pytest.fixture
def layer_norm(random, library) -> LayerNorm:
    return mapped(library, shaken(random, initial.layer_norm(13)))
