"""A sentence encoder, which turns the tokens of a text into one vector, pooled from the vectors of its tokens."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from array_api_compat import device

from softkv_attention.arrays import Array, array_namespace, namespace, promote
from softkv_attention.forked import cached_property
from softkv_attention.masks import padding
from softkv_attention.names import resolve
from softkv_attention.similarity import unit
from softkv_attention.transformer.embeddings import Embeddings
from softkv_attention.transformer.feed_forward import ACTIVATIONS, Activation, Linear
from softkv_attention.transformer.stacks import Encoder

Pooling: TypeAlias = Callable[[Array, Array], Array]
"""A function of x [..., n, d_model] and a mask [..., n], which is True for a token and False for padding.

It returns [..., d_model], and computes in float32 or wider. A sequence without tokens gets zeros.
"""


def mean(x: Array, mask: Array) -> Array:
    """Return the mean of the vectors of each text's tokens, for which the mask is True."""
    xp = array_namespace(x, mask)
    (x,) = promote(xp, x)
    count = xp.sum(xp.astype(mask, x.dtype), axis=-1)[..., None]
    return _total(mask, x) / xp.clip(count, min=1.0)


def cls(x: Array, mask: Array) -> Array:
    """Return the first token's vector, which for BERT is that of the special token [CLS].

    Padding must be on the right.
    """
    xp = array_namespace(x, mask)
    (x,) = promote(xp, x[..., 0, :])
    return xp.where(mask[..., :1], x, xp.zeros_like(x))


def maximum(x: Array, mask: Array) -> Array:
    """Return for each dimension the largest entry over a text's tokens, for which the mask is True."""
    xp = array_namespace(x, mask)
    (x,) = promote(xp, x)
    largest = xp.max(xp.where(mask[..., None], x, xp.full_like(x, -math.inf)), axis=-2)
    return xp.where(xp.any(mask, axis=-1)[..., None], largest, xp.zeros_like(largest))


def last(x: Array, mask: Array) -> Array:
    """Return the last token's vector, which in a causal model has seen the whole text.

    Padding must be on the right.
    """
    xp = array_namespace(x, mask)
    position = xp.arange(mask.shape[-1], device=device(mask))
    count = xp.sum(xp.astype(mask, xp.int64), axis=-1)[..., None]
    return _total(mask & (position == count - 1), x)


def weighted_mean(x: Array, mask: Array) -> Array:
    """Return the mean of the vectors of each text's tokens, the i-th of weight i (Muennighoff 2022, arXiv 2202.08904).

    Padding must be on the right.
    """
    xp = array_namespace(x, mask)
    (x,) = promote(xp, x)
    weight = xp.astype(mask, x.dtype) * (1 + xp.arange(mask.shape[-1], dtype=x.dtype, device=device(mask)))
    total = xp.sum(xp.where(mask[..., None], x, xp.zeros_like(x)) * weight[..., None], axis=-2)
    return total / xp.clip(xp.sum(weight, axis=-1)[..., None], min=1.0)


def _total(mask: Array, x: Array) -> Array:
    """Return the sum of the vectors for which the mask is True, [..., d_model]."""
    xp = array_namespace(x, mask)
    (x,) = promote(xp, x)
    return xp.sum(xp.where(mask[..., None], x, xp.zeros_like(x)), axis=-2)


POOLINGS: Mapping[str, Pooling] = {
    "mean": mean,
    "cls": cls,
    "max": maximum,
    "last": last,
    "weighted_mean": weighted_mean,
}


@dataclass(frozen=True, eq=False)
class Dense:
    """A map of the pooled vector, activation(linear(x)).

    Attributes:
        linear: d_in → d_out
        activation: a key of ACTIVATIONS, or a function of an array; None for none.
    """

    linear: Linear
    activation: str | Activation | None = None

    def __call__(self, x: Array) -> Array:
        """Return the vector [..., d_out] for x [..., d_in].

        Raises:
            ParameterError: the activation's name is unknown.
        """
        return self.activate(self.linear(x))

    def activate(self, y: Array) -> Array:
        """Return the activation of y; y itself without one."""
        return y if self.activation is None else self._activate(y)

    @cached_property
    def _activate(self) -> Activation:
        assert self.activation is not None
        return resolve("activation", self.activation, ACTIVATIONS, "a function of an array")


@dataclass(frozen=True, eq=False)
class SentenceEncoder:
    """A sentence encoder: embeddings, an encoder, pooling, and perhaps maps of the pooled vector.

    This is the definition, in NumPy or torch; `Compiled` computes the same faster.

    Attributes:
        embeddings: token ids → vectors.
        encoder: the layers.
        poolings: names from POOLINGS; the results of several are concatenated.
        unit_length: whether the embedding is scaled to length one.
        truncation: the number of first components to keep; they are not scaled to length one again. None keeps all.
        dense: maps of the pooled vector, in the order of computation, before it is scaled to length one.
    """

    embeddings: Embeddings
    encoder: Encoder
    poolings: tuple[str, ...] = ("mean",)
    unit_length: bool = True
    truncation: int | None = None
    dense: tuple[Dense, ...] = ()

    @property
    def dimension(self) -> int:
        """The width of an embedding."""
        pooled = int(self.embeddings.tokens.shape[-1]) * len(self.poolings)
        dimension = int(self.dense[-1].linear.weight.shape[1]) if self.dense else pooled
        return dimension if self.truncation is None else min(dimension, self.truncation)

    def __call__(self, tokens: Array, lengths: Array, types: Array | None = None) -> Array:
        """Return the embeddings of padded sequences.

        Args:
            tokens: integers [b, n]; beyond its length, a sequence may hold any token.
            lengths: integers [b], the number of tokens of each sequence.
            types: integers that broadcast to [b, n]; None for 0.

        Returns:
            [b, dimension], float32 or wider.

        Raises:
            ShapeError: the sequences are longer than the model's positions.
            ParameterError: an id is beyond the model's vocabulary.
        """
        mask = padding(lengths, tokens.shape[-1])  # [b, 1, n]
        return self.pool(self.token_vectors(tokens, lengths, types), mask[..., 0, :])

    def token_vectors(self, tokens: Array, lengths: Array, types: Array | None = None) -> Array:
        """Return the last layer's vectors [b, n, d_model] of the tokens, from which an embedding is pooled.

        Arguments and errors are those of a call.
        """
        namespace(tokens=tokens, lengths=lengths, types=types)
        return self.encoder(self.embeddings(tokens, types), padding(lengths, tokens.shape[-1]))

    def pool(self, x: Array, mask: Array) -> Array:
        """Pool vectors x [..., n, d_model] to embeddings [..., dimension]; the mask [..., n] is True for tokens."""
        return self.finish(self.join_poolings(x, mask))

    def join_poolings(self, x: Array, mask: Array) -> Array:
        """Return the results of the poolings, side by side; arguments are those of `pool`."""
        xp = array_namespace(x, mask)
        return xp.concat([POOLINGS[name](x, mask) for name in self.poolings], axis=-1)

    def finish(self, pooled: Array) -> Array:
        """Return the embeddings [..., dimension] of pooled vectors [..., d]: mapped, scaled and truncated."""
        for dense in self.dense:
            pooled = dense(pooled)
        return self.scale(pooled)

    def scale(self, vectors: Array) -> Array:
        """Return the embeddings [..., dimension] of vectors [..., d] after the last map: scaled and truncated."""
        embeddings = unit(vectors) if self.unit_length else vectors
        return embeddings[..., : self.truncation]
