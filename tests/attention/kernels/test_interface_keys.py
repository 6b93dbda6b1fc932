"""Passes over keys in codes against whole numbers and plain float64: what is listed, what summed, where they stop."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from softkv_attention.kernels import CandidateLists, CodedKeys, in_numpy
from softkv_attention.kernels.layout import FINE_LEVELS, LEVELS, put_rows, rows_room
from tests.attention.kernels.implementations import EVERY
from tests.thorough import crossed, examples

f32 = np.float32
BASE = 1000
"""The place of the first row among all."""


def keys_of(rows, width, *, share=0.8, seed=0, addends=False):
    """Return random keys in codes, and the codes; scales are powers of 2, so that similarities are exact.

    No row of the second panel may be attended to. Addends are sixteenths, −2 to 2, and exact as well.
    """
    random = np.random.default_rng([rows, width, seed])
    codes = random.integers(-127, 128, (rows, width)).astype(np.int8)
    stored = rows_room(rows, width)
    put_rows(stored, 0, codes)
    scales = f32(2.0) ** random.integers(-8, -3, rows).astype(f32)
    allowed = random.random(rows) < share
    allowed[64:128] = False
    keys = CodedKeys(stored, scales, allowed, BASE)
    return (keys._replace(addends=(random.integers(-32, 33, rows) / 16).astype(f32)) if addends else keys), codes


def asked(running, queries, width, *, fine, seed=0):
    """Return (the input of a pass, codes int16[q, d], steps float32[q])."""
    random = np.random.default_rng([queries, width, seed])
    top = min(FINE_LEVELS, 2**23 // (LEVELS * width)) if fine else min(LEVELS, 2**23 // (LEVELS * width))
    codes = random.integers(-top, top + 1, (queries, width)).astype(np.int16)
    steps = f32(2.0) ** random.integers(-9, -5, queries).astype(f32)
    return running.pack_queries(codes, steps, fine=fine), codes, steps


def lists_of(thresholds, capacity):
    q = len(thresholds)
    positions, similarities = np.full((q, capacity), -1), np.full((q, capacity), np.nan, dtype=f32)
    return CandidateLists(np.array(thresholds, dtype=f32), positions, similarities, np.zeros(q, dtype=np.int64))


def similarities_of(keys, codes, query_codes, steps):
    """Return the exact similarities, float64[q, r]."""
    products = query_codes.astype(np.int64) @ codes.T.astype(np.int64)
    similarities = products * keys.scales.astype(float) * steps[:, None].astype(float)
    return (similarities + keys.addends.astype(float)).astype(f32).astype(float) if len(keys.addends) else similarities


def middle(similarities):
    """Return a threshold for each query that equals the similarity of some row."""
    return np.sort(similarities, axis=1)[:, similarities.shape[1] // 2]


SHAPES = [(1, 1), (63, 3), (64, 4), (65, 37), (130, 64), (1000, 100)]
QUERIES = [(1, True), (3, True), (1, False), (17, False), (40, False)]


@EVERY
@crossed(
    {
        "rows, width": SHAPES,
        "queries, fine": QUERIES,
        "mask": [True, False],
        "addends": [True, False],
        "temperature": [0.5, 20.0, np.inf],
    }
)
def test_rows_that_reach_the_threshold_are_listed_and_the_rest_summed(
    running, rows, width, queries, fine, mask, addends, temperature
):
    keys, codes = keys_of(rows, width, addends=addends)
    packed, query_codes, steps = asked(running, queries, width, fine=fine)
    similarities = similarities_of(keys, codes, query_codes, steps)
    lists, inverse = lists_of(middle(similarities), 1100), np.full(queries, 1 / temperature, dtype=f32)
    sums, weights = np.ones((queries, 3)), np.full((queries, rows + 70) if mask else (0, 0), 9, dtype=f32)
    assert running.accumulate(keys, 0, packed, lists, inverse, sums, weights) == rows
    for query in range(queries):
        row_similarities = similarities[query]
        hits = np.flatnonzero((row_similarities >= lists.thresholds[query]) & keys.allowed)
        result = slice(0, lists.counts[query])
        np.testing.assert_array_equal(lists.places[query, result], BASE + hits)
        np.testing.assert_array_equal(lists.similarities[query, result], row_similarities[hits])
        x = np.clip((row_similarities - float(lists.thresholds[query])) / temperature, -87, 0)
        terms = np.where((row_similarities < lists.thresholds[query]) & keys.allowed, np.exp(x), 0)
        expected = 1 + np.array([terms.sum(), (terms * x).sum(), (terms * terms).sum()])
        np.testing.assert_allclose(sums[query], expected, rtol=2e-5, atol=1e-5)
        if mask:
            np.testing.assert_allclose(weights[query, :rows], terms, rtol=2e-5)
            assert (weights[query, rows:] == 9).all()


@EVERY
@crossed(
    {
        "rows, width": SHAPES,
        "queries, fine": QUERIES,
        "addends": [True, False],
    }
)
def test_rows_below_the_threshold_are_counted_in_their_bins(running, rows, width, queries, fine, addends):
    keys, codes = keys_of(rows, width, addends=addends)
    packed, query_codes, steps = asked(running, queries, width, fine=fine)
    similarities = similarities_of(keys, codes, query_codes, steps)
    lists, bins = lists_of(middle(similarities), 1100), 32
    lows, finer = (
        np.full(queries, -4, dtype=f32),
        np.full(queries, 4, dtype=f32),
    )  # from −4 to 4; the ends hold what is beyond
    histogram = np.ones((queries, bins, 2))
    assert running.fill_histogram(keys, 0, packed, lists, lows, finer, histogram) == rows
    for query in range(queries):
        row_similarities = similarities[query]
        assert lists.counts[query] == np.count_nonzero((row_similarities >= lists.thresholds[query]) & keys.allowed)
        below = row_similarities[(row_similarities < lists.thresholds[query]) & keys.allowed]
        bin_numbers = np.clip(np.floor((below + 4) * 4), 0, bins - 1).astype(int)
        np.testing.assert_array_equal(histogram[query, :, 0], 1 + np.bincount(bin_numbers, minlength=bins))
        np.testing.assert_allclose(
            histogram[query, :, 1], 1 + np.bincount(bin_numbers, below, bins), rtol=1e-6, atol=1e-6
        )


@EVERY
@settings(deadline=None, max_examples=examples(40))
@given(rows=st.integers(1, 700), capacity=st.integers(64, 200), seed=st.integers(0, 99), tally=st.booleans())
def test_a_pass_stops_before_a_list_is_too_short_and_goes_on_where_it_stopped(running, rows, capacity, seed, tally):
    keys, codes = keys_of(rows, 5, share=0.9, seed=seed)
    packed, query_codes, steps = asked(running, 2, 5, fine=False, seed=seed)
    similarities = similarities_of(keys, codes, query_codes, steps)
    lists, inverse = lists_of([-1e30, middle(similarities)[1]], capacity), np.ones(2, dtype=f32)
    sums, weights, histogram = np.zeros((2, 3)), np.empty((0, 0), dtype=f32), np.zeros((2, 16, 2))
    listed, done = [[], []], 0
    while done < rows:
        before = done
        if tally:
            done = running.fill_histogram(keys, done, packed, lists, -inverse, inverse, histogram)
        else:
            done = running.accumulate(keys, done, packed, lists, inverse, sums, weights)
        assert before < done
        assert done == rows or (lists.counts > capacity - 64).any()
        assert done == rows or done % 64 == 0 or running is in_numpy
        for query in range(2):
            listed[query] += lists.places[query, : lists.counts[query]].tolist()
        lists.counts[:] = 0
    for query in range(2):
        hits = (similarities[query] >= lists.thresholds[query]) & keys.allowed
        assert listed[query] == (BASE + np.flatnonzero(hits)).tolist()
        summed = np.count_nonzero(keys.allowed) - np.count_nonzero(hits)
        assert not tally or histogram[query, :, 0].sum() == summed


@EVERY
def test_a_full_list_lets_nothing_be_read(running):
    keys, _ = keys_of(128, 4)
    packed, _, _ = asked(running, 2, 4, fine=False)
    lists = lists_of([0.0, 0.0], 100)
    lists.counts[:] = 0, 100
    sums = np.zeros((2, 3))
    assert running.accumulate(keys, 64, packed, lists, np.ones(2, f32), sums, np.empty((0, 0), f32)) == 64
    assert (lists.counts.tolist(), sums.any()) == ([0, 100], False)


@EVERY
@crossed(
    {
        "rows, width": SHAPES,
        "queries, fine": QUERIES,
        "size": [1, 4, 70],
        "addends": [True, False],
    }
)
def test_the_best_of_a_sample_are_kept_in_order(running, rows, width, queries, fine, size, addends):
    keys, codes = keys_of(rows, width, addends=addends)
    packed, query_codes, steps = asked(running, queries, width, fine=fine)
    similarities = np.where(keys.allowed, similarities_of(keys, codes, query_codes, steps), -np.inf)
    before = np.sort(np.random.default_rng(0).standard_normal((queries, size)).astype(f32), axis=1)
    best = before.copy()
    running.sample_top(keys, packed, best)
    expected = np.sort(np.concatenate([before, similarities], axis=1), axis=1)[:, -size:]
    np.testing.assert_array_equal(best, expected.astype(f32))


def keys_like(similarities):
    """Return keys whose similarity with `one_query` is any number, float32[r]: each has one component, 1."""
    stored = rows_room(len(similarities), 1)
    put_rows(stored, 0, np.ones((len(similarities), 1), np.int8))
    return CodedKeys(stored, similarities, np.ones(len(similarities), np.bool_), BASE)


def one_query(running):
    return running.pack_queries(np.ones((1, 1), np.int16), np.ones(1, f32), fine=False)


def summed(running, similarities, threshold, inverse):
    """Return the sums, weights and list of a pass of one query over rows of these similarities."""
    rows, lists = len(similarities), lists_of([threshold], len(similarities) + 64)
    sums, weights = np.zeros((1, 3)), np.full((1, rows), 9, dtype=f32)
    inverses = np.full(1, inverse, f32)
    assert running.accumulate(keys_like(similarities), 0, one_query(running), lists, inverses, sums, weights) == rows
    return sums[0], weights[0], lists


@EVERY
@settings(deadline=None)
@given(
    seed=st.integers(0, 99),
    rows=st.sampled_from([1, 17, 64, 100]),
    threshold=st.sampled_from([-3e38, -1.0, 0.0, 0.5, 9.0]),
    inverse=st.sampled_from([0.0, 0.1, 1.0, 20.0, 1e30]),
)
def test_terms_are_exponentials_of_similarities_below_the_threshold(running, seed, rows, threshold, inverse):
    similarities = np.random.default_rng(seed).standard_normal(rows, dtype=f32)
    similarities[0] = np.clip(f32(threshold), -2, 2)
    sums, weights, lists = summed(running, similarities, threshold, inverse)
    with np.errstate(over="ignore"):
        x = np.clip((similarities.astype(float) - f32(threshold)) * f32(inverse), -87, 0)
    e = np.where(similarities < f32(threshold), np.exp(x), 0)
    np.testing.assert_allclose(weights, e, rtol=2e-5, atol=0)
    np.testing.assert_allclose(sums, [e.sum(), (e * x).sum(), (e * e).sum()], rtol=2e-5, atol=1e-36)
    assert lists.places[0, : lists.counts[0]].tolist() == (BASE + np.flatnonzero(e == 0)).tolist()


@EVERY
def test_an_exponential_is_off_by_2e_7_and_by_the_rounding_of_its_argument(running):
    x = np.linspace(-87, -1e-3, 50_000, dtype=f32)
    _, weights, _ = summed(running, x, 0.0, 1.0)
    assert (np.abs(weights / np.exp(x.astype(float)) - 1) <= 2e-7 + 2.0**-23 * np.abs(x)).all()


def products_of(running, codes, queries, *, fine):
    """Return the similarities float32[q, r] of keys and queries in codes, with scales and steps of 1."""
    (rows, width), count = codes.shape, len(queries)
    stored, lists = rows_room(rows, width), lists_of(np.full(count, -3e38), rows + 64)
    put_rows(stored, 0, codes)
    keys = CodedKeys(stored, np.ones(rows, f32), np.ones(rows, np.bool_), 0)
    packed = running.pack_queries(queries, np.ones(count, f32), fine=fine)
    inverse, sums, weights = np.ones(count, f32), np.zeros((count, 3)), np.empty((0, 0), f32)
    assert running.accumulate(keys, 0, packed, lists, inverse, sums, weights) == rows
    assert (lists.counts == rows).all()
    return lists.similarities[:, :rows]


@EVERY
@crossed(
    {
        "width": [1, 2, 3, 4, 37, 64, 384, 1023, 4096],
        "queries": [1, 2, 3, 4, 5, 16, 21, 32, 65],
        "fine": [True, False],
    }
)
def test_products_are_exact_with_the_largest_codes_among_them(running, width, queries, fine):
    """Codes and queries at the ends of their ranges, as far as 32 bits hold a product of all components."""
    top = min(FINE_LEVELS, (2**31 - 1) // (LEVELS * width)) if fine else LEVELS
    random = np.random.default_rng([width, queries])
    codes = random.integers(-LEVELS, LEVELS + 1, (67, width)).astype(np.int8)
    codes[:2] = [[LEVELS], [-LEVELS]]
    codes[2:9] = random.choice(np.array([-LEVELS, LEVELS], np.int8), (7, width))
    asking = random.integers(-top, top + 1, (queries, width)).astype(np.int16)
    asking[-1] = -top
    asking[0] = top
    expected = asking.astype(np.int64) @ codes.T.astype(np.int64)
    np.testing.assert_array_equal(products_of(running, codes, asking, fine=fine), expected.astype(f32))
