"""The kernels in NumPy, for where there is no machine code, or none yet; `Kernels` says what each of them does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attention.dtypes import F32, F64, I8, I16, I64, Bools, Bytes
from attention.kernels.interface import ABOVE_MEAN, LEAST_STEP, NEGLIGIBLE, CandidateLists, CodedKeys, CodedValues
from attention.kernels.layout import CHUNK, LEVELS, WEIGHT_LEVELS, columns_of, rows_at
from attention.kernels.listed.in_numpy import at_first as at_first
from attention.kernels.listed.in_numpy import deciding as deciding
from attention.kernels.listed.in_numpy import first_ones as first_ones
from attention.kernels.listed.in_numpy import heads as heads
from attention.kernels.listed.in_numpy import heaviest as heaviest
from attention.kernels.listed.in_numpy import in_order as in_order
from attention.kernels.listed.in_numpy import weigh as weigh

NAME = "NumPy"
AMX = False
WIDE = SCANS = False

STEP = 4096
"""Rows to a step."""

CODED_STEP = 128
"""Rows to a step of coding: so few that a core's own cache holds what one step leaves for the next."""


class Queries(NamedTuple):
    """Queries as the products want them.

    Attributes:
        codes: [q, d], in floating point wide enough for every partial sum of products to be an exact integer.
        steps: float32[q]; similarity = product·scale·step.
    """

    codes: NDArray[Any]
    steps: F32


def packed_queries(codes: I16, steps: F32, *, fine: bool) -> Queries:
    """Of codes int16[q, d] and steps float32[q]."""
    exact = codes.shape[1] * LEVELS * (2**15 if fine else LEVELS) < 2**24
    return Queries(codes.astype(np.float32 if exact else np.float64), steps)


def _similarities(keys: CodedKeys, part: slice, queries: Queries) -> F32:
    """float32[q, r] of the rows of `part`."""
    rows = rows_at(keys.codes, np.arange(part.start, part.stop), queries.codes.shape[1])
    products: NDArray[Any] = queries.codes @ rows.T.astype(queries.codes.dtype)
    whole, scales = products.astype(np.float32), keys.scales[part] * queries.steps[:, None]
    if not len(keys.addends):
        return whole * scales
    # Rounded once, as a processor does that adds while it multiplies.
    return (whole.astype(np.float64) * scales + keys.addends[part]).astype(np.float32)


def _parts(keys: CodedKeys, first: int, lists: CandidateLists) -> Iterator[slice]:
    """Rows from `first` on, no more at a time than every list has room for; none where one is full."""
    while first < len(keys.scales):
        room = lists.places.shape[1] - int(lists.counts.max())
        stop = min(first + min(STEP, room), len(keys.scales))
        if stop == first:
            return
        yield slice(first, stop)
        first = stop


def accumulate(
    keys: CodedKeys,
    first: int,
    queries: Queries,
    lists: CandidateLists,
    inverse: F32,
    sums: F64,
    weights: F32,
) -> int:
    """See `Kernels`."""
    thresholds = lists.thresholds[:, None]
    for part in _parts(keys, first, lists):
        s = _similarities(keys, part, queries)
        hit = (s >= thresholds) & keys.allowed[part]
        with np.errstate(over="ignore"):
            x = np.clip((s - thresholds) * inverse[:, None], -87, 0)
        e = np.exp(x)
        e[hit | ~keys.allowed[part]] = 0
        sums[:, 0] += e.sum(axis=1, dtype=np.float64)
        sums[:, 1] += (e * x).sum(axis=1, dtype=np.float64)
        sums[:, 2] += (e * e).sum(axis=1, dtype=np.float64)
        if len(weights):
            weights[:, part] = e
        _list(hit, s, keys.base + part.start, lists)
        first = part.stop
    return first


def fill_histogram(
    keys: CodedKeys,
    first: int,
    queries: Queries,
    lists: CandidateLists,
    lows: F32,
    finer: F32,
    histogram: F64,
) -> int:
    """See `Kernels`."""
    bins = histogram.shape[1]
    for part in _parts(keys, first, lists):
        s = _similarities(keys, part, queries)
        hit = (s >= lists.thresholds[:, None]) & keys.allowed[part]
        for j in range(len(s)):
            below = s[j, keys.allowed[part] & ~hit[j]]
            at = np.clip(((below - lows[j]) * finer[j]).astype(np.int64), 0, bins - 1)
            histogram[j, :, 0] += np.bincount(at, minlength=bins)
            histogram[j, :, 1] += np.bincount(at, weights=below, minlength=bins)
        _list(hit, s, keys.base + part.start, lists)
        first = part.stop
    return first


def sample_top(keys: CodedKeys, queries: Queries, best: F32) -> None:
    """See `Kernels`."""
    s = _similarities(keys, slice(0, len(keys.scales)), queries)[:, keys.allowed]
    best[:] = np.sort(np.concatenate([best, s], axis=1), axis=1)[:, -best.shape[1] :]


def _list(hit: Bools, similarities: F32, base: int, lists: CandidateLists) -> None:
    """Put what hits, bool[q, r], behind the lists."""
    for j in np.flatnonzero(hit.any(axis=1)):
        at = np.flatnonzero(hit[j])
        here = slice(lists.counts[j], lists.counts[j] + len(at))
        lists.places[j, here] = base + at
        lists.similarities[j, here] = similarities[j, at]
        lists.counts[j] += len(at)


def weight_of(weights: F32, rows: int) -> tuple[F64, F64]:
    """(sums float64[q], largest float64[q]) of the first `rows` of weights float32[q, ≥ r]."""
    here = weights[:, :rows]
    return here.sum(axis=1, dtype=np.float64), here.max(axis=1).astype(np.float64)


def blend(
    codes: Bytes, weights: F32, scales: F32, steps: F32, most: int, values: F32, outputs: F64, amx: bool = False
) -> None:
    """See `value_passes.blend`."""
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


def add_values(tile: CodedValues, weights: F32, counts: I64, fine: bool, outputs: F64, errors: F64, amx: bool) -> None:
    """See `Kernels`."""
    rows, levels = len(tile.scales), WEIGHT_LEVELS if fine else LEVELS
    masses, tops = weight_of(weights, rows)
    if (masses <= NEGLIGIBLE * counts).all():
        errors[:, 0] += masses * tile.length
        return
    known = masses
    if not fine:
        most = ABOVE_MEAN * masses / rows
        # Rows added one by one count to no coded mass.
        known = np.where(tops <= most, masses, 0.0)
        tops = np.minimum(tops, most)
    steps = np.maximum(tops * float(tile.scales.max()) / levels, LEAST_STEP).astype(np.float32)
    rounding = steps.astype(np.float64) * (0.5 + levels * 2.0**-21)
    linear = (masses * tile.residual, rows * rounding * tile.code_length, known)
    errors[:, 1:] += np.stack([*linear, rounding * rounding * tile.inverse_squares.sum()], axis=1)
    blend(tile.codes, weights, tile.scales, steps, levels, tile.values, outputs)


def add_rows(
    values: F32,
    rows: I64,
    queries: I64,
    weights: F64,
    outputs: F64,
) -> None:
    """See `Kernels`."""
    for query in np.unique(queries):
        of = queries == query
        outputs[query] += weights[of] @ values[rows[of]].astype(np.float64)


def _rows(vectors: F32, rows: I64) -> F32:
    """Return float32[m, d], the rows int64[m]; without a copy if they follow one another."""
    if len(rows) and (np.diff(rows) == 1).all():
        return vectors[rows[0] : rows[-1] + 1]
    return vectors[rows]


def all_products(vectors: F32, rows: I64, queries: F64, products: F64) -> None:
    """See `Kernels`."""
    products[:] = queries @ _rows(vectors, rows).astype(np.float64).T


def all_sums(vectors: F32, rows: I64, weights: F64, outputs: F64) -> None:
    """See `Kernels`."""
    outputs += weights @ _rows(vectors, rows).astype(np.float64)


def row_products(vectors: F32, rows: I64, queries: F64, asked: I64) -> F64:
    """See `Kernels`."""
    found = np.empty(len(rows))
    for first in range(0, len(rows), 256):
        part = slice(first, first + 256)
        found[part] = (vectors[rows[part]].astype(np.float64) * queries[asked[part]]).sum(axis=1)
    return found


def code_rows(vectors: F32, codes: I8, left: F32, scales: F64, squares: F64, total: F64) -> None:
    """See `Kernels`."""
    for first in range(0, len(vectors), CODED_STEP):
        part = slice(first, first + CODED_STEP)
        residuals = vectors[part].astype(np.float64)
        scales[part] = np.abs(residuals).max(axis=1) / LEVELS
        nearest = np.rint(residuals / np.where(scales[part] > 0, scales[part], 1.0)[:, None])
        residuals -= nearest * scales[part, None]
        codes[part], left[part] = nearest, residuals
        squares[part] = (residuals * residuals).sum(axis=1)
        total += residuals.sum(axis=0)


def residual_sum(vectors: F32, rows: I64) -> F64:
    """See `Kernels`."""
    total = np.zeros(vectors.shape[1])
    for first in range(0, len(rows), 256):
        left = vectors[rows[first : first + 256]].astype(np.float64)
        scales = np.abs(left).max(axis=1, keepdims=True) / LEVELS
        left -= np.rint(left / np.where(scales > 0, scales, 1.0)) * scales
        total += left.sum(axis=0)
    return total


def quadratic_forms(vectors: F64, matrix: F32) -> tuple[F64, F64]:
    """See `Kernels`."""
    squares = (vectors * vectors).sum(axis=1)
    units = vectors / np.sqrt(np.maximum(squares, 1e-300))[:, None]
    return squares, ((units @ matrix.astype(np.float64)) * units).sum(axis=1)
