"""The head of an answer, and sums of rows by document."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softkv_attention.lookup.memory.tiles import PassingRows
from softkv_attention.lookup.rescoring.ranking import (
    DocumentGrouping,
    log_weight_of_other_parts,
    refine_similarities,
    select_heaviest,
    select_top,
    truncate_top_p,
)

SIMILARITIES = st.lists(st.sampled_from([-1.0, 0.0, 0.5, 0.75, 1.0]), max_size=30).map(np.array)


@given(similarities=SIMILARITIES, cap=st.integers(0, 35))
def test_the_head_is_the_best_rows_in_order_and_all_that_tie_with_the_last(similarities, cap):
    head, k = select_top(similarities, cap), min(cap, len(similarities))
    order = np.argsort(-similarities, kind="stable")
    last = similarities[order[k - 1]] if k else np.inf
    assert head.indices.tolist() == [row for row in order if similarities[row] >= last]
    assert (head.matches, head.complete) == (k, True)


@given(similarities=SIMILARITIES, cap=st.integers(0, 35), top_p=st.sampled_from([0.01, 0.5, 0.9, 1.0]), data=st.data())
def test_a_share_takes_the_fewest_of_the_best_that_hold_it(similarities, cap, top_p, data):
    n = len(similarities)
    weights = np.array(data.draw(st.lists(st.sampled_from([0.0, 0.25, 1.0, 3.0]), min_size=n, max_size=n)))
    elsewhere = data.draw(st.sampled_from([0.0, 0.5]))
    head = select_top(similarities, cap)
    result = truncate_top_p(head, similarities, weights, top_p, elsewhere)
    share = np.cumsum(weights[head.indices[: head.matches]])
    enough = np.flatnonzero(share >= top_p * (weights.sum() + elsewhere) - 1e-12)
    if head.matches == 0:
        assert (result.matches, result.complete) == (0, not weights.any() and elsewhere == 0)
    elif not len(enough):
        assert (result.matches, result.complete) == (head.matches, False)
        np.testing.assert_array_equal(result.indices, head.indices)
    else:
        matches = enough[0] + 1
        last = similarities[head.indices[matches - 1]]
        assert (result.matches, result.complete) == (matches, True)
        np.testing.assert_array_equal(result.indices, head.indices[similarities[head.indices] >= last])


def test_a_share_of_1_is_every_weight_above_zero_however_small():
    similarities, weights = np.array([3.0, 2.0, 1.0, 0.0]), np.array([1.0, 1e-17, 1e-300, 0.0])
    assert truncate_top_p(select_top(similarities, 4), similarities, weights, 1.0).matches == 3
    assert not truncate_top_p(select_top(similarities, 2), similarities, weights, 1.0).complete


@settings(deadline=None)
@given(seed=st.integers(0, 999), k=st.integers(1, 60), slack=st.sampled_from([1e-12, 1e-3, 0.5]))
def test_a_head_is_decided_by_the_rescored_similarities(filled, seed, k, slack):
    random = np.random.default_rng(seed)
    keys = random.integers(-2, 3, (50, 2)).astype(np.float32)
    view, query = filled("dot", keys), np.array([1.0, 0.5])
    true = keys.astype(np.float64) @ query
    scanned = true + random.choice([-slack, slack], 50)
    refined = scanned.copy()
    refine_similarities(PassingRows(view, None, 16), "dot", query, refined, k, slack)
    np.testing.assert_array_equal(select_top(refined, k).indices, select_top(true, k).indices)
    assert np.isin(refined, np.append(true, scanned)).all()


WEIGHED = st.lists(st.tuples(st.sampled_from([0.0, 0.25, 1.0]), st.sampled_from([-1.0, 0.0, 0.5])), max_size=30)


@given(documents=WEIGHED, cap=st.integers(0, 35), top_p=st.sampled_from([None, 0.01, 0.5, 0.9, 1.0]))
def test_by_weight_the_head_is_the_heaviest_then_the_most_similar_and_all_that_tie_in_both(documents, cap, top_p):
    weights, similarities = (np.array([document[position] for document in documents]) for position in (0, 1))
    head = select_heaviest(weights, similarities, cap)
    order = sorted(range(len(documents)), key=lambda at: documents[at], reverse=True)
    k = min(cap, len(documents))
    if top_p is not None:
        head = truncate_top_p(head, similarities, weights, top_p, by_weight=True)
        share = np.cumsum([documents[row][0] for row in order])[:k]
        enough = np.flatnonzero(share >= top_p * weights.sum() - 1e-12)
        assert head.complete == (len(enough) > 0 if k else not weights.any())
        k = int(enough[0]) + 1 if len(enough) else k
    assert head.matches == k
    remaining = [documents[row] for row in order if documents[row] >= documents[order[k - 1]]] if k else []
    assert [documents[row] for row in head.indices] == remaining
    assert len(set(head.indices.tolist())) == len(remaining)
    assert all(a < b for a, b in zip(head.indices, head.indices[1:], strict=False) if documents[a] == documents[b])


ROWS = st.lists(
    st.tuples(st.sampled_from([2, 3, 5, 8, 13]), st.sampled_from([-1.0, 0.0, 0.25, 0.5, 1.0])), min_size=1, max_size=40
)


@given(rows=ROWS, ascending=st.booleans())
def test_a_document_s_rows_are_taken_together(rows, ascending):
    if ascending:
        rows = sorted(rows, key=lambda row: row[0])
    owners, values = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    grouping = DocumentGrouping(owners)
    documents = sorted(set(owners.tolist()))
    assert grouping.numbers.tolist() == documents
    np.testing.assert_array_equal(grouping.numbers[grouping.index], owners)
    for position, document in enumerate(documents):
        own_values = values[owners == document]
        assert grouping.counts[position] == len(own_values)
        assert grouping.sums(values)[position] == pytest.approx(math.fsum(own_values), abs=1e-15)
        assert grouping.best(values)[position] == own_values.max()
        assert (
            grouping.best_rows(values)[position]
            == np.flatnonzero((owners == document) & (values == own_values.max()))[0]
        )
        assert grouping.log_sums(values)[position] == pytest.approx(math.log(math.fsum(np.exp(own_values))), abs=1e-14)


def test_logarithms_of_sums_neither_overflow_nor_vanish():
    grouping = DocumentGrouping(np.array([1, 1, 1, 2, 2, 3]))
    logits = np.array([1e5, 1e5, -1e5, -1e5, -1e5, -1e300])
    np.testing.assert_allclose(grouping.log_sums(logits), [1e5 + np.log(2), -1e5 + np.log(2), -1e300])


@pytest.mark.parametrize("temperature", [1e-30, 1e-3, 0.1, 5.0, np.inf])
def test_log_weights_of_other_parts_compare_the_other_keys_with_the_best(temperature):
    grouping, similarities = (
        DocumentGrouping(np.array([7, 7, 7, 8, 9, 9])),
        np.array([0.5, 0.4, 0.5, 0.9, -0.3, -0.30001]),
    )
    parts = log_weight_of_other_parts(grouping, similarities, temperature)
    for position, similarities_of_document in enumerate((similarities[:3], similarities[3:4], similarities[4:])):
        expected = math.log(
            sum(
                math.exp((similarity - similarities_of_document.max()) / temperature)
                for similarity in similarities_of_document
            )
        )
        assert parts[position] == pytest.approx(expected, abs=1e-15)


def test_at_temperature_0_only_keys_that_tie_for_the_best_of_all_count():
    grouping, similarities = DocumentGrouping(np.array([7, 7, 7, 8, 9, 9])), np.array([0.9, 0.4, 0.9, 0.9, 0.3, 0.3])
    np.testing.assert_allclose(log_weight_of_other_parts(grouping, similarities, 0.0), [np.log(2), 0, 0])


def test_documents_of_equal_rows_add_up_to_equal_sums_wherever_they_stand():
    random = np.random.default_rng(0)
    own_values = random.random(1001)
    owners = np.repeat([1, 2, 3, 4], [1001, 7, 1001, 1001])
    values = np.concatenate([own_values, random.random(7), own_values, own_values])
    sums = DocumentGrouping(owners).sums(values)
    assert sums[0] == sums[2] == sums[3]
