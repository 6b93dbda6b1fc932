"""Sums below thresholds and lists above them: however often a threshold is raised, every row counts once."""

from __future__ import annotations

import numpy as np
import pytest

from softkv_attention.lookup import Memory, Rows
from softkv_attention.lookup.memory.tiles import PassingRows
from softkv_attention.lookup.scan import ERROR_DEGREES, NO_THRESHOLD, Accumulator

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
    outputs = accumulator.outputs
    weights = np.zeros((0 if outputs is None else QUERIES, N), dtype=np.float32)
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
            x = (below - float(lists.thresholds[query])) * float(accumulator.inverse[query])
            accumulator.sums[query] += np.exp(x).sum(), (np.exp(x) * x).sum(), np.exp(2 * x).sum()
            if outputs is not None:
                weights[query, start + np.delete(np.arange(len(step_similarities)), hits)] = np.exp(x)
    if outputs is not None:
        outputs += weights.astype(np.float64) @ VALUES.astype(np.float64)
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
def test_without_outputs_the_lists_and_sums_are_the_same(rows, order):
    similarities = np.stack([ORDERS[order](np.random.default_rng(1)) for _ in range(QUERIES)]).astype(np.float32)
    inverse, opening = np.full(QUERIES, 3.0, np.float32), np.full(QUERIES, -0.5, np.float32)
    full, lean = (fed(Accumulator(opening, inverse, CAPACITY, width, None), rows, similarities) for width in (4, None))
    assert lean.outputs is None
    np.testing.assert_array_equal(lean.sums, full.sums)
    np.testing.assert_array_equal(lean.lists.thresholds, full.lists.thresholds)
    for query in range(QUERIES):
        np.testing.assert_array_equal(listed(lean, query)[0], listed(full, query)[0])


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
