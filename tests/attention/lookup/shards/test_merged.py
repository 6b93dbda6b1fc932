"""The results of several parts gathered as one: lists in order, and known similarities kept."""

from __future__ import annotations

import numpy as np

from attention.lookup import Memory, Rows
from attention.lookup.memory.statistics import BlockStatistics
from attention.lookup.shards.local import LocalShard
from attention.lookup.shards.merged import candidate_similarities, merge_results
from attention.lookup.shards.scan_result import ScanRequest

RANDOM = np.random.default_rng(10)
KEYS = RANDOM.standard_normal((9_000, 16)).astype(np.float32)


def gathered(expected):
    views = []
    for rows in np.array_split(np.arange(len(KEYS)), 3):
        memory = Memory("cosine")
        views.append(memory.publish(add=Rows(rows, KEYS[rows])))
    facts = BlockStatistics.merge("cosine", 16, [view.facts for view in views])
    thresholds = np.full(len(expected.head_sizes), 0.55, dtype=np.float32)
    return [LocalShard(view, None, facts=facts).gather(expected, thresholds) for view in views]


def test_lists_are_sorted_and_known_similarities_are_not_computed_again():
    queries = RANDOM.standard_normal((4, 16))
    request = ScanRequest(queries, [5] * 4, 200, 512, np.full(4, 0.1))
    actual = list(gathered(request))
    calls = []

    def looked_up(positions, whose):
        calls.extend(zip(positions.tolist(), whose.tolist(), strict=True))
        unit = KEYS[positions].astype(np.float64)
        unit /= np.linalg.norm(unit, axis=1)[:, None]
        return np.einsum("id,id->i", unit, queries[whose]) / np.linalg.norm(queries[whose], axis=1)

    placed = [each.__class__(**{**each.__dict__, "rows": each.rows + 3000 * i}) for i, each in enumerate(actual)]
    one = merge_results(placed, request, 9_000, 9_000, looked_up)
    for query in range(4):
        first, last = one.starts[query : query + 2]
        assert (np.diff(one.similarities[first:last]) <= 0).all()
        known_rows = {}
        for list_ in placed:
            begin = list_.starts[query]
            own_similarities = list_.exact_similarities(query)
            known_rows |= dict(
                zip(list_.rows[begin : begin + len(own_similarities)].tolist(), own_similarities.tolist(), strict=True)
            )
        positions = one.rows[first:last].tolist()
        for position, similar in zip(positions, one.exact_similarities(query).tolist(), strict=False):
            assert (position, query) in calls or known_rows[position] == similar
        assert not {place for place, whose in calls if whose == query} & known_rows.keys()
    assert one.sums[:, 0].sum() > 0
    np.testing.assert_allclose(one.errors[:, 1], np.sum([each.errors[:, 1] for each in actual], axis=0))


def test_a_looked_up_row_keeps_its_exact_similarity():
    request = ScanRequest(RANDOM.standard_normal((1, 16)), [5], 200, 512, np.array([0.1]))
    (result, *_) = gathered(request)
    actual, count = candidate_similarities(result), len(result.exact_similarities(0))
    np.testing.assert_array_equal(actual[:count], result.exact_similarities(0))
    np.testing.assert_array_equal(actual[count:], result.similarities[count:])
