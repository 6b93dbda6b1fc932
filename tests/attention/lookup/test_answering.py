"""The answers of the lookup against a plain float64 definition, and the properties that hold of all of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attention.errors import ParameterError, ShapeError
from attention.lookup import Memory, Question, Rows, answer, answers

SIMILARITIES = ["cosine", "dot", "scaled_dot", "gaussian"]
N, D, D_V = 1009, 13, 7


@pytest.fixture(scope="module")
def data():
    random = np.random.default_rng(5)
    return random.standard_normal((N, D)), random.standard_normal((N, D_V)), random.standard_normal((5, D))


@pytest.mark.parametrize("null", [None, 0.6, -100.0, 100.0])
@pytest.mark.parametrize("temperature", [0, 1e-30, 1e-3, 0.05, 1.0, 1e6, np.inf])
@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_equals_the_definition(data, filled, oracle, oracle_weights, similarity, temperature, null):
    keys, values, queries = data
    view = filled(similarity, keys, values)
    asked = [Question(query, temperature, null=null, top_k=N) for query in queries]
    for query, found in zip(queries, answers(view, asked), strict=True):
        s = oracle(similarity, query, keys.astype(np.float32))
        weights, null_weight = oracle_weights(s, temperature, null)
        places = found.numbers - 100
        assert sorted(places) == list(range(N))
        np.testing.assert_allclose(found.similarities, s[places], rtol=1e-12, atol=1e-13)
        distance = (np.abs(found.weights - weights[places]).sum() + abs(found.null_weight - null_weight)) / 2
        assert distance <= found.certificate.total_variation + 1e-15
        assert found.certificate.total_variation < 1e-9
        exact = weights @ values.astype(np.float32).astype(np.float64)
        assert np.linalg.norm(found.output - exact) <= found.certificate.output_error
        assert found.weights.sum() + found.null_weight == pytest.approx(1, abs=1e-12)
        level = -np.inf if null is None else null
        assert found.evidence.answered == (s.max() > level if temperature == 0 else null_weight < 0.5)
        assert found.best_similarity == pytest.approx(s.max())
        assert (np.diff(found.similarities) <= 0).all()
        assert found.documents == N
        assert found.complete


@pytest.mark.parametrize("temperature", [0.05, 1.0, 100.0])
def test_evidence_is_that_of_the_definition(data, filled, oracle, temperature):
    keys, values, queries = data
    found = answer(filled("cosine", keys, values), Question(queries[0], temperature, null=0.6))
    logits = oracle("cosine", queries[0], keys.astype(np.float32)) / temperature
    assert found.log_partition == pytest.approx(np.logaddexp.reduce([*logits, 0.6 / temperature]), abs=1e-10)
    weights = np.exp(logits - np.logaddexp.reduce(logits))
    assert found.entropy == pytest.approx(-(weights * np.log(weights)).sum(), abs=1e-10)
    assert found.effective_documents == pytest.approx(np.exp(found.entropy))
    np.testing.assert_allclose(found.logits, found.similarities / temperature)


def test_entropy_survives_a_null_that_has_all_the_weight(filled):
    found = answer(filled("dot", np.eye(3)), Question(np.zeros(3), 1e-3, null=5.0))
    assert found.null_weight == 1
    assert found.effective_documents == pytest.approx(3)
    assert not found.evidence.answered


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
        assert found.documents == (300 if question.mask else N)


def test_the_values_are_the_keys_where_none_are_given(data, filled):
    keys, _, queries = data
    found = answer(filled("dot", keys), Question(queries[0], np.inf))
    np.testing.assert_allclose(found.output, keys.astype(np.float32).astype(np.float64).mean(axis=0), atol=1e-14)


@settings(deadline=None)
@given(
    shape=st.tuples(st.integers(1, 70), st.integers(1, 40)),
    seed=st.integers(0, 2**32 - 1),
    similarity=st.sampled_from(SIMILARITIES),
)
def test_copies_of_a_vector_tie_wherever_they_stand(shape, seed, similarity):
    random = np.random.default_rng(seed)
    keys = random.standard_normal(shape).astype(np.float32)[random.integers(0, shape[0], size=701)]
    memory = Memory(similarity)
    for first in range(0, 701, 233):
        memory.publish(add=Rows(np.arange(first, min(first + 233, 701)), keys[first : first + 233]))
    query = random.standard_normal(shape[1])
    found = answer(memory.view, Question(query, 0, top_k=1))
    copies = np.flatnonzero((keys == keys[found.numbers[0]]).all(axis=1))
    assert set(copies) <= set(found.numbers)
    assert found.weights.sum() == pytest.approx(1)
    assert len(set(found.weights)) == 1


def test_the_head_holds_every_tie_of_its_last_row(filled):
    view = filled("dot", [[1.0], [3.0], [2.0], [2.0], [2.0], [1.0]])
    found = answer(view, Question(np.ones(1), 1.0, top_k=2))
    assert list(found.numbers) == [101, 102, 103, 104]
    assert found.matches == 2
    assert answer(view, Question(np.ones(1), 1.0, top_k=0)).numbers.size == 0
    assert len(answer(view, Question(np.ones(1), 1.0, top_k=10_000)).numbers) == 6


def test_at_temperature_0_a_null_key_that_ties_shares(filled):
    view = filled("dot", [[1.0], [2.0], [2.0]])
    tied, above = (answer(view, Question(np.ones(1), 0, null=null)) for null in (2.0, 2.5))
    assert (tied.null_weight, list(tied.weights), tied.evidence.answered) == (1 / 3, [1 / 3, 1 / 3, 0], False)
    assert list(tied.logits) == [0, 0, -np.inf]
    assert tied.log_partition == pytest.approx(np.log(3))
    assert (above.null_weight, list(above.weights), above.log_partition) == (1, [0, 0, 0], 0)
    assert list(above.logits) == [-np.inf] * 3
    np.testing.assert_array_equal(above.output, [0.0])


def test_one_hot_is_temperature_0_at_any_temperature(data, filled):
    keys, values, queries = data
    view = filled("cosine", keys, values)
    cold = answer(view, Question(queries[0], 0))
    found = answer(view, Question(queries[0], 0.7, normaliser="one_hot"))
    np.testing.assert_array_equal(found.weights, cold.weights)
    np.testing.assert_array_equal(found.output, cold.output)
    assert found.log_partition is None
    np.testing.assert_allclose(found.logits, found.similarities / 0.7)


@pytest.mark.parametrize("null", [None, 0.7])
@pytest.mark.parametrize("temperature", [1e-20, 1e-3, 0.05, 1.0, np.inf])
@pytest.mark.parametrize("normaliser", ["sparsemax", "entmax15"])
def test_sparse_normalisers_solve_for_their_threshold(data, filled, oracle, normaliser, temperature, null):
    """Σ max(z − τ, 0)^power = 1 has one root τ: found here by halving."""
    keys, values, queries = data
    s = oracle("cosine", queries[2], keys.astype(np.float32))
    power = 1 if normaliser == "sparsemax" else 2
    logits = (np.append(s, [] if null is None else [null]) - max(s.max(), null or -9)) / temperature / power
    low, high = -1.0, 0.0
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if (np.maximum(logits - middle, 0) ** power).sum() > 1 else (low, middle)
    weights = np.maximum(logits - low, 0) ** power
    found = answer(filled("cosine", keys, values), Question(queries[2], temperature, null, None, normaliser, N))
    places = found.numbers - 100
    np.testing.assert_allclose(found.weights, weights[places], atol=1e-9)
    assert np.abs(found.weights - weights[places]).sum() / 2 <= found.certificate.total_variation + 1e-12
    assert found.null_weight == pytest.approx(0 if null is None else weights[-1], abs=1e-9)
    assert found.log_partition is None
    held = weights[: len(s)][weights[: len(s)] > 0]
    if len(held):
        held = held / held.sum()
        assert found.effective_documents == pytest.approx(np.exp(-(held * np.log(held)).sum()), abs=1e-6)
    np.testing.assert_allclose(found.output, weights[: len(s)] @ values.astype(np.float32), atol=1e-8)


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
    kept = np.flatnonzero(np.arange(N) % 3)
    memory = Memory("cosine")
    whole = memory.publish(add=Rows(np.arange(N), keys, values))
    masked = answer(whole, Question(queries[1], 0.05, null=0.4, mask=whole.mask(kept)))
    fewer = memory.publish(remove=np.flatnonzero(np.arange(N) % 3 == 0))
    deleted = answer(fewer, Question(queries[1], 0.05, null=0.4))
    np.testing.assert_array_equal(masked.numbers, deleted.numbers)
    np.testing.assert_array_equal(masked.weights, deleted.weights)
    np.testing.assert_allclose(masked.output, deleted.output, atol=1e-14)
    assert masked.documents == deleted.documents == fewer.n == whole.mask(kept).n == len(kept)


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_extreme_vectors_stay_finite(filled, similarity):
    keys = np.array([[1e-45, 0], [3e38, 3e38], [-3e38, 1e-45]])
    for temperature in (0, 1e-30, 1.0, np.inf):
        found = answer(filled(similarity, keys), Question(np.array([3e38, 1e-45]), temperature, null=0.5))
        assert np.isfinite(found.weights).all()
        assert np.isfinite(found.output).all()
        assert found.weights.sum() + found.null_weight == pytest.approx(1)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"temperature": -1.0}, "from 1e-30 to infinity"),
        ({"temperature": np.nan}, "from 1e-30 to infinity"),
        ({"temperature": 1e-31}, "0 is the limit"),
        ({"null": np.inf}, "finite similarity"),
        ({"normaliser": "argmax"}, "must be one of"),
        ({"top_k": -1}, "top_k"),
        ({"top_p": 0.0}, "top_p"),
        ({"top_p": 1.1}, "top_p"),
        ({"max_error": 0.0}, "max_error"),
        ({"query": np.array([np.nan])}, "finite"),
    ],
)
def test_bad_questions_are_refused(arguments, said):
    with pytest.raises(ParameterError, match=said):
        Question(**{"query": np.ones(3), "temperature": 1.0, **arguments})


def test_questions_that_do_not_fit_the_view_are_refused(filled):
    view = filled("cosine", np.eye(3))
    with pytest.raises(ShapeError, match="query has width 4, the keys have width 3"):
        answer(view, Question(np.ones(4), 1.0))
    with pytest.raises(ShapeError, match="one vector"):
        Question(np.ones((2, 3)), 1.0)
    with pytest.raises(ParameterError, match="zero vector"):
        answer(view, Question(np.zeros(3), 1.0))
    with pytest.raises(ParameterError, match="another view"):
        answer(view, Question(np.ones(3), 1.0, mask=filled("cosine", np.eye(3)).mask(np.array([100]))))
