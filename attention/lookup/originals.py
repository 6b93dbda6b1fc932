"""The float32 originals of single rows: their similarities in float64, and their values in a weighted sum."""

import numpy as np
from numpy.typing import NDArray

from attention.lookup.engine import engine, pool
from attention.lookup.similarities import finished, gaussian
from attention.lookup.tiles import Places, Tile

Array = NDArray[np.float64]
FEW = 1024


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
    order = np.argsort(places, kind="stable")
    found = np.empty(len(places))
    lengths = np.sqrt((vectors * vectors).sum(axis=1))

    def look_up(tile: Tile, at: NDArray[np.intp]) -> None:
        asked = queries[at]
        if similarity == "gaussian":
            found[at] = gaussian(vectors[asked], tile.keys())
            return
        at_rows = np.arange(tile.rows.start, tile.rows.stop) if isinstance(tile.rows, slice) else tile.rows
        products = engine().row_products(tile.segment.keys, at_rows, vectors, asked)
        found[at] = finished(similarity, products, lengths[asked], tile.norms, vectors.shape[1])

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
