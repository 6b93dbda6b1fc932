"""The exact path against a plain float64 definition, and the properties that hold of every answer of it."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from softkv_attention.lookup import Bias, Limits, Memory, Question, Rows, answer, answers, sweep
from softkv_attention.lookup.bounds.similarities import UNIT_ROUNDOFF
from softkv_attention.lookup.exact import exact_answers
from softkv_attention.lookup.shards.local import TILE_ROWS
from tests.thorough import crossed

SIMILARITIES = ["cosine", "dot", "scaled_dot", "gaussian"]


@crossed(
    {
        "null": [None, 0.6, -100.0, 100.0],
        "temperature": [0, 1e-30, 1e-3, 0.05, 1.0, 1e6, np.inf],
        "similarity": SIMILARITIES,
    }
)
def test_equals_the_definition(data, filled, oracle, oracle_weights, similarity, temperature, null):
    keys, values, queries = data
    view = filled(similarity, keys, values)
    questions = [Question(query, temperature, null=null, top_k=len(keys)) for query in queries]
    for query, result in zip(queries, answers(view, questions), strict=True):
        s = oracle(similarity, query, keys.astype(np.float32))
        weights, null_weight = oracle_weights(s, temperature, null)
        positions = result.numbers - 100
        assert sorted(positions) == list(range(len(keys)))
        np.testing.assert_allclose(result.similarities, s[positions], rtol=1e-12, atol=1e-13)
        distance = (np.abs(result.weights - weights[positions]).sum() + abs(result.null_weight - null_weight)) / 2
        assert distance <= result.certificate.total_variation + 1e-15
        assert result.certificate.total_variation < 1e-9
        exact = weights @ values.astype(np.float32).astype(np.float64)
        assert np.linalg.norm(result.output - exact) <= result.certificate.output_error
        assert result.weights.sum() + result.null_weight == pytest.approx(1, abs=1e-12)
        stands = "none" if null_weight >= 0.5 else "one" if weights.max() > 0.5 else "several"
        assert result.verdict.stands == stands or not result.verdict.certain
        assert result.best_similarity == pytest.approx(s.max())
        assert (np.diff(result.similarities) <= 0).all()
        assert result.documents == len(keys)
        assert result.complete


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_extreme_vectors_stay_finite(filled, similarity):
    keys = np.array([[1e-45, 0], [3e38, 3e38], [-3e38, 1e-45]])
    for temperature in (0, 1e-30, 1.0, np.inf):
        result = answer(filled(similarity, keys), Question(np.array([3e38, 1e-45]), temperature, null=0.5))
        assert np.isfinite(result.weights).all()
        assert np.isfinite(result.output).all()
        assert result.weights.sum() + result.null_weight == pytest.approx(1)


@pytest.mark.parametrize("rows", [1, 2047, 2048, 2049, 4096])
def test_rows_on_both_sides_of_a_tile_s_edge_count_once(filled, oracle, rows):
    random = np.random.default_rng(rows)
    keys, values, query = (
        random.standard_normal((rows, 3)),
        random.standard_normal((rows, 2)),
        random.standard_normal(3),
    )
    (answer,) = exact_answers(filled("dot", keys, values), [Question(query, 1.0, top_k=rows)])
    s = oracle("dot", query, keys.astype(np.float32))
    weights = np.exp(s - s.max()) / np.exp(s - s.max()).sum()
    np.testing.assert_allclose(answer.weights, weights[answer.numbers - 100], rtol=1e-12)
    np.testing.assert_allclose(answer.output, weights @ values.astype(np.float32), rtol=1e-9, atol=1e-12)
    assert sorted(answer.numbers) == list(range(100, 100 + rows))
    # A component of the output is a sum of at least this number of terms, each with its own rounding.
    longest = np.linalg.norm(values.astype(np.float32).astype(np.float64), axis=1).max()
    summed = min(rows, TILE_ROWS) * UNIT_ROUNDOFF
    assert answer.certificate.output_error >= 2 * (answer.certificate.total_variation + summed) * longest


def test_questions_that_are_read_a_few_at_a_time_have_the_same_answers(data, filled):
    keys, values, queries = data
    view = filled("cosine", keys, values)
    questions = [Question(query, 0.1, null=0.2, output=index != 1) for index, query in enumerate(queries)]
    together = exact_answers(view, questions)
    two_at_a_time = replace(view, limits=Limits(exact_batch_cells=2 * view.n))
    for actual, expected in zip(exact_answers(two_at_a_time, questions), together, strict=True):
        np.testing.assert_array_equal(actual.numbers, expected.numbers)
        np.testing.assert_array_equal(actual.similarities, expected.similarities)
        np.testing.assert_allclose(actual.weights, expected.weights, rtol=1e-12)
        if expected.output is None:
            assert actual.output is None
        else:
            np.testing.assert_allclose(actual.output, expected.output, atol=1e-14)


def test_a_sweep_with_a_bias_holds_one_temperature_at_a_time():
    keys = np.random.default_rng(5).standard_normal((20_000, 2)).astype(np.float32)
    view = Memory("dot").publish(add=Rows(np.arange(len(keys)), keys))
    question = Question(np.ones(2), 1.0, top_k=3, bias=Bias.of(view, [0], [1.0]))
    temperatures = np.linspace(0.1, 2, 300).tolist()
    sweep(view, question, temperatures[:2])
    tracemalloc.start()
    try:
        swept = sweep(view, question, temperatures)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert swept.weights.shape == (300, 3)
    assert peak < 40 * keys.shape[0] * 8


@pytest.mark.parametrize(("temperature", "addend"), [(1.0, 0.0), (1.0, 1e18), (1e15, 3.0), (1e15, -1e25), (0, 1e18)])
def test_beside_any_addend_a_document_shows_its_most_similar_key(temperature, addend):
    keys = np.array([[0.0, 1.0], [0.6, 0.8], [1.0, 0.0], [0.8, 0.6]])
    view = Memory("cosine").publish(add=Rows(np.arange(4), keys, owners=np.array([0, 0, 0, 3])))
    bias = Bias.of(view, [0, 3], [addend, addend])
    (answer,) = exact_answers(view, [Question(np.array([1.0, 0.0]), temperature, bias=bias)])
    shown = dict(
        zip(answer.numbers.tolist(), zip(answer.parts.tolist(), answer.similarities, strict=True), strict=True)
    )
    assert shown[0] == (2, 1.0)
    assert answer.best_similarity == 1.0 or addend
