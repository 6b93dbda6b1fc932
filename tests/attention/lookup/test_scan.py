"""A scan lists or sums every row that passes, once, by the product of the codes; in any number of threads."""

from __future__ import annotations

import numpy as np
import pytest

from attention.lookup import Limits, Memory, Rows
from attention.lookup import scan as scan_module
from attention.lookup.codes.quantisation import code_queries
from attention.lookup.memory.tiles import all_rows
from attention.lookup.scan import NO_THRESHOLD, fits_float32, scan, shift_sums

WIDTH = 21
LIMITS = Limits(max_tile_rows=1024)


@pytest.fixture(params=[1, 3], ids=["one worker", "three workers"])
def workers(request, monkeypatch):
    monkeypatch.setattr(scan_module, "workers", lambda: request.param)
    return request.param


def view_of(n, removed=(), similarity="cosine", values=None, limits=LIMITS):
    """Rows in two blocks, of which some are removed again."""
    memory = Memory(similarity, limits=limits)
    keys = np.random.default_rng(n).standard_normal((n, WIDTH)).astype(np.float32)
    for part in (slice(0, n // 3), slice(n // 3, n)):
        numbers = np.arange(n)[part]
        memory.publish(add=Rows(numbers, keys[part], None if values is None else values[part]))
    return memory.publish(remove=np.asarray(removed, dtype=np.int64))


def asked(view, count, outputs=False):
    vectors = np.random.default_rng(count).standard_normal((count, WIDTH))
    return code_queries(view.similarity, vectors, outputs=outputs)


def passes(view, mask):
    """bool by place: which rows may be attended to."""
    masks = [np.zeros(segment.count, dtype=bool) for segment in view.segments]
    index_of = {id(segment): position for position, segment in enumerate(view.segments)}
    for segment, allowed in view.passing(mask):
        masks[index_of[id(segment)]][:] = True if allowed is None else allowed
    return np.concatenate(masks) if masks else np.zeros(0, dtype=bool)


def all_listed(accumulators, query):
    """(places, similarities) of the rows that any worker listed."""
    lists = [accumulator.lists for accumulator in accumulators]
    positions = np.concatenate([part.places[query, : part.counts[query]] for part in lists])
    return positions, np.concatenate([part.similarities[query, : part.counts[query]] for part in lists])


def summed(accumulators, query, level, inverse):
    """Σe, Σe·x and Σe² of all workers relative to one level."""
    moved = [
        shift_sums(accumulator.sums[query], (float(accumulator.lists.thresholds[query]) - level) * inverse)
        for accumulator in accumulators
    ]
    return np.sum(
        [sums for sums, accumulator in zip(moved, accumulators, strict=True) if accumulator.sums[query, 0] > 0], axis=0
    )


@pytest.mark.parametrize("kind", ["all", "every third removed", "a mask", "next to nothing"])
@pytest.mark.parametrize("n", [3, 63, 64, 65, 1023, 1025, 4000])
@pytest.mark.parametrize("count", [1, 17])
def test_every_row_that_passes_is_listed_or_summed(running, workers, coded, n, kind, count):
    view = view_of(n, np.arange(0, n, 3) if kind == "every third removed" else ())
    mask = {"a mask": view.mask(np.arange(n // 4, n, 2)), "next to nothing": view.mask(np.array([n - 1]))}.get(kind)
    queries, temperature = asked(view, count), 0.2
    temperatures = np.full(count, temperature)
    result = scan(view, mask, all_rows(view), queries, 10, temperatures).finish()
    similarities, allowed = coded(view, queries), passes(view, mask)
    for query in range(count):
        positions, scanned = all_listed(result, query)
        assert len(set(positions)) == len(positions)
        assert allowed[positions].all()
        np.testing.assert_allclose(scanned, similarities[query, positions], atol=1e-6)
        rest = np.setdiff1d(np.flatnonzero(allowed), positions)
        if len(rest):
            level = float(similarities[query, rest].max())
            x = (similarities[query, rest] - level) / temperature
            expected = np.exp(x).sum(), (np.exp(x) * x).sum(), np.exp(2 * x).sum()
            np.testing.assert_allclose(summed(result, query, level, 1 / temperature), expected, rtol=1e-4)
        else:
            assert not any(part.sums[query].any() for part in result)


@pytest.mark.parametrize("temperature", [0, 1e-30, np.inf])
def test_at_the_limits_the_others_weigh_nothing_or_one_each(running, workers, temperature):
    view = view_of(4000)
    result = scan(view, None, all_rows(view), asked(view, 2), 10, np.full(2, temperature)).finish()
    for query in range(2):
        mass = sum(part.sums[query, 0] for part in result)
        rest = 4000 - len(all_listed(result, query)[0])
        assert rest > 1000
        assert mass == (rest if temperature == np.inf else pytest.approx(0, abs=1e-30))


def test_a_histogram_holds_the_rows_that_are_not_listed(running, workers, coded):
    view = view_of(4000, np.arange(0, 4000, 5), "dot")
    queries = asked(view, 3)
    result = scan(view, None, all_rows(view), queries, 10, None).finish()
    similarities, allowed = coded(view, queries), passes(view, None)
    for query in range(3):
        rest = np.setdiff1d(np.flatnonzero(allowed), all_listed(result, query)[0])
        below = similarities[query, rest]
        counts, sums = np.sum([part.histogram[query] for part in result], axis=0).T
        assert (counts.sum(), sums.sum()) == (len(rest), pytest.approx(below.sum(), rel=1e-4))
        edges = result[0].lows[query] + np.arange(len(counts) + 1) / result[0].finer[query]
        assert edges[0] <= below.min() <= below.max() <= edges[-1]
        # Rounding may move a similarity over an edge into the next bin.
        np.testing.assert_allclose(np.cumsum(counts), np.searchsorted(np.sort(below), edges[1:]), atol=3)


def test_opening_thresholds_leave_about_as_many_rows_as_are_to_be_listed(running, workers):
    view = view_of(40_000)
    for listed in (300, 2000):
        result = scan(view, None, all_rows(view), asked(view, 3), listed, np.ones(3)).finish()
        for query in range(3):
            assert listed / 4 < len(all_listed(result, query)[0]) < 4 * listed
    assert (result[0].lists.thresholds > NO_THRESHOLD).all()
    # Too few to tell are all listed.
    few = scan(view, view.mask(np.arange(100)), all_rows(view), asked(view, 3), 300, np.ones(3)).finish()
    assert all((part.lists.thresholds == NO_THRESHOLD).all() for part in few)
    assert len(all_listed(few, 0)[0]) == 100


def test_lists_that_run_over_and_over_lose_nothing(running, workers, coded):
    """Each row is better than all before, so that none is below the threshold that it finds."""
    n = 6000
    keys = (1.0005 ** np.arange(n))[:, None] * np.ones((1, WIDTH))
    values = np.random.default_rng(0).standard_normal((n, 3))
    view = Memory("dot", limits=LIMITS).publish(add=Rows(np.arange(n), keys, values))
    queries = code_queries("dot", np.ones((1, WIDTH)), outputs=True)
    result = scan(view, None, all_rows(view), queries, 8, np.array([50.0]), outputs=True).finish()
    positions, _ = all_listed(result, 0)
    assert len(positions) < n / 2
    similarities, rest = coded(view, queries)[0], np.setdiff1d(np.arange(n), positions)
    level = similarities[rest].max()
    terms = np.exp((similarities[rest] - level) / 50)
    np.testing.assert_allclose(summed(result, 0, level, 1 / 50)[0], terms.sum(), rtol=1e-4)
    parts = [np.exp((float(part.lists.thresholds[0]) - level) / 50) * part.outputs[0] for part in result]
    np.testing.assert_allclose(np.sum(parts, axis=0), terms @ values[rest], atol=1e-2 * terms.sum())


def test_values_are_summed_with_the_weights_of_the_rows_that_are(running, workers, coded):
    values = np.random.default_rng(1).standard_normal((4000, 70)).astype(np.float32)
    view = view_of(4000, np.arange(0, 4000, 5), values=values)
    for count in (1, 12):
        queries = asked(view, count, outputs=True)
        result = scan(view, None, all_rows(view), queries, 10, np.full(count, 0.5), outputs=True).finish()
        similarities = coded(view, queries)
        for query in range(count):
            rest = np.setdiff1d(np.flatnonzero(passes(view, None)), all_listed(result, query)[0])
            terms = np.exp(similarities[query, rest] / 0.5)
            back = [np.exp(float(part.lists.thresholds[query]) / 0.5) for part in result]
            output = sum(part.outputs[query] * factor for part, factor in zip(result, back, strict=True))
            bound = sum(part.value_errors[query, :3].sum() * factor for part, factor in zip(result, back, strict=True))
            assert np.linalg.norm(output - terms @ values[rest].astype(np.float64)) <= bound


def test_row_indices_count_removed_rows():
    view = view_of(200, [0, 70], limits=Limits(block_rows=64))
    np.testing.assert_array_equal(all_rows(view).numbers(np.arange(200)), np.arange(200))
    assert all_rows(Memory("dot").view).tiles == []


def test_products_have_to_keep_clear_of_float32_s_ends():
    query = np.array([3.0, 4.0])
    for similarity, length, expected in (
        ("dot", 1.0, True),
        ("dot", 1e-32, False),
        ("dot", 1e31, False),
        ("cosine", 1e31, True),
    ):
        view = Memory(similarity).publish(add=Rows(np.arange(1), np.array([[length, 0.0]])))
        assert fits_float32(view.facts, query) == expected
    assert not fits_float32(
        (view := Memory("scaled_dot").publish(add=Rows(np.arange(1), np.eye(1, 2)))).facts, 0 * query
    )
    assert fits_float32(view.facts, query)
