"""Properties of attention for any numbers: each test is one sentence about it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from softkv_attention import SIMILARITIES as FUNCTIONS
from softkv_attention import attend
from tests.thorough import examples

BATCH, M, N, D, D_V = 2, 3, 7, 5, 11

NORMALISERS = ["softmax", "sparsemax", "entmax15", "one_hot"]
SIMILARITIES = ["cosine", "dot", "scaled_dot", "gaussian"]

normalisers = st.sampled_from(NORMALISERS)
similarities = st.sampled_from(SIMILARITIES)
temperatures = st.sampled_from([0.0, 1e-30, 1e-3, 0.05, 1.0, 20.0, 1e6, math.inf])
nulls = st.none() | st.floats(-3, 3)
masks = hnp.arrays(bool, (BATCH, M, N))
biases = hnp.arrays(np.float64, (M, N), elements=st.floats(-30, 30))


def vectors(*shape):
    return hnp.arrays(np.float64, shape, elements=st.floats(-9, 9, width=32))


queries, keys, values = vectors(BATCH, M, D), vectors(BATCH, N, D), vectors(BATCH, N, D_V)
everything = {
    "query": queries,
    "key": keys,
    "value": values,
    "similarity": similarities,
    "temperature": temperatures,
    "mask": masks,
    "bias": biases,
    "null": nulls,
    "normaliser": normalisers,
}

properly = settings(deadline=None, max_examples=examples(40), derandomize=True)


@given(**everything)
@properly
def test_weights_are_never_negative_and_sum_to_one_with_the_null_weight(query, key, value, **options):
    attended = attend(query, key, value, **options)
    assert np.all(attended.weights >= 0)
    assert np.all(attended.null_weight >= 0)
    total = attended.weights.sum(-1) + attended.null_weight
    reachable = options["mask"].any(-1) | (options["null"] is not None)
    np.testing.assert_allclose(total, reachable.astype(float), atol=1e-12)


@given(**everything)
@properly
def test_nothing_is_ever_nan(query, key, value, **options):
    attended = attend(query, key, value, **options)
    for array in attended:
        assert array is None or not np.isnan(array).any()


@given(**everything)
@properly
def test_the_output_is_the_weighted_sum_of_the_values(query, key, value, **options):
    attended = attend(query, key, value, **options)
    expected = np.einsum("bmn,bnv->bmv", attended.weights, value)
    np.testing.assert_allclose(attended.output, expected, atol=1e-12)


@given(order=st.permutations(range(N)), **everything)
@properly
def test_permuting_the_keys_permutes_the_weights(query, key, value, mask, bias, order, **options):
    # Whole numbers: products of permuted matrices may round apart, and T = 0 makes a last bit a verdict.
    query, key = np.round(query), np.round(key)
    options["similarity"] = "dot"
    before = attend(query, key, value, mask=mask, bias=bias, **options)
    after = attend(query, key[:, order], value[:, order], mask=mask[..., order], bias=bias[..., order], **options)
    np.testing.assert_allclose(after.weights, before.weights[..., order], atol=1e-12)
    np.testing.assert_allclose(after.output, before.output, atol=1e-11)


@given(kept=st.lists(st.integers(0, N - 1), unique=True), **everything)
@properly
def test_masking_keys_equals_deleting_them(query, key, value, mask, bias, kept, **options):
    query, key = np.round(query), np.round(key)
    options["similarity"] = "dot"
    masked = attend(query, key, value, mask=np.isin(np.arange(N), kept), bias=bias, **options)
    kept = sorted(kept)
    deleted = attend(query, key[:, kept], value[:, kept], bias=bias[:, kept], **options)
    np.testing.assert_allclose(masked.weights[..., kept], deleted.weights, atol=1e-12)
    np.testing.assert_allclose(masked.output, deleted.output, atol=1e-11)
    np.testing.assert_allclose(masked.null_weight, deleted.null_weight, atol=1e-12)
    if options["normaliser"] == "softmax":
        np.testing.assert_allclose(masked.log_partition, deleted.log_partition, rtol=1e-12, atol=1e-12)


@given(**everything)
@properly
def test_a_mask_is_a_bias_of_minus_infinity(query, key, value, mask, bias, **options):
    by_mask = attend(query, key, value, mask=mask, bias=bias, **options)
    by_bias = attend(query, key, value, bias=np.where(mask, bias, -np.inf), **options)
    for one, other in zip(by_mask, by_bias, strict=True):
        np.testing.assert_array_equal(one, other)


@given(level=st.integers(-3, 3), **everything)
@properly
def test_a_null_key_is_one_more_key_with_a_zero_value(query, key, value, mask, bias, level, **options):
    query, key = np.round(query), np.round(key)
    options |= {"similarity": "dot", "null": None}
    # The key as a real one: it alone has a component on a sixth axis, on which every query has a 1.
    inputs = np.concatenate([query, np.ones((BATCH, M, 1))], axis=-1)
    offered = np.zeros((BATCH, N + 1, D + 1))
    offered[:, :N, :D], offered[:, N, D] = key, level
    as_key = attend(
        inputs,
        offered,
        np.concatenate([value, np.zeros((BATCH, 1, D_V))], axis=1),
        mask=np.concatenate([mask, np.ones((BATCH, M, 1), bool)], axis=-1),
        bias=np.concatenate([bias, np.zeros((M, 1))], axis=-1),
        **options,
    )
    as_null = attend(query, key, value, mask=mask, bias=bias, **options | {"null": float(level)})
    np.testing.assert_allclose(as_null.null_weight, as_key.weights[..., N], atol=1e-12)
    np.testing.assert_allclose(as_null.weights, as_key.weights[..., :N], atol=1e-12)
    np.testing.assert_allclose(as_null.output, as_key.output, atol=1e-11)


@given(query=queries, key=keys, value=values, similarity=similarities, null=nulls)
@properly
def test_cold_attention_approaches_the_limit_at_zero(query, key, value, similarity, null):
    seen = FUNCTIONS[similarity](query, key)
    if null is not None:
        seen = np.concatenate([seen, np.full((BATCH, M, 1), null)], axis=-1)
    gaps = seen.max(axis=-1, keepdims=True) - seen
    assume(not ((gaps > 0) & (gaps < 1e-27)).any())  # what is so near the best has weight at T = 1e-30
    cold = attend(query, key, value, similarity=similarity, null=null, temperature=1e-30)
    zero = attend(query, key, value, similarity=similarity, null=null, temperature=0)
    np.testing.assert_array_equal(cold.weights, zero.weights)


@given(query=queries, key=keys, value=values, similarity=similarities, bias=biases, null=nulls)
@properly
def test_hot_attention_approaches_the_limit_at_infinity(query, key, value, similarity, bias, null):
    hot = attend(query, key, value, similarity=similarity, bias=bias, null=null, temperature=1e13)
    limit = attend(query, key, value, similarity=similarity, bias=bias, null=null, temperature=math.inf)
    np.testing.assert_allclose(hot.weights, limit.weights, atol=1e-9)
    np.testing.assert_allclose(hot.log_partition, limit.log_partition, atol=1e-9)


@given(query=queries, key=keys, value=values, shift=st.floats(-100, 100), normaliser=normalisers)
@properly
def test_a_bias_on_every_key_changes_only_the_log_partition(query, key, value, shift, normaliser):
    query, key = np.round(query), np.round(key)
    plain = attend(query, key, value, normaliser=normaliser)
    shifted = attend(query, key, value, normaliser=normaliser, bias=np.full((M, N), shift))
    np.testing.assert_allclose(shifted.weights, plain.weights, atol=1e-11)
    if normaliser == "softmax":
        np.testing.assert_allclose(shifted.log_partition, plain.log_partition + shift, atol=1e-10)


@given(query=queries, key=keys, value=values, temperature=st.floats(1e-3, 1e3), null=nulls)
@properly
def test_log_weight_is_logit_minus_log_partition(query, key, value, temperature, null):
    attended = attend(query, key, value, temperature=temperature, null=null)
    expected = np.exp(attended.logits - attended.log_partition[..., None])
    np.testing.assert_allclose(attended.weights, expected, rtol=1e-8, atol=1e-300)


@pytest.mark.parametrize("normaliser", NORMALISERS)
@given(query=queries, key=keys, value=values, colder=st.floats(0.05, 0.9))
@properly
def test_cooling_never_takes_weight_from_the_best_match(normaliser, query, key, value, colder):
    warm = attend(query, key, value, normaliser=normaliser, temperature=1.0)
    cold = attend(query, key, value, normaliser=normaliser, temperature=colder)
    assert np.all(cold.weights.max(-1) >= warm.weights.max(-1) - 1e-12)
