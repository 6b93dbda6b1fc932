"""Whole distributions, moved as far as their similarities may be off: never further than the bound on all of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softkv_attention.lookup.bounds.similarities import QuantisationError, Slack
from softkv_attention.lookup.bounds.weights import least_variation, tail_variation, total_variation
from softkv_attention.lookup.softmax.distribution import one_hot, softmax, sparse
from softkv_attention.lookup.softmax.evidence import NullKey
from softkv_attention.lookup.softmax.mixture import TailSums, mix, mixture_without_tail
from tests.thorough import examples

SEEDS = st.integers(0, 2**32 - 1)
TEMPERATURES = st.sampled_from([0, 1e-30, 1e-6, 1e-3, 0.02, 0.3, 5.0, np.inf])
NORMALISERS = ["softmax", "one_hot", "sparsemax", "entmax15"]
NULLS = st.none() | st.builds(NullKey, st.sampled_from([-1.0, 0.5, 2.0]))


def distribution(normaliser, similarities, null, temperature):
    if normaliser == "softmax":
        return softmax(similarities, null, temperature)
    if normaliser == "one_hot":
        return one_hot(similarities, null, temperature)
    return sparse(similarities, null, temperature, normaliser)


def apart(weights, other_weights, null_weight, other_null):
    return (np.abs(weights - other_weights).sum() + abs(null_weight - other_null)) / 2


@settings(deadline=None, max_examples=examples(300))
@given(
    seed=SEEDS,
    normaliser=st.sampled_from(NORMALISERS),
    temperature=TEMPERATURES,
    error=st.sampled_from([0.0, 1e-9, 1e-4, 0.05]),
    null=NULLS,
    copies=st.integers(1, 5),
)
def test_rounding_moves_no_distribution_further(seed, normaliser, temperature, error, null, copies):
    random = np.random.default_rng(seed)
    vectors = np.repeat(np.arange(20), copies)  # copies of a vector have one similarity, the true one and the computed
    true = random.random(20)
    seen = true + random.choice([-error, error], 20)
    seen[3] = seen[7] if error else seen[3]  # two that only seem to tie
    true, seen = true[vectors], seen[vectors]
    true = np.clip(true, seen - error, seen + error)

    def alike():
        return len(set(vectors[seen == seen.max()])) == 1

    result, real = (distribution(normaliser, similarities, null, temperature) for similarities in (seen, true))
    bound = total_variation(result, normaliser, seen, seen.max(), Slack(error, 0.0), len(seen), alike)
    moved = apart(result.weights, real.weights, result.evidence.null_weight, real.evidence.null_weight)
    assert 0 < bound <= 1
    assert moved <= bound + 1e-12


@pytest.mark.parametrize("normaliser", NORMALISERS)
def test_nothing_is_not_moved(normaliser):
    result = distribution(normaliser, np.empty(0), NullKey(0.5), 1.0)
    assert total_variation(result, normaliser, np.empty(0), -np.inf, Slack(1.0, 0.0), 0, lambda: True) == 0


@pytest.mark.parametrize(("normaliser", "temperature"), [("softmax", 0), ("softmax", 1e-30), ("one_hot", 1.0)])
def test_rows_that_tie_without_being_copies_may_all_be_wrong(normaliser, temperature):
    similarities, slack = np.array([0.1, 0.9, 0.9]), Slack(1e-15, 0.0)
    result = distribution(normaliser, similarities, None, temperature)
    assert total_variation(result, normaliser, similarities, similarities.max(), slack, 3, lambda: False) == 1
    assert total_variation(result, normaliser, similarities, similarities.max(), slack, 3, lambda: True) < 1e-14


@settings(deadline=None)
@given(
    seed=SEEDS,
    temperature=st.sampled_from([1e-3, 0.02, 0.3, 5.0, 1e6]),
    error=st.sampled_from([1e-6, 1e-3, 0.05]),
    listed=st.integers(0, 30),
    null=NULLS,
    known_squares=st.booleans(),
)
def test_quantisation_moves_no_distribution_further(seed, temperature, error, listed, null, known_squares):
    """Ten rows are known, some listed and the rest summed: these are off by at most the error."""
    random = np.random.default_rng(seed)
    true = np.sort(random.random(200))[::-1]
    off = random.uniform(-error, error, 200) * (np.arange(200) >= 10)
    off = np.minimum(off, true[0] - true)  # what was scanned above the best that is known would be known too
    head, rows, summed = np.split(true + off, [10, 10 + listed])
    level = summed.max()
    x = (summed - level) / temperature
    tail_sums = TailSums(np.array([level]), np.array([[[np.exp(x).sum(), (np.exp(x) * x).sum(), np.exp(2 * x).sum()]]]))
    (result,) = mix(head, rows, tail_sums, [null], np.array([temperature]))
    weights = np.concatenate([result.known, result.candidates, result.factors[0] * np.exp(x)])
    squares = float((off * off).sum()) if known_squares else np.inf
    bound = tail_variation(result, QuantisationError(error, squares, 0.0))
    real = softmax(true, null, temperature)
    assert apart(weights, real.weights, result.evidence.null_weight, real.evidence.null_weight) <= bound + 1e-12
    assert bound <= tail_variation(result, QuantisationError(error, np.inf, 0.0)) < 1.001


@settings(deadline=None)
@given(
    seed=SEEDS,
    temperature=st.sampled_from([0.02, 0.3, 5.0]),
    error=st.sampled_from([1e-6, 1e-3, 0.05]),
    listed=st.integers(0, 30),
    more=st.integers(0, 150),
)
def test_looking_up_more_rows_proves_at_least_as_much(seed, temperature, error, listed, more):
    similarities = np.sort(np.random.default_rng(seed).random(200))[::-1]

    def mixture(known_weights, candidates):
        head, rows, summed = np.split(similarities, [known_weights, known_weights + candidates])
        level = summed.max()
        x = (summed - level) / temperature
        sums = np.array([[[np.exp(x).sum(), (np.exp(x) * x).sum(), np.exp(2 * x).sum()]]])
        return mix(head, rows, TailSums(np.array([level]), sums), [None], np.array([temperature]))[0]

    off = QuantisationError(error, 200 * (error / 3) ** 2, 0.0)
    least = least_variation(mixture(10, listed), off, 200, more)
    assert least <= tail_variation(mixture(10 + more, min(listed, 30)), off) * (1 + 1e-9)
    assert more > 20 or temperature < 5 or least > error / 50  # where weights are even, it says much


def test_without_a_tail_quantisation_moves_nothing():
    evidence = softmax(np.array([0.5]), None, 0.0).evidence
    assert tail_variation(mixture_without_tail(np.ones(1), evidence, 0), QuantisationError(np.inf, np.inf, 0.0)) == 0
