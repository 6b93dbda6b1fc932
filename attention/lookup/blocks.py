"""Blocks of rows in memory: appended to at the end, never changed where a view can see them."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from attention.lookup.rows import Rows

BLOCK_ROWS = 131_072
FIRST_ROWS = 64


@dataclass(frozen=True, eq=False)
class Block:
    """Arrays with room at the end. A view reads a prefix; an append writes behind every prefix.

    Attributes:
        numbers: int64[capacity], ascending over the rows in use.
        keys: float32[capacity, d].
        values: float32[capacity, d_v], or None where the values are the keys.
        norms: float64[capacity], ‖k‖ of each key.
        value_norms: float64[capacity], ‖v‖ of each value; the same array where the values are the keys.
    """

    numbers: NDArray[np.int64]
    keys: NDArray[np.float32]
    values: NDArray[np.float32] | None
    norms: NDArray[np.float64]
    value_norms: NDArray[np.float64]

    @classmethod
    def with_room(cls, rows: int, dimension: int, value_dimension: int | None) -> "Block":
        """An empty block for so many rows; `value_dimension` None: the values are the keys."""
        norms = np.empty(rows)
        return cls(
            np.empty(rows, dtype=np.int64),
            np.empty((rows, dimension), dtype=np.float32),
            None if value_dimension is None else np.empty((rows, value_dimension), dtype=np.float32),
            norms,
            norms if value_dimension is None else np.empty(rows),
        )

    @property
    def room(self) -> int:
        """How many rows it can hold in all."""
        return len(self.numbers)

    def grown(self, count: int, rows: int) -> "Block":
        """A copy of the first `count` rows, with room for `rows`."""
        grown = Block.with_room(rows, self.keys.shape[1], None if self.values is None else self.values.shape[1])
        grown.numbers[:count] = self.numbers[:count]
        grown.keys[:count] = self.keys[:count]
        grown.norms[:count] = self.norms[:count]
        if self.values is not None and grown.values is not None:
            grown.values[:count] = self.values[:count]
            grown.value_norms[:count] = self.value_norms[:count]
        return grown

    def write(self, start: int, rows: Rows) -> None:
        """Put `rows` at `start`, behind everything that a view can see."""
        end = start + len(rows)
        self.numbers[start:end] = rows.numbers
        self.keys[start:end] = rows.keys
        self.norms[start:end] = lengths(rows.keys)
        if self.values is not None:
            self.values[start:end] = rows.keys if rows.values is None else rows.values
            self.value_norms[start:end] = lengths(self.values[start:end])


@dataclass(frozen=True, eq=False)
class Segment:
    """A block as one view sees it: its first `count` rows, less the removed ones.

    Attributes:
        live: bool[count], False where a row was removed; None where none was.
        n: how many rows live.
        key_norm, value_norm: the largest ‖k‖ and ‖v‖ of the segment.
    """

    block: Block
    count: int
    live: NDArray[np.bool_] | None = None
    n: int = field(init=False)
    key_norm: float = field(init=False)
    value_norm: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "n", self.count if self.live is None else int(np.count_nonzero(self.live)))
        object.__setattr__(self, "key_norm", float(self.block.norms[: self.count].max(initial=0.0)))
        object.__setattr__(self, "value_norm", float(self.block.value_norms[: self.count].max(initial=0.0)))

    @property
    def numbers(self) -> NDArray[np.int64]:
        """int64[count], ascending, the removed rows included."""
        return self.block.numbers[: self.count]

    @property
    def keys(self) -> NDArray[np.float32]:
        """float32[count, d]."""
        return self.block.keys[: self.count]

    @property
    def values(self) -> NDArray[np.float32]:
        """float32[count, d_v]."""
        return self.keys if self.block.values is None else self.block.values[: self.count]

    def positions(self, numbers: NDArray[np.int64]) -> NDArray[np.intp]:
        """Where those of the given row numbers stand that live here."""
        numbers = np.unique(numbers)
        found = np.searchsorted(self.numbers, numbers)
        inside = found < self.count
        found, numbers = found[inside], numbers[inside]
        found = found[self.numbers[found] == numbers]
        return np.asarray(found if self.live is None else found[self.live[found]], dtype=np.intp)

    def without(self, positions: NDArray[np.intp]) -> "Segment":
        """The segment with the rows at `positions` removed."""
        live = np.ones(self.count, dtype=np.bool_) if self.live is None else self.live.copy()
        live[positions] = False
        return Segment(self.block, self.count, live)

    def extended(self, rows: Rows) -> "Segment":
        """The segment with `rows` behind it; their numbers are above all that it has."""
        count = self.count + len(rows)
        block = self.block
        if count > block.room:
            block = block.grown(self.count, min(max(2 * block.room, count), BLOCK_ROWS))
        block.write(self.count, rows)
        live = self.live if self.live is None else np.concatenate([self.live, np.ones(len(rows), dtype=np.bool_)])
        return Segment(block, count, live)


def lengths(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """The Euclidean norms of `vectors` float32[n, d] in float64, each row summed alike wherever it stands."""
    norms = np.empty(len(vectors))
    for start in range(0, len(vectors), 1024):
        tile = vectors[start : start + 1024].astype(np.float64)
        norms[start : start + 1024] = np.sqrt(np.multiply(tile, tile, out=tile).sum(axis=1))
    return norms
