"""Logits in the place of similarities: the softmax of these at temperature 1, and shares by a bias at 0."""

from __future__ import annotations

import numpy as np
import pytest

from softkv_attention.lookup.softmax.distribution import (
    MAX_NULL_LOGIT,
    null_logit,
    one_hot_with_bias,
    relative_logits,
    restore_evidence,
    softmax,
)
from softkv_attention.lookup.softmax.evidence import Background, NullKey

RANDOM = np.random.default_rng(8)
SIMILARITIES = RANDOM.standard_normal(50)


@pytest.mark.parametrize("temperature", [1e-30, 0.05, 1.0, 1e6, np.inf])
@pytest.mark.parametrize("background", [None, Background(-0.5, 0.3)])
def test_a_bias_of_nothing_leaves_a_softmax_as_it_is(temperature, background):
    null = None if background is None else background.null_key(temperature, 50)
    logits, peak = relative_logits(SIMILARITIES, np.zeros(50), temperature)
    level = null_logit(null, temperature, peak)
    weights = softmax(logits, None if level is None else NullKey(level), 1.0)
    want = softmax(SIMILARITIES, null, temperature)
    np.testing.assert_allclose(weights.weights, want.weights, atol=1e-13)
    evidence = restore_evidence(weights.evidence, null, temperature, peak)
    assert evidence.temperature == temperature
    assert evidence.null_similarity == want.evidence.null_similarity
    for name in ("null_weight", "log_partition", "entropy", "effective_documents"):
        assert getattr(evidence, name) == pytest.approx(getattr(want.evidence, name), rel=1e-12, abs=1e-12)


def test_a_bias_counts_beside_logits_of_any_size():
    logits, peak = relative_logits(np.array([1e10, 1e10, 0.0]), np.array([0.0, 2.0, 5.0]), 1e-30)
    assert (logits[:2].tolist(), peak) == ([0.0, 2.0], 1e10)
    assert logits[2] == pytest.approx(-1e40)
    assert null_logit(NullKey(1e300), 1e-30) == MAX_NULL_LOGIT


@pytest.mark.parametrize("null", [None, 1.0, 3.0, 5.0])
def test_ties_share_by_their_bias_and_a_null_key_beside_them(null):
    similarities, biases = np.array([1.0, 3.0, 3.0, 3.0, 2.0]), np.array([90.0, -1.0, 2.0, 0.5, 70.0])
    key = None if null is None else NullKey(null)
    result = one_hot_with_bias(similarities, biases, key, log_partition=True)
    masses = np.exp(np.append(biases[1:4], 0.0 if null == 3.0 else -np.inf))
    if null == 5.0:
        assert (result.weights.sum(), result.evidence.null_weight, result.evidence.log_partition) == (0, 1, 0)
        return
    np.testing.assert_allclose(result.weights, np.append(0.0, np.append(masses[:3] / masses.sum(), 0.0)))
    assert result.evidence.null_weight == pytest.approx(masses[3] / masses.sum())
    assert result.evidence.log_partition == pytest.approx(np.log(masses.sum()))
    shares = masses[:3] / masses[:3].sum()
    assert result.evidence.entropy == pytest.approx(-(shares * np.log(shares)).sum())
    assert one_hot_with_bias(similarities, biases, key, log_partition=False).evidence.log_partition is None
