"""Queries of every length that float64 holds: the answer is that of exact arithmetic, or an error says why not."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from softkv_attention.errors import ParameterError
from softkv_attention.lookup import (
    KeySummary,
    Limits,
    Memory,
    Question,
    answers,
    attend,
    cover_missing_rows,
    similarities_of,
    sweep,
    weights_of,
)

RANDOM = np.random.default_rng(5)
WIDTH = 16  # a square, so that scaled_dot is a fraction
QUERY = RANDOM.standard_normal(WIDTH)
DIRECTIONS = RANDOM.standard_normal((40, WIDTH))
LENGTHS = [5e-324, 1e-320, 1e-200, 1e-162, 1e-155, 1.0, 1e154, 1e200, 1e260, 1e307]
TEMPERATURES = (0, 1e-30, 0.1, 1e6, math.inf)
DIGITS = 2**200


def exact_similarities(query, keys, similarity):
    """Return the similarities of a query float64[d] with keys float32[n, d], as fractions."""
    query, keys = [Fraction(x) for x in query.tolist()], [[Fraction(x) for x in key] for key in keys.tolist()]
    if similarity == "gaussian":
        return [-sum((q - k) ** 2 for q, k in zip(query, key, strict=True)) / 2 for key in keys]
    products = [sum(q * k for q, k in zip(query, key, strict=True)) for key in keys]
    if similarity == "dot":
        return products
    if similarity == "scaled_dot":
        return [product / math.isqrt(WIDTH) for product in products]
    squares = [sum(k * k for k in key) * sum(q * q for q in query) for key in keys]
    roots = [math.isqrt(int(p * p / square * DIGITS**2)) for p, square in zip(products, squares, strict=True)]
    return [Fraction(root if p > 0 else -root, DIGITS) for root, p in zip(roots, products, strict=True)]


def exact_weights(similarities, temperature):
    """Return the softmax of similarities at a temperature."""
    best = max(similarities)
    if not temperature:
        masses = [float(s == best) for s in similarities]
    elif temperature == math.inf:
        masses = [1.0] * len(similarities)
    else:
        masses = [math.exp(max(Fraction(-1000), (s - best) / Fraction(temperature))) for s in similarities]
    return np.array(masses) / sum(masses)


@pytest.mark.parametrize("similarity", ["cosine", "dot", "scaled_dot", "gaussian"])
@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("key_length", [1e-40, 1.0, 1e20])
def test_weights_of_a_query_of_any_length_are_those_of_exact_arithmetic(similarity, length, key_length):
    query, keys = QUERY * length, (DIRECTIONS * key_length).astype(np.float32)
    memory = Memory.of(keys, similarity=similarity)
    view = memory.view
    largest = length * (length if similarity == "gaussian" else key_length)
    if similarity != "cosine" and largest > 1e270:
        for ask in (
            lambda: attend(query, memory, temperature=0.1),
            lambda: sweep(memory, query, [0.1]),
            lambda: weights_of(view, Question(query, 0.1)),
            lambda: similarities_of(view, query[None]),
        ):
            with pytest.raises(ParameterError, match=r"must be at most 1e\+270, .* scale query and keys down"):
                ask()
        return
    exact = exact_similarities(query, keys, similarity)
    (similarities,) = similarities_of(view, query[None]).similarities
    size = 1.0 if similarity == "cosine" else float(max(map(abs, exact)))
    np.testing.assert_allclose(similarities, np.array(exact, dtype=float), rtol=0, atol=1e-14 * size + 1e-322)
    swept = sweep(memory, query, TEMPERATURES, top_k=40)
    for weights, certificate, temperature in zip(swept.weights, swept.certificates, TEMPERATURES, strict=True):
        expected = exact_weights(exact, temperature)
        question = Question(query, temperature, top_k=40)
        answered, all_weights = attend(query, memory, temperature=temperature, top_k=40), weights_of(view, question)
        for numbers, computed, error in (
            (swept.numbers, weights, certificate.total_variation),
            (answered.numbers, answered.weights, answered.certificate.total_variation),
            (all_weights.numbers, all_weights.weights, all_weights.total_variation),
        ):
            assert 0.5 * np.abs(computed - expected[numbers]).sum() <= error + 1e-15


@pytest.mark.parametrize("place", ["scanned", "one", "several", "incomplete"])
def test_a_power_of_two_changes_no_bit_of_an_answer_under_cosine(as_one, place):
    keys = RANDOM.standard_normal((6_000, WIDTH))
    memory = Memory.of(keys, limits=Limits(exact_max_components=0) if place == "scanned" else Limits())
    view = as_one([memory.view])
    missing = KeySummary.of("cosine", keys[:100].astype(np.float32))

    def ask(query):
        questions = [Question(query, temperature) for temperature in (0.1, 0.5)]
        answered = answers(view, questions if place == "several" else questions[:1])
        if place == "incomplete":
            return [cover_missing_rows(answered[0], questions[0], memory.view.facts, missing)[0]]
        return answered

    for power in (-1000, 1000):
        for same, scaled in zip(ask(QUERY), ask(np.ldexp(QUERY, power)), strict=True):
            assert scaled.certificate == same.certificate
            np.testing.assert_array_equal(scaled.numbers, same.numbers)
            np.testing.assert_array_equal(scaled.weights, same.weights)
            np.testing.assert_array_equal(scaled.output, same.output)
