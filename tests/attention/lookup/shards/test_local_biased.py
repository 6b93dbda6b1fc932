"""Rows compared by logits: scanned logits lie within their errors of the true ones for any bias."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from softkv_attention.lookup import Bias, Limits, Memory, Question, Rows, ScanWidth, answers
from softkv_attention.lookup.exact import exact_answers
from softkv_attention.lookup.quantised import quantised_answers

N = 6007
RANDOM = np.random.default_rng(7)
WORDS = np.where(RANDOM.random(N) < 0.05, RANDOM.exponential(3.0, N), 0.0)
KINDS = {
    "words": WORDS,
    "priors": RANDOM.normal(size=N) * 2,
    "age": -np.linspace(0, 30, N),
    "soft filter": np.where(RANDOM.random(N) < 0.7, -50.0, 0.0),
    "far": RANDOM.normal(size=N) - 1e4,
}
LIMITS = Limits(max_tile_rows=1024, scan_widths=(ScanWidth(64, 128),))


def test_a_question_in_logits_is_one_at_temperature_1():
    question = Question(np.ones(3), 0.5, null=0.25, top_k=7).in_logits(100)
    assert (question.temperature, question.null, question.bias, question.top_k) == (1.0, 0.5, None, 7)
    assert Question(np.ones(3), 0.5, null=0.25).in_logits(100, 0.25).null == 0


@pytest.fixture
def in_pieces(in_pieces):
    """In small tiles, with short lists."""
    return partial(in_pieces, limits=LIMITS)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("temperature", [1e-3, 0.05, 1.0, 100.0])
@pytest.mark.parametrize("similarity", ["cosine", "dot", "scaled_dot"])
def test_every_bound_holds(running, clusters, in_pieces, agrees, similarity, temperature, kind):
    keys, values, queries = clusters
    view = in_pieces(similarity, keys, values)
    width = keys.shape[1]
    scale = {"cosine": 1, "dot": width, "scaled_dot": np.sqrt(width)}[similarity]
    bias = Bias.of(view, np.arange(N), KINDS[kind])
    for count in (1, 19):
        questions = [Question(query, temperature * scale, null=0.5 * scale, bias=bias) for query in queries[:count]]
        answers = quantised_answers(view, questions)
        assert all(answers)
        for question, answer in list(zip(questions, answers, strict=True))[:2]:
            agrees(view, question, answer)


def test_addends_too_large_for_float32_are_added_in_float64(running, clusters, in_pieces):
    keys, values, queries = clusters
    view = in_pieces("cosine", keys, values)
    huge = Bias.of(view, [5], [1e31])
    questions = [Question(queries[0], 0.05, bias=huge), Question(queries[0], np.inf, bias=Bias.of(view, [5], [1.0]))]
    assert quantised_answers(view, questions) == [None, None]
    # Rows that a bias has made equal are ordered by similarity, which is too small a part of the logit.
    level = Bias.of(view, np.arange(N), KINDS["soft filter"])
    assert quantised_answers(view, [Question(queries[0], 1e6, bias=level)]) == [None]
    best = answers(view, questions)[0]
    assert (best.numbers[0], best.weights[0], best.certificate.method) == (5, 1.0, "exact")


def test_beside_a_large_addend_a_document_shows_its_most_similar_key(running, clusters):
    keys, _, queries = clusters
    view = Memory("cosine", limits=LIMITS).publish(add=Rows(np.arange(N), keys, owners=np.arange(N) // 3 * 3))
    question = Question(queries[0], 1.0, top_k=1, bias=Bias.of(view, [300], [1e18]))
    (answer,) = quantised_answers(view, [question])
    own_slice = keys[300:303] @ queries[0] / np.linalg.norm(keys[300:303], axis=1) / np.linalg.norm(queries[0])
    assert (answer.numbers[0], answer.parts[0]) == (300, 300 + own_slice.argmax())
    assert answer.similarities[0] == pytest.approx(own_slice.max())


def test_a_document_is_absent_if_the_mask_or_an_infinite_bias_excludes_it(running, clusters, in_pieces):
    keys, values, queries = clusters
    view = in_pieces("cosine", keys, values)
    mask = view.mask(np.arange(1500, N))
    biases = [None, Bias.of(view, [1600], [5.0]), Bias.of(view, [3000, 3001], [5.0, -np.inf])]
    temperatures = (0.05, 1.0)
    questions = [
        Question(query, temperature, mask=mask, bias=bias, top_k=N)
        for query in queries[:3]
        for temperature in temperatures
        for bias in biases
    ]
    for question, answer in zip(questions, answers(view, questions), strict=True):
        excluded = question.bias is biases[2]
        allowed = view.mask(np.setdiff1d(np.arange(1500, N), [3001] if excluded else []))
        bias = Bias.of(view, [3000], [5.0]) if excluded else question.bias
        (exact,) = exact_answers(view, [replace(question, mask=allowed, bias=bias)])
        np.testing.assert_array_equal(answer.numbers, exact.numbers)
        bound = answer.certificate.total_variation + exact.certificate.total_variation
        assert np.abs(answer.weights - exact.weights).max() <= bound
        assert (3001 in answer.numbers, answer.documents) == (not excluded, N - 1500 - excluded)
