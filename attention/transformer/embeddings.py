"""Token ids → vectors: what the token is, where it stands, and which of two texts it belongs to."""

from __future__ import annotations

from dataclasses import dataclass

from array_api_compat import array_namespace, device

from attention.arrays import Array, namespace
from attention.errors import ParameterError, ShapeError
from attention.transformer.feed_forward import Linear
from attention.transformer.norm import Norm
from attention.transformer.positions import Positions


@dataclass(frozen=True, eq=False)
class Embeddings:
    """The sum of a token's, its position's and its type's vector, then a normalisation.

    Attributes:
        tokens: [n_vocabulary, d_model]
        positions: one vector for each position.
        types: [n_types, d_model], the first or second text of a pair in BERT; None without.
        norm: the normalisation, or None for none.
    """

    tokens: Array
    positions: Positions
    types: Array | None = None
    norm: Norm | None = None

    def __call__(self, tokens: Array, types: Array | None = None, *, start: int = 0) -> Array:
        """The vectors of token ids.

        Args:
            tokens: integers [..., n]
            types: integers that broadcast to [..., n]; 0 without.
            start: the position of the first token.

        Returns:
            [..., n, d_model]

        Raises:
            ShapeError: a sequence has more tokens than the model has positions.
            ParameterError: an id that the model does not have.
        """
        xp = namespace(embeddings=self.tokens, tokens=tokens, types=types)
        if tokens.ndim == 0:
            raise ShapeError("tokens must have shape [..., n], got a single number: wrap it in a list")
        positions = xp.arange(start, start + tokens.shape[-1], device=device(tokens))
        x = self.summed(tokens, positions, types)
        return x if self.norm is None else self.norm(x)

    def summed(self, tokens: Array, positions: Array, types: Array | None = None) -> Array:
        """The vectors before the normalisation; tokens, positions and types broadcast to [..., n]."""
        x = rows("token", self.tokens, tokens) + self.positions(positions)
        if self.types is not None:
            return x + (self.types[0] if types is None else rows("type", self.types, types))
        if types is not None:
            raise ParameterError("this model has no token types: leave them out")
        return x


@dataclass(frozen=True, eq=False)
class Patches:
    """The patches of an image as tokens of a sequence (Dosovitskiy et al. 2020, arXiv 2010.11929).

    Attributes:
        projection: a patch's numbers → d_model.
        positions: one vector for each patch.
    """

    projection: Linear
    positions: Positions

    def __call__(self, patches: Array) -> Array:
        """patches [..., n, numbers] → [..., n, d_model].

        Raises:
            ShapeError: an image has more patches than the model has positions.
        """
        xp = array_namespace(patches)
        return self.projection(patches) + self.positions(xp.arange(patches.shape[-2], device=device(patches)))


def rows(name: str, table: Array, ids: Array) -> Array:
    """The rows of table [r, d_model] that the ids [...] name: [..., d_model].

    Raises:
        ParameterError: the ids are no integers from 0 to r − 1.
    """
    xp = namespace(table=table, ids=ids)
    if not xp.isdtype(ids.dtype, "integral"):
        raise ParameterError(f"{name} ids must be integers, got {ids.dtype}: take them from the tokenizer")
    check_ids(name, int(table.shape[0]), ids)
    return table[ids]


def check_ids(name: str, count: int, ids: Array) -> None:
    """Refuse integers [...] that are no ids of a table of `count` rows.

    Raises:
        ParameterError: one is below 0 or beyond.
    """
    outside = (ids < 0) | (ids >= count)
    if bool(array_namespace(ids).any(outside)):
        raise ParameterError(
            f"{name} ids must lie from 0 to {count - 1}, got {int(ids[outside][0])}: use the model's own tokenizer"
        )
