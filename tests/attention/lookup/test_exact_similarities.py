"""The similarity of every row, against NumPy in float64: after writes and removals, of parts, and of rows elsewhere."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from softkv_attention.errors import ParameterError, ShapeError
from softkv_attention.lookup import (
    Bias,
    Memory,
    Question,
    Rows,
    View,
    answer,
    similarities_of,
    weights_of,
    weights_without_null,
)

D = 5


def written(similarity, seed=3):
    """Return memories of documents of one to four keys, some of them removed: even rows in one, the others in two.

    Returns:
        The views, and by the row's number its document's number and its key.
    """
    random = np.random.default_rng(seed)
    rows = {}
    memories = [Memory(similarity) for _ in range(3)]
    first = 0
    for step in range(30):
        owners = np.repeat(np.cumsum(sizes := random.integers(1, 5, 8)) - sizes, sizes) + first
        numbers = first + np.arange(len(owners))
        keys = random.standard_normal((len(numbers), D)).astype(np.float32)
        memories[step % 3].publish(add=Rows(numbers, keys, keys[:, :2].copy(), owners))
        rows |= {int(n): (int(o), k) for n, o, k in zip(numbers, owners, keys, strict=True)}
        first = int(numbers[-1]) + 1
        if step % 3 == 2:
            gone = random.choice(np.unique(owners), 3, replace=False)
            memories[step % 3].publish(remove=gone)
            rows = {n: row for n, row in rows.items() if row[0] not in gone}
    return [memory.view for memory in memories], rows


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("similarity", ["cosine", "dot", "scaled_dot", "gaussian"])
def test_all_similarities_of_rows_that_pass(oracle, as_one, similarity, masked):
    views, stored = written(similarity)
    view = as_one(views)
    documents = sorted({owner for owner, _ in stored.values()})
    picked = documents[::3] if masked else documents
    mask = view.mask(np.array(picked)) if masked else None
    queries = np.random.default_rng(1).standard_normal((3, D))
    numbers, owners, actual = similarities_of(view, queries, mask)
    expected = [n for n, (owner, _) in sorted(stored.items()) if owner in picked]
    order = np.argsort(numbers)
    assert numbers[order].tolist() == expected
    assert owners[order].tolist() == [stored[n][0] for n in expected]
    keys = [stored[n][1] for n in expected]
    for query, similarities in zip(queries, actual, strict=True):
        np.testing.assert_allclose(similarities[order], oracle(similarity, query, keys), rtol=1e-12, atol=1e-13)


def test_an_empty_view_has_no_similarities_and_invalid_queries_are_refused():
    empty = Memory("cosine").view
    numbers, owners, result = similarities_of(empty, np.ones((2, D)))
    assert (len(numbers), len(owners), result.shape) == (0, 0, (2, 0))
    view = Memory.of(np.eye(D, dtype=np.float32)).view
    with pytest.raises(ShapeError, match="query has width 4"):
        similarities_of(view, np.ones((1, 4)))
    with pytest.raises(ParameterError, match="zero vector"):
        similarities_of(view, np.zeros((1, D)))


@pytest.mark.parametrize("normaliser", ["softmax", "sparsemax", "entmax15", "one_hot"])
@pytest.mark.parametrize("null", [None, 0.6, 100.0])
def test_weights_of_all_documents_match_an_answer_that_lists_all(oracle, oracle_weights, as_one, normaliser, null):
    views, stored = written("dot")
    view = as_one(views)
    documents = sorted({owner for owner, _ in stored.values()})[::2]
    query = np.random.default_rng(8).standard_normal(D)
    rows = [n for n, (owner, _) in sorted(stored.items()) if owner in documents]
    similarities = oracle("dot", query, [stored[n][1] for n in rows])
    for temperature in (0.0, 0.05, 1.0, np.inf):
        question = Question(query, temperature, null=null, mask=view.mask(np.array(documents)), normaliser=normaliser)
        result = weights_of(view, question)
        assert result.numbers.tolist() == documents
        named = answer(view, replace(question, top_k=len(documents)))
        by_number = dict(zip(named.numbers.tolist(), named.weights.tolist(), strict=True))
        np.testing.assert_allclose(result.weights, [by_number[n] for n in documents], atol=1e-12)
        assert result.weights.sum() + named.null_weight == pytest.approx(1)
        if normaliser == "softmax":
            weights, _ = oracle_weights(similarities, temperature, null)
            expected = [weights[[stored[n][0] == document for n in rows]].sum() for document in documents]
            assert np.abs(result.weights - expected).sum() / 2 <= result.total_variation + 1e-15
            assert result.total_variation < 1e-9


def test_weights_with_a_bias_leave_out_forbidden_documents(oracle, oracle_weights):
    views, stored = written("cosine")
    view = View.merged(views)
    documents = np.array(sorted({owner for owner, _ in stored.values()}))
    addends = np.random.default_rng(2).standard_normal(len(documents))
    addends[::5] = -np.inf
    query = np.ones(D)
    result = weights_of(view, Question(query, 0.3, bias=Bias.of(view, documents, addends), null=0.1))
    assert result.numbers.tolist() == documents[np.isfinite(addends)].tolist()
    by_document = dict(zip(documents.tolist(), addends.tolist(), strict=True))
    rows = [(owner, key) for owner, key in stored.values() if np.isfinite(by_document[owner])]
    logits = oracle("cosine", query, [key for _, key in rows]) / 0.3 + [by_document[owner] for owner, _ in rows]
    weights, _ = oracle_weights(logits, 1.0, 0.1 / 0.3)
    expected = [weights[[owner == document for owner, _ in rows]].sum() for document in result.numbers]
    np.testing.assert_allclose(result.weights, expected, rtol=1e-11)


def test_among_themselves_documents_are_as_certain_beside_a_heavy_null_key():
    views, _ = written("dot")
    view = View.merged(views)
    question = Question(np.ones(D), 0.1, null=100.0)
    result, alone = weights_without_null(view, question), weights_of(view, replace(question, null=None))
    assert weights_of(view, question).weights.sum() < 1e-300
    np.testing.assert_array_equal(result.weights, alone.weights)
    assert result.total_variation < 1e-9
    assert not weights_without_null(view, replace(question, temperature=0.0)).weights.any()
