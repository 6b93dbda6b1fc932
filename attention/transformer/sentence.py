"""A sentence encoder, which turns the tokens of a text into one vector, pooled from the vectors of its tokens."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from array_api_compat import array_namespace

from attention.arrays import Array, namespace, promote
from attention.errors import ParameterError, ShapeError
from attention.masks import padding
from attention.similarity import unit
from attention.transformer.embeddings import Embeddings
from attention.transformer.stacks import Encoder

Pooling: TypeAlias = Callable[[Array, Array], Array]
"""A function of x [..., n, d_model] and a mask [..., n], which is True for a token and False for padding.

It returns [..., d_model], and computes in float32 or wider. A sequence without tokens gets zeros.
"""


def mean(x: Array, mask: Array) -> Array:
    """Return the mean of the vectors of each text's tokens, for which the mask is True."""
    xp = array_namespace(x, mask)
    (x,) = promote(xp, x)
    count = xp.sum(xp.astype(mask, x.dtype), axis=-1)[..., None]
    total = xp.sum(xp.where(mask[..., None], x, xp.zeros_like(x)), axis=-2)
    return total / xp.clip(count, min=1.0)


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


POOLINGS: Mapping[str, Pooling] = {"mean": mean, "cls": cls, "max": maximum}


Integers = npt.NDArray[np.int64]


def check_sequences(tokens: Integers, lengths: Integers) -> tuple[Integers, Integers]:
    """Check tokens and lengths, and return them as int64.

    Raises:
        ParameterError: the tokens or the lengths are not integers.
        ShapeError: the lengths do not sum to the number of tokens.
    """
    for name, array in {"tokens": tokens, "lengths": lengths}.items():
        if not np.issubdtype(array.dtype, np.integer) or array.ndim != 1:
            raise ParameterError(
                f"{name} must be a row of integers, got {array.dtype} of shape {array.shape}: "
                f"put the sequences one after the other"
            )
    if (lengths < 1).any() or lengths.sum() != len(tokens):
        raise ShapeError(
            f"lengths must be at least 1 each and sum to the {len(tokens)} tokens, "
            f"got a least of {lengths.min(initial=1)} and a sum of {lengths.sum()}"
        )
    return tokens.astype(np.int64), lengths.astype(np.int64)


@dataclass(frozen=True, eq=False)
class SentenceEncoder:
    """A sentence encoder: embeddings, an encoder and pooling.

    This is the definition; `Compiled` and `Packed` compute the same faster.

    Attributes:
        embeddings: token ids → vectors.
        encoder: the layers.
        poolings: names from POOLINGS; the results of several are concatenated.
        unit_length: whether the embedding is scaled to length one.
        truncation: the number of first components to keep; they are not scaled to length one again. None keeps all.
    """

    embeddings: Embeddings
    encoder: Encoder
    poolings: tuple[str, ...] = ("mean",)
    unit_length: bool = True
    truncation: int | None = None

    @property
    def dimension(self) -> int:
        """The width of an embedding."""
        whole = int(self.embeddings.tokens.shape[-1]) * len(self.poolings)
        return whole if self.truncation is None else min(whole, self.truncation)

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
        namespace(tokens=tokens, lengths=lengths, types=types)
        mask = padding(lengths, tokens.shape[-1])  # [b, 1, n]
        x = self.encoder(self.embeddings(tokens, types), mask)
        return self.pool(x, mask[..., 0, :])

    def pool(self, x: Array, mask: Array) -> Array:
        """Pool vectors x [..., n, d_model] to embeddings [..., dimension]; the mask [..., n] is True for tokens."""
        xp = array_namespace(x, mask)
        pooled = xp.concat([POOLINGS[name](x, mask) for name in self.poolings], axis=-1)
        embedding = unit(pooled) if self.unit_length else pooled
        return embedding[..., : self.truncation]
