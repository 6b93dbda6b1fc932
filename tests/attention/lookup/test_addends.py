"""Addends on listed documents: the answer that follows is the one that a scan with these addends gives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from softkv_attention.lookup import Bias, Limits, Memory, Question, add_to_head, answer, before_addends
from softkv_attention.lookup.addends import MAX_ERROR

WIDTH = 16
SCANNED = Limits(exact_max_components=-1)
RANDOM = np.random.default_rng(5)
KEYS = RANDOM.standard_normal((40_000, WIDTH), dtype=np.float32)


def settled(memory: Memory, question: Question, depth: int, addends: np.ndarray):
    """The answer by `add_to_head`, the one with a bias, and the documents that have the addends."""
    view = memory.view
    listed = before_addends(question, view.facts, depth)
    assert listed is not None
    before = answer(view, listed)
    documents = before.numbers[: len(addends)]
    order = np.argsort(documents)
    after = add_to_head(before, question, view.facts, documents[order], addends[order])
    biased = answer(view, replace(question, bias=Bias.of(view, documents[order], addends[order])))
    return after, biased, documents


def float64_weights(question: Question, keys: np.ndarray, documents: np.ndarray, addends: np.ndarray):
    """The softmax of cosine / temperature + addends in float64, and the weight of the null key."""
    cosines = keys.astype(np.float64) @ question.vector
    cosines /= np.linalg.norm(keys.astype(np.float64), axis=1) * np.linalg.norm(question.vector)
    logits = cosines / question.temperature
    logits[documents] += addends
    logits = np.append(logits, -np.inf if question.null is None else question.null / question.temperature)
    masses = np.exp(logits - logits.max())
    return masses[:-1] / masses.sum(), masses[-1] / masses.sum()


@given(
    rows=st.sampled_from([1, 3, 60, 500]),
    depth=st.sampled_from([1, 10, 50]),
    addends=st.lists(st.floats(-12, 12), min_size=1, max_size=50),
    temperature=st.sampled_from([0.02, 0.05, 1.0]),
    null=st.sampled_from([None, 0.3, 0.9]),
    top_k=st.sampled_from([0, 1, 10]),
)
def test_the_answer_is_that_of_a_bias_in_float64(rows, depth, addends, temperature, null, top_k):
    memory = Memory.of(KEYS[:rows], similarity="cosine")
    question = Question(KEYS[7].astype(np.float64), temperature, null=null, top_k=top_k, output=False)
    after, biased, _ = settled(memory, question, depth, np.array(addends[: min(depth, rows)]))
    if after is None:  # the null key has all the weight
        assert biased.null_weight > 1 - 1e-5
        return
    assert after.numbers.tolist() == biased.numbers.tolist()
    assert (after.matches, after.complete, after.documents) == (biased.matches, biased.complete, biased.documents)
    for name in ("weights", "logits", "similarities"):
        np.testing.assert_allclose(getattr(after, name), getattr(biased, name), rtol=1e-11, atol=1e-14)
    for name in ("null_weight", "log_partition", "entropy", "heaviest", "best_similarity"):
        assert getattr(after, name) == pytest.approx(getattr(biased, name), rel=1e-10, abs=1e-12)
    assert after.verdict.stands == biased.verdict.stands
    assert (after.heavy_rows is None) == (biased.heavy_rows is None)
    assert after.certificate.total_variation <= MAX_ERROR


@pytest.mark.parametrize("top_p", [None, 0.5])
@pytest.mark.parametrize("temperature", [0.05, 0.2])
@pytest.mark.parametrize("shift", [-3.0, 0.0, 4.0])
def test_the_certificate_of_a_scan_holds_with_addends(temperature, shift, top_p):
    memory = Memory.of(KEYS, similarity="cosine", limits=SCANNED)
    question = Question(
        RANDOM.standard_normal(WIDTH), temperature, null=0.8, top_k=None if top_p else 5, top_p=top_p, output=False
    )
    addends = shift + RANDOM.standard_normal(20)
    after, biased, documents = settled(memory, question, 20, addends)
    assert after is not None
    weights, null_weight = float64_weights(question, KEYS, documents, addends)
    listed = after.weights
    rest = weights.sum() - weights[after.numbers].sum()
    variation = np.abs(listed - weights[after.numbers]).sum() + abs(after.null_weight - null_weight)
    variation += abs(1 - after.null_weight - listed.sum() - rest)
    assert variation / 2 <= after.certificate.total_variation
    assert after.numbers.tolist() == biased.numbers.tolist()
    assert after.certificate.method == biased.certificate.method == "quantised"
    assert after.entropy == pytest.approx(biased.entropy, abs=1e-3)


def test_a_sum_that_loses_nearly_all_its_mass_is_scanned_again():
    memory = Memory.of(KEYS[:1000], similarity="cosine")
    question = Question(KEYS[7].astype(np.float64), 0.02, top_k=3, output=False)
    after, biased, _ = settled(memory, question, 50, np.full(50, -60.0))
    assert after is None
    assert biased.certificate.total_variation < 1e-9


@pytest.mark.parametrize(
    "options",
    [
        {"output": True},
        {"temperature": 0.0},
        {"temperature": np.inf},
        {"normaliser": "sparsemax"},
        {"max_error": 1e-9},
        {"weigh_all": True},
    ],
)
def test_other_questions_need_a_bias(options):
    facts = Memory.of(KEYS[:10], similarity="cosine").view.facts
    question = Question(**{"query": KEYS[7], "temperature": 0.05, "output": False} | options)
    assert before_addends(question, facts, 10) is None


def test_documents_with_several_keys_need_a_bias():
    facts = Memory.of(KEYS[:4], similarity="cosine", owners=np.array([0, 0, 2, 3])).view.facts
    assert before_addends(Question(KEYS[7], 0.05, output=False), facts, 10) is None
