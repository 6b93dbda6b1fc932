"""Rows compared by logits: scanned logits lie within their errors of the true ones for any bias."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from attention.lookup import Background, Bias, Limits, Memory, Question, Rows, ScanWidth, answers
from attention.lookup.exact import exact_answers
from attention.lookup.quantised import quantised_answers
from attention.lookup.shards.local import BiasedShard
from attention.lookup.shards.scan_result import ScanRequest
from tests.attention.lookup.inspection import similarities_seen

KS = [10, 10, 10]
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


@pytest.mark.parametrize("level", [0.0, -1e3, 1e6])
@pytest.mark.parametrize("temperature", [1e-3, 0.05, 1.0, 1e5])
@pytest.mark.parametrize("similarity", ["cosine", "dot", "scaled_dot"])
def test_scanned_logits_lie_within_their_errors(running, clusters, in_pieces, oracle, similarity, temperature, level):
    keys, values, queries = clusters
    keys, values, vectors = keys[:3000], values[:3000], np.array(queries[:3])
    view = in_pieces(similarity, keys, values)
    addends = level + np.random.default_rng(1).standard_normal(3000) * 3
    part = BiasedShard(view, None, Bias.of(view, np.arange(3000), addends), temperature)
    assert all(part.fits(query) for query in vectors)
    gathered = part.gather(ScanRequest(vectors, KS, listed=128, max_lookups=30, temperatures=np.ones(3)))
    for query, vector in enumerate(vectors):
        true = oracle(similarity, vector, keys) / temperature + addends
        own_slice = slice(gathered.starts[query], gathered.starts[query + 1])
        positions, scanned = gathered.rows[own_slice], gathered.similarities[own_slice]
        numbers = part.numbers(positions)
        assert (np.abs(scanned - true[numbers]) <= gathered.errors[query, 0]).all()
        rest = np.delete(true, numbers)
        assert rest.max() <= gathered.thresholds[query] + gathered.errors[query, 0]
        exact_similarities = gathered.exact_similarities(query)
        slack = part.slack(vector)
        assert all(
            abs(z - t) <= 2 * slack.at(z)
            for z, t in zip(exact_similarities, true[numbers[: len(exact_similarities)]], strict=True)
        )
        best = float(true.max())
        mass = float(np.exp(gathered.levels[query] - best) * gathered.sums[query, 0])
        width = min(gathered.errors[query, 0], 100.0)  # beyond which nothing is said
        summed = float(np.exp(rest - best).sum())
        assert summed * np.exp(-width) * (1 - 1e-5) - 1e-35 <= mass <= summed * np.exp(width) * (1 + 1e-5) + 1e-35


def test_a_question_in_logits_is_one_at_temperature_1():
    question = Question(np.ones(3), 0.5, null=0.25, top_k=7).in_logits(100)
    assert (question.temperature, question.null, question.bias, question.top_k) == (1.0, 0.5, None, 7)
    assert Question(np.ones(3), 0.5, null=0.25).in_logits(100, 0.25).null == 0


@pytest.fixture
def in_pieces(in_pieces):
    """In small tiles, with short lists."""
    return partial(in_pieces, limits=LIMITS)


def softmax_with(logits, null):
    """Return (weights, null weight) in float64."""
    everything = np.append(logits, -np.inf if null is None else null)
    masses = np.exp(everything - everything.max())
    return masses[:-1] / masses.sum(), masses[-1] / masses.sum()


def held(view, question, result, seen, values):
    """Compare one answer with float64: its head, and total variation and output with its certificate."""
    exact, everything = exact_answers(view, [question, replace(question, top_k=view.n)])
    np.testing.assert_array_equal(result.numbers, exact.numbers)
    np.testing.assert_array_equal(result.similarities, exact.similarities)
    np.testing.assert_allclose(result.logits, exact.logits, rtol=1e-12, atol=1e-9)
    assert (result.documents, result.keys, result.temperature) == (exact.documents, exact.keys, question.temperature)
    assert result.best_similarity == exact.best_similarity
    assert result.evidence.null_similarity == exact.evidence.null_similarity
    true = np.zeros(view.n)
    true[everything.numbers] = everything.weights
    null = None if question.null is None else question.in_logits(view.n).null
    weights, null_weight = softmax_with(seen, null)
    apart = (np.abs(weights - true).sum() + abs(null_weight - everything.null_weight)) / 2
    assert apart <= result.certificate.total_variation + everything.certificate.total_variation
    np.testing.assert_allclose(result.weights, weights[result.numbers], rtol=1e-3, atol=1e-5)
    blended = np.linalg.norm(result.output - true @ values.astype(np.float64))
    assert blended <= result.certificate.output_error + everything.certificate.output_error
    assert result.log_partition == pytest.approx(everything.log_partition, rel=1e-2, abs=1e-2)
    assert result.entropy == pytest.approx(everything.entropy, rel=2e-2, abs=1e-3)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("temperature", [1e-3, 0.05, 1.0, 100.0])
@pytest.mark.parametrize("similarity", ["cosine", "dot", "scaled_dot"])
def test_every_bound_holds(running, clusters, in_pieces, similarity, temperature, kind):
    keys, values, queries = clusters
    view = in_pieces(similarity, keys, values)
    width = keys.shape[1]
    scale = {"cosine": 1, "dot": width, "scaled_dot": np.sqrt(width)}[similarity]
    bias = Bias.of(view, np.arange(N), KINDS[kind])
    for count in (1, 19):
        questions = [Question(query, temperature * scale, null=0.5 * scale, bias=bias) for query in queries[:count]]
        answers = quantised_answers(view, questions)
        assert all(answers)
        seen = similarities_seen(view, questions)[1]
        for question, answer, logits in list(zip(questions, answers, seen, strict=True))[:2]:
            held(view, question, answer, logits, values)


def test_a_bias_of_nothing_changes_nothing(running, clusters, in_pieces):
    keys, values, queries = clusters
    view = in_pieces("cosine", keys, values)
    nothing, unbiased = Bias.of(view, [], []), Question(queries[0], 0.05, null=Background(0.1, 0.2))
    plain, biased = quantised_answers(view, [unbiased, replace(unbiased, bias=nothing)])
    np.testing.assert_array_equal(plain.numbers, biased.numbers)
    np.testing.assert_array_equal(plain.similarities, biased.similarities)
    np.testing.assert_allclose(plain.weights, biased.weights, rtol=1e-3)
    np.testing.assert_allclose(plain.output, biased.output, atol=1e-3)
    assert plain.null_weight == pytest.approx(biased.null_weight, rel=1e-3)
    assert biased.certificate.total_variation < 1.1 * plain.certificate.total_variation + 1e-4


@pytest.mark.parametrize("normaliser", ["one_hot", "sparsemax", "entmax15"])
def test_other_normalisers_come_from_the_head(running, clusters, in_pieces, normaliser):
    keys, values, queries = clusters
    view = in_pieces("cosine", keys, values)
    bias = Bias.of(view, np.arange(N), WORDS)
    question = Question(queries[0], 0.02, normaliser=normaliser, bias=bias, null=0.1)
    (result,), (exact,) = quantised_answers(view, [question]), exact_answers(view, [question])
    np.testing.assert_array_equal(result.numbers, exact.numbers)
    np.testing.assert_allclose(result.weights, exact.weights, atol=1e-9)
    np.testing.assert_allclose(result.output, exact.output, atol=1e-9)
    assert result.verdict.stands == exact.verdict.stands or not result.verdict.certain


def test_questions_of_many_biases_and_temperatures_are_answered_together(running, clusters):
    keys, values, queries = clusters
    memory = Memory("cosine", limits=LIMITS)
    memory.publish(add=Rows(np.arange(N), keys, values))
    view = memory.publish(remove=np.arange(0, N, 5))
    mask = view.mask(np.arange(N // 4, N))
    biases = [None, Bias.of(view, np.flatnonzero(WORDS), WORDS[WORDS > 0]), Bias.of(view, [3000, 3001], [5.0, -np.inf])]
    questions = [
        Question(query, temperature, mask=mask, bias=bias)
        for query in queries[:3]
        for temperature in (0.0, 0.05, 1.0)
        for bias in biases
    ]
    for question, answer in zip(questions, answers(view, questions), strict=True):
        (exact,) = exact_answers(view, answers_masked(question))
        np.testing.assert_array_equal(answer.numbers, exact.numbers)
        bound = answer.certificate.total_variation + exact.certificate.total_variation
        assert np.abs(answer.weights - exact.weights).max() <= bound
        assert np.linalg.norm(answer.output - exact.output) <= answer.certificate.output_error + 1e-9
        assert (answer.documents, 3001 in answer.numbers) == (exact.documents, 3001 in exact.numbers)
        assert question.temperature > 0 or question.bias is None or answer.certificate.method == "exact"


def answers_masked(question):
    """Return the question in a list, with a mask that excludes the documents that its bias forbids."""
    allowed = None if question.bias is None else question.bias.mask
    return [question if allowed is None else replace(question, mask=question.mask & allowed)]


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
