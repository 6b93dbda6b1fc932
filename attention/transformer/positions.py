"""Where a token stands: attention alone does not know, so a vector for each position is added."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from array_api_compat import array_namespace, device

from attention.arrays import Array
from attention.errors import ShapeError


def sinusoidal(n: int, d_model: int, *, start: int = 0, like: Array | None = None) -> Array:
    """Sines and cosines in turn, of wavelengths from 2π to 20,000π (Vaswani et al. 2017, section 3.5).

        [position, 2i]     = sin(position / 10000^(2i/d_model))
        [position, 2i + 1] = cos(position / 10000^(2i/d_model))

    Args:
        n: the number of positions.
        d_model: the width; where it is odd, the last sine has no cosine.
        start: the first position.
        like: an array whose library, device and type the result takes; NumPy float64 without it.

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
    """One vector for each position, learned, or those of `sinusoidal`.

    Attributes:
        table: [n_positions, d_model]
        first: the row of position 0. RoBERTa keeps the rows up to its padding token's unused.
    """

    table: Array
    first: int = 0

    @property
    def limit(self) -> int:
        """How many positions there are."""
        return int(self.table.shape[0]) - self.first

    def __call__(self, positions: Array) -> Array:
        """positions, integers [...], from 0 on → [..., d_model].

        Raises:
            ShapeError: a sequence is longer than the table.
        """
        xp = array_namespace(self.table, positions)
        self.require(int(xp.max(positions)) + 1 if math.prod(positions.shape) else 0)
        return self.table[positions + self.first]

    def require(self, length: int) -> None:
        """Refuse a sequence of so many tokens if it is longer than the table.

        Raises:
            ShapeError: it is.
        """
        if length > self.limit:
            raise ShapeError(f"this model has {self.limit} positions, got a sequence of {length}: truncate or split it")
