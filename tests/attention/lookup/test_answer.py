"""The parts of an answer: the head with its ties, its logits, the evidence, and their sum."""

from __future__ import annotations

import numpy as np
import pytest

from attention.kernels import HEAVIEST
from attention.lookup import Auto, Certificate, Evidence, Limits, Memory, Question, answer, answers, sweep
from attention.lookup.answer import build_answer, build_sweep, select_head


@pytest.mark.parametrize("temperature", [0.05, 1.0, 100.0])
def test_evidence_is_that_of_the_definition(data, filled, oracle, temperature):
    keys, values, queries = data
    result = answer(filled("cosine", keys, values), Question(queries[0], temperature, null=0.6))
    logits = oracle("cosine", queries[0], keys.astype(np.float32)) / temperature
    assert result.log_partition == pytest.approx(np.logaddexp.reduce([*logits, 0.6 / temperature]), abs=1e-10)
    weights = np.exp(logits - np.logaddexp.reduce(logits))
    assert result.entropy == pytest.approx(-(weights * np.log(weights)).sum(), abs=1e-10)
    assert result.effective_documents == pytest.approx(np.exp(result.entropy))
    np.testing.assert_allclose(result.logits, result.similarities / temperature)


def test_the_head_holds_every_tie_of_its_last_row(filled):
    view = filled("dot", [[1.0], [3.0], [2.0], [2.0], [2.0], [1.0]])
    result = answer(view, Question(np.ones(1), 1.0, top_k=2))
    assert list(result.numbers) == [101, 102, 103, 104]
    assert result.matches == 2
    assert answer(view, Question(np.ones(1), 1.0, top_k=0)).numbers.size == 0
    assert len(answer(view, Question(np.ones(1), 1.0, top_k=10_000)).numbers) == 6


def test_at_temperature_0_a_null_key_that_ties_shares(filled):
    view = filled("dot", [[1.0], [2.0], [2.0]])
    tied, above = (answer(view, Question(np.ones(1), 0, null=null)) for null in (2.0, 2.5))
    assert (tied.null_weight, list(tied.weights), tied.verdict.stands) == (1 / 3, [1 / 3, 1 / 3, 0], "several")
    assert list(tied.logits) == [0, 0, -np.inf]
    assert tied.log_partition == pytest.approx(np.log(3))
    assert (above.null_weight, list(above.weights), above.log_partition) == (1, [0, 0, 0], 0)
    assert list(above.logits) == [-np.inf] * 3
    np.testing.assert_array_equal(above.output, [0.0])


SIMILARITIES = np.array([0.25, 0.75, -0.5, 0.75, 0.5])
WEIGHTS = np.array([0.1, 0.3, 0.05, 0.3, 0.15])


def numbers(positions):
    return np.asarray(positions) * 7 + 100


def made(top_k, *, top_p=None, temperature=0.5, null=None, elsewhere=0.0):
    evidence = Evidence(temperature, 0.0, null, 0.0, 1.0, 5.0)
    question = Question(np.ones(2), temperature, top_k=top_k, top_p=top_p)
    certificate = Certificate("exact", 1e-15, None)
    head = select_head(question, numbers, SIMILARITIES, WEIGHTS, evidence, unlisted_weight=elsewhere)
    return build_answer(head, certificate, documents=9, keys=9, output=None)


def test_an_answer_is_about_the_best_of_the_known_rows_in_one_order():
    for top_k, positions in ((0, []), (1, [1, 3]), (2, [1, 3]), (3, [1, 3, 4]), (99, [1, 3, 4, 0, 2])):
        result = made(top_k)
        np.testing.assert_array_equal(result.numbers, numbers(positions))
        np.testing.assert_array_equal(result.similarities, SIMILARITIES[positions])
        np.testing.assert_array_equal(result.weights, WEIGHTS[positions])
        np.testing.assert_array_equal(result.logits, SIMILARITIES[positions] / 0.5)
        assert (result.matches, result.complete) == (min(top_k, 5), True)
        assert (result.best_similarity, result.documents, result.output) == (0.75, 9, None)


def test_weight_outside_the_head_counts_towards_top_p():
    assert (made(5, top_p=0.6).matches, made(5, top_p=0.6).complete) == (2, True)
    assert (made(5, top_p=0.6, elsewhere=0.1).matches, made(5, top_p=0.95, elsewhere=0.1).complete) == (2, False)


@pytest.mark.parametrize("null", [None, 0.7, 0.75, 0.8])
def test_at_temperature_0_only_the_winner_has_a_logit(null):
    wins = 0.0 if null is None or null <= 0.75 else -np.inf
    np.testing.assert_array_equal(made(5, temperature=0, null=null).logits, [wins, wins] + [-np.inf] * 3)
    np.testing.assert_array_equal(made(5, temperature=np.inf, null=null).logits, np.zeros(5))


def test_an_answer_tells_its_evidence_s_numbers_as_its_own():
    result = made(2)
    assert (result.temperature, result.null_weight, result.log_partition) == (0.5, 0.0, 0.0)
    assert (result.entropy, result.effective_documents) == (1.0, 5.0)


def test_a_sweep_has_one_head_and_the_weights_of_each_temperature():
    question, evidence = Question(np.ones(2), 1.0, top_k=1), made(1).evidence
    certificates = [Certificate("exact", bound, None) for bound in (0.1, 0.2)]
    both = zip((WEIGHTS, 2 * WEIGHTS), (evidence, evidence), certificates, (None, None), strict=True)
    result = build_sweep(question, numbers, SIMILARITIES, both, documents=9)
    np.testing.assert_array_equal(result.numbers, numbers([1, 3]))
    np.testing.assert_array_equal(result.weights, [[0.3, 0.3], [0.6, 0.6]])
    assert (result.matches, result.best_similarity, result.documents) == (1, 0.75, 9)
    assert result.certificates == tuple(certificates)
    nothing = build_sweep(
        question, numbers, np.empty(0), [(np.empty(0), evidence, certificates[0], None)] * 3, documents=0
    )
    assert nothing.weights.shape == (3, 0)
    assert nothing.best_similarity is None


@pytest.mark.parametrize("keys_each", [1, 2])
@pytest.mark.parametrize("limits", [Limits(), Limits(exact_max_components=0)], ids=["exact", "scanned"])
def test_the_rows_that_share_the_weight_do_not_depend_on_the_matches(as_one, limits, keys_each):
    random = np.random.default_rng(2)
    keys = random.standard_normal((2400, 24))
    copies = np.arange(900, 1000)
    keys[copies] = keys[900] + 0.05 * random.standard_normal((100, 24))
    view = Memory.of(keys, owners=np.arange(2400) // keys_each * keys_each, limits=limits).view
    questions = [
        Question(keys[900], temperature, **{"null": 0.4, "top_k": top_k, "output": False} | options)
        for temperature, top_k, options in (
            (0.05, 0, {}),
            (0.05, 10, {}),
            (0.05, 1, {"top_p": 0.1}),
            (Auto(90), 1, {}),
            (0, 1, {}),
            (100, 1, {}),
            (0.05, 1, {"null": 2}),
        )
    ]
    swept = sweep(view, questions[0], [0.05, 100]).heavy_rows
    for results in (answers(view, questions), answers(as_one([view]), questions)):
        *shared, cold, hot, none = (result.heavy_rows for result in results)
        for rows in (*shared, swept[0]):
            assert set(copies) <= set(rows.numbers)
            assert len(rows.numbers) == HEAVIEST
            np.testing.assert_array_equal(rows.documents, rows.numbers // keys_each * keys_each)
            assert (np.diff(rows.weights) <= 0).all()
            assert rows.weights.sum() > 0.5
        assert (cold, hot, none, swept[1]) == (None,) * 4
