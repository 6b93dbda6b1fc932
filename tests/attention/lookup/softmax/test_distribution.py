"""Softmax, one-hot and the sparse normalisers against what they are defined as, a null key and both limits included."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softkv_attention.lookup import Question, answer
from softkv_attention.lookup.softmax.distribution import SUPPORT, logistic, one_hot, softmax, solve_temperature, sparse
from softkv_attention.lookup.softmax.evidence import NullKey

SIMILARITIES = st.lists(st.sampled_from([-2.0, -0.5, 0.0, 0.25, 0.25000001, 1.0]), min_size=1, max_size=30).map(
    np.array
)
NULLS = st.none() | st.builds(NullKey, st.sampled_from([-3.0, 0.25, 1.0, 2.0]), st.sampled_from([0.0, 3.0]))
PLAIN_NULLS = st.none() | st.builds(NullKey, st.sampled_from([-3.0, 0.25, 1.0, 2.0]))


def definition(similarities, null, temperature):
    """(weights with the null's last, ln Σ exp(logit)): e^`log_count` keys of the null's similarity are one."""
    logits = np.append(similarities / temperature, -np.inf if null is None else null.logit(0.0, temperature))
    log_partition = np.logaddexp.reduce(logits)
    return np.exp(logits - log_partition), log_partition


def entropy(weights):
    shares = weights[weights > 0] / weights.sum()
    return -(shares * np.log(shares)).sum()


@given(similarities=SIMILARITIES, null=NULLS, temperature=st.sampled_from([0.02, 0.3, 1.0, 50.0]))
def test_softmax_is_the_definition(similarities, null, temperature):
    weights, log_partition = definition(similarities, null, temperature)
    result = softmax(similarities, null, temperature)
    evidence = result.evidence
    np.testing.assert_allclose(result.weights, weights[:-1], rtol=1e-12, atol=1e-300)
    assert evidence.null_weight == pytest.approx(weights[-1], rel=1e-12)
    assert evidence.log_partition == pytest.approx(log_partition, rel=1e-12, abs=1e-12)
    documents, _ = definition(similarities, None, temperature)
    assert evidence.entropy == pytest.approx(entropy(documents), rel=1e-9, abs=1e-12)
    assert evidence.effective_documents == pytest.approx(np.exp(evidence.entropy))
    logits = np.append(similarities / temperature, [] if null is None else null.logit(0.0, temperature))
    gaps = (logits.max() - logits) @ weights[: len(logits)]
    assert result.mean_gap == pytest.approx(gaps, rel=1e-9, abs=1e-12)


@given(similarities=SIMILARITIES, null=PLAIN_NULLS)
def test_softmax_at_its_limits_is_the_best_and_the_mean(similarities, null):
    cold = one_hot(similarities, null, 0.0, log_partition=True)
    for temperature in (0, 1e-30):
        weights = softmax(similarities, null, temperature)
        np.testing.assert_allclose(weights.weights, cold.weights, atol=1e-12)
        assert weights.evidence.null_weight == pytest.approx(cold.evidence.null_weight)
    everything = len(similarities) + (null is not None)
    np.testing.assert_allclose(softmax(similarities, null, np.inf).weights, 1 / everything, rtol=1e-12)


@given(similarities=SIMILARITIES, null=PLAIN_NULLS, temperature=st.sampled_from([0.0, 0.7, np.inf]))
def test_one_hot_shares_evenly_among_the_best(similarities, null, temperature):
    everything = np.append(similarities, -np.inf if null is None else null.similarity)
    if temperature == np.inf:
        everything = np.where(np.isinf(everything), everything, 0)
    ties = everything == everything.max()
    result = one_hot(similarities, null, temperature, log_partition=True)
    np.testing.assert_allclose(result.weights, (ties / ties.sum())[:-1])
    assert result.evidence.null_weight == pytest.approx(ties[-1] / ties.sum())
    assert result.evidence.log_partition == pytest.approx(np.log(ties.sum()))
    documents = everything[:-1]
    assert result.evidence.effective_documents == pytest.approx(np.count_nonzero(documents == documents.max()))
    assert one_hot(similarities, null, temperature).evidence.log_partition is None


@settings(deadline=None)
@given(
    similarities=SIMILARITIES,
    null=PLAIN_NULLS,
    temperature=st.sampled_from([0.02, 0.3, 1.0, 50.0, np.inf]),
    normaliser=st.sampled_from(sorted(SUPPORT)),
)
def test_sparse_weights_lie_above_one_threshold(similarities, null, temperature, normaliser):
    result = sparse(similarities, null, temperature, normaliser)
    power = SUPPORT[normaliser]
    everything = np.append(similarities, [] if null is None else [null.similarity])
    logits = (everything - everything.max()) / temperature / power
    weights = np.append(result.weights, [] if null is None else [result.evidence.null_weight])
    assert weights.sum() == pytest.approx(1)
    thresholds = (logits - weights ** (1 / power))[weights > 0]
    np.testing.assert_allclose(thresholds, thresholds[0], atol=1e-9)
    assert (logits[weights == 0] <= thresholds[0] + 1e-9).all()
    assert result.evidence.log_partition is None
    if result.weights.any():
        assert result.evidence.effective_documents == pytest.approx(np.exp(entropy(result.weights)))
    else:
        assert result.evidence.effective_documents == 0


@pytest.mark.parametrize("temperature", [0, 1e-30, 0.5, np.inf])
@pytest.mark.parametrize("null", [None, NullKey(0.25)])
def test_without_documents_the_null_key_has_all_the_weight(null, temperature):
    nothing = np.empty(0)
    for result in (
        softmax(nothing, null, temperature),
        one_hot(nothing, null, temperature),
        sparse(nothing, null, temperature, "sparsemax"),
    ):
        assert result.weights.shape == (0,)
        assert result.evidence.null_weight == (null is not None)
        assert (result.evidence.effective_documents, result.mean_gap) == (0, 0)
    logit = 0.25 / temperature if temperature else 0.0  # at 0 it ties with itself alone
    assert softmax(nothing, null, temperature).evidence.log_partition == (-np.inf if null is None else logit)
    assert one_hot(nothing, null, temperature).evidence.log_partition is None


@pytest.mark.parametrize("x", [0.0, 1e-30, 0.3, 36.0, 700.0, 1e5, np.inf])
def test_logistic_neither_overflows_nor_loses_its_small_side(x):
    with np.errstate(all="raise", under="ignore"):
        assert logistic(x) + logistic(-x) == pytest.approx(1, abs=1e-15)
        assert logistic(-x) == pytest.approx(1 / (1 + np.exp(min(x, 700.0))) if x < 1e4 else 0, rel=1e-12)


def test_entropy_survives_a_null_that_has_all_the_weight(filled):
    result = answer(filled("dot", np.eye(3)), Question(np.zeros(3), 1e-3, null=5.0))
    assert result.null_weight == 1
    assert result.effective_documents == pytest.approx(3)
    assert result.verdict.stands == "none"


@pytest.mark.parametrize("below", [0.0, 1e3, 1e20])
def test_a_null_key_that_outweighs_all_by_far_is_the_partition(below):
    weights = softmax(np.array([-below, -below - 1]), NullKey(2.0), 0.5)
    expected = np.logaddexp.reduce([4.0, -below / 0.5, (-below - 1) / 0.5])
    assert weights.evidence.log_partition == pytest.approx(expected, rel=1e-14)


@settings(deadline=None)
@given(
    n=st.integers(2, 400),
    target=st.floats(1, 300),
    seed=st.integers(0, 2**32 - 1),
    scale=st.floats(-20, 20),
    steep=st.floats(0.1, 8),
)
def test_auto_reaches_its_effective_documents(n, target, seed, scale, steep):
    similarities = 10**scale * np.random.default_rng(seed).random(n) ** steep
    temperature = solve_temperature(similarities, target)
    target = min(target, n / 2)
    if temperature == 0:
        assert target <= 1
        return
    logits = (similarities - similarities.max()) / temperature
    weights = np.exp(logits) / np.exp(logits).sum()
    effective = np.exp(-(weights[weights > 0] * np.log(weights[weights > 0])).sum())
    assert effective == pytest.approx(target, rel=1e-2)


def test_auto_is_zero_if_more_documents_tie_than_wanted():
    assert solve_temperature(np.array([1.0] * 9 + [0.0] * 50), 8) == 0
    assert solve_temperature(np.array([1.0] * 7 + [0.0] * 50), 8) > 0
    assert solve_temperature(np.array([1.0]), 8) == 0
    assert solve_temperature(np.ones(5), 2) == 0
    assert solve_temperature(np.empty(0), 8) == 0


def test_a_step_too_large_for_a_float_is_one_out_of_the_bracket():
    """At the first try all but the best vanish, and what entropy is left says nothing of where it rises."""
    similarities = np.concatenate([[1.0], np.full(14, 0.6), np.full(40, 0.2)])
    weights = np.exp((similarities - 1) / solve_temperature(similarities, 20))
    weights /= weights.sum()
    assert np.exp(-(weights * np.log(weights)).sum()) == pytest.approx(20, rel=1e-2)
