"""A bias of rows that others hold: answers, ties, weights and outputs are those of one view."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from extensions.cluster.tests.lookup.hosts import afar
from softkv_attention.errors import ParameterError, ShapeError
from softkv_attention.lookup import Bias, Limits, Memory, Question, Rows, answers
from softkv_cluster.lookup import RemoteBias
from tests.thorough import thorough

RANDOM = np.random.default_rng(11)
N, WIDTH = 6_000, 12
CENTRES = RANDOM.standard_normal((20, WIDTH))
KEYS = (CENTRES[RANDOM.integers(0, 20, N)] + 0.7 * RANDOM.standard_normal((N, WIDTH))).astype(np.float32)
KEYS[5::1000] = KEYS[5]  # copies in every shard
VALUES = (RANDOM.standard_normal((N, 4)) + 2).astype(np.float32)
SEVERAL = np.arange(N) // 3 * 3
PRIORS = np.where(RANDOM.random(N) < 0.1, -np.inf, RANDOM.normal(size=N) * 2)
WORDS = np.flatnonzero(RANDOM.random(N) < 0.05)
RANKS = RANDOM.exponential(2.0, len(WORDS))
SCANNED = Limits(exact_max_components=0)


def views(similarity, owners, limits, count=4):
    """Return one view of all rows, and the same rows as several views."""
    parts = []
    for rows in np.array_split(np.arange(N), count):
        memory = Memory(similarity, limits=limits)
        parts.append(memory.publish(add=Rows(rows, KEYS[rows], VALUES[rows], owners[rows])))
    whole = Memory(similarity, limits=limits).publish(add=Rows(np.arange(N), KEYS, VALUES, owners))
    return whole, parts


def biases(whole, remote, owners):
    """Return biases of one view, and the same ones of the remote view: terms, words, and both."""
    documents = np.unique(owners)
    terms = json.dumps([documents.tolist(), PRIORS[documents].tolist(), 0.0])
    words = np.isin(WORDS, documents)
    total = PRIORS.copy()
    total[WORDS[words]] += RANKS[words]
    from_terms = remote.bias(terms)
    return [
        (Bias.of(whole, documents, PRIORS[documents]), from_terms),
        (Bias.of(whole, WORDS[words], RANKS[words]), RemoteBias.of(remote, WORDS[words], RANKS[words])),
        (Bias.of(whole, documents, total[documents]), RemoteBias.of(remote, WORDS[words], RANKS[words], from_terms)),
        (
            Bias.of(whole, documents, total[documents]).add(documents[:9], np.arange(9.0)),
            RemoteBias.of(remote, WORDS[words], RANKS[words], from_terms).add(documents[:9], np.arange(9.0)),
        ),
        (Bias.of(whole, documents, PRIORS[documents]).add([5], [2]), from_terms.add([5], [2])),
    ]


def check(actual, expected):
    """Compare an answer with that of one view, within both certificates."""
    assert (actual.documents, actual.keys) == (expected.documents, expected.keys)
    np.testing.assert_array_equal(actual.numbers, expected.numbers)
    np.testing.assert_array_equal(actual.parts, expected.parts)
    np.testing.assert_array_equal(actual.similarities, expected.similarities)
    np.testing.assert_allclose(actual.logits, expected.logits, rtol=1e-13, atol=1e-12)
    assert actual.best_similarity == expected.best_similarity
    bound = actual.certificate.total_variation + expected.certificate.total_variation
    assert np.abs(actual.weights - expected.weights).max(initial=0.0) <= bound + 1e-15
    assert abs(actual.null_weight - expected.null_weight) <= bound + 1e-15
    if expected.output is not None:
        error = actual.certificate.output_error + expected.certificate.output_error
        assert np.linalg.norm(actual.output - expected.output) <= error


@pytest.mark.parametrize("limits", [Limits(), SCANNED], ids=["exact", "scanned"])
@pytest.mark.parametrize("owners", [np.arange(N), SEVERAL], ids=["rows", "documents"])
@pytest.mark.parametrize("similarity", ["cosine", thorough("dot"), thorough("gaussian")])
def test_a_remote_bias_answers_like_a_local_one(similarity, owners, limits):
    whole, parts = views(similarity, owners, limits)
    remote = afar(parts, sampled=True)
    documents = np.unique(owners)
    passing = documents[::2]
    masks = [(None, None), (whole.mask(passing), remote.where(json.dumps(passing.tolist())))]
    pairs = []
    for own, other in biases(whole, remote, owners):
        for own_mask, other_mask in masks:
            for query in (KEYS[5], CENTRES[3]):
                for temperature, options in (
                    (0.0, {}),
                    (0.3, {"null": 0.4}),
                    (0.3, {"top_p": 0.7}),
                    (5.0, {"top_k": 40}),
                    (0.5, {"normaliser": "sparsemax"}),
                ):
                    question = Question(query, temperature, mask=own_mask, bias=own, **options)
                    pairs.append((question, replace(question, mask=other_mask, bias=other)))
    compared = zip(pairs, answers(remote, [b for _, b in pairs]), answers(whole, [a for a, _ in pairs]), strict=True)
    for (question, _), actual, expected in compared:
        check(actual, expected)
        assert question.bias.mask is None or not np.isneginf(PRIORS[actual.numbers]).any()


def test_most_scans_with_a_bias_take_two_messages_to_each_holder():
    _, parts = views("cosine", np.arange(N), SCANNED)
    remote = afar(parts, sampled=True)
    bias = RemoteBias.of(remote, WORDS, RANKS)
    answers(remote, [Question(KEYS[0], 0.3, bias=bias)])  # reads the stride of the samples, once a view
    for holder in remote.hosts.holders:
        holder.calls.clear()
    answers(remote, [Question(KEYS[0], 0.3, bias=bias), Question(KEYS[1], 0.3, bias=bias)])
    assert [holder.calls for holder in remote.hosts.holders] == [["sampled", "gather"]] * len(remote.hosts.holders)


def test_a_bias_that_forbids_all():
    _, parts = views("cosine", np.arange(N), SCANNED)
    remote = afar(parts, sampled=False)
    bias = remote.bias(json.dumps([[], [], -1e400]))
    (answer,) = answers(remote, [Question(KEYS[0], 0.3, bias=bias)])
    assert (answer.documents, len(answer.numbers), bias.mask.n) == (0, 0, 0)


def test_documents_that_hold_a_word_are_counted_by_their_holders():
    whole, parts = views("cosine", SEVERAL, SCANNED)
    remote = afar(parts, sampled=False)
    own, other = biases(whole, remote, SEVERAL)[0]
    assert remote.count_documents(np.append(WORDS, N + 7), None) == np.isin(WORDS, SEVERAL).sum()
    numbers, mask = np.arange(0, N, 2), remote.where(json.dumps(list(range(1_000, 5_000))))
    expected = whole.count_documents(numbers, own.restrict(whole.mask(np.arange(1_000, 5_000))))
    assert remote.count_documents(numbers, other.restrict(mask)) == expected
    assert other.restrict(mask) is other.restrict(mask) is other.restrict(other.restrict(mask))


def test_a_bias_that_does_not_fit_the_view_is_refused():
    _, parts = views("cosine", np.arange(N), SCANNED)
    one, other = afar(parts, sampled=False), afar(parts, sampled=False)
    with pytest.raises(ParameterError, match="another view"):
        answers(one, [Question(KEYS[0], 0.1, bias=RemoteBias.of(other, [1], [1.0]))])
    with pytest.raises(ParameterError, match="finite addends"):
        RemoteBias.of(one, [1], [-np.inf])
    with pytest.raises(ParameterError, match="two addends"):
        RemoteBias.of(one, [1, 1], [1.0, 2.0])
    with pytest.raises(ShapeError, match="one addend for each"):
        RemoteBias.of(one, [1], [1.0, 2.0])
    with pytest.raises(ParameterError, match="terms of this view"):
        RemoteBias.of(one, [1], [1.0], other.bias(json.dumps([[], [], 1.0])))
    forbidding = [one.bias(json.dumps([[number], [-1e400], 0.0])) for number in (1, 2)]
    with pytest.raises(ParameterError, match="another bias"):
        answers(one, [Question(KEYS[0], 0.1, bias=forbidding[0], mask=forbidding[1].mask)])
