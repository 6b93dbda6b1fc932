"""The rows that pass, cut into tiles that fit the processor's cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from attention.dtypes import F32, F64, I64, Index
from attention.lookup.memory.originals import read_ahead
from attention.lookup.memory.segments import Segment
from attention.lookup.memory.view import Mask, View

Rows = slice | Index


@dataclass(frozen=True, eq=False)
class Tile:
    """Some rows of one segment; `start` to `stop` is where they stand among all rows that pass."""

    segment: Segment
    rows: Rows
    start: int
    stop: int

    @property
    def span(self) -> tuple[int, int]:
        """The first and the last row (not included) in the segment, of a tile whose rows stand side by side."""
        assert isinstance(self.rows, slice)
        return self.rows.start, self.rows.stop

    def some(self, picked: Index) -> Tile:
        """The tile of the rows `picked`, counted from the start of this one."""
        rows = picked + self.rows.start if isinstance(self.rows, slice) else self.rows[picked]
        return Tile(self.segment, rows, 0, len(picked))

    @property
    def indices(self) -> I64:
        """int64[r], which rows of its segment it has."""
        return np.arange(self.rows.start, self.rows.stop) if isinstance(self.rows, slice) else self.rows

    def stored_keys(self) -> F32:
        """float32[count, d] of its segment, of which only the tile's rows may be used."""
        return self.segment.stored_keys(self.rows)

    def stored_values(self) -> F32:
        """float32[count, d_v] of its segment, of which only the tile's rows may be used."""
        return self.segment.stored_values(self.rows)

    def keys(self) -> F64:
        """float64[r, d]."""
        return self.stored_keys()[self.rows].astype(np.float64)

    @property
    def norms(self) -> F64:
        """float64[r], ‖k‖."""
        return self.segment.block.norms[self.rows]

    def prefetch_keys(self) -> None:
        """Have the system read them, as far as they lie in files, before they are waited for."""
        read_ahead(self.segment.block.keys, self.indices)

    def prefetch_values(self) -> None:
        """The same of the values."""
        block = self.segment.block
        read_ahead(block.keys if block.values is None else block.values, self.indices)

    def values(self) -> F64:
        """float64[r, d_v]."""
        return self.stored_values()[self.rows].astype(np.float64)


class RowIndices:
    """Where rows stand among many: counted from 0 through tiles that follow one another.

    Args:
        tiles: of some segments.
        beyond_memory: whether their originals are likely to be on disk, see `View.beyond_memory`.
    """

    def __init__(self, tiles: Sequence[Tile], *, beyond_memory: bool = False) -> None:
        self.tiles = tiles
        self.beyond_memory = beyond_memory

    @cached_property
    def _starts(self) -> Index:
        return np.array([tile.start for tile in self.tiles], dtype=np.intp)

    def picked(self, places: Index) -> Iterator[tuple[slice, Tile]]:
        """The rows at `places` (ascending) as tiles, each with the part of `places` that it answers."""
        if not len(places):
            return
        at = np.searchsorted(self._starts, places, side="right") - 1
        for first, last in pairwise([0, *(np.flatnonzero(at[1:] != at[:-1]) + 1).tolist(), len(places)]):
            tile = self.tiles[at[first]]
            yield slice(first, last), tile.some(places[first:last] - tile.start)

    def grouped(self, places: Index) -> Iterator[tuple[slice | Index, Tile]]:
        """The rows at `places` (in any order) as tiles, each with where its rows stand among them, in that order."""
        if len(self.tiles) == 1:
            yield slice(0, len(places)), self.tiles[0].some(places - self.tiles[0].start)
            return
        at = np.searchsorted(self._starts, places, side="right") - 1
        order = np.argsort(at, kind="stable")
        ends = np.flatnonzero(np.diff(at[order], append=len(self.tiles))) + 1
        for first, last in pairwise([0, *ends.tolist()]):
            index = order[first:last]
            tile = self.tiles[at[index[0]]]
            yield index, tile.some(places[index] - tile.start)

    def prefetch_keys(self, places: Index) -> None:
        """`Tile.prefetch_keys` of the rows at `places`, in any order."""
        if len(places):
            for _, tile in self.grouped(places):
                tile.prefetch_keys()

    def numbers(self, places: Index) -> I64:
        """The row numbers at `places`, which may stand in any order."""
        return self._gather(places, lambda segment: segment.numbers)

    def owners(self, places: Index) -> I64:
        """The documents that the rows at `places` are keys of."""
        return self._gather(places, lambda segment: segment.owners)

    def _gather(self, places: Index, column: Callable[[Segment], I64]) -> I64:
        found = np.empty(len(places), dtype=np.int64)
        for index, tile in self.grouped(places):
            found[index] = column(tile.segment)[tile.rows]
        return found


def are_copies(rows: RowIndices, places: Index) -> bool:
    """Whether the rows at `places`, ascending, hold copies of one key."""
    first: F64 | None = None
    for _, tile in rows.picked(places):
        keys = tile.keys()
        first = keys[0] if first is None else first
        if not (keys == first).all():
            return False
    return True


class PassingRows:
    """All rows of a view that a mask lets through, in one order, as tiles of at most `tile_rows`."""

    def __init__(self, view: View, mask: Mask | None, tile_rows: int) -> None:
        tiles: list[Tile] = []
        n = 0
        for segment, passes in view.passing(mask):
            chosen = None if passes is None else np.flatnonzero(passes)
            count = segment.count if chosen is None else len(chosen)
            for first in range(0, count, tile_rows):
                last = min(first + tile_rows, count)
                rows: Rows = slice(first, last)
                if chosen is not None:
                    rows = chosen[first:last]
                    if rows[-1] - rows[0] == last - first - 1:  # side by side: read without gathering
                        rows = slice(int(rows[0]), int(rows[-1]) + 1)
                tiles.append(Tile(segment, rows, n + first, n + last))
            n += count
        self.places = RowIndices(tiles, beyond_memory=view.beyond_memory)
        self.tiles = tiles
        self.n = n

    def owners(self) -> I64:
        """int64[n], the document that each of the rows is a key of."""
        found = [tile.segment.owners[tile.rows] for tile in self.tiles]
        return np.concatenate(found) if found else np.empty(0, dtype=np.int64)
