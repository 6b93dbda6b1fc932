"""A sentence encoder: the tokens of a text → one vector, pooled from the vectors of its tokens."""

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
"""x [..., n, d_model] and mask [..., n], True for a token and False for padding → [..., d_model].

The work is done in float32 at least. A sequence without any token gets zeros.
"""


def mean(x: Array, mask: Array) -> Array:
    """The mean of the tokens' vectors."""
    xp = array_namespace(x, mask)
    (x,) = promote(xp, x)
    count = xp.sum(xp.astype(mask, x.dtype), axis=-1)[..., None]
    total = xp.sum(xp.where(mask[..., None], x, xp.zeros_like(x)), axis=-2)
    return total / xp.clip(count, min=1.0)


def cls(x: Array, mask: Array) -> Array:
    """The first token's vector: BERT puts [CLS] there. Padding must be on the right."""
    xp = array_namespace(x, mask)
    (x,) = promote(xp, x[..., 0, :])
    return xp.where(mask[..., :1], x, xp.zeros_like(x))


def maximum(x: Array, mask: Array) -> Array:
    """The largest entry of each dimension over the tokens."""
    xp = array_namespace(x, mask)
    (x,) = promote(xp, x)
    largest = xp.max(xp.where(mask[..., None], x, xp.full_like(x, -math.inf)), axis=-2)
    return xp.where(xp.any(mask, axis=-1)[..., None], largest, xp.zeros_like(largest))


POOLINGS: Mapping[str, Pooling] = {"mean": mean, "cls": cls, "max": maximum}


Integers = npt.NDArray[np.int64]


def check_sequences(tokens: Integers, lengths: Integers) -> tuple[Integers, Integers]:
    """Tokens and lengths as int64.

    Raises:
        ParameterError: they are not integers.
        ShapeError: they do not fit each other.
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
    """Embeddings, an encoder and pooling. This is the definition; `Packed` computes the same faster.

    Attributes:
        embeddings: token ids → vectors.
        encoder: its layers.
        poolings: names from POOLINGS; several are joined end to end.
        unit_length: the embedding is brought to length one.
        truncation: how many numbers of it are kept, the first ones; what is kept is not brought to length one
            again. None keeps all.
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
        """The embeddings of padded sequences.

        Args:
            tokens: integers [b, n]; beyond its length, a sequence may hold any token.
            lengths: integers [b]
            types: integers that broadcast to [b, n]; 0 without.

        Returns:
            [b, dimension], float32 at least.

        Raises:
            ShapeError: the sequences are longer than the model's positions.
            ParameterError: ids that the model does not have.
        """
        namespace(tokens=tokens, lengths=lengths, types=types)
        mask = padding(lengths, tokens.shape[-1])  # [b, 1, n]
        x = self.encoder(self.embeddings(tokens, types), mask)
        return self.pool(x, mask[..., 0, :])

    def pool(self, x: Array, mask: Array) -> Array:
        """Vectors of tokens x [..., n, d_model], which ones are tokens [..., n] → [..., dimension]."""
        xp = array_namespace(x, mask)
        pooled = xp.concat([POOLINGS[name](x, mask) for name in self.poolings], axis=-1)
        embedding = unit(pooled) if self.unit_length else pooled
        return embedding[..., : self.truncation]
