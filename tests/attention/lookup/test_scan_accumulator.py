"""Sums below thresholds and lists above them: however often a threshold is raised, every row counts once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attention.lookup import Memory, Rows
from attention.lookup.memory.tiles import PassingRows
from attention.lookup.scan import BINS, ERROR_DEGREES, NO_THRESHOLD, Accumulator, shift_sums

N, QUERIES, CAPACITY, STEP = 1000, 3, 128, 50
VALUES = np.random.default_rng(0).standard_normal((N, 4)).astype(np.float32)
ORDERS = {
    "rising": lambda random: np.linspace(-1, 1, N),
    "falling": lambda random: np.linspace(1, -1, N),
    "at random": lambda random: random.uniform(-1, 1, N),
    "copies": lambda random: np.full(N, 0.25),
    "few kinds": lambda random: random.choice([-0.5, 0.25, 0.75], N),
}


@pytest.fixture(scope="module")
def rows():
    view = Memory("dot").publish(add=Rows(np.arange(N), np.ones((N, 1)), VALUES))
    return PassingRows(view, None, 300).row_indices


def fed(accumulator, rows, similarities):
    """Process all rows like a scan, in plain code: make room, list rows at the threshold, sum the rest."""
    weights = np.zeros((QUERIES, N), dtype=np.float32)
    lists = accumulator.lists
    for start in range(0, N, STEP):
        before = lists.thresholds.copy()
        accumulator.raise_thresholds(STEP, rows, weights[:, :start])
        assert (lists.counts + STEP <= CAPACITY).all()
        assert (lists.thresholds >= before).all()
        for query in range(QUERIES):
            step_similarities = similarities[query, start : start + STEP]
            hits = np.flatnonzero(step_similarities >= lists.thresholds[query])
            used = slice(lists.counts[query], lists.counts[query] + len(hits))
            lists.places[query, used], lists.similarities[query, used] = start + hits, step_similarities[hits]
            lists.counts[query] += len(hits)
            below = np.delete(step_similarities, hits).astype(np.float64)
            if accumulator.histogram is not None:
                bins = ((below - accumulator.lows[query]) * accumulator.finer[query]).astype(int)
                np.add.at(
                    accumulator.histogram[query], np.clip(bins, 0, BINS - 1), np.stack([np.ones_like(below), below], 1)
                )
                continue
            x = (below - float(lists.thresholds[query])) * float(accumulator.inverse[query])
            accumulator.sums[query] += np.exp(x).sum(), (np.exp(x) * x).sum(), np.exp(2 * x).sum()
            weights[query, start + np.delete(np.arange(len(step_similarities)), hits)] = np.exp(x)
    if accumulator.outputs is not None:
        accumulator.outputs += weights.astype(np.float64) @ VALUES.astype(np.float64)
    return accumulator


def listed(accumulator, query):
    count = accumulator.lists.counts[query]
    return accumulator.lists.places[query, :count], accumulator.lists.similarities[query, :count]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("temperature", [0.01, 0.3, 5.0, np.inf])
def test_every_row_is_listed_or_summed(rows, order, temperature):
    random = np.random.default_rng(1)
    similarities = np.stack([ORDERS[order](random) for _ in range(QUERIES)]).astype(np.float32)
    inverse = np.full(QUERIES, 1 / temperature, dtype=np.float32)
    opening = np.array([NO_THRESHOLD, -0.5, 0.9], dtype=np.float32)
    result = fed(Accumulator(opening, inverse, CAPACITY, 4, None), rows, similarities)
    for query in range(QUERIES):
        threshold, (positions, scanned) = float(result.lists.thresholds[query]), listed(result, query)
        np.testing.assert_array_equal(similarities[query, positions], scanned)
        assert sorted(positions) == np.flatnonzero(similarities[query] >= threshold).tolist()
        below = similarities[query] < threshold
        x = (similarities[query, below].astype(np.float64) - threshold) * float(inverse[query])
        expected = [np.exp(x).sum(), (np.exp(x) * x).sum(), np.exp(2 * x).sum()]
        np.testing.assert_allclose(result.sums[query], expected, rtol=1e-9, atol=1e-12)
        blend = np.exp(x) @ VALUES[below].astype(np.float64)
        np.testing.assert_allclose(result.outputs[query], blend, rtol=1e-5, atol=1e-5 * np.exp(x).sum())


@pytest.mark.parametrize("order", ORDERS)
def test_a_histogram_counts_the_rows_that_are_not_listed(rows, order):
    random = np.random.default_rng(2)
    similarities = np.stack([ORDERS[order](random) for _ in range(QUERIES)]).astype(np.float32)
    thresholds, limit = np.full(QUERIES, NO_THRESHOLD), np.array([1.0, 2.0, 0.5], dtype=np.float32)
    result = fed(Accumulator(thresholds, np.ones(QUERIES, np.float32), CAPACITY, None, limit), rows, similarities)
    for query in range(QUERIES):
        positions, _ = listed(result, query)
        below = np.delete(similarities[query], positions).astype(np.float64)
        width = 2 * limit[query] / BINS
        bins = np.clip(np.floor((below + limit[query]) / width).astype(int), 0, BINS - 1)
        counts, sums = result.histogram[query].T
        # A similarity at the edge of two bins may be counted in either.
        np.testing.assert_allclose(np.cumsum(counts), np.cumsum(np.bincount(bins, minlength=BINS)), atol=0.01 * N)
        assert (counts.sum(), sums.sum()) == (len(below), pytest.approx(below.sum(), abs=1e-3))


def test_copies_that_fill_a_list_are_summed_instead(rows):
    similarities = np.full((QUERIES, N), 0.25, dtype=np.float32)
    result = fed(
        Accumulator(np.full(QUERIES, NO_THRESHOLD), np.ones(QUERIES, np.float32), CAPACITY, None, None),
        rows,
        similarities,
    )
    assert (result.lists.counts < CAPACITY // 2).all() or (result.lists.thresholds <= 0.25).all()
    assert (result.lists.thresholds == np.nextafter(np.float32(0.25), np.float32(1))).all()
    np.testing.assert_allclose(result.sums[:, 0], N)


def test_the_coldest_sums_are_of_nothing_but_are_numbers(rows):
    similarities = np.tile(np.linspace(-1, 1, N, dtype=np.float32), (QUERIES, 1))
    with np.errstate(over="raise", invalid="raise"):
        result = fed(
            Accumulator(np.full(QUERIES, NO_THRESHOLD), np.full(QUERIES, 1e30, np.float32), CAPACITY, 4, None),
            rows,
            similarities,
        )
    assert np.isfinite(result.sums).all()
    assert (result.sums[:, 0] < 1e-300).all()
    assert not np.abs(result.outputs).max() > 1e-300


def test_a_rising_threshold_makes_errors_smaller_as_it_does_weights(rows):
    accumulator = Accumulator(np.zeros(QUERIES, np.float32), np.full(QUERIES, 2.0, np.float32), CAPACITY, 4, None)
    accumulator.sums[:2] = 1.0
    accumulator.value_errors[:] = 3.0
    accumulator.outputs[:] = 5.0
    weights = np.full((QUERIES, 10), 7.0, dtype=np.float32)
    # The first and the third query's lists are full of similarities from 1 on; the third one has no sums yet.
    for query in (0, 2):
        accumulator.lists.counts[query] = CAPACITY
        accumulator.lists.places[query] = np.arange(CAPACITY)
        accumulator.lists.similarities[query] = np.linspace(1, 2, CAPACITY)
    accumulator.raise_thresholds(STEP, rows, weights)
    moved = np.exp(-2.0 * accumulator.lists.thresholds[0])
    assert 1.7 < accumulator.lists.thresholds[0] < 1.8
    np.testing.assert_allclose(accumulator.value_errors[0], 3 * moved**ERROR_DEGREES, rtol=1e-6)
    np.testing.assert_allclose(weights[0], 7 * moved, rtol=1e-6)
    assert (accumulator.value_errors[1:] == 3.0).all()
    assert (weights[1:] == 7.0).all()
    assert (accumulator.outputs[1] == 5.0).all()
    assert accumulator.lists.counts.tolist() == [CAPACITY // 4, 0, CAPACITY // 4]


@settings(deadline=None)
@given(seed=st.integers(0, 99), shift=st.floats(-50, 50))
def test_sums_can_be_shifted_to_another_threshold(seed, shift):
    x = -np.random.default_rng(seed).random(20) * 5
    sums = np.array([np.exp(x).sum(), (np.exp(x) * x).sum(), np.exp(2 * x).sum()])
    y = x + shift
    expected = [np.exp(y).sum(), (np.exp(y) * y).sum(), np.exp(2 * y).sum()]
    np.testing.assert_allclose(
        shift_sums(sums, shift), expected, rtol=1e-9, atol=1e-12 * np.exp(shift) * (1 + abs(shift))
    )
