"""The passes of `passes` and `products` in NumPy, for where numba is not installed: the same sums and lists, slower."""

import numpy as np
from numpy.typing import NDArray

RUN = 4096
"""Rows to a step."""


def weigh(
    products: NDArray[np.int32],
    first: int,
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
    """See `passes.weigh_few`."""
    rows = products.shape[0]
    while first < rows:
        stop = min(first + min(RUN, int((places.shape[1] - counts).min())), rows)
        if stop == first:
            return first
        part = slice(first, stop)
        s = products[part].T.astype(np.float32) * (scales[part] * steps[:, None])
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
        for j in np.flatnonzero(hit.any(axis=1)):
            at = np.flatnonzero(hit[j])
            places[j, counts[j] : counts[j] + len(at)] = base + first + at
            found[j, counts[j] : counts[j] + len(at)] = s[j, at]
            counts[j] += len(at)
        first = stop
    return first


def tally(
    products: NDArray[np.int32],
    first: int,
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
    rows, q = products.shape[0], steps.shape[0]
    bins = histogram.shape[1]
    while first < rows:
        stop = min(first + min(RUN, int((places.shape[1] - counts).min())), rows)
        if stop == first:
            return first
        part = slice(first, stop)
        s = products[part].T.astype(np.float32) * (scales[part] * steps[:, None])
        hit = (s >= bars[:, None]) & allowed[part]
        for j in range(q):
            below = s[j, allowed[part] & ~hit[j]]
            at = np.clip(((below - lows[j]) * finer[j]).astype(np.int64), 0, bins - 1)
            histogram[j, :, 0] += np.bincount(at, minlength=bins)
            histogram[j, :, 1] += np.bincount(at, weights=below, minlength=bins)
            listed = np.flatnonzero(hit[j])
            places[j, counts[j] : counts[j] + len(listed)] = base + first + listed
            found[j, counts[j] : counts[j] + len(listed)] = s[j, listed]
            counts[j] += len(listed)
        first = stop
    return first


def fine_sums(codes: NDArray[np.int8], first: int, levels: NDArray[np.int16], sums: NDArray[np.float64]) -> None:
    """See `products.fine_sums`."""
    sums[:] = 0
    chunk = codes.shape[2]
    done = 0
    while done < levels.shape[1]:
        within = (first + done) % chunk
        part = levels[:, done : done + chunk - within].astype(np.float64)
        run = codes[(first + done) // chunk, :, within : within + part.shape[1]]
        sums += run.astype(np.float64) @ part.T
        done += part.shape[1]


def fine_levels(
    weights: NDArray[np.float32], scales: NDArray[np.float32], steps: NDArray[np.float32], levels: NDArray[np.int16]
) -> None:
    """See `products.fine_levels`."""
    levels[:] = np.rint(weights[:, : len(scales)] * scales / steps[:, None])


def coarse_levels(
    weights: NDArray[np.float32],
    scales: NDArray[np.float32],
    steps: NDArray[np.float32],
    levels: NDArray[np.int8],
    values: NDArray[np.float32],
    outputs: NDArray[np.float64],
) -> None:
    """See `products.coarse_levels`."""
    wide = np.rint(weights[:, : len(scales)] * scales / steps[:, None])
    above = wide > 127
    levels[:] = np.where(above, 0, wide)
    for query in np.flatnonzero(above.any(axis=1)):
        rows = np.flatnonzero(above[query])
        outputs[query] += weights[query, rows].astype(np.float64) @ values[rows].astype(np.float64)


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
