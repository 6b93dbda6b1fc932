"""The parts of an answer: the head with its ties, its logits, the evidence, and their sum."""

from __future__ import annotations

import numpy as np
import pytest

from softkv_attention.kernels import HEAVIEST
from softkv_attention.lookup import Auto, Limits, Memory, Question, answer, answers, sweep


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
