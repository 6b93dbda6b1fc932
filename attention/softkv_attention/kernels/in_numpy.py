"""The implementation of `Kernels` in NumPy: the reference for the one in C, and what runs without it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from softkv_attention.arrays import F32, F64, I8, I16, I64, Bools, Bytes
from softkv_attention.kernels.interface import (
    ABOVE_MEAN,
    FLOAT_ROWS,
    HEAVIEST,
    LOWEST,
    MIN_LOGIT,
    MIN_STEP,
    NEGLIGIBLE,
    TERM_FLOOR,
    VANISHED,
    VANISHING,
    CandidateLists,
    CodedKeys,
    CodedValues,
    FloatRows,
    RowMasses,
    RowRun,
    SoftmaxOptions,
)
from softkv_attention.kernels.layout import CHUNK, LEVELS, WEIGHT_LEVELS, columns_of, rows_at

NAME = "NumPy"
AMX = False
WIDE = SCANS = ORDERED = False
one_scan = None

STEP = 4096
"""Rows per step of a scan."""

CODED_STEP = 128
"""Rows per step of coding, few enough for intermediate results to stay in a core's cache."""


class Queries(NamedTuple):
    """Coded queries in the form that the NumPy kernels multiply.

    Attributes:
        codes: [q, d], of a floating-point type in which every partial sum of products is an exact integer.
        steps: float32[q]; similarity = product of codes · key scale · step.
    """

    codes: NDArray[Any]
    steps: F32


def pack_queries(codes: I16, steps: F32, *, fine: bool) -> Queries:
    """Return coded queries in the form that the scans over coded keys read.

    Args:
        codes: int16[q, d], each query as integers, within −127 to 127 unless `fine`.
        steps: float32[q], the size of one unit of each query's codes.
        fine: whether the codes have 16 bits instead of 8.
    """
    exact = codes.shape[1] * LEVELS * (2**15 if fine else LEVELS) < 2**24
    return Queries(codes.astype(np.float32 if exact else np.float64), steps)


def _similarities(keys: CodedKeys, part: slice, queries: Queries) -> F32:
    """Return float32[q, r], the similarities of the rows in the slice `part` with each query.

    similarity = product of codes · scale · step + addend.
    """
    rows = rows_at(keys.codes, np.arange(part.start, part.stop), queries.codes.shape[1])
    products: NDArray[Any] = queries.codes @ rows.T.astype(queries.codes.dtype)
    whole, scales = products.astype(np.float32), keys.scales[part] * queries.steps[:, None]
    if not len(keys.addends):
        return whole * scales
    # Rounded once, like a fused multiply-add.
    return (whole.astype(np.float64) * scales + keys.addends[part]).astype(np.float32)


def _parts(keys: CodedKeys, first: int, lists: CandidateLists) -> Iterator[slice]:
    """Yield slices of rows from `first` on, each small enough for the free space of every candidate list.

    Stop if a list is full.
    """
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
    """Scan rows from `first` on: list rows at or above a query's threshold, and sum softmax terms of the others.

    A term is e = exp((similarity − threshold)/T). Return the row to continue from: the scan stops if a list is full.
    `Kernels.accumulate` has shapes and details.
    """
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
    """Scan rows from `first` on: list rows at or above a query's threshold, and count the others in a histogram.

    Each query has a histogram of similarities. Return the row to continue from: the scan stops if a list is full.
    `Kernels.fill_histogram` has shapes and details.
    """
    bins = histogram.shape[1]
    for part in _parts(keys, first, lists):
        s = _similarities(keys, part, queries)
        hit = (s >= lists.thresholds[:, None]) & keys.allowed[part]
        for j in range(len(s)):
            below = s[j, keys.allowed[part] & ~hit[j]]
            bin_of = np.clip(((below - lows[j]) * finer[j]).astype(np.int64), 0, bins - 1)
            histogram[j, :, 0] += np.bincount(bin_of, minlength=bins)
            histogram[j, :, 1] += np.bincount(bin_of, weights=below, minlength=bins)
        _list(hit, s, keys.base + part.start, lists)
        first = part.stop
    return first


def sample_top(keys: CodedKeys, queries: Queries, best: F32) -> None:
    """Insert the similarities of these keys into each query's list of the b largest similarities.

    The lists are `best` float32[q, b], ascending; they are updated.
    """
    s = _similarities(keys, slice(0, len(keys.scales)), queries)[:, keys.allowed]
    best[:] = np.sort(np.concatenate([best, s], axis=1), axis=1)[:, -best.shape[1] :]


def _list(hit: Bools, similarities: F32, base: int, lists: CandidateLists) -> None:
    """Append the rows that are True in `hit` bool[q, r] to each query's candidate list.

    `base` is the number of the first of these rows among all rows. `similarities` is float32[q, r].
    """
    for j in np.flatnonzero(hit.any(axis=1)):
        hits = np.flatnonzero(hit[j])
        used = slice(lists.counts[j], lists.counts[j] + len(hits))
        lists.places[j, used] = base + hits
        lists.similarities[j, used] = similarities[j, hits]
        lists.counts[j] += len(hits)


def weight_of(weights: F32, rows: int) -> tuple[F64, F64]:
    """Return the sum and the maximum of the first `rows` weights of each query, as float64[q] each.

    `weights` is float32[q, ≥ rows].
    """
    attended = weights[:, :rows]
    return attended.sum(axis=1, dtype=np.float64), attended.max(axis=1).astype(np.float64)


def blend(codes: Bytes, weights: F32, scales: F32, steps: F32, max_level: int, values: F32, outputs: F64) -> None:
    """Add Σ weight·value over r coded values to the outputs float64[q, d_v].

    Each weight·scale is first rounded to a multiple of the query's step, its level. Rows of a higher level than
    `max_level` are added one by one.

    Args:
        codes: uint8[chunks, groups, words, 16, 4].
        weights: float32[q, ≥ r].
        scales: float32[r].
        steps: float32[q].
        values: float32[r, d_v], the originals.
    """
    rows = len(scales)
    levels = np.rint(weights[:, :rows] * scales * (np.float32(1) / steps[:, None]))
    above = levels > max_level
    levels[above] = 0
    for chunk, first in enumerate(range(0, rows, CHUNK)):
        stop = min(first + CHUNK, rows)
        coded = columns_of(codes[chunk], 0, stop - first, outputs.shape[1]).astype(np.float64)
        outputs += steps[:, None].astype(np.float64) * (levels[:, first:stop].astype(np.float64) @ coded)
    for query in np.flatnonzero(above.any(axis=1)):
        listed = np.flatnonzero(above[query])
        outputs[query] += weights[query, listed].astype(np.float64) @ values[listed].astype(np.float64)


def add_values(tile: CodedValues, weights: F32, counts: I64, fine: bool, outputs: F64, errors: F64, amx: bool) -> None:
    """Add Σ weight·value over a block of coded values to the outputs, and bounds on the error to `errors`.

    Shapes and details are those of `Kernels.add_values`.
    """
    rows, levels = len(tile.scales), WEIGHT_LEVELS if fine else LEVELS
    masses, tops = weight_of(weights, rows)
    if (masses <= NEGLIGIBLE * counts).all():
        errors[:, 0] += masses * tile.length
        return
    coded_masses = masses
    if not fine:
        limit = ABOVE_MEAN * masses / rows
        # Rows added one by one are not part of the coded mass.
        coded_masses = np.where(tops <= limit, masses, 0.0)
        tops = np.minimum(tops, limit)
    steps = np.maximum(tops * float(tile.scales.max()) / levels, MIN_STEP).astype(np.float32)
    rounding = steps.astype(np.float64) * (0.5 + levels * 2.0**-21)
    linear = (masses * tile.residual, rows * rounding * tile.code_length, coded_masses)
    errors[:, 1:] += np.stack([*linear, rounding * rounding * tile.inverse_squares.sum()], axis=1)
    blend(tile.codes, weights, tile.scales, steps, levels, tile.values, outputs)


def add_rows(
    values: F32,
    rows: I64,
    queries: I64,
    weights: F64,
    outputs: F64,
) -> None:
    """Add weight·value of each of m rows to the output of one query.

    Row rows[i] of `values` goes to outputs[queries[i]] with weights[i]. `Kernels.add_rows` has the shapes.
    """
    for query in np.unique(queries):
        of = queries == query
        outputs[query] += weights[of] @ values[rows[of]].astype(np.float64)


def _rows(vectors: F32, rows: I64) -> F32:
    """Return float32[m, d], the vectors at the indices `rows` int64[m].

    The result is a view, without copying, if the indices are consecutive.
    """
    if len(rows) and (np.diff(rows) == 1).all():
        return vectors[rows[0] : rows[-1] + 1]
    return vectors[rows]


def all_products(vectors: F32, rows: I64, queries: F64, products: F64) -> None:
    """Fill products float64[q, m] with the dot product of every query float64[q, d] with each of m rows.

    The rows are those of `vectors` float32[n, d] at the indices `rows`.
    """
    products[:] = queries @ _rows(vectors, rows).astype(np.float64).T


def all_sums(vectors: F32, rows: I64, weights: F64, outputs: F64) -> None:
    """Add the sum of m rows, weighted by float64[q, m], to the outputs float64[q, d].

    The rows are those of `vectors` float32[n, d] at the indices `rows`.
    """
    outputs += weights @ _rows(vectors, rows).astype(np.float64)


def blend_rows(
    rows: FloatRows,
    queries: F32,
    inverse: F32,
    by_factor: bool,
    peaks: F32,
    sums: F64,
    outputs: F64,
    stored: F32 | None = None,
) -> None:
    """Add the softmax terms of some rows to the sums of q queries; see `Kernels.blend_rows`."""
    table = _similarity_table(stored, rows, queries)
    for of, part in _float_blocks(rows):
        similarities = _float_similarities(part, queries)
        if table is not None:
            table[:, of] = similarities
        before = peaks.copy()
        np.maximum(peaks, similarities.max(axis=1), out=peaks)
        shrink = np.exp((before.astype(np.float64) - peaks) * inverse)[:, None]
        terms = _terms(similarities, peaks, inverse)
        sums *= shrink
        sums[:, 0] += terms.sum(axis=1)
        sums[:, 1] += (terms * similarities).sum(axis=1)
        outputs *= shrink
        outputs += (terms if part.factors is None or not by_factor else terms * part.factors) @ part.values


def pull_rows(
    rows: FloatRows,
    queries: F32,
    inverse: F32,
    peaks: F32,
    gradients: F32,
    levels: F32,
    sums: F64,
    outputs: F64,
    stored: F32 | None = None,
) -> None:
    """Add the gradients of q queries that some rows cause; see `Kernels.pull_rows`."""
    table = _similarity_table(stored, rows, queries)
    for of, part in _float_blocks(rows):
        similarities = _float_similarities(part, queries) if table is None else table[:, of]
        shares = _terms(similarities, peaks, inverse) * (gradients @ part.values.T - levels[:, None])
        sums[:, 0] += shares.sum(axis=1)
        sums[:, 1] += (shares * similarities).sum(axis=1)
        sums[:, 2] += np.abs(shares).sum(axis=1)
        outputs += (shares if part.factors is None else shares * part.factors) @ part.keys


def _similarity_table(stored: F32 | None, rows: FloatRows, queries: F32) -> F32 | None:
    """Return float32[q, r], the similarities stored of some rows and queries; None if none are."""
    return None if stored is None else stored.reshape(-1)[: len(queries) * rows.size].reshape(len(queries), rows.size)


def _float_blocks(rows: FloatRows) -> Iterator[tuple[slice, FloatRows]]:
    """Yield blocks of the rows: the slice of each, and its rows without positions."""
    for first in range(0, rows.size, FLOAT_ROWS):
        part = slice(first, first + FLOAT_ROWS)
        index = part if rows.rows is None else rows.rows[part]
        keys = rows.keys[index]
        values = keys if rows.values is rows.keys else rows.values[index]
        factors = None if rows.factors is None else rows.factors[part]
        yield part, FloatRows(keys, values, None, factors, None if rows.addends is None else rows.addends[part])


def _float_similarities(rows: FloatRows, queries: F32) -> F32:
    similarities = queries @ rows.keys.T
    if rows.factors is not None:
        similarities *= rows.factors
    if rows.addends is not None:
        similarities += rows.addends
    return similarities


def _terms(similarities: F32, peaks: F32, inverse: F32) -> F32:
    below = (similarities - peaks[:, None]) * inverse[:, None]
    terms: F32 = np.exp(np.maximum(below, np.float32(TERM_FLOOR)))
    terms[below <= TERM_FLOOR] = 0
    return terms


def row_products(vectors: F32, rows: I64, queries: F64, query_of: I64) -> F64:
    """Return float64[m], the dot product of vectors[rows[i]] and queries[query_of[i]] for each pair i."""
    products = np.empty(len(rows))
    for first in range(0, len(rows), 256):
        part = slice(first, first + 256)
        products[part] = (vectors[rows[part]].astype(np.float64) * queries[query_of[part]]).sum(axis=1)
    return products


def pack_rows(runs: Sequence[RowRun]) -> Sequence[RowRun]:
    """Return rows of blocks in the form that `softmax_rows` reads: as they are."""
    return runs


def softmax_rows(rows: Sequence[RowRun], queries: F64, options: F64) -> list[RowMasses]:
    """Return for each query the softmax masses of all rows, their sums and the best rows.

    Shapes and details are those of `Kernels.softmax_rows`.
    """
    n, width = sum(run.size for run in rows), queries.shape[1]
    taken = [run.keys[: run.size] if run.rows is None else run.keys[run.rows] for run in rows]
    keys = np.concatenate(taken).astype(np.float64)
    norms = None if rows[0].norms is None else np.concatenate([run.norms for run in rows if run.norms is not None])
    products, key_length = queries @ keys.T, np.sqrt((keys * keys).sum(axis=1).max())
    results = []
    for vector, similarities, numbers in zip(queries, products, options.tolist(), strict=True):
        of = SoftmaxOptions._make(numbers)
        scales = np.full(n, of.divisor) if norms is None else norms * of.divisor
        similarities /= scales
        k = min(int(of.k), n)
        if k > 0:
            # A product's digits depend on its place in a block. These are summed in one order, so that copies tie.
            error = 8 * (width + 8) * 2.0**-53 * key_length * np.sqrt((vector * vector).sum()) / scales.min()
            near = np.flatnonzero(similarities >= np.partition(similarities, n - k)[n - k] - error)
            similarities[near] = (keys[near] * vector).sum(axis=1) / scales[near]
        if norms is not None:
            np.clip(similarities, -1.0, 1.0, out=similarities)
        masses, totals = softmax_masses(similarities, of.temperature)
        null_mass = 0.0
        if of.null_similarity > -np.inf:
            relative = (of.null_similarity - totals[0]) / of.temperature + of.null_log_count
            null_mass = np.exp(min(relative, 300.0))
        whole = totals[1] + null_mass
        # The heaviest rows have a mass of at most √(count · Σ mass²), by Cauchy and Schwarz.
        shared = HEAVIEST * (masses * masses).sum() >= 0.249 * whole * whole
        shared = shared and null_mass <= 1.001 * totals[1] and whole >= 1.999
        heads, heavy = _best(similarities, k), _best(masses, min(HEAVIEST, n) if shared else 0)[:HEAVIEST]
        counts = np.array([len(heads), len(heavy)])
        results.append(RowMasses(similarities, masses, totals, heads, heavy, counts))
    return results


def softmax_masses(similarities: F64, temperature: float) -> tuple[F64, F64]:
    """Return softmax masses and their sums; see `Kernels.softmax_masses`."""
    best = similarities.max()
    logits = np.maximum((similarities - best) / temperature, LOWEST)
    masses = np.exp(logits)
    return masses, np.array([best, masses.sum(), (masses * logits).sum()])


def _best(numbers: F64, k: int) -> I64:
    """Return the indices of the k largest numbers and of those that tie with the k-th, largest first."""
    if k <= 0:
        return np.empty(0, dtype=np.int64)
    n = len(numbers)
    best = np.flatnonzero(numbers >= np.partition(numbers, n - k)[n - k])
    return best[np.argsort(-numbers[best], kind="stable")]


def code_rows(vectors: F32, codes: I8, left: F32, scales: F64, squares: F64, total: F64) -> None:
    """Code n vectors in 8 bits: each component x becomes the integer nearest to x/scale, with scale = max|x|/127.

    Codes, residuals `left`, scales and sums are written to the other arguments; see `Kernels.code_rows`.
    """
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
    """Return float64[d], the sum of x − x̂ over the rows of `vectors` at the indices `rows`.

    x̂ is the row x decoded from its 8-bit code.
    """
    total = np.zeros(vectors.shape[1])
    for first in range(0, len(rows), 256):
        left = vectors[rows[first : first + 256]].astype(np.float64)
        scales = np.abs(left).max(axis=1, keepdims=True) / LEVELS
        left -= np.rint(left / np.where(scales > 0, scales, 1.0)) * scales
        total += left.sum(axis=0)
    return total


def quadratic_forms(vectors: F64, matrix: F32) -> tuple[F64, F64]:
    """Return ‖x‖² and xᵀ·M·x/‖x‖² of each vector x, as float64[q] each.

    `vectors` is float64[q, d], and `matrix` float32[d, d] is the symmetric M. `Kernels.quadratic_forms` bounds the
    error.
    """
    squares = (vectors * vectors).sum(axis=1)
    units = vectors / np.sqrt(np.maximum(squares, 1e-300))[:, None]
    return squares, ((units @ matrix.astype(np.float64)) * units).sum(axis=1)


def sort_candidates(
    row_numbers: I64, similarities: F32, counts: I64, starts: I64, first: int, last: int, ordered: I64, descending: F64
) -> None:
    """Merge the candidate lists of all workers into one run per query, sorted by similarity, largest first.

    A worker is one thread of a scan, and lists the best rows that it read. A run is the part of `ordered` and
    `descending` that belongs to one query. Only the runs of queries `first` to `last` are filled. Shapes and details
    are those of `CandidateKernels.sort_candidates`.
    """
    for query in range(first, last):
        used = np.arange(row_numbers.shape[2]) < counts[:, query, None]
        scanned, run = similarities[:, query][used], slice(starts[query], starts[query + 1])
        order = np.argsort(-scanned, kind="stable")
        ordered[run], descending[run] = row_numbers[:, query][used][order], scanned[order]


def heavy_counts(
    similarities: F64,
    starts: I64,
    inverse: F64,
    levels: F64,
    squares: F64,
    few: float,
    negligible: float,
    first: int,
    last: int,
    counts: I64,
) -> None:
    """Count the first candidates of each query that hold nearly all of its squared softmax weight.

    Candidates are the rows that a scan listed, sorted, best first. The counts of queries `first` to `last` are written
    to `counts`. Shapes and details are those of `CandidateKernels.heavy_counts`.
    """
    for query in range(first, last):
        run = similarities[starts[query] : starts[query + 1]]
        counts[query] = 0
        if len(run):
            twice = 2 * inverse[query]
            summed = squares[query] * np.exp(np.clip((levels[query] - run[0]) * twice, VANISHED, 0.0))
            beyond = np.exp(np.maximum((run - run[0]) * twice, VANISHED))[::-1].cumsum()
            counts[query] = np.count_nonzero(beyond > max(few * summed, negligible))


def _count_at_least(run: F64, least: float) -> int:
    """Return how many similarities of `run`, in descending order, are at least `least`."""
    return int(np.searchsorted(-run, -least, side="right"))


def initial_counts(similarities: F64, starts: I64, heavy: I64, ks: I64, margins: F64, maximum: int, times: int) -> I64:
    """Return int64[q], how many of each query's candidates to compute again in float64 first.

    Candidates are the rows that a scan listed, sorted, best first: a count selects the best ones. Shapes and details
    are those of `CandidateKernels.initial_counts`.
    """
    counts = np.zeros(len(ks), dtype=np.int64)
    for query, (first, last) in enumerate(pairwise(starts.tolist())):
        run, k = similarities[first:last], int(ks[query])
        if len(run) >= max(k, 1):
            enough = min(max(k, int(heavy[query])), len(run), maximum)
            down = _count_at_least(run, min(run[enough - 1], run[k - 1] - margins[query]))
            counts[query] = min(down, max(times * maximum, 2 * k))
    return counts


def first_rows(starts: I64, counts: I64) -> tuple[I64, I64, I64]:
    """Select the first `counts[i]` candidates of each query i.

    Returns:
        (edges, indices, runs): where each query's selection begins, the selected indices into the concatenated
        candidates, and the query of each. Shapes are those of `CandidateKernels.first_rows`.
    """
    edges = np.append(0, counts.cumsum())
    # If addresses have 32 bits, as in a browser, NumPy repeats by counts of that width alone.
    runs = np.repeat(np.arange(len(counts)), counts.astype(np.intp))
    return edges, np.arange(edges[-1]) + (starts - edges[:-1])[runs], runs


def decisive_counts(
    similarities: F64,
    starts: I64,
    rescored: F64,
    counts: I64,
    ks: I64,
    supports: F64,
    thresholds: F64,
    errors: F64,
    maximum: int,
    times: int,
) -> I64:
    """Return int64[q], how many of each query's candidates to compute in float64 to know its k best rows.

    Candidates are the rows that a scan listed, sorted, best first. A result is −1 if they cannot decide. Shapes and
    details are those of `CandidateKernels.decisive_counts`.
    """
    needed = np.full(len(ks), -1, dtype=np.int64)
    for query, run_known in enumerate(np.split(rescored, counts.cumsum()[:-1])):
        k, count = int(ks[query]), len(run_known)
        if count < max(k, 1):
            continue
        lowest = run_known.max() - supports[query] if supports[query] > 0 else np.inf
        run, limit = similarities[starts[query] : starts[query + 1]], max(times * maximum, 2 * k)
        for level in (run_known[:k].min(), np.partition(run_known, count - k)[count - k]):
            least = min(level, lowest) - errors[query]
            reached = max(_count_at_least(run, least), count)
            if thresholds[query] <= least and reached <= limit:
                needed[query] = reached
                break
    return needed


def softmax_weights(
    values: F64,
    starts: I64,
    counts: I64,
    temperatures: F64,
    thresholds: F64,
    sums: F64,
    nulls: F64,
    first: int,
    last: int,
    weights: F64,
    factors: F64,
    totals: F64,
) -> None:
    """Compute softmax weights over the rows that a scan listed and over the sums of all other rows.

    A case is one query at one temperature; cases `first` to `last` are computed. Results are written to `weights`,
    `factors` and `totals`. Shapes and details are those of `CandidateKernels.softmax_weights`.
    """
    for case in range(first, last):
        begin, end, temperature = int(starts[case]), int(starts[case + 1]), temperatures[case]
        run, known_count = values[begin:end], int(counts[case])
        best = run[:known_count].max()
        logits = np.maximum((run - best) / temperature, LOWEST)
        masses = np.exp(logits)
        gaps, squares = masses * logits, masses[known_count:] * masses[known_count:]
        distances = (thresholds[case] - best) / temperature
        floors = np.maximum(distances, MIN_LOGIT)
        terms = np.exp(floors)
        mass, gap, square = sums[case].T
        tail = masses[known_count:].sum() + (terms * mass).sum()
        tail_gap = -(gaps[known_count:].sum() + (terms * (gap + floors * mass)).sum())
        summed_square = (terms * terms * square).sum()
        whole = masses[:known_count].sum() + tail
        log_mass = np.log(whole)
        mean_gap = (tail_gap - gaps[:known_count].sum()) / whole
        similarity, log_count = nulls[case]
        null_logit = -np.inf if similarity == -np.inf else (similarity - best) / temperature + log_count
        rising = np.exp(-abs(null_logit - log_mass))
        less, more = rising / (1 + rising), 1 / (1 + rising)
        null_weight = more if null_logit >= log_mass else less
        log_partition = max(log_mass, null_logit) + np.log1p(rising)
        factor = (less if null_logit > log_mass else more) / whole
        weights[begin:end], factors[case] = masses * factor, terms * factor
        log_tail = np.log(tail) if tail > 0 else -np.inf
        if tail < VANISHING:
            positive = mass > 0
            log_terms = np.concatenate(
                [(run[known_count:] - best) / temperature, distances[positive] + np.log(mass[positive])]
            )
            log_tail = np.logaddexp.reduce(log_terms, initial=-np.inf)
        below = null_weight * max(-null_logit, 0.0) if null_weight > 0 else 0.0
        totals[case] = (
            best,
            null_weight,
            best / temperature + log_partition,
            log_mass + mean_gap,
            (1 - null_weight) * (mean_gap + max(null_logit, 0.0)) + below,
            min(tail * factor, 1.0),
            min(log_tail - log_partition, 0.0),
            tail_gap * factor,
            (squares.sum() + summed_square) * factor * factor,
            summed_square * factor * factor,
        )


def top_rows(similarities: F64, row_numbers: I64, starts: I64, counts: I64, ks: I64) -> tuple[I64, I64, I64]:
    """Select the k best rows among the first candidates of each query, and all rows that tie with the k-th best.

    Candidates are the rows that a scan listed. Shapes and details are those of `CandidateKernels.top_rows`.
    """
    rows = []
    for first, count, k in zip(starts.tolist(), counts.tolist(), ks.tolist(), strict=False):
        run, k = similarities[first : first + count], min(k, count)
        head = np.flatnonzero(run >= np.partition(run, count - k)[count - k]) if k else np.empty(0, dtype=np.int64)
        rows.append(first + head[np.lexsort((row_numbers[first + head], -run[head]))])
    counts = np.array([len(head) for head in rows])
    return np.append(0, counts.cumsum()), np.concatenate(rows), np.repeat(np.arange(len(counts)), counts)
