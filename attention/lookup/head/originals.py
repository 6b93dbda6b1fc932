"""The float32 originals: their similarities in float64, and their values in weighted sums, of all rows or of some."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from attention.kernels.engine import engine, pool, workers
from attention.lookup.head.similarity import finished, gaussian
from attention.lookup.memory.tiles import Places, Tile

Array = NDArray[np.float64]
FEW = 1024

Read = TypeVar("Read")


def all_similarities(similarity: str, tiles: Sequence[Tile], vectors: Array) -> Array:
    """float64[q, n]: the similarity of every query with every row of the tiles, to the bounds of `similarities`.

    Args:
        tiles: following one another from 0.
        vectors: float64[q, d], the queries.
    """
    running = engine()
    found = np.empty((len(vectors), tiles[-1].stop if tiles else 0))
    lengths = np.sqrt((vectors * vectors).sum(axis=1))[:, None]

    def read(tile: Tile) -> None:
        here = found[:, tile.start : tile.stop]
        if similarity == "gaussian":
            keys = tile.keys()
            here[:] = [gaussian(vector, keys) for vector in vectors]
            return
        products = np.empty(here.shape)
        running.all_products(tile.segment.keys, _indices(tile), vectors, products)
        here[:] = finished(similarity, products, lengths, tile.norms, vectors.shape[1])

    _each(read, tiles)
    return found


def all_sums(tiles: Sequence[Tile], weights: Array, width: int) -> Array:
    """float64[q, d_v]: the values of all rows of the tiles, weighted by float64[q, n]; summed tile by tile."""
    running = engine()

    def read(tile: Tile) -> Array:
        sums = np.zeros((len(weights), width))
        share = np.ascontiguousarray(weights[:, tile.start : tile.stop])
        running.all_sums(tile.segment.values, _indices(tile), share, sums)
        return sums

    return np.sum(_each(read, tiles), axis=0) if tiles else np.zeros((len(weights), width))


def similarities_at(
    similarity: str, rows: Places, vectors: Array, places: NDArray[np.int64], queries: NDArray[np.int64]
) -> Array:
    """The similarity of query `queries[i]` with the row at `places[i]`, for every i; copies of a row have the same.

    Args:
        rows: where places stand.
        vectors: float64[q, d], the queries.
        places, queries: int64[m], in any order.

    Returns:
        float64[m].
    """
    running = engine()
    order = np.argsort(places)
    found = np.empty(len(places))
    lengths = np.sqrt((vectors * vectors).sum(axis=1))

    def look_up(tile: Tile, at: NDArray[np.intp]) -> None:
        asked = queries[at]
        if similarity == "gaussian":
            found[at] = gaussian(vectors[asked], tile.keys())
            return
        products = running.row_products(tile.segment.keys, _indices(tile), vectors, asked)
        found[at] = finished(similarity, products, lengths[asked], tile.norms, vectors.shape[1])

    def look_up_some(some: NDArray[np.intp]) -> None:
        for part, tile in rows.picked(places[some]):
            look_up(tile, some[part])

    if len(places) <= FEW:
        look_up_some(order)
    else:
        list(pool().map(look_up_some, np.array_split(order, 2 * workers())))
    return found


def add_values(
    rows: Places, places: NDArray[np.int64], queries: NDArray[np.int64], weights: Array, outputs: Array
) -> None:
    """outputs[query] += weight·value, for every place, its query and its weight.

    Args:
        rows: where places stand.
        places, queries: int64[m], in any order.
        weights: float64[m].
        outputs: float64[q, d_v], added to.
    """
    order = np.argsort(places)
    for part, tile in rows.picked(places[order]):
        at = order[part]
        engine().add_rows(tile.segment.values, tile.rows, queries[at], weights[at], outputs)


def _indices(tile: Tile) -> NDArray[np.int64]:
    return np.arange(tile.rows.start, tile.rows.stop) if isinstance(tile.rows, slice) else tile.rows


def _each(read: Callable[[Tile], Read], tiles: Sequence[Tile]) -> list[Read]:
    """What `read` makes of each tile, in order; in the lookup's threads where there are many."""
    return [read(tile) for tile in tiles] if len(tiles) < 3 else list(pool().map(read, tiles))
