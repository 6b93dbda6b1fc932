"""Asking a view: which path answers, that a batch answers as one by one, and that masking equals deleting."""

from __future__ import annotations

import numpy as np
import pytest

from attention.errors import ParameterError
from attention.lookup import Auto, Memory, Question, Rows, answer, answering, answers, quantised, sweep


def test_a_batch_answers_as_one_by_one(data, filled):
    keys, values, queries = data
    view = filled("cosine", keys, values)
    mask = view.mask(np.arange(100, 400))
    asked = [Question(query, 0.1, mask=mask if index % 2 else None) for index, query in enumerate(queries)]
    for question, found in zip(asked, answers(view, asked), strict=True):
        alone = answer(view, question)
        np.testing.assert_array_equal(found.numbers, alone.numbers)
        np.testing.assert_array_equal(found.similarities, alone.similarities)
        np.testing.assert_allclose(found.weights, alone.weights, rtol=1e-12)
        np.testing.assert_allclose(found.output, alone.output, atol=1e-12)
        assert found.documents == (300 if question.mask else view.n)


@pytest.mark.parametrize("normaliser", ["softmax", "sparsemax", "entmax15", "one_hot"])
@pytest.mark.parametrize("temperature", [0, 0.5])
def test_nothing_passes(filled, normaliser, temperature):
    view = filled("cosine", np.eye(3), np.ones((3, 2)))
    nothing = view.mask(np.array([7, 8]))
    for mask, asked in ((nothing, view), (None, Memory("cosine").view)):
        alone = answer(asked, Question(np.ones(3), temperature, mask=mask, normaliser=normaliser))
        assert (alone.null_weight, alone.documents, alone.evidence.answered) == (0, 0, False)
        assert alone.log_partition == (-np.inf if normaliser == "softmax" else None)
        assert alone.best_similarity is None
        with_null = answer(asked, Question(np.ones(3), temperature, 0.25, mask, normaliser))
        assert (with_null.null_weight, with_null.evidence.answered, with_null.effective_documents) == (1, False, 0)
        assert with_null.log_partition == ((0.5 if temperature else 0) if normaliser == "softmax" else None)
        assert not with_null.output.any()
        assert with_null.numbers.size == 0


def test_masking_equals_deleting(data, filled):
    keys, values, queries = data
    numbers = np.arange(len(keys))
    kept = numbers[numbers % 3 > 0]
    memory = Memory("cosine")
    whole = memory.publish(add=Rows(numbers, keys, values))
    masked = answer(whole, Question(queries[1], 0.05, null=0.4, mask=whole.mask(kept)))
    fewer = memory.publish(remove=numbers[numbers % 3 == 0])
    deleted = answer(fewer, Question(queries[1], 0.05, null=0.4))
    np.testing.assert_array_equal(masked.numbers, deleted.numbers)
    np.testing.assert_array_equal(masked.weights, deleted.weights)
    np.testing.assert_allclose(masked.output, deleted.output, atol=1e-14)
    assert masked.documents == deleted.documents == fewer.n == whole.mask(kept).n == len(kept)


def test_auto_is_answered_as_the_temperature_that_it_comes_to(filled):
    random = np.random.default_rng(1)
    view = filled("cosine", random.standard_normal((500, 11)))
    found = answer(view, Question(random.standard_normal(11), Auto(20), null=0.2))
    assert found.effective_documents == pytest.approx(20, rel=1e-2)
    again = answer(view, Question(random.standard_normal(11), found.temperature, null=0.2))
    assert again.temperature == found.temperature


def test_a_sweep_over_nothing(filled):
    view = filled("cosine", np.eye(3))
    found = sweep(view, Question(np.ones(3), 1.0, mask=view.mask(np.array([], dtype=np.int64))), [0, 1.0])
    assert found.weights.shape == (2, 0)
    assert [evidence.log_partition for evidence in found.evidence] == [-np.inf, -np.inf]
    with pytest.raises(ParameterError, match="from 1e-30 to infinity"):
        sweep(view, Question(np.ones(3), 1.0), [1e-40])
    with pytest.raises(ParameterError, match="softmax"):
        sweep(view, Question(np.ones(3), Auto()), [1.0])


def test_few_components_are_answered_exactly_and_many_from_their_codes(clusters, in_pieces, monkeypatch):
    keys, _, queries = clusters
    view = in_pieces("cosine", keys)
    monkeypatch.setattr(answering, "SMALL_CELLS", 1000 * keys.shape[1])
    few, many = view.mask(np.arange(1000)), view.mask(np.arange(1001))
    asked = [Question(query, 0.05, mask=mask) for query, mask in zip(queries, (None, few, many, few), strict=False)]
    methods = [found.certificate.method for found in answers(view, asked)]
    assert methods == ["quantised", "exact", "quantised", "exact"]
    assert sweep(view, asked[0], [0.1]).certificates[0].method == "quantised"
    assert sweep(view, asked[1], [0.1]).certificates[0].method == "exact"


def test_rows_without_codes_are_answered_exactly(clusters, in_pieces, monkeypatch):
    monkeypatch.setattr(answering, "SMALL_CELLS", 0)
    keys, _, queries = clusters
    found = answer(in_pieces("gaussian", keys), Question(queries[0], 3.0))
    assert found.certificate.method == "exact"


def test_what_a_scan_cannot_decide_is_answered_exactly_in_its_turn(clusters, in_pieces, monkeypatch):
    monkeypatch.setattr(answering, "SMALL_CELLS", 0)
    monkeypatch.setattr(quantised, "WIDTHS", (quantised.Width(64, 128),))
    keys, _, queries = clusters
    view = in_pieces("cosine", keys)
    asked = [
        Question(queries[0], 9.0, normaliser="sparsemax"),
        Question(queries[1], 0.05),
        Question(queries[2], Auto(30), output=False, max_error=1e-12),
        Question(queries[3], Auto(30)),
    ]
    found = answers(view, asked)
    assert [each.certificate.method for each in found] == ["exact", "quantised", "exact", "quantised"]
    for question, each in zip(asked, found, strict=True):
        assert each.numbers[0] == answer(view, Question(question.query, 0, top_k=1)).numbers[0]


@pytest.mark.parametrize("refused", [{"normaliser": "sparsemax"}, {"temperature": Auto()}, {"top_p": 0.5}])
def test_a_sweep_takes_softmax_at_given_temperatures(filled, refused):
    question = Question(**{"query": np.ones(3), "temperature": 1.0, **refused})
    with pytest.raises(ParameterError, match="softmax at given temperatures"):
        sweep(filled("cosine", np.eye(3)), question, [1.0])


def test_no_questions_have_no_answers(filled):
    assert answers(filled("cosine", np.eye(3)), []) == []
