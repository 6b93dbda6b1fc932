"""Calls of every kernel of the lookup in C, with fixed inputs, and what each of them writes.

The inputs are made of integers, by one multiplication and addition of float64 at most. So they are the same bits on
every processor, whichever NumPy made them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from functools import partial
from itertools import pairwise, product
from typing import Any

import numpy as np

from softkv_attention.kernels import CandidateLists, CodedKeys, CodedValues, FloatRows, RowRun, SoftmaxOptions
from softkv_attention.kernels.in_c import KernelsInC
from softkv_attention.kernels.interface import NO_ADDENDS, TOTALS
from softkv_attention.kernels.layout import (
    FINE_LEVELS,
    LANES,
    LEVELS,
    columns_room,
    put_columns,
    put_rows,
    rows_room,
    similarity_columns,
)

SIZES = (0, 1, 2, 15, 16, 17, 63, 64, 65, 129)
"""Numbers of rows, beside those at which a loop over 16 or 64 rows ends."""

WIDTHS = (1, 3, 4, 7, 8, 9, 16, 33, 65)
"""Widths, beside those at which a loop over 4, 8, 16 or 32 components ends."""

QUERIES = (1, 2, 3, 4, 5, 6, 7, 8, 9, 17)

HUGE = 2**62

Outputs = list[Any]
Case = Callable[[KernelsInC], Outputs]


class Numbers:
    """Pseudo-random numbers: Steele, Lea and Flood's SplitMix64 (OOPSLA 2014)."""

    def __init__(self, seed: int) -> None:
        self._place = seed << 40

    def words(self, *shape: int) -> Any:
        """Return uint64 of a shape."""
        count = int(np.prod(shape))
        x = np.arange(self._place + 1, self._place + count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        self._place += count
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            x = (x ^ (x >> np.uint64(shift))) * np.uint64(factor)
        return (x ^ (x >> np.uint64(31))).reshape(shape)

    def integers(self, low: int, high: int, *shape: int) -> Any:
        """Return int64 from `low` to `high`, both included."""
        return (self.words(*shape) % np.uint64(high - low + 1)).astype(np.int64) + low

    def reals(self, low: float, high: float, *shape: int) -> Any:
        """Return float64 from `low` to `high`."""
        return (self.words(*shape) >> np.uint64(11)).astype(np.float64) * ((high - low) * 2.0**-53) + low


def digest(arrays: Iterable[Any]) -> str:
    """Return the first 16 digits of the SHA-256 of the bytes of some arrays."""
    total = hashlib.sha256()
    for array in arrays:
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()[:16]


def scans(running: KernelsInC, rows: int, width: int, queries: int, *, fine: bool, biased: bool) -> Outputs:
    """Return what each pass over the codes of keys writes, with lists that one pass may fill several times."""
    numbers = Numbers(1)
    stored = rows_room(rows, width)
    stored[...] = 0
    put_rows(stored, 0, numbers.integers(-LEVELS, LEVELS, rows, width).astype(np.int8))
    scales, allowed = numbers.reals(0.5e-3, 1e-3, rows).astype(np.float32), numbers.integers(0, 4, rows) > 0
    addends = numbers.reals(-0.1, 0.1, rows).astype(np.float32) if biased else NO_ADDENDS
    maximum = FINE_LEVELS if fine else LEVELS
    codes = numbers.integers(-maximum, maximum, queries, width).astype(np.int16)
    steps = numbers.reals(0.5e-3, 1e-3, queries).astype(np.float32) / np.float32(256 if fine else 1)
    keys, packed = CodedKeys(stored, scales, allowed, 7, addends), running.pack_queries(codes, steps, fine=fine)
    best = np.full((queries, 9), -3e38, dtype=np.float32)
    running.sample_top(keys, packed, best)
    inverse, bins = np.full(queries, 20, dtype=np.float32), np.full(queries, 80, dtype=np.float32)
    sums, histogram = np.zeros((queries, 3)), np.zeros((queries, 40, 2))
    weights = np.zeros((queries, rows), dtype=np.float32)
    written: Outputs = [best, sums, histogram, weights]

    def run(scan: Callable[[int, CandidateLists], int], room: int) -> None:
        first = -1
        while first < rows:
            lists = CandidateLists(
                np.maximum(best[:, 4], np.float32(-1e30)),
                np.zeros((queries, room), dtype=np.int64),
                np.zeros((queries, room), dtype=np.float32),
                np.zeros(queries, dtype=np.int64),
            )
            first = scan(max(first, 0), lists)
            written.extend([*lists, np.array([first])])

    none = np.empty((0, 0), dtype=np.float32)
    run(lambda first, lists: running.accumulate(keys, first, packed, lists, inverse, sums, weights), rows + 64)
    run(lambda first, lists: running.accumulate(keys, first, packed, lists, inverse, sums, none), 64)
    run(lambda first, lists: running.fill_histogram(keys, first, packed, lists, best[:, 0].copy(), bins, histogram), 65)
    return written


def values(running: KernelsInC, rows: int, width: int, queries: int, *, fine: bool, chunk: int = 1024) -> Outputs:
    """Return the weighted sums of coded values, and their errors."""
    numbers, edges = Numbers(2), [*range(0, rows, chunk), rows]
    room = columns_room(len(edges) - 1, chunk, width)
    room[...] = 0
    codes = numbers.integers(-LEVELS, LEVELS, rows, width).astype(np.int8)
    for part, (first, last) in enumerate(pairwise(edges)):
        put_columns(room[part], 0, codes[first:last])
    scales = numbers.reals(0.5, 1, rows).astype(np.float32)
    originals = codes * scales[:, None]
    tile = CodedValues(room, scales, originals, np.ones(len(room)), 0.1, 2.0, 30.0)
    weights = numbers.reals(0, 1, queries, rows).astype(np.float32)
    weights *= weights
    weights[:, : rows // 100 + 1] *= 30
    outputs, errors = np.ones((queries, width)), np.zeros((queries, 5))
    running.add_values(tile, weights, np.zeros(queries, dtype=np.int64), fine, outputs, errors, running.AMX)
    return [outputs, errors]


def originals(running: KernelsInC, rows: int, width: int, queries: int) -> Outputs:
    """Return products, sums and codes of float32 rows."""
    numbers = Numbers(3)
    vectors = numbers.reals(-1, 1, rows, width).astype(np.float32)
    asked, some = numbers.reals(-1, 1, queries, width), numbers.integers(0, max(rows - 1, 0), rows)
    of, weights = np.sort(numbers.integers(0, queries - 1, rows)), numbers.reals(-1, 1, queries, rows)
    products, added, summed = np.zeros((queries, rows)), np.zeros((queries, width)), np.zeros((queries, width))
    running.all_products(vectors, some, asked, products)
    running.add_rows(vectors, some, of, weights[0].copy(), added)
    running.all_sums(vectors, some, weights, summed)
    pairs, residuals = running.row_products(vectors, some, asked, of), running.residual_sum(vectors, some)
    codes, left = np.zeros((rows, width), dtype=np.int8), np.zeros((rows, width), dtype=np.float32)
    scales, squares, total = np.zeros(rows), np.zeros(rows), np.zeros(width)
    running.code_rows(vectors, codes, left, scales, squares, total)
    return [products, added, summed, pairs, residuals, codes, left, scales, squares, total]


def exact(running: KernelsInC, rows: int, width: int, queries: int) -> Outputs:
    """Return the softmax over two runs of float32 rows: some rows of a block, then its first ones."""
    numbers = Numbers(6)
    keys, some = numbers.reals(-1, 1, rows, width).astype(np.float32), numbers.integers(0, max(rows - 1, 0), rows)
    norms, vectors = numbers.reals(0.5, 2, rows), numbers.reals(-1, 1, queries, width)
    packed = running.pack_rows(
        [RowRun(keys, norms, some, rows), RowRun(keys, norms[: rows // 2].copy(), None, rows // 2)]
    )
    options = np.array(
        [SoftmaxOptions(2.0, 0.05 * (query + 1), (0.3, -np.inf)[query % 2], 0.5, query) for query in range(queries)]
    )
    written: Outputs = []
    for masses in running.softmax_rows(packed, vectors, options):
        heads, heavy = masses.counts
        written += [masses.similarities, masses.masses, masses.totals, masses.heads[:heads], masses.heavy[:heavy]]
        written += running.softmax_masses(masses.similarities.copy(), 0.3)
    return written


def gradients(running: KernelsInC, rows: int, width: int, queries: int) -> Outputs:
    """Return sums of softmax terms and their gradients: of all rows, whose keys are the values, then of some rows."""
    numbers = Numbers(11)
    keys, values = (numbers.reals(-1, 1, rows, d).astype(np.float32) for d in (width, width // 2 + 1))
    some, factors = numbers.integers(0, max(rows - 1, 0), rows), numbers.reals(0.5, 2, rows).astype(np.float32)
    addends = numbers.reals(-1, 1, rows).astype(np.float32)
    vectors, inverse = (numbers.reals(0.5, 2, queries, d).astype(np.float32) for d in (width, 1))
    written: Outputs = []
    for floats in (FloatRows(keys, keys, None, None, None), FloatRows(keys, values, some, factors, addends)):
        d = floats.values.shape[1]
        peaks, sums = np.full(queries, -np.inf, dtype=np.float32), np.zeros((queries, 2))
        blended, pulled, totals = np.zeros((queries, d)), np.zeros((queries, width)), np.zeros((queries, 3))
        stored = np.zeros((rows, similarity_columns(queries)), dtype=np.float32)
        running.blend_rows(
            *(floats, vectors, inverse[:, 0].copy(), floats.factors is not None, peaks, sums, blended, stored)
        )
        of_outputs, levels = numbers.reals(-1, 1, queries, d).astype(np.float32), sums[:, 1].astype(np.float32)
        of_queries = vectors, inverse[:, 0].copy(), peaks, of_outputs, levels
        running.pull_rows(floats, *of_queries, totals, pulled)
        written += [peaks, sums, blended, totals.copy(), pulled.copy()]
        running.pull_rows(floats, *of_queries, totals, pulled, stored)
        written += [stored, totals, pulled]
    return written


def forms(running: KernelsInC, width: int, queries: int) -> Outputs:
    """Return quadratic forms of a symmetric matrix."""
    numbers = Numbers(4)
    half = numbers.reals(-1, 1, width, width).astype(np.float32)
    return list(running.quadratic_forms(numbers.reals(-1, 1, queries, width), half + half.T))


def candidates(running: KernelsInC, run: int, queries: int, bands: int = 2) -> Outputs:
    """Return what the kernels over candidates write: runs of `run` rows at least, of which two workers listed some."""
    numbers, room = Numbers(5), 2 * run + 3
    counts = numbers.integers(0, run + 1, 2, queries)
    counts[0] = np.maximum(counts[0], run - counts[1])
    similarities = (numbers.integers(-40, 40, 2, queries, room) / 64).astype(np.float32)
    listed = numbers.integers(0, 10**12, 2, queries, room)
    starts = np.append(0, np.cumsum(counts.sum(axis=0)))
    ordered, descending = np.zeros(starts[-1], dtype=np.int64), np.zeros(starts[-1])
    running.sort_candidates(listed, similarities, counts, starts, 0, queries, ordered, descending)
    heavy, inverse = np.zeros(queries, dtype=np.int64), numbers.reals(1, 50, queries)
    levels, squares = numbers.reals(-1, 0, queries), numbers.reals(0, 5, queries)
    running.heavy_counts(descending, starts, inverse, levels, squares, 1e-3, 1e-9, 0, queries, heavy)
    ks, margins = np.minimum(numbers.integers(0, 7, queries), np.diff(starts)), numbers.reals(0, 0.1, queries)
    first = running.initial_counts(descending, starts, heavy, ks, margins, 8, 4)
    edges, indices, runs = running.first_rows(starts[:-1], first)
    exact = descending[indices] + numbers.reals(-1e-3, 1e-3, len(indices))
    supports, errors = np.where(ks % 2 == 0, 0.3, 0.0), np.full(queries, 1e-3)
    thresholds = np.full(queries, -1.0)
    needed = running.decisive_counts(descending, starts, exact, first, ks, supports, thresholds, errors, 8, 4)
    written: Outputs = [ordered, descending, heavy, first, edges, indices, runs, needed]
    full = np.diff(starts)
    written.extend(running.top_rows(descending, ordered, starts, full, ks))
    if not full.all():
        return written
    sums, nulls = numbers.reals(0, 3, queries, bands, 3), numbers.reals(-1, 1, queries, 2)
    nulls[::2, 0] = -np.inf
    below, temperatures = numbers.reals(-1, -0.7, queries, bands), numbers.reals(1e-3, 0.2, queries)
    weights, factors, totals = np.zeros(len(ordered)), np.zeros((queries, bands)), np.zeros((queries, TOTALS))
    chosen = np.maximum(full // 2, 1)
    arguments = (descending, starts, chosen, temperatures, below, sums, nulls, 0, queries)
    running.softmax_weights(*arguments, weights, factors, totals)
    return [*written, weights, factors, totals]


EXTREMES = (0.0, -0.0, 5e-324, 1e-42, -1e-30, 1.0, 127.0, 3e38, -3e38, np.inf, -np.inf, np.nan)


def extreme_scans(running: KernelsInC, *, fine: bool) -> Outputs:
    """Scan the extreme codes, with each extreme number as a scale, a step, a threshold or 1/T."""
    written: Outputs = []
    lowest = -FINE_LEVELS if fine else -LEVELS
    stored = rows_room(130, 72)
    stored[...] = np.where(np.arange(LANES)[:, None] % 3 == 0, 0, 255)  # −128 and 127
    codes = np.array([[lowest] * 72, [-lowest] * 72, [lowest, -lowest] * 36], dtype=np.int16)
    with np.errstate(all="ignore"):
        extremes = np.array(EXTREMES).astype(np.float32)
    for index, extreme in enumerate(extremes):
        other = extremes[(5 * index + 3) % len(extremes)]
        scales = np.where(np.arange(130) % 2 == 0, extreme, np.float32(1e-3)).astype(np.float32)
        addends = np.full(130, 1e30 * (-1) ** index, dtype=np.float32) if fine else NO_ADDENDS
        keys = CodedKeys(stored, scales, np.arange(130) % 5 > 0, HUGE, addends)
        packed = running.pack_queries(codes, np.array([1, other, 1e-3], dtype=np.float32), fine=fine)
        best = np.full((3, 4), -3e38, dtype=np.float32)
        running.sample_top(keys, packed, best)
        thresholds = np.array([extreme, other, 0], dtype=np.float32)
        for scan in (running.accumulate, running.fill_histogram):
            places, similarities = np.zeros((3, 194), dtype=np.int64), np.zeros((3, 194), dtype=np.float32)
            lists = CandidateLists(thresholds, places, similarities, np.zeros(3, dtype=np.int64))
            sums, weights, histogram = np.zeros((3, 3)), np.zeros((3, 130), dtype=np.float32), np.zeros((3, 2, 2))
            lows, finer = np.full(3, other), np.full(3, extreme)
            if scan == running.accumulate:
                running.accumulate(keys, 0, packed, lists, finer, sums, weights)
            else:
                running.fill_histogram(keys, 0, packed, lists, lows, finer, histogram)
            written += [best, *lists, sums, weights, histogram]
    return written


def extreme_values(running: KernelsInC, *, fine: bool) -> Outputs:
    """Blend values with weights that vanish, or are as large as numbers can be, and with the extreme codes."""
    written: Outputs = []
    for weight in (0.0, 1e-45, 1e-38, 1.0, 1e30):
        for scale in (1e-45, 1e-38, 1.0, 1e8):
            room = columns_room(2, 1024, 65)
            room[...] = np.where(np.arange(LANES)[:, None] % 3 == 0, 0, 255)
            scales = np.full(1100, scale, dtype=np.float32)
            vectors = np.full((1100, 65), np.float32(scale) * 127, dtype=np.float32)
            weights = np.full((3, 1100), weight, dtype=np.float32)
            weights[1, 1:], weights[2, ::3] = 0, 1e-38
            outputs, errors = np.zeros((3, 65)), np.zeros((3, 5))
            tile = CodedValues(room, scales, vectors, np.ones(2), 1.0, 1e30, 1e30)
            counts = np.array([0, 0, HUGE])
            running.add_values(tile, weights, counts, fine, outputs, errors, running.AMX)
            written += [outputs, errors]
    return written


def extreme_originals(running: KernelsInC) -> Outputs:
    """Multiply, code and sum rows of the extreme numbers."""
    written: Outputs = []
    finite = np.array([0, 5e-324, 1e-42, 1.0, 3e38], dtype=np.float64)
    for numbers in (finite, np.array(EXTREMES)):
        with np.errstate(all="ignore"):
            vectors = np.resize(numbers, (13, 19)).astype(np.float32)
        rows, of = np.arange(13), np.arange(13) % 2
        asked, products, outputs = np.resize(numbers[::-1], (2, 19)), np.zeros((2, 13)), np.zeros((2, 19))
        running.all_products(vectors, rows, asked, products)
        running.add_rows(vectors, rows, of, asked[0, :13].copy(), outputs)
        running.all_sums(vectors, rows, asked[:, :13].copy(), outputs)
        written += [np.nan_to_num(of) for of in (products, outputs, running.row_products(vectors, rows, asked, of))]
        written += [np.nan_to_num(of) for of in running.quadratic_forms(asked, np.ones((19, 19), dtype=np.float32))]
    vectors = np.resize(finite, (13, 19)).astype(np.float32)
    codes, left = np.zeros((13, 19), dtype=np.int8), np.zeros((13, 19), dtype=np.float32)
    scales, squares, total = np.zeros(13), np.zeros(13), np.zeros(19)
    running.code_rows(vectors, codes, left, scales, squares, total)
    return [*written, codes, left, scales, squares, total, running.residual_sum(vectors, np.arange(13))]


def extreme_exact(running: KernelsInC) -> Outputs:
    """Weigh rows whose components, temperatures and null keys are extreme."""
    written: Outputs = []
    with np.errstate(all="ignore"):
        keys, vectors = np.resize(np.array(EXTREMES), (13, 19)).astype(np.float32), np.resize(EXTREMES[::-1], (12, 19))
    for norms in (None, np.resize(EXTREMES, 13)):
        packed = running.pack_rows([RowRun(keys, norms, None, 13)])
        for number in EXTREMES:
            options = np.array([SoftmaxOptions(1.0, number, null, -number, number) for null in EXTREMES])  # type: ignore[arg-type]
            for masses in running.softmax_rows(packed, vectors, options):
                heads, heavy = masses.counts
                written += [np.nan_to_num(of) for of in (masses.similarities, masses.masses, masses.totals)]
                written += [masses.heads[:heads], masses.heavy[:heavy]]
    return written


def extreme_candidates(running: KernelsInC) -> Outputs:
    """Weigh and sort candidates whose similarities, temperatures and sums are extreme."""
    written: Outputs = []
    descending = np.array([1e300, 1.0, 1.0, 0.0, -0.0, -1e-310, -1e300])
    starts, ks, runs = np.array([0, 0, 3, 7]), np.array([0, 2, 4]), np.arange(1, 3)
    for temperature in (5e-324, 1e-300, 1e-3, 1e300):
        inverse, three = np.full(3, 1 / max(temperature, 1e-300)), np.zeros(3)
        for level in (-np.inf, -1e300, 0.0, 1e300):
            heavy = np.zeros(3, dtype=np.int64)
            levels, squares = np.full(3, level), np.full(3, 1e300)
            running.heavy_counts(descending, starts, inverse, levels, squares, 1e-3, 1e-9, 0, 3, heavy)
            first = running.initial_counts(descending, starts, heavy, ks, np.full(3, 1e300), HUGE, 2)
            exact = descending[running.first_rows(starts[:-1], first)[1]]
            errors = (levels, np.full(3, -np.inf), three)
            written += [heavy, first]
            written.append(running.decisive_counts(descending, starts, exact, first, ks, *errors, 2**30, 2))
            for mass in (0.0, 5e-324, 1e300):
                sums, nulls = np.full((2, 2, 3), mass), np.array([[-np.inf, 0], [level, 700.0]])
                weights, factors, totals = np.zeros(7), np.zeros((2, 2)), np.zeros((2, TOTALS))
                arguments = (np.full(2, temperature), np.full((2, 2), -1e300), sums, nulls, 0, 2)
                running.softmax_weights(descending, starts[1:], runs, *arguments, weights, factors, totals)
                written += [np.nan_to_num(of) for of in (weights, factors, totals)]
    with np.errstate(all="ignore"):
        similarities = np.resize(np.array(EXTREMES[:-1]).astype(np.float32), (2, 3, 40))
    counts, ordered, sorted_to = np.full((2, 3), 40), np.zeros(240, dtype=np.int64), np.zeros(240)
    numbers = np.arange(240).reshape(2, 3, 40)
    running.sort_candidates(numbers, similarities, counts, np.arange(4) * 80, 0, 3, ordered, sorted_to)
    return [*written, ordered, sorted_to, *running.top_rows(descending, np.arange(7), starts, np.diff(starts), ks)]


def extreme_cases() -> dict[str, Case]:
    """Return calls with extreme numbers, by name."""
    return {
        **{f"scans {fine=}": partial(extreme_scans, fine=fine) for fine in (False, True)},
        **{f"values {fine=}": partial(extreme_values, fine=fine) for fine in (False, True)},
        "originals": extreme_originals,
        "exact": extreme_exact,
        "candidates": extreme_candidates,
    }


def odd_cases() -> dict[str, Case]:
    """Return calls with odd sizes, by name. All sizes meet all others in pairs."""
    calls: dict[str, Case] = {}

    def add(function: Callable[..., Outputs], *sizes: int, **options: Any) -> None:
        parts = [*map(str, sizes), *(f"{name}={value}" for name, value in options.items())]
        calls[f"{function.__name__} {' '.join(parts)}"] = lambda running: function(running, *sizes, **options)

    for (at, rows), (by, queries) in product(enumerate(SIZES), enumerate(QUERIES)):
        for width in {WIDTHS[(at + by) % len(WIDTHS)], WIDTHS[(at + 2 * by + 4) % len(WIDTHS)], 64}:
            fine, biased = bool((at + by) % 2), bool((at + by + width) % 2)
            add(scans, rows, width, queries, fine=fine, biased=biased)
            add(values, rows, width, queries, fine=fine, chunk=64 if biased else 1024)
            add(originals, rows, width, queries)
            add(exact, rows, width, queries)
            add(gradients, rows, width, queries)
        add(candidates, rows, queries, bands=1 + at % 3)
    for width, queries in product((*WIDTHS, 15, 17, 31, 32), (0, *QUERIES)):
        add(forms, width, queries)
    # The matrix unit multiplies 16 or 32 lines at a time, of a multiple of 16 words.
    for queries in (16, 31, 32, 33, 47, 64, 65, 80):
        add(scans, 65, 64, queries, fine=queries % 3 == 0, biased=False)
        add(values, 65, 65, queries, fine=queries % 3 == 1, chunk=64)
    return calls


def large_cases() -> dict[str, Case]:
    """Return calls of a few hundred rows, by name, whose digests are recorded."""
    calls: dict[str, Case] = {}
    for fine in (False, True):
        of = "two bytes" if fine else "bytes"
        calls[f"scans of {of}"] = partial(scans, rows=777, width=100, queries=5, fine=fine, biased=True)
        calls[f"scans of {of} and many queries"] = partial(
            scans, rows=300, width=64, queries=70, fine=fine, biased=False
        )
        calls[f"values by {of}"] = partial(values, rows=1500, width=130, queries=18, fine=fine)
    calls["originals"] = partial(originals, rows=300, width=101, queries=7)
    calls["exact"] = partial(exact, rows=300, width=101, queries=7)
    calls["gradients"] = partial(gradients, rows=300, width=101, queries=39)
    calls["quadratic forms of one"] = partial(forms, width=101, queries=1)
    calls["quadratic forms"] = partial(forms, width=101, queries=19)
    calls["candidates"] = partial(candidates, run=200, queries=9)
    calls["candidates of few"] = partial(candidates, run=3, queries=40)
    return calls
