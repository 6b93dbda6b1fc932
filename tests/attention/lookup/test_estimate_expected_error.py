"""Averages so short that what codes leave out would be seen: that is foreseen, and they are made in another way."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from softkv_attention.lookup import Auto, Bias, Limits, Memory, Question, Rows, answers
from softkv_attention.lookup.exact import exact_answers
from softkv_attention.lookup.quantised import quantised_answers

N, COUNT = 6_000, 12
SCANNED = Limits(exact_max_components=0)
KINDS = ("clusters", "around a mean", "random", "random, other values", "around a mean, other values")
ORDINARY = KINDS[:2]
PASSING = {"all": 1, "half": 2, "a fifth": 5}


def keys_of(kind, width, random):
    keys = random.standard_normal((N, width))
    if kind == "clusters":
        keys = random.standard_normal((60, width))[random.integers(0, 60, N)] + 0.8 * keys
    elif kind.startswith("around a mean"):  # as encoders have them
        centres = random.standard_normal((60, width))[random.integers(0, 60, N)]
        keys = 1.2 * random.standard_normal(width) + np.exp(-np.arange(width) / width) * (0.7 * centres + keys)
    keys *= np.exp(0.1 * random.standard_normal((N, 1)))
    return keys / np.sqrt((keys**2).sum(axis=1).mean())


@cache
def collection(kind, width, similarity):
    """(view, queries), of keys whose mean square is 1."""
    random = np.random.default_rng([width, KINDS.index(kind)])
    keys = keys_of(kind, width, random)
    values = random.standard_normal((N, width)).astype(np.float32) if kind.endswith("other values") else None
    queries = keys[:COUNT] + 0.3 / np.sqrt(width) * random.standard_normal((COUNT, width))
    memory = Memory(similarity, limits=SCANNED)
    return memory.publish(add=Rows(np.arange(N), keys.astype(np.float32), values)), queries


def asked_of(kind, width, similarity, passing, temperature, **options):
    view, queries = collection(kind, width, similarity)
    mask = None if passing == "all" else view.mask(np.arange(0, N, PASSING[passing]))
    return view, [Question(query, temperature, mask=mask, **options) for query in queries]


def off(result, true):
    return np.linalg.norm(result.output - true.output) / np.linalg.norm(true.output)


@pytest.mark.parametrize("temperature", [0.02, 0.03, 0.05, 0.1, 0.3, 1.0, 10.0, np.inf])
@pytest.mark.parametrize("passing", PASSING)
@pytest.mark.parametrize(("kind", "width"), [*((kind, 64) for kind in KINDS), ("random", 192)])
def test_an_answer_is_right_to_a_thousandth_of_its_own_length(kind, width, passing, temperature):
    for similarity in ("cosine", "dot"):
        view, questions = asked_of(kind, width, similarity, passing, temperature)
        exact = exact_answers(view, questions)
        for batch in (questions[:2], questions):  # in 16 bits at once, and in 8 first
            for answer, true in zip(answers(view, batch), exact[: len(batch)], strict=True):
                assert off(answer, true) <= 1e-3
                assert kind not in ORDINARY or answer.certificate.method == "quantised"


def test_values_unrelated_to_keys_are_answered_exactly_until_weights_are_nearly_even():
    for temperature, method in ((0.3, "exact"), (10.0, "quantised"), (np.inf, "quantised")):
        view, questions = asked_of("random, other values", 64, "cosine", "all", temperature)
        assert {answer.certificate.method for answer in answers(view, questions)} == {method}
        view, questions = asked_of("random, other values", 64, "cosine", "all", temperature, output=False)
        assert {answer.certificate.method for answer in answers(view, questions)} == {"quantised"}


def test_a_bias_a_temperature_that_is_found_and_documents_of_several_keys_keep_to_it_too():
    view, queries = collection("random, other values", 64, "cosine")
    bias = Bias.of(view, np.arange(N), np.sin(np.arange(N)))
    keys, values = view.segments[0].keys, view.segments[0].values
    pairs = Memory("cosine", limits=SCANNED).publish(add=Rows(np.arange(N), keys, values, owners=np.arange(N) // 2 * 2))
    for asked_view, options in (
        (view, {"temperature": 0.3, "bias": bias}),
        (view, {"temperature": Auto(2_000)}),
        (pairs, {"temperature": 0.3}),
    ):
        questions = [Question(query, **options) for query in queries[:3]]
        exact = exact_answers(asked_view, questions)
        for answer, true in zip(answers(asked_view, questions), exact, strict=True):
            assert off(answer, true) <= 1e-3


def test_originals_that_memory_does_not_hold_are_not_read_for_it(monkeypatch):
    view, questions = asked_of("random, other values", 64, "cosine", "all", 0.3)
    assert quantised_answers(view, questions) == [None] * COUNT
    monkeypatch.setitem(vars(view), "beyond_memory", True)
    for quantised_answer, true in zip(quantised_answers(view, questions), exact_answers(view, questions), strict=True):
        assert off(quantised_answer, true) > 1e-3
        assert np.linalg.norm(quantised_answer.output - true.output) <= quantised_answer.certificate.output_error
