"""The float32 originals of single rows: their similarities in float64, and their values in a weighted sum."""

import numpy as np
from numpy.typing import NDArray

from attention.lookup.engine import engine, pool
from attention.lookup.similarities import careful
from attention.lookup.tiles import Places, Tile

Array = NDArray[np.float64]
AT_ONCE = 256
FEW = 1024


def similarities_at(
    similarity: str, rows: Places, vectors: Array, places: NDArray[np.int64], queries: NDArray[np.int64]
) -> Array:
    """The careful similarity of query `queries[i]` with the row at `places[i]`, for every i.

    Args:
        rows: where places stand.
        vectors: float64[q, d], the queries.
        places, queries: int64[m], in any order.

    Returns:
        float64[m].
    """
    order = np.argsort(places, kind="stable")
    found = np.empty(len(places))

    def look_up(tile: Tile, at: NDArray[np.intp]) -> None:
        for first in range(0, len(at), AT_ONCE):
            some = at[first : first + AT_ONCE]
            part = tile.some(np.arange(first, first + len(some)))
            found[some] = careful(similarity, vectors[queries[some]], part.keys(), part.norms)

    parts = [(tile, order[part]) for part, tile in rows.picked(places[order])]
    if len(places) <= FEW:
        for tile, at in parts:
            look_up(tile, at)
    else:
        for task in [pool().submit(look_up, tile, at) for tile, at in parts]:
            task.result()
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
    order = np.argsort(places, kind="stable")
    for part, tile in rows.picked(places[order]):
        at = order[part]
        engine().add_rows(tile.segment.values, tile.rows, queries[at], weights[at], outputs)
