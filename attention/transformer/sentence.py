"""A sentence encoder: the tokens of a text → one vector."""

from __future__ import annotations

from dataclasses import dataclass

from array_api_compat import array_namespace

from attention.arrays import Array, namespace
from attention.masks import padding
from attention.similarity import unit
from attention.transformer.embeddings import Embeddings
from attention.transformer.encoder import Encoder
from attention.transformer.pooling import POOLINGS


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
