"""The exact path over few rows: its weights are a softmax, and masks and ties have their places."""

from __future__ import annotations

import numpy as np
import pytest

from softkv_attention.lookup import Background, Limits, Memory, Question, Rows, answers, sweep, weights_of
from softkv_attention.lookup.few_rows import FewRows
from tests.thorough import crossed

PRODUCTS = ["cosine", "dot", "scaled_dot"]
LIMITS = Limits(block_rows=64)


def memory_of(similarity, count, width, limits=Limits()):
    random = np.random.default_rng([count, width])
    memory, keys = Memory(similarity, limits=limits), random.standard_normal((count, width)).astype(np.float32)
    values = random.standard_normal((count, 3)).astype(np.float32)
    keys[5::9] = keys[0]
    memory.publish(add=Rows(10 + np.arange(count), keys, values))
    return memory, keys, values, random.standard_normal((4, width))


@pytest.mark.usefixtures("either")
@crossed(
    {
        "similarity": PRODUCTS,
        "count": [1, 2, 63, 64, 65, 300],
        "width": [1, 3, 8, 33],
        "temperature": [1e-9, 0.05, 1.0, 30.0, np.inf],
        "null": [None, 0.4, Background(0.0, 0.2)],
    }
)
def test_weights_are_the_softmax_of_the_definition(oracle, similarity, count, width, temperature, null):
    memory, keys, values, queries = memory_of(similarity, count, width, LIMITS)
    questions = [Question(query, temperature, null, top_k=count) for query in queries]
    assert FewRows.of(memory.view, None) is not None
    for question, result in zip(questions, answers(memory.view, questions), strict=True):
        assert result.certificate.method == "exact"
        key = question.null_key(temperature, count)
        similarities = oracle(similarity, question.vector, keys)
        logits = (similarities - similarities.max()) / temperature
        last = -np.inf if key is None else key.logit(float(similarities.max()), temperature)
        masses = np.exp(np.append(logits, last) - max(last, 0.0))
        weights = masses / masses.sum()
        order = result.numbers - 10
        error = result.certificate.total_variation + 1e-14
        assert np.abs(result.weights - weights[order]).sum() / 2 <= error
        assert result.null_weight == pytest.approx(weights[-1], abs=error)
        assert result.weights.sum() + result.null_weight == pytest.approx(1, abs=1e-14)
        np.testing.assert_allclose(result.similarities, similarities[order], rtol=1e-12, atol=1e-13)
        assert (np.diff(result.similarities) <= 0).all()
        output = weights[:-1] @ values.astype(np.float64)
        assert np.linalg.norm(result.output - output) <= result.certificate.output_error + 1e-14


@pytest.mark.usefixtures("either")
@pytest.mark.parametrize("top_k", [0, 1, 5, 12, 13, 500])
def test_ties_with_the_last_document_are_listed_in_the_order_of_their_numbers(top_k):
    memory, keys, _, _ = memory_of("cosine", 100, 6)
    (result,) = answers(memory.view, [Question(keys[0], 0.1, top_k=top_k)])
    copies = [10, *range(15, 110, 9)]
    assert result.matches == min(top_k, 100)
    assert result.numbers[: len(copies)].tolist() == (copies if top_k else [])
    assert len(result.numbers) == (0 if not top_k else max(len(copies), min(top_k, 100)))
    assert result.heaviest == pytest.approx(weights_of(memory.view, Question(keys[0], 0.1)).weights.max())


@pytest.mark.usefixtures("either")
def test_a_question_has_the_same_digits_alone_among_others_and_in_a_sweep():
    memory, _, _, queries = memory_of("cosine", 700, 40, LIMITS)
    vectors = np.concatenate([queries, -queries, queries + 1, [queries[0]]])
    mask = memory.view.mask(np.arange(10, 500))
    questions = [Question(vector, 0.1 + index, 0.2, mask, top_p=0.5) for index, vector in enumerate(vectors)]
    for question, among in zip(questions, answers(memory.view, questions), strict=True):
        (alone,) = answers(memory.view, [question])
        np.testing.assert_array_equal(among.numbers, alone.numbers)
        np.testing.assert_array_equal(among.weights, alone.weights)
        assert among.evidence == alone.evidence
    swept = sweep(memory.view, Question(vectors[0], 1.0, 0.2, mask), [0.1])
    assert swept.evidence[0] == answers(memory.view, questions[:1])[0].evidence


@pytest.mark.usefixtures("either")
@pytest.mark.parametrize("similarity", PRODUCTS)
def test_a_masked_document_is_as_good_as_a_removed_one(similarity):
    memory, _, _, queries = memory_of(similarity, 300, 17, LIMITS)
    view, kept = memory.view, np.arange(300) % 3 > 0
    removed = memory.publish(remove=10 + np.flatnonzero(~kept))
    questions = [Question(query, 0.2, 0.5) for query in queries]
    masked = [Question(query, 0.2, 0.5, view.mask(kept)) for query in queries]
    for alone, among in zip(answers(removed, questions), answers(view, masked), strict=True):
        np.testing.assert_array_equal(among.numbers, alone.numbers)
        np.testing.assert_allclose(among.weights, alone.weights, rtol=1e-12)
        np.testing.assert_allclose(among.output, alone.output, rtol=1e-12, atol=1e-14)
        assert among.null_weight == pytest.approx(alone.null_weight, rel=1e-12)
        assert among.documents == alone.documents == 200
