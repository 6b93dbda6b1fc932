"""The rows that pass, split into tiles that fit the processor's cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from weakref import WeakKeyDictionary

import numpy as np

from softkv_attention.arrays import F32, F64, I64, Index
from softkv_attention.forked import cached_property
from softkv_attention.lookup.memory.blocks import Block, read_ahead
from softkv_attention.lookup.memory.segments import Segment
from softkv_attention.lookup.memory.view import Mask, View

RowSelection = slice | Index


@dataclass(frozen=True, eq=False)
class Tile:
    """Some rows of one segment, few enough to fit the processor's cache.

    Attributes:
        segment: the block of rows, as a view sees it.
        rows: the positions of the tile's rows in the segment, as a slice or int64[r].
        start, stop: the tile has the rows from `start` to `stop` of a larger sequence of rows, which consists of tiles.
    """

    segment: Segment
    rows: RowSelection
    start: int
    stop: int

    def select(self, offsets: Index) -> Tile:
        """Return a tile of only some of this tile's rows.

        Args:
            offsets: int64[m], the rows, counted from the start of this tile.
        """
        rows = offsets + self.rows.start if isinstance(self.rows, slice) else self.rows[offsets]
        return Tile(self.segment, rows, 0, len(offsets))

    @property
    def indices(self) -> I64:
        """int64[r], the positions of the tile's rows in its segment (block of rows)."""
        return np.arange(self.rows.start, self.rows.stop) if isinstance(self.rows, slice) else self.rows

    def load_keys(self) -> F32:
        """Return float32[count, d], the keys of the whole segment, of which only the tile's rows may be used.

        Only these rows are compared with their checksums.
        """
        return self.segment.block.read_keys(self.rows)[: self.segment.count]

    def load_values(self) -> F32:
        """Return float32[count, d_v], the values of the whole segment, of which only the tile's rows may be used.

        Only these rows are compared with their checksums.
        """
        return self.segment.block.read_values(self.rows)[: self.segment.count]

    def keys(self) -> F64:
        """Return float64[r, d], the keys of the tile's r rows."""
        return self.load_keys()[self.rows].astype(np.float64)

    @property
    def norms(self) -> F64:
        """float64[r], the lengths ‖k‖ of the keys of the tile's rows."""
        return self.segment.block.norms[self.rows]

    @property
    def value_norms(self) -> F64:
        """float64[r], the lengths ‖v‖ of the values of the tile's rows."""
        return self.segment.block.value_norms[self.rows]

    def prefetch_keys(self) -> None:
        """Ask the operating system to read the tile's keys from a file into memory before they are needed."""
        read_ahead(self.segment.block.keys, self.indices)

    def prefetch_values(self) -> None:
        """Ask the operating system to read the tile's values from a file into memory before they are needed."""
        block = self.segment.block
        read_ahead(block.keys if block.values is None else block.values, self.indices)

    def values(self) -> F64:
        """Return float64[r, d_v], the values of the tile's r rows."""
        return self.load_values()[self.rows].astype(np.float64)


class RowIndices:
    """The rows of consecutive tiles as one sequence, in which each row has an index from 0 on.

    Args:
        tiles: the tiles (runs of rows), of one or more segments.
        beyond_memory: whether keys and values are likely to be on disk, because they do not fit into memory.
    """

    def __init__(self, tiles: Sequence[Tile], *, beyond_memory: bool = False) -> None:
        self.tiles = tiles
        self.beyond_memory = beyond_memory

    @cached_property
    def _starts(self) -> Index:
        return np.array([tile.start for tile in self.tiles], dtype=np.intp)

    def iterate_ascending(self, indices: Index) -> Iterator[tuple[slice, Tile]]:
        """Yield the rows at some indices, grouped into tiles (rows of one block), each with its slice of `indices`.

        Args:
            indices: int64[m], ascending.
        """
        if not len(indices):
            return
        tile_indices = np.searchsorted(self._starts, indices, side="right") - 1
        for first, last in pairwise(
            [0, *(np.flatnonzero(tile_indices[1:] != tile_indices[:-1]) + 1).tolist(), len(indices)]
        ):
            tile = self.tiles[tile_indices[first]]
            yield slice(first, last), tile.select(indices[first:last] - tile.start)

    def split_tiles(self, indices: Index) -> list[tuple[slice | Index, Tile]]:
        """Return the rows at some indices, split into tiles (rows of one block), each with its positions in `indices`.

        Args:
            indices: int64[m], in any order.
        """
        if len(self.tiles) == 1:
            return [(slice(0, len(indices)), self.tiles[0].select(indices - self.tiles[0].start))]
        tile_indices = np.searchsorted(self._starts, indices, side="right") - 1
        order = np.argsort(tile_indices, kind="stable")
        ends = np.flatnonzero(np.diff(tile_indices[order], append=len(self.tiles))) + 1
        split = list[tuple[slice | Index, Tile]]()
        for first, last in pairwise([0, *ends.tolist()]):
            index = order[first:last]
            tile = self.tiles[tile_indices[index[0]]]
            split.append((index, tile.select(indices[index] - tile.start)))
        return split

    def prefetch_keys(self, indices: Index) -> None:
        """Ask the operating system to read the keys of the rows at `indices` (in any order) from files into memory."""
        if len(indices):
            for _, tile in self.split_tiles(indices):
                tile.prefetch_keys()

    def numbers(self, indices: Index) -> I64:
        """Return int64[m], the permanent row numbers of the rows at `indices`, which may be in any order."""
        return self._gather(indices, lambda block: block.numbers)

    def owners(self, indices: Index) -> I64:
        """Return int64[m], the document of each of the rows at `indices`, which may be in any order."""
        return self._gather(indices, lambda block: block.owners)

    def _gather(self, indices: Index, column: Callable[[Block], I64]) -> I64:
        gathered = np.empty(len(indices), dtype=np.int64)
        for index, tile in self.split_tiles(indices):
            gathered[index] = column(tile.segment.block)[tile.rows]
        return gathered


def are_copies(rows: RowIndices, indices: Index) -> bool:
    """Return whether the rows at `indices`, which ascend, all have the same key."""
    first: F64 | None = None
    for _, tile in rows.iterate_ascending(indices):
        keys = tile.keys()
        first = keys[0] if first is None else first
        if not (keys == first).all():
            return False
    return True


_ALL_ROWS: WeakKeyDictionary[View, RowIndices] = WeakKeyDictionary()


def all_rows(view: View) -> RowIndices:
    """Return all rows of a view, removed rows included, as one sequence with indices from 0 on.

    The result is cached, so that all callers share it.
    """
    # The keys are weak, so an entry ends with its view.
    if view in _ALL_ROWS:
        return _ALL_ROWS[view]
    tiles, start_index = [], 0
    for segment in view.segments:
        tiles.append(Tile(segment, slice(0, segment.count), start_index, start_index + segment.count))
        start_index += segment.count
    indices = _ALL_ROWS[view] = RowIndices(tiles, beyond_memory=view.beyond_memory)
    return indices


class PassingRows:
    """All rows of a view that pass a mask, in a fixed order, in tiles (runs of at most `tile_rows` rows of one block).

    Under a mask, tiles also end at the multiples of `tile_rows`, and those between two multiples are one group. Sums of
    groups do not depend on where in their blocks the rows lie, which would tell of rows that do not pass.

    Attributes:
        row_indices: the same rows as one sequence, with an index from 0 on for each.
        tiles: the tiles.
        groups: the tiles in groups of at most `tile_rows` rows, which are summed one by one; without a mask, each tile
            is one.
        n: the number of rows.
    """

    def __init__(self, view: View, mask: Mask | None, tile_rows: int) -> None:
        tiles: list[Tile] = []
        groups: list[list[Tile]] = []
        n = 0
        for segment, passes in view.passing(mask):
            chosen = None if passes is None else np.flatnonzero(passes)
            count = segment.count if chosen is None else len(chosen)
            first = 0
            while first < count:
                begun = 0 if mask is None else (n + first) % tile_rows  # of a group, by earlier blocks
                last = min(first + tile_rows - begun, count)
                rows: RowSelection = slice(first, last)
                if chosen is not None:
                    rows = chosen[first:last]
                    if rows[-1] - rows[0] == last - first - 1:  # side by side: read without gathering
                        rows = slice(int(rows[0]), int(rows[-1]) + 1)
                tiles.append(Tile(segment, rows, n + first, n + last))
                if begun:
                    groups[-1].append(tiles[-1])
                else:
                    groups.append([tiles[-1]])
                first = last
            n += count
        self.row_indices = RowIndices(tiles, beyond_memory=view.beyond_memory)
        self.tiles = tiles
        self.groups = groups
        self.n = n

    @property
    def term_count(self) -> int:
        """The most numbers that are added one by one in a sum over the rows; rounding errors grow with it.

        Groups of tiles are added one by one, and within a group its rows.
        """
        return len(self.groups) + max((group[-1].stop - group[0].start for group in self.groups), default=0)

    @cached_property
    def key_norm(self) -> float:
        """The largest length ‖k‖ of a key of the rows."""
        return max((float(tile.norms.max()) for tile in self.tiles), default=0.0)

    @cached_property
    def value_norm(self) -> float:
        """The largest length ‖v‖ of a value of the rows."""
        return max((float(tile.value_norms.max()) for tile in self.tiles), default=0.0)

    def owners(self) -> I64:
        """Return int64[n], the document of each of the rows."""
        columns = [tile.segment.owners[tile.rows] for tile in self.tiles]
        return np.concatenate(columns) if columns else np.empty(0, dtype=np.int64)
