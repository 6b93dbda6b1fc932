"""Several parts as one: originals, copies that tie in two of them, and answers, against one part of all rows."""

from __future__ import annotations

import numpy as np
import pytest

from softkv_attention.lookup import Bias, Limits, Memory, Question, Rows, View, answers
from softkv_attention.lookup.quantised import shard_of
from softkv_attention.lookup.shards.local import LocalShard
from softkv_attention.lookup.shards.merged import MergedShards
from softkv_attention.lookup.shards.scan_result import ScanRequest

N = 6_000
LIMITS = Limits(max_tile_rows=1024, exact_max_components=0)
RANDOM = np.random.default_rng(4)
KEYS = RANDOM.standard_normal((N, 21)).astype(np.float32)
VALUES = RANDOM.standard_normal((N, 6)).astype(np.float32)
KEYS[[5, 2_500, 5_999]] = KEYS[5]
KEYS[2_501] = KEYS[5] * (np.arange(21) > 0)
QUERIES = KEYS[[5, 40, 900]] + 0.2 * RANDOM.standard_normal((3, 21))
WHOSE = np.repeat([0, 1, 2, 1], [2_000, 1_000, 2_990, 10])


def view_of(rows, similarity="cosine"):
    return Memory(similarity, limits=LIMITS).publish(add=Rows(rows, KEYS[rows], VALUES[rows]))


@pytest.fixture(params=["cosine", "dot"], scope="module")
def views(request):
    one = view_of(np.arange(N), request.param)
    return one, View.merged([view_of(np.flatnonzero(part == WHOSE), request.param) for part in range(3)])


def joined_of(many, question=None):
    part = shard_of(many, question or Question(QUERIES[0], 0.1))
    assert isinstance(part, MergedShards)
    return part


def test_originals_are_read_of_the_part_that_has_them(views):
    one, many = LocalShard(views[0], None), joined_of(views[1])
    positions, queries = np.array([5, 4_000, 2_990, 3_005]), np.array([0, 0, 1, 2])
    numbers = many.numbers(positions)
    result = many.similarities_at(QUERIES, positions, queries)
    np.testing.assert_array_equal(result, one.similarities_at(QUERIES, numbers, queries))
    outputs, expected = np.zeros((3, 6)), np.zeros((3, 6))
    weights = np.array([0.5, 0.1, 2.0, 1.0])
    many.add_values(positions, queries, weights, outputs)
    one.add_values(numbers, queries, weights, expected)
    np.testing.assert_allclose(outputs, expected, rtol=1e-14)
    left_out, of_one = many.residuals_at(positions), one.residuals_at(numbers)
    assert left_out.count == of_one.count == 4
    np.testing.assert_allclose(left_out.total, of_one.total, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(many.value_residuals.total, one.value_residuals.total, rtol=1e-6, atol=1e-9)


def test_copies_are_alike_in_whichever_parts_they_stand(views):
    part = joined_of(views[1])
    positions = {number: int(part.rows_of(np.array([number]))[0]) for number in (5, 2_500, 2_501, 5_999)}
    assert part.alike(np.sort([positions[5], positions[2_500], positions[5_999]]))
    assert not part.alike(np.sort([positions[5], positions[2_501]]))
    assert not part.alike(np.sort([positions[2_500], positions[2_501], positions[5]]))  # not even those of one part


def test_copies_are_alike_if_they_have_one_bias():
    many = View.merged([view_of(np.flatnonzero(part == WHOSE)) for part in range(3)])
    for addends, expected in (([1.0, 1.0], True), ([1.0, 2.0], False), ([0.0, -0.0], True)):
        bias = Bias.of(many, [5, 5_999], addends)
        part = joined_of(many, Question(QUERIES[0], 0.1, bias=bias))
        assert part.alike(np.sort(part.rows_of(np.array([5, 5_999])))) == expected


def test_similarities_known_to_a_part_are_not_computed_again(views, monkeypatch):
    def refused(*_):
        raise AssertionError("asked a second time")

    monkeypatch.setattr(MergedShards, "similarities_at", refused)
    request = ScanRequest(QUERIES, [10] * 3, listed=256, max_lookups=64, temperatures=np.full(3, 0.05))
    gathered = joined_of(views[1]).gather(request)
    assert (np.diff(gathered.known_starts) >= 10).all()


def test_a_part_without_passing_rows_is_not_scanned(views, monkeypatch):
    one, many = views
    allowed = np.flatnonzero(WHOSE == 2)
    calls = []
    gather = LocalShard.gather
    monkeypatch.setattr(LocalShard, "gather", lambda part, *a, **k: calls.append(part) or gather(part, *a, **k))
    question = Question(QUERIES[0], 0.05, mask=many.mask(allowed))
    actual = answers(many, [question])[0]
    assert len(calls) == 1
    expected = answers(one, [Question(QUERIES[0], 0.05, mask=one.mask(allowed))])[0]
    np.testing.assert_array_equal(actual.numbers, expected.numbers)


def test_copies_that_tie_across_parts_keep_the_bound_of_one_part(views):
    query = KEYS[5].astype(np.float64)
    for normaliser, temperature in (("softmax", 0.0), ("softmax", 1e-30), ("one_hot", 1.0)):
        for view in views:
            result = answers(view, [Question(query, temperature, normaliser=normaliser, top_k=2)])[0]
            assert result.certificate.method == "quantised"
            np.testing.assert_array_equal(result.numbers, [5, 2_500, 5_999])
            np.testing.assert_allclose(result.weights, 1 / 3, atol=1e-15)
            assert result.certificate.total_variation < 1e-14


def test_a_list_of_views_answers_as_one_merged_view():
    views = [view_of(np.flatnonzero(part == WHOSE)) for part in range(3)]
    result = answers(views, [Question(query, 0.05) for query in QUERIES])
    expected = answers(View.merged(views), [Question(query, 0.05) for query in QUERIES])
    for mine, theirs in zip(result, expected, strict=True):
        np.testing.assert_array_equal(mine.numbers, theirs.numbers)
        np.testing.assert_array_equal(mine.weights, theirs.weights)
