"""Vectors for token ids: the sum of vectors for the token, its position, and which of two texts it belongs to."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import device

from softkv_attention.arrays import I64, Array, array_namespace, namespace
from softkv_attention.errors import ParameterError, ShapeError
from softkv_attention.transformer.feed_forward import Linear
from softkv_attention.transformer.layer import Norm


def sinusoidal(n: int, d_model: int, *, start: int = 0, like: Array | None = None) -> Array:
    """Return alternating sines and cosines, of wavelengths from 2π to 20,000π (Vaswani et al. 2017, section 3.5).

        [position, 2i]     = sin(position / 10000^(2i/d_model))
        [position, 2i + 1] = cos(position / 10000^(2i/d_model))

    Args:
        n: the number of positions.
        d_model: the width; if it is odd, the last cosine is left out.
        start: the first position.
        like: an array whose library, device and type the result shall have; None for NumPy float64.

    Returns:
        [n, d_model]
    """
    position = np.arange(start, start + n)[:, None]
    angle = position / 10_000.0 ** (np.arange(0, d_model, 2) / d_model)  # [n, ⌈d_model/2⌉]
    table = np.stack([np.sin(angle), np.cos(angle)], axis=-1).reshape(n, -1)[:, :d_model]
    if like is None:
        return table
    return array_namespace(like).asarray(table, dtype=like.dtype, device=device(like))


@dataclass(frozen=True, eq=False)
class Positions:
    """A vector for each position: learned, or from `sinusoidal`.

    Attributes:
        table: [n_positions, d_model]
        first: the row of position 0; in RoBERTa it follows the row of the padding token.
        padding: the id of the padding token, if positions are counted without it, as in RoBERTa. Wherever it stands in
            a text, it has position −1, so the row before `first`. None to count all tokens.
    """

    table: Array
    first: int = 0
    padding: int | None = None

    @property
    def limit(self) -> int:
        """The number of positions."""
        return int(self.table.shape[0]) - self.first

    def count(self, tokens: Array, *, start: int = 0) -> Array:
        """Return the positions [..., n] of tokens [..., n], of which the first has position `start`."""
        xp = array_namespace(tokens)
        if self.padding is None:
            return xp.arange(start, start + tokens.shape[-1], device=device(tokens))
        counts = tokens != self.padding
        return xp.where(counts, xp.cumulative_sum(xp.astype(counts, xp.int64), axis=-1) + (start - 1), -1)

    def __call__(self, positions: Array) -> Array:
        """Return the vectors [..., d_model] of positions, integers [...], as `count` returns them.

        Raises:
            ShapeError: a sequence is longer than the table.
        """
        xp = array_namespace(self.table, positions)
        self.require(int(xp.max(positions)) + 1 if math.prod(positions.shape) else 0)
        return self.table[positions + self.first]

    def require(self, length: int) -> None:
        """Raise ShapeError if a sequence of `length` tokens is longer than the table."""
        if length > self.limit:
            raise ShapeError(f"this model has {self.limit} positions, got a sequence of {length}: truncate or split it")


BLOCK_BYTES = {"q4_0": 18, "q8_0": 34}
"""The kinds of blocks of 32 numbers, by their names in GGUF, with their bytes: a scale in float16, then the numbers."""


@dataclass(frozen=True, eq=False)
class StoredRows:
    """A tensor that stays as its file has it; what is looked up is widened to float32, exactly.

    A word table of 250,000 rows, of which a text needs a few, so takes half or a seventh of the memory.

    Attributes:
        stored: float16 or the bits of bfloat16, int16 [..., d], or blocks, uint8 [..., bytes].
        kind: "float16", "bfloat16", or a key of BLOCK_BYTES.
    """

    stored: Array
    kind: str

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the tensor when widened."""
        *leading, last = self.stored.shape
        return (*leading, last * 32 // BLOCK_BYTES[self.kind] if self.kind in BLOCK_BYTES else last)

    def __len__(self) -> int:
        return int(self.stored.shape[0])

    def __getitem__(self, ids: Any) -> Array:
        """Return the rows at some ids, float32 [..., d]."""
        xp, stored = array_namespace(self.stored), self.stored[ids]
        if self.kind == "float16":
            return xp.astype(stored, xp.float32)
        if self.kind == "bfloat16":
            return (xp.astype(stored, xp.int32) << 16).view(xp.float32)
        blocks = xp.reshape(stored, (-1, BLOCK_BYTES[self.kind]))
        scales, packed = blocks[:, :2].view(xp.float16), blocks[:, 2:]
        if self.kind == "q8_0":
            numbers = xp.astype(packed.view(xp.int8), xp.float32)
        else:  # byte j has number j in its lower half and number j + 16 in its upper one, each 8 too large
            numbers = xp.astype(xp.concat([packed & 15, packed >> 4], axis=1), xp.float32) - 8
        return xp.reshape(numbers * xp.astype(scales, xp.float32), (*stored.shape[:-1], -1))


@dataclass(frozen=True, eq=False)
class Embeddings:
    """The sum of the vectors of a token, its position and its type, then a normalisation.

    Attributes:
        tokens: [n_vocabulary, d_model], an array or `StoredRows`.
        positions: one vector for each position; None if the layers know positions in another way.
        types: [n_types, d_model], in BERT, the vectors for the first and second text of a pair; None if the model has
            no such vectors.
        norm: the normalisation; None to leave it out.
        scale: a factor of the tokens' vectors, √d_model in Gemma.
    """

    tokens: Array | StoredRows
    positions: Positions | None = None
    types: Array | None = None
    norm: Norm | None = None
    scale: float = 1.0

    def __call__(self, tokens: Array, types: Array | None = None, *, start: int = 0) -> Array:
        """Return the vectors of token ids.

        Args:
            tokens: integers [..., n]
            types: integers that broadcast to [..., n]; None for 0.
            start: the position of the first token.

        Returns:
            [..., n, d_model]

        Raises:
            ShapeError: a sequence has more tokens than the model has positions.
            ParameterError: the model does not have an id.
        """
        xp = namespace(embeddings=array_of(self.tokens), tokens=tokens, types=types)
        if tokens.ndim == 0:
            raise ShapeError("tokens must have shape [..., n], got a single number: wrap it in a list")
        if self.positions is None:
            positions = xp.arange(start, start + tokens.shape[-1], device=device(tokens))
        else:
            positions = self.positions.count(tokens, start=start)
        x = self.sum_vectors(tokens, positions, types)
        return x if self.norm is None else self.norm(x)

    def sum_vectors(self, tokens: Array, positions: Array, types: Array | None = None) -> Array:
        """Return the sums before the normalisation; tokens, positions and types broadcast to [..., n]."""
        x = rows("token", self.tokens, tokens)
        x = x if self.scale == 1 else x * self.scale
        x = x if self.positions is None else x + self.positions(positions)
        if self.types is not None:
            return x + (self.types[0] if types is None else rows("type", self.types, types))
        if types is not None:
            raise ParameterError("this model has no token types: leave them out")
        return x


def check_types(embeddings: Embeddings, tokens: I64, types: I64 | None) -> I64 | None:
    """Check the types [t] of the tokens [t] of concatenated sequences, and return them; None for type 0 everywhere.

    Raises:
        ParameterError: the model has no such types, or no positions beside them.
        ShapeError: there is not one type for each token.
    """
    if types is None:
        return None
    if embeddings.types is None or embeddings.positions is None:
        raise ParameterError("this model has no token types beside positions: leave them out")
    if types.shape != tokens.shape:
        raise ShapeError(f"types must have the shape {list(tokens.shape)} of the tokens, got {list(types.shape)}")
    check_ids("type", int(embeddings.types.shape[0]), types)
    return types.astype(np.int64)


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
        """Return the vectors [..., n, d_model] of patches [..., n, numbers].

        Raises:
            ShapeError: an image has more patches than the model has positions.
        """
        xp = array_namespace(patches)
        return self.projection(patches) + self.positions(xp.arange(patches.shape[-2], device=device(patches)))


def array_of(table: Array | StoredRows) -> Array:
    """Return the array of a table."""
    return table.stored if isinstance(table, StoredRows) else table


def rows(name: str, table: Array | StoredRows, ids: Array) -> Array:
    """Return the rows [..., d_model] of a table [r, d_model] at the ids [...].

    Args:
        name: the kind of the ids, for an error's message.

    Raises:
        ParameterError: an id is not an integer from 0 to r − 1.
    """
    xp = namespace(table=array_of(table), ids=ids)
    if not xp.isdtype(ids.dtype, "integral"):
        raise ParameterError(f"{name} ids must be integers, got {ids.dtype}: take them from the tokenizer")
    check_ids(name, int(table.shape[0]), ids)
    return table[ids]


def check_ids(name: str, count: int, ids: Array) -> None:
    """Raise ParameterError if one of the integers [...] is not an id of a table of `count` rows."""
    outside = (ids < 0) | (ids >= count)
    if bool(outside.any()):
        raise ParameterError(
            f"{name} ids must lie from 0 to {count - 1}, got {int(ids[outside][0])}: use the model's own tokenizer"
        )
