"""Asking a view: which path answers, the same in a batch and in a sweep, and what a sweep takes and says."""

from __future__ import annotations

from dataclasses import fields, replace
from itertools import product

import numpy as np
import pytest
import torch

from softkv_attention.errors import ParameterError, ShapeError
from softkv_attention.lookup import (
    Auto,
    Background,
    Bias,
    Limits,
    Memory,
    Question,
    ScanWidth,
    answer,
    answers,
    attend,
    sweep,
)

SCANNED = Limits(exact_max_components=0)
SHORT_LISTS = replace(SCANNED, scan_widths=(ScanWidth(64, 128),))


@pytest.mark.parametrize("normaliser", ["softmax", "sparsemax", "entmax15", "one_hot"])
@pytest.mark.parametrize("temperature", [0, 0.5])
def test_nothing_passes(filled, normaliser, temperature):
    view = filled("cosine", np.eye(3), np.ones((3, 2)))
    nothing = view.mask(np.array([7, 8]))
    for mask, asked_view in ((nothing, view), (None, Memory("cosine").view)):
        alone = answer(asked_view, Question(np.ones(3), temperature, mask=mask, normaliser=normaliser))
        assert (alone.null_weight, alone.documents, alone.verdict.stands) == (0, 0, "none")
        assert alone.log_partition == (-np.inf if normaliser == "softmax" else None)
        assert alone.best_similarity is None
        with_null = answer(asked_view, Question(np.ones(3), temperature, 0.25, mask, normaliser))
        assert (with_null.null_weight, with_null.verdict.stands, with_null.effective_documents) == (1, "none", 0)
        assert with_null.log_partition == ((0.5 if temperature else 0) if normaliser == "softmax" else None)
        assert not with_null.output.any()
        assert with_null.numbers.size == 0


def method_of(view, question):
    """Return the path that answers a question, the same in any batch and in a sweep."""
    alone = answer(view, question).certificate.method
    company = [question, Question(question.query, 0.3, mask=question.mask), question, Question(question.query, 0)]
    results = answers(view, company)
    assert [results[0].certificate.method, results[2].certificate.method] == [alone, alone]
    assert {certificate.method for certificate in sweep(view, question, [0.05, 1.0]).certificates} == {alone}
    return alone


def test_numpy_answers_a_large_collection_exactly_and_c_from_codes(clusters, running):
    keys, _, queries = clusters
    view = Memory.of(keys, limits=SCANNED).view
    assert method_of(view, Question(queries[0], 0.05)) == ("quantised" if running.SCANS else "exact")


def test_small_masks_are_answered_exactly_and_large_ones_from_codes(clusters, in_pieces):
    keys, _, queries = clusters
    limits = Limits(exact_max_components=1000 * keys.shape[1], rows_scanned_per_exact_row=np.inf)
    view = in_pieces("cosine", keys, limits=limits)
    for count, expected in ((1000, "exact"), (1001, "quantised")):
        mask = view.mask(np.arange(count))
        assert method_of(view, Question(queries[0], 0.05, mask=mask)) == expected
    assert method_of(view, Question(queries[0], 0.05)) == "quantised"
    # For an error that a scan seldom proves, more rows are read in float64 at once.
    for count, expected in ((4000, "exact"), (4001, "quantised")):
        mask = view.mask(np.arange(count))
        assert method_of(view, Question(queries[0], 0.0, mask=mask, max_error=1e-5)) == expected
    assert method_of(view, Question(queries[0], 0.0, mask=view.mask(np.arange(1001)), max_error=1e-4)) == "quantised"


def test_rows_scanned_without_passing_count_for_the_exact_path(clusters, filled):
    keys, _, queries = clusters
    limits = Limits(exact_max_components=1000 * keys.shape[1], rows_scanned_per_exact_row=4)
    view = filled("cosine", keys, limits=limits)
    own_numbers = view.numbers()
    # 1,250 rows that stand together are read alone; 1,250 of 2,500 with as many others, which is worth 312 rows more.
    assert method_of(view, Question(queries[0], 0.05, mask=view.mask(own_numbers[:1250]))) == "quantised"
    assert method_of(view, Question(queries[0], 0.05, mask=view.mask(own_numbers[:2500:2]))) == "exact"
    assert method_of(view, Question(queries[0], 0.05, mask=view.mask(own_numbers[:3000:2]))) == "quantised"


def test_one_question_whose_products_float32_cannot_hold_sends_no_other_to_the_exact_path(clusters, in_pieces):
    keys, _, queries = clusters
    view = in_pieces("dot", keys, limits=SCANNED)
    questions = [Question(query, Auto(5), output=False) for query in (queries[0], queries[1] * 1e32, queries[2])]
    methods = [answer.certificate.method for answer in answers(view, questions)]
    assert methods == ["quantised", "exact", "quantised"]


def test_a_question_that_a_scan_cannot_decide_is_answered_exactly(clusters, in_pieces):
    keys, _, queries = clusters
    view = in_pieces("cosine", keys, limits=SHORT_LISTS)
    questions = [
        Question(queries[0], 9.0, normaliser="sparsemax"),
        Question(queries[1], 0.05),
        Question(queries[2], Auto(30), output=False, max_error=1e-12),
        Question(queries[3], Auto(30)),
    ]
    results = answers(view, questions)
    assert [one.certificate.method for one in results] == ["exact", "quantised", "exact", "quantised"]
    for question, result in zip(questions, results, strict=True):
        assert result.numbers[0] == answer(view, Question(question.query, 0, top_k=1)).numbers[0]


@pytest.mark.parametrize("refused", [{"normaliser": "sparsemax"}, {"temperature": Auto()}, {"top_p": 0.5}])
def test_a_sweep_takes_softmax_at_given_temperatures(filled, refused):
    question = Question(**{"query": np.ones(3), "temperature": 1.0, **refused})
    with pytest.raises(ParameterError, match="softmax at given temperatures"):
        sweep(filled("cosine", np.eye(3)), question, [1.0])


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor, list])
def test_attend_answers_one_query_or_several(kind):
    keys = np.random.default_rng(2).standard_normal((40, 6))
    memory = Memory.of(keys)
    one = attend(kind(keys[3]), memory, temperature=0.1, top_k=2)
    assert one.numbers[0] == 3
    for count in (1, 4):
        several = attend(kind(keys[:count]), memory, temperature=0.1, top_k=2)
        assert [answer.numbers[0] for answer in several] == list(range(count))
    np.testing.assert_allclose(attend(kind(keys[3:4]), memory, temperature=0.1)[0].output, one.output, rtol=1e-12)


def test_a_sweep_takes_a_bare_query_with_options_or_a_question():
    random = np.random.default_rng(4)
    keys, query, temperatures = random.standard_normal((60, 5)), random.standard_normal(5), [0.05, 1.0]
    memory = Memory.of(keys)
    even = np.arange(60) % 2 == 0
    options = {"null": 0.3, "mask": memory.view.mask(even), "bias": Bias.of(memory.view, [2], [1.0]), "top_k": 4}
    expected = sweep(memory, Question(query, 1.0, **options), temperatures)
    for kind in (np.asarray, torch.as_tensor, list):
        swept = sweep(memory, kind(query), np.array(temperatures), **options | {"mask": even})
        np.testing.assert_array_equal(swept.numbers, expected.numbers)
        np.testing.assert_array_equal(swept.weights, expected.weights)
        assert swept.evidence == expected.evidence
    assert sweep(memory, query, temperatures).weights.shape == (2, 10)
    for name, option in options.items():
        with pytest.raises(ParameterError, match="set them in the Question"):
            sweep(memory, Question(query, 1.0), temperatures, **{name: option})


@pytest.mark.parametrize(
    ("query", "temperatures", "error", "message"),
    [
        (np.ones((2, 3)), [0.1], ShapeError, r"one query, got shape \(2, 3\)"),
        (np.ones(4), [0.1], ShapeError, "width 4"),
        ("cats", [0.1], ParameterError, "real numbers, got text"),
        (np.ones(3), 0.1, ParameterError, r"a list of numbers, got 0.1"),
        (np.ones(3), [-0.1], ParameterError, "from 1e-30 to infinity"),
        (np.ones(3), ["0.1"], ParameterError, "temperatures must hold real numbers, got text"),
    ],
)
def test_an_invalid_argument_of_a_sweep_is_named(query, temperatures, error, message):
    with pytest.raises(error, match=message):
        sweep(Memory.of(np.eye(3)), query, temperatures)


@pytest.mark.parametrize("limits", [Limits(), SCANNED])
@pytest.mark.parametrize("several", [False, True])
def test_a_sweep_has_the_weight_of_everything_at_each_temperature(clusters, limits, several):
    keys, _, queries = clusters
    owners = np.arange(len(keys)) // 2 * 2 if several else None
    memory, temperatures = Memory.of(keys, owners=owners, limits=limits), [0, 0.02, 0.3, np.inf]
    swept = sweep(memory, queries[0], temperatures, null=0.4, top_k=3)
    assert swept.temperatures.tolist() == temperatures
    assert swept.null_weights.tolist() == [evidence.null_weight for evidence in swept.evidence]
    np.testing.assert_allclose(swept.weights.sum(axis=1) + swept.rest_weights + swept.null_weights, 1)
    assert 0.5 < swept.rest_weights[3] < 1
    for temperature, rest, certificate in zip(temperatures, swept.rest_weights, swept.certificates, strict=True):
        question = Question(queries[0], temperature, null=0.4, top_k=3)
        alone = answer(memory, question)
        if set(alone.numbers) == set(swept.numbers):
            assert abs(alone.rest_weight - rest) <= certificate.total_variation + alone.certificate.total_variation
    nothing = sweep(memory, queries[0], temperatures, mask=np.zeros(memory.view.documents, dtype=bool))
    assert nothing.rest_weights.tolist() == [0] * 4
    assert sweep(memory, queries[0], []).rest_weights.shape == (0,)
    assert repr(swept) == f"<Sweep 4 temperatures, 3 of {memory.view.documents:,} documents>"


@pytest.mark.parametrize("limits", [Limits(), SCANNED])
@pytest.mark.parametrize("similarity", ["cosine", "dot", "scaled_dot", "gaussian"])
def test_numbers_of_results_are_python_s_own_whatever_the_question_has(clusters, similarity, limits):
    keys, values, queries = clusters
    memory = Memory.of(keys, values, similarity=similarity, limits=limits)
    background, eight = Background(np.float32(0.1), np.float64(0.2)), np.float64(0.3)
    for temperature, null in product((0, eight, np.float32(2), np.inf, Auto(8)), (None, eight, background)):
        for normaliser in ("softmax", "sparsemax", "entmax15", "one_hot"):
            if normaliser == "softmax" or not isinstance(temperature, Auto):
                result = attend(queries[0], memory, temperature=temperature, null=null, normaliser=normaliser)
                assert_plain(result.evidence, result.certificate, result.verdict)
                assert_plain(attend(queries[0], memory, temperature=temperature, null=null, output=False).certificate)
                assert {type(number) for number in (result.heaviest, result.best_similarity, result.rest_weight)} == {
                    float
                }
    swept = sweep(memory, queries[0], np.array([0, 0.1, np.inf]), null=background)
    assert_plain(*swept.evidence, *swept.certificates, *swept.verdicts)


def assert_plain(*records):
    """Assert that no field of these records is a number of NumPy."""
    for record in records:
        assert [field.name for field in fields(record) if isinstance(getattr(record, field.name), np.generic)] == []
