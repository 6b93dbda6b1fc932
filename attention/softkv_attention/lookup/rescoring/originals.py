"""Similarities in float64 and weighted sums of values, from the float32 originals of all rows or of a few.

Similarities are evaluated in two ways. `compute_all_similarities` is fast, but the last bit may depend on a row's
position. `compute_similarities` sums in one fixed order, so that identical vectors tie. `bounds.similarities` bounds
their rounding errors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from itertools import pairwise
from typing import TypeVar

import numpy as np

from softkv_attention.arrays import F64, I64, lengths
from softkv_attention.kernels import kernels, pool, run_in_parallel, workers
from softkv_attention.lookup.memory.tiles import RowIndices, Tile

SINGLE_THREAD_ROWS = 1024

MAX_PREFETCHED_ROWS = 65_536
"""If more rows than this are read, they lie so close together that the system reads ahead by itself."""

LISTED_PER_LOOKUP = 8
"""Looking up a row takes at least as long as reading this many listed candidates."""

Result = TypeVar("Result")
Tiles = TypeVar("Tiles", Tile, Sequence[Tile])


def compute_all_similarities(
    similarity: str, tiles: Sequence[Tile], vectors: F64, *, beyond_memory: bool = False
) -> F64:
    """Return float64[q, n], the similarity in float64 of every query with every row of the tiles.

    The last bit may depend on a row's position. `bounds.similarities` bounds the errors.

    Args:
        similarity: the similarity's name.
        tiles: consecutive tiles, from index 0 on.
        vectors: float64[q, d], the queries.
        beyond_memory: whether keys are likely to be on disk, so that they are read ahead.
    """
    running = kernels()
    similarities = np.empty((len(vectors), tiles[-1].stop if tiles else 0))
    query_norms = lengths(vectors)[:, None]

    def read(tile: Tile) -> None:
        if beyond_memory and not isinstance(tile.rows, slice):
            tile.prefetch_keys()
        part = similarities[:, tile.start : tile.stop]
        if similarity == "gaussian":
            keys = tile.keys()
            # The differences themselves: ‖q‖² + ‖k‖² − 2·q·k would cancel for near vectors.
            part[:] = [gaussian_similarities(vector, keys) for vector in vectors]
            return
        # Products of many rows in blocks are fast, but the order of a sum depends on the place of its row in a block.
        products, positions, norms = np.empty(part.shape), tile.indices, tile.norms
        running.all_products(tile.load_keys(), positions, vectors, products)
        part[:] = scale_products(similarity, products, query_norms, norms, vectors.shape[1])

    _map_tiles(read, tiles)
    return similarities


def compute_all_sums(groups: Sequence[Sequence[Tile]], weights: F64, width: int, *, beyond_memory: bool = False) -> F64:
    """Return float64[q, d_v], for each query the weighted sum of the values of all rows.

    Args:
        groups: the rows, in consecutive tiles, see `PassingRows.groups`.
        weights: float64[q, n], of the rows.
        width: d_v.
        beyond_memory: whether values are likely to be on disk, so that they are read ahead.
    """
    running = kernels()

    def read(group: Sequence[Tile]) -> F64:
        if beyond_memory:
            for tile in group:
                if not isinstance(tile.rows, slice):
                    tile.prefetch_values()
        sums = np.zeros((len(weights), width))
        # The kernel takes contiguous arrays only.
        share = np.ascontiguousarray(weights[:, group[0].start : group[-1].stop])
        values, indices = group[0].load_values(), group[0].indices
        if len(group) > 1:  # in one call, because it adds rows in fours
            values = np.concatenate([tile.load_values()[tile.rows] for tile in group])
            indices = np.arange(len(values))
        running.all_sums(values, indices, share, sums)
        return sums

    # The sums of groups are added in their order, so the result does not depend on which thread was first.
    return reduce(np.add, _map_tiles(read, groups)) if groups else np.zeros((len(weights), width))


def compute_similarities(similarity: str, rows: RowIndices, vectors: F64, indices: I64, queries: I64) -> F64:
    """Return float64[m]: the similarity of query `queries[i]` with the row at `indices[i]`, for every i.

    All are summed in one fixed order, so copies of a row have equal similarities.

    Args:
        similarity: the similarity's name.
        rows: the sequence of rows that `indices` refer to.
        vectors: float64[q, d], the queries.
        indices, queries: int64[m], in any order.
    """
    running = kernels()
    similarities = np.empty(len(indices))
    query_norms = lengths(vectors)

    if rows.beyond_memory and len(indices) <= MAX_PREFETCHED_ROWS:
        rows.prefetch_keys(indices)

    def look_up_part(first: int, last: int) -> None:
        part = slice(first, last)
        for index, tile in rows.split_tiles(indices[part]):
            tile_queries = queries[part][index]
            if similarity == "gaussian":
                similarities[part][index] = gaussian_similarities(vectors[tile_queries], tile.keys())
                continue
            positions, norms = tile.indices, tile.norms
            # Each pair by itself, in one order, so that copies of a row tie to the last bit.
            products = running.row_products(tile.load_keys(), positions, vectors, tile_queries)
            similarities[part][index] = scale_products(
                similarity, products, query_norms[tile_queries], norms, vectors.shape[1]
            )

    run_in_parallel(look_up_part, len(indices), LISTED_PER_LOOKUP * len(indices))
    return similarities


def add_rows(rows: RowIndices, indices: I64, queries: I64, weights: F64, outputs: F64) -> None:
    """Add weight·value of each of m rows to the output of its query, in place.

    Args:
        rows: the sequence of rows that `indices` refer to.
        indices: int64[m], the rows, in any order.
        queries: int64[m], the query of each row, ascending.
        weights: float64[m].
        outputs: float64[q, d_v], added to.
    """
    running = kernels()

    if rows.beyond_memory and len(indices) <= MAX_PREFETCHED_ROWS:
        for _, tile in rows.split_tiles(indices):
            tile.prefetch_values()

    def add_part(part: slice) -> None:
        for index, tile in rows.split_tiles(indices[part]):
            running.add_rows(tile.load_values(), tile.indices, queries[part][index], weights[part][index], outputs)

    if len(indices) <= SINGLE_THREAD_ROWS:
        add_part(slice(0, len(indices)))
    else:  # no two threads add to one query's output
        # Cut where a query begins, so that each output is summed by one thread in one order.
        edges = np.searchsorted(queries, [queries[part.start] for part in _split_evenly(len(indices), workers())])
        parts = [slice(int(first), int(last)) for first, last in pairwise([*edges, len(indices)])]
        list(pool().map(add_part, parts))


def _split_evenly(count: int, parts: int) -> list[slice]:
    """Return `parts` consecutive slices of about equal length that cover `count` items."""
    edges = np.linspace(0, count, parts + 1).astype(int).tolist()
    return [slice(first, last) for first, last in pairwise(edges)]


def _map_tiles(read: Callable[[Tiles], Result], tiles: Sequence[Tiles]) -> list[Result]:
    """Return the results of `read` for each tile (run of rows), or group of tiles, in order.

    Three or more are read by a pool of threads.
    """
    return [read(tile) for tile in tiles] if len(tiles) < 3 else list(pool().map(read, tiles))


def gaussian_similarities(query: F64, keys: F64) -> F64:
    """Return float64[r], the gaussian similarities −½·‖q − k‖² of queries and keys.

    Every row is summed in the same order, so equal keys have equal similarities.

    Args:
        query: float64[d], or float64[r, d], one for each key.
        keys: float64[r, d].

    Returns:
        float64[r].
    """
    # NumPy sums each row of a contiguous array in the same pairs, however many rows there are.
    differences = keys - query
    return np.asarray(-0.5 * np.multiply(differences, differences, out=differences).sum(axis=1))


def scale_products(similarity: str, products: F64, query_norm: F64, norms: F64, dimension: int) -> F64:
    """Turn dot products q·k into similarities (cosine, dot or scaled_dot) in place, and return them.

    Args:
        similarity: the similarity's name.
        products: the dot products.
        query_norm, norms: the lengths of the queries and of the keys, in shapes that broadcast with `products`.
        dimension: d, the width of the keys.
    """
    if similarity == "cosine":
        products /= query_norm * norms
        # Rounding may carry the cosine of two parallel vectors slightly beyond 1.
        return np.clip(products, -1.0, 1.0, out=products)
    if similarity == "scaled_dot":
        products /= np.sqrt(dimension)
    return products
