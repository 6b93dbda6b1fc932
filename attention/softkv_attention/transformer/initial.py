"""Initial parameters for training, in NumPy float32; `map_arrays(torch.from_numpy, …)` converts them to torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from softkv_attention.arrays import Array
from softkv_attention.heads import Heads
from softkv_attention.transformer.embeddings import Embeddings, Positions, sinusoidal
from softkv_attention.transformer.feed_forward import FeedForward, Linear
from softkv_attention.transformer.layer import DecoderLayer, EncoderLayer, LayerNorm, Residual
from softkv_attention.transformer.stacks import Decoder, Encoder

if TYPE_CHECKING:
    from numpy.random import Generator  # NumPy imports it at its first use


@dataclass(frozen=True)
class Architecture:
    """The sizes of a stack of layers.

    Attributes:
        d_model: the width of a position's vector.
        n_heads: the number of heads; it divides d_model.
        d_ff: the inner width of the feed-forward networks.
        n_layers: the number of layers.
        activation: a key of ACTIVATIONS.
        norm_first: True for pre-norm, which trains without a warm-up; False for post-norm.
    """

    d_model: int
    n_heads: int
    d_ff: int
    n_layers: int
    activation: str = "gelu"
    norm_first: bool = True


def encoder(random: Generator, sizes: Architecture) -> Encoder:
    """Return an encoder with random parameters."""
    layers = tuple(
        EncoderLayer(
            attention=heads(random, sizes),
            attention_residual=residual(sizes),
            feed_forward=feed_forward(random, sizes),
            feed_forward_residual=residual(sizes),
        )
        for _ in range(sizes.n_layers)
    )
    return Encoder(layers, layer_norm(sizes.d_model) if sizes.norm_first else None)


def decoder(random: Generator, sizes: Architecture, *, cross_attention: bool) -> Decoder:
    """Return a decoder with random parameters, with cross-attention or without."""
    layers = tuple(
        DecoderLayer(
            attention=heads(random, sizes),
            attention_residual=residual(sizes),
            feed_forward=feed_forward(random, sizes),
            feed_forward_residual=residual(sizes),
            cross_attention=heads(random, sizes) if cross_attention else None,
            cross_attention_residual=residual(sizes) if cross_attention else None,
        )
        for _ in range(sizes.n_layers)
    )
    return Decoder(layers, layer_norm(sizes.d_model) if sizes.norm_first else None)


def embeddings(random: Generator, n_vocabulary: int, n_positions: int, d_model: int) -> Embeddings:
    """Return random vectors of tokens, and sinusoidal positions of the same mean square."""
    tokens = random.standard_normal((n_vocabulary, d_model), dtype=np.float32)
    positions = sinusoidal(n_positions, d_model, like=tokens) * np.float32(math.sqrt(2))
    return Embeddings(tokens, Positions(positions))


def heads(random: Generator, sizes: Architecture) -> Heads:
    """Return heads with random matrices, and with all four biases zero."""
    W_Q, W_K, W_V, W_O = (matrix(random, sizes.d_model, sizes.d_model) for _ in range(4))
    b_Q, b_K, b_V, b_O = (np.zeros(sizes.d_model, np.float32) for _ in range(4))
    return Heads(W_Q, W_K, W_V, W_O, sizes.n_heads, b_Q, b_K, b_V, b_O)


def feed_forward(random: Generator, sizes: Architecture) -> FeedForward:
    """Return a feed-forward network with random parameters."""
    inner, outer = linear(random, sizes.d_model, sizes.d_ff), linear(random, sizes.d_ff, sizes.d_model)
    return FeedForward(inner, outer, sizes.activation)


def residual(sizes: Architecture) -> Residual:
    """Return an add & norm with a normalisation that neither scales nor shifts."""
    return Residual(layer_norm(sizes.d_model), sizes.norm_first)


def layer_norm(d_model: int) -> LayerNorm:
    """Return a normalisation that neither scales nor shifts."""
    return LayerNorm(np.ones(d_model, np.float32), np.zeros(d_model, np.float32))


def linear(random: Generator, d_in: int, d_out: int) -> Linear:
    """Return a random linear map with a bias of zeros."""
    return Linear(matrix(random, d_in, d_out), np.zeros(d_out, np.float32))


def matrix(random: Generator, d_in: int, d_out: int) -> Array:
    """Return a uniformly random matrix [d_in, d_out] that preserves variances (Glorot & Bengio 2010)."""
    bound = math.sqrt(6 / (d_in + d_out))
    return random.uniform(-bound, bound, (d_in, d_out)).astype(np.float32)
