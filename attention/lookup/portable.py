"""The passes of `passes` and `products` in NumPy, for where numba is not installed: the same sums and lists, slower."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from attention.lookup.codes import CHUNK, LEVELS
from attention.lookup.interleaved import Bytes, columns_of, rows_at

STEP = 4096
"""Rows to a step."""

Queries = NDArray[Any]
"""float32 or float64[q, d]."""


def packed_queries(codes: NDArray[np.int16], *, fine: bool) -> Queries:
    """Codes int16[q, d] in floating point wide enough for every partial sum of products to be an exact integer."""
    exact = codes.shape[1] * LEVELS * (2**15 if fine else LEVELS) < 2**24
    return codes.astype(np.float32) if exact else codes.astype(np.float64)


def _similarities(
    codes: Bytes, part: slice, queries: Queries, scales: NDArray[np.float32], steps: NDArray[np.float32]
) -> NDArray[np.float32]:
    """float32[q, r] of the rows of `part`."""
    rows = rows_at(codes, np.arange(part.start, part.stop), queries.shape[1])
    products: NDArray[Any] = queries @ rows.T.astype(queries.dtype)
    return products.astype(np.float32) * (scales[part] * steps[:, None])


def weigh(
    codes: Bytes,
    first: int,
    queries: Queries,
    scales: NDArray[np.float32],
    allowed: NDArray[np.bool_],
    steps: NDArray[np.float32],
    bars: NDArray[np.float32],
    inverse: NDArray[np.float32],
    sums: NDArray[np.float64],
    places: NDArray[np.int64],
    found: NDArray[np.float32],
    counts: NDArray[np.int64],
    base: int,
    weights: NDArray[np.float32],
) -> int:
    """See `passes.weigh`."""
    rows = len(scales)
    while first < rows:
        stop = min(first + min(STEP, int((places.shape[1] - counts).min())), rows)
        if stop == first:
            return first
        part = slice(first, stop)
        s = _similarities(codes, part, queries, scales, steps)
        hit = (s >= bars[:, None]) & allowed[part]
        with np.errstate(over="ignore"):
            x = np.clip((s - bars[:, None]) * inverse[:, None], -87, 0)
        e = np.exp(x)
        e[hit | ~allowed[part]] = 0
        sums[:, 0] += e.sum(axis=1, dtype=np.float64)
        sums[:, 1] += (e * x).sum(axis=1, dtype=np.float64)
        sums[:, 2] += (e * e).sum(axis=1, dtype=np.float64)
        if len(weights):
            weights[:, part] = e
        _list(hit, s, base + first, places, found, counts)
        first = stop
    return first


def tally(
    codes: Bytes,
    first: int,
    queries: Queries,
    scales: NDArray[np.float32],
    allowed: NDArray[np.bool_],
    steps: NDArray[np.float32],
    bars: NDArray[np.float32],
    lows: NDArray[np.float32],
    finer: NDArray[np.float32],
    histogram: NDArray[np.float64],
    places: NDArray[np.int64],
    found: NDArray[np.float32],
    counts: NDArray[np.int64],
    base: int,
) -> int:
    """See `passes.tally`."""
    rows, q = len(scales), len(steps)
    bins = histogram.shape[1]
    while first < rows:
        stop = min(first + min(STEP, int((places.shape[1] - counts).min())), rows)
        if stop == first:
            return first
        part = slice(first, stop)
        s = _similarities(codes, part, queries, scales, steps)
        hit = (s >= bars[:, None]) & allowed[part]
        for j in range(q):
            below = s[j, allowed[part] & ~hit[j]]
            at = np.clip(((below - lows[j]) * finer[j]).astype(np.int64), 0, bins - 1)
            histogram[j, :, 0] += np.bincount(at, minlength=bins)
            histogram[j, :, 1] += np.bincount(at, weights=below, minlength=bins)
        _list(hit, s, base + first, places, found, counts)
        first = stop
    return first


def lead(
    codes: Bytes,
    queries: Queries,
    scales: NDArray[np.float32],
    allowed: NDArray[np.bool_],
    steps: NDArray[np.float32],
    best: NDArray[np.float32],
) -> None:
    """See `passes.lead`."""
    s = _similarities(codes, slice(0, len(scales)), queries, scales, steps)[:, allowed]
    best[:] = np.sort(np.concatenate([best, s], axis=1), axis=1)[:, -best.shape[1] :]


def _list(
    hit: NDArray[np.bool_],
    similarities: NDArray[np.float32],
    base: int,
    places: NDArray[np.int64],
    found: NDArray[np.float32],
    counts: NDArray[np.int64],
) -> None:
    """Put what hits, bool[q, r], behind the lists."""
    for j in np.flatnonzero(hit.any(axis=1)):
        at = np.flatnonzero(hit[j])
        here = slice(counts[j], counts[j] + len(at))
        places[j, here] = base + at
        found[j, here] = similarities[j, at]
        counts[j] += len(at)


def weight_of(weights: NDArray[np.float32], rows: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """See `products.weight_of`."""
    here = weights[:, :rows]
    return here.sum(axis=1, dtype=np.float64), here.max(axis=1).astype(np.float64)


def blend(
    codes: Bytes,
    weights: NDArray[np.float32],
    scales: NDArray[np.float32],
    steps: NDArray[np.float32],
    most: int,
    values: NDArray[np.float32],
    outputs: NDArray[np.float64],
) -> None:
    """See `products.blend`."""
    rows = len(scales)
    levels = np.rint(weights[:, :rows] * scales * (np.float32(1) / steps[:, None]))
    above = levels > most
    levels[above] = 0
    for chunk, first in enumerate(range(0, rows, CHUNK)):
        stop = min(first + CHUNK, rows)
        coded = columns_of(codes[chunk], 0, stop - first, outputs.shape[1]).astype(np.float64)
        outputs += steps[:, None].astype(np.float64) * (levels[:, first:stop].astype(np.float64) @ coded)
    for query in np.flatnonzero(above.any(axis=1)):
        listed = np.flatnonzero(above[query])
        outputs[query] += weights[query, listed].astype(np.float64) @ values[listed].astype(np.float64)


def add_rows(
    values: NDArray[np.float32],
    rows: NDArray[np.int64],
    queries: NDArray[np.int64],
    weights: NDArray[np.float64],
    outputs: NDArray[np.float64],
) -> None:
    """See `products.add_rows`."""
    for query in np.unique(queries):
        of = queries == query
        outputs[query] += weights[of] @ values[rows[of]].astype(np.float64)


def all_products(
    vectors: NDArray[np.float32], rows: NDArray[np.int64], queries: NDArray[np.float64], products: NDArray[np.float64]
) -> None:
    """See `products.all_products`."""
    products[:] = queries @ vectors[rows].astype(np.float64).T


def all_sums(
    vectors: NDArray[np.float32], rows: NDArray[np.int64], weights: NDArray[np.float64], outputs: NDArray[np.float64]
) -> None:
    """See `products.all_sums`."""
    outputs += weights @ vectors[rows].astype(np.float64)


def row_products(
    vectors: NDArray[np.float32], rows: NDArray[np.int64], queries: NDArray[np.float64], asked: NDArray[np.int64]
) -> NDArray[np.float64]:
    """See `products.row_products`."""
    found = np.empty(len(rows))
    for first in range(0, len(rows), 256):
        part = slice(first, first + 256)
        found[part] = (vectors[rows[part]].astype(np.float64) * queries[asked[part]]).sum(axis=1)
    return found


def quadratic_forms(vectors: NDArray[np.float64], matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """See `products.quadratic_forms`."""
    forms: NDArray[np.float64] = ((vectors @ matrix) * vectors).sum(axis=1)
    return forms
